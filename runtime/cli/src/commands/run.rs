//! `wasmill run`.

use std::sync::Arc;

use clap::Args;
use wasmill_connect::NewColumns as LateColumns;
use wasmill_engine::{Result, StateStore, StopSignal};

use super::PipelineArguments;
use super::checked::{check_or_exit_with, fail};
use crate::check::{Checked, NewColumns};
use crate::document::Redactor;
use crate::exit;
use crate::run::{Display, Shown, stop_on_signals, summary_table};
use crate::spec::Written;

/// Runs a pipeline: checks it first, and touches nothing if it has mistakes
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill run pipelines/pin-to-delta.yaml\n  \
    wasmill run pipelines/pin-to-delta.yaml --mode stream\n  \
    wasmill run pipelines/pin-to-delta.yaml --set sources.pins.files.path=other/*.jsonl --state /var/lib/wasmill\n  \
    wasmill run pipelines/pin-to-delta.yaml --state s3://bucket/checkpoints\n\n\
    SIGINT (Ctrl-C) and SIGTERM finish the epoch and exit with 0; a second one ends the process at once. Either way \
    the next run resumes where this one ended.")]
pub struct Run {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Prints events as JSON objects on standard output, one per line
    #[arg(long)]
    json: bool,
    /// Prints nothing but errors and what a console sink writes
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

impl Run {
    /// Runs it; gives the exit status.
    pub fn run(self) -> u8 {
        let stop = match stop_on_signals() {
            Ok(stop) => stop,
            Err(error) => return fail(&error, &Redactor::default(), self.json),
        };
        let display = Display::choose(self.json, self.quiet);
        let mut new_columns = NewColumns::new();
        let mut state: Option<Arc<dyn StateStore>> = None;
        loop {
            let checked = match check_or_exit_with(&self.pipeline, &new_columns) {
                Ok(checked) => checked,
                Err(status) => return status,
            };
            // It stays open, and locked, while the columns change.
            let opened = match state.take() {
                Some(opened) => Ok(opened),
                None => open_state(&checked),
            };
            let ran = opened.and_then(|opened| execute(&checked, state.insert(opened), display, &stop));
            let error = match ran {
                Ok(()) => return exit::OK,
                Err(error) => error,
            };
            // What was committed stays; from there on the files are read with the columns that have come up.
            match LateColumns::of(&error) {
                Some(late) if add(&mut new_columns, late) => report_new_columns(&checked, display, late),
                _ => return fail(&error, &checked.redactor, self.json),
            }
        }
    }
}

/// So many columns may come up in one run.
const MOST_NEW_COLUMNS: usize = 1_000;

/// Adds columns that have come up; false if there is none that is new, or there are too many.
fn add(known: &mut NewColumns, late: &LateColumns) -> bool {
    let before = known.len();
    for field in &late.fields {
        if !known.iter().any(|(source, other)| **source == *late.source && other.name() == field.name()) {
            known.push((late.source.to_string(), field.clone()));
        }
    }
    known.len() > before && known.len() <= MOST_NEW_COLUMNS
}

fn report_new_columns(checked: &Checked, display: Display, late: &LateColumns) {
    let columns: Vec<String> = late.fields.iter().map(|field| format!("{} {}", field.name(), Written(field.data_type()))).collect();
    let (source, file) = (&late.source, &late.file);
    match display {
        Display::Json => {
            let event = serde_json::json!({ "event": "new-columns", "source": &**source, "file": file, "columns": columns });
            super::print(&format!("{event}\n"));
        }
        Display::Quiet => {}
        Display::Line | Display::Log => {
            let text = format!("{}: {source} has new columns in {file}: {}; it resumes with them\n", checked.name, columns.join(", "));
            eprint!("{}", checked.redactor.clean(&text));
        }
    }
}

fn open_state(checked: &Checked) -> Result<Arc<dyn StateStore>> {
    Ok(Arc::from(crate::plan::open_state(&checked.state, &checked.name)?))
}

fn execute(checked: &Checked, state: &Arc<dyn StateStore>, display: Display, stop: &StopSignal) -> Result<()> {
    let plan = crate::plan::build(checked, &**state)?;
    let shown = Shown::new(display, &checked.name);
    let summary = wasmill_engine::run(plan, Arc::clone(state), stop, &shown);
    shown.finish();
    let summary = summary?;
    match display {
        Display::Json => {
            super::print(&format!("{}\n", serde_json::json!({ "event": "finished", "summary": summary })));
        }
        Display::Quiet => {}
        Display::Line | Display::Log => eprint!("{}", checked.redactor.clean(&summary_table(&summary))),
    }
    Ok(())
}
