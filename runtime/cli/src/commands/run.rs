//! `wasmill run`.

use std::sync::Arc;

use clap::Args;
use wasmill_engine::{Result, StateStore};

use super::PipelineArguments;
use super::checked::{check_or_exit, fail};
use crate::check::Checked;
use crate::exit;
use crate::run::{Display, Shown, stop_on_signals, summary_table};

/// Runs a pipeline: checks it first, and touches nothing if it has mistakes
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill run pipelines/pin-to-delta.yaml\n  \
    wasmill run pipelines/pin-to-delta.yaml --mode stream\n  \
    wasmill run pipelines/pin-to-delta.yaml --set sources.pins.files.path=other/*.jsonl --state /var/lib/wasmill\n  \
    wasmill run pipelines/pin-to-delta.yaml --state s3://bucket/checkpoints\n\n\
    SIGINT (Ctrl-C) and SIGTERM finish the epoch and exit with 0; a second one ends the process at once. Either way \
    the next run goes on where this one was.")]
pub struct Run {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Prints what happens as JSON objects on standard output, one a line
    #[arg(long)]
    json: bool,
    /// Prints nothing but errors and what a console sink writes
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

impl Run {
    /// Runs it; gives the exit status.
    pub fn run(self) -> u8 {
        let checked = match check_or_exit(&self.pipeline) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        let display = Display::choose(self.json, self.quiet);
        match execute(&checked, display) {
            Ok(()) => exit::OK,
            Err(error) => fail(&error, &checked.redactor, self.json),
        }
    }
}

fn execute(checked: &Checked, display: Display) -> Result<()> {
    let stop = stop_on_signals()?;
    let state: Arc<dyn StateStore> = Arc::from(crate::plan::open_state(&checked.state, &checked.name)?);
    let plan = crate::plan::build(checked, &*state)?;
    let shown = Shown::new(display, &checked.name);
    let summary = wasmill_engine::run(plan, state, &stop, &shown);
    shown.finish();
    let summary = summary?;
    match display {
        Display::Json => {
            super::print(&format!("{}\n", serde_json::json!({ "event": "finished", "summary": summary })));
        }
        Display::Quiet => {}
        Display::Line | Display::Log => eprint!("{}", summary_table(&summary)),
    }
    Ok(())
}
