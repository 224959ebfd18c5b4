//! `wasmill state show|adopt|reset`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use wasmill_engine::{Checkpoint, Result};

use super::PipelineArguments;
use super::checked::{check_or_exit, fail};
use crate::check::Checked;
use crate::diagnostics::shorten;
use crate::plan::{look_at_state, open_state, state_of};

/// Shows or mends what a pipeline remembers
#[derive(Debug, Args)]
pub struct State {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows the newest checkpoint: how far each source was read, what each sink holds
    #[command(after_help = "Example:\n  wasmill state show pipelines/pin-to-delta.yaml")]
    Show(PipelineArguments),
    /// Accepts the sinks as they are and goes on from the state: for a sink that was replaced or restored
    ///
    /// The sinks' tokens are set to what the state says. Rows that a replaced sink no longer holds are not written again; rows that it holds
    /// beyond the state come twice.
    #[command(after_help = "Example:\n  wasmill state adopt pipelines/pin-to-delta.yaml")]
    Adopt(PipelineArguments),
    /// Forgets how far the sources were read: the next run begins anew
    ///
    /// The sinks keep their rows, so that what is read again comes twice unless a sink is emptied first.
    #[command(after_help = "Example:\n  wasmill state reset pipelines/pin-to-delta.yaml")]
    Reset(PipelineArguments),
}

impl State {
    /// Runs it; gives the exit status.
    pub fn run(self) -> u8 {
        let (Action::Show(arguments) | Action::Adopt(arguments) | Action::Reset(arguments)) = &self.action;
        let checked = match check_or_exit(arguments) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        let done = match &self.action {
            Action::Show(_) => show(&checked),
            Action::Adopt(_) => adopt(&checked),
            Action::Reset(_) => reset(&checked),
        };
        match done {
            Ok(text) => super::print(&checked.redactor.clean(&text)),
            Err(error) => fail(&error, &checked.redactor, false),
        }
    }
}

fn show(checked: &Checked) -> Result<String> {
    let newest = match look_at_state(checked)? {
        Some(state) => state.latest()?,
        None => None,
    };
    let place = state_of(checked);
    Ok(newest.map_or_else(|| format!("no state in {}\n", place.display()), |checkpoint| describe(&checkpoint, &place)))
}

fn describe(checkpoint: &Checkpoint, place: &std::path::Path) -> String {
    let Checkpoint { pipeline, incarnation, epoch, sources, sinks } = checkpoint;
    let mut text = format!("{pipeline}: epoch {epoch} of {incarnation}, in {}\n", place.display());
    for (name, progress) in sources {
        let done = progress.values().filter(|state| state.done).count();
        let _ = writeln!(text, "source {name}: {} splits begun, {done} done", progress.len());
        for (split, state) in progress {
            let end = if state.done { " (done)" } else { "" };
            let _ = writeln!(text, "  {split}: {}{end}", shorten(&state.position.to_string(), 200));
        }
    }
    for (name, progress) in sinks {
        let pending = if progress.prepared.is_some() { format!(", epoch {epoch} prepared") } else { String::new() };
        let last = match progress.previous {
            0 => "nothing committed".to_owned(),
            epoch => format!("epoch {epoch} committed"),
        };
        let _ = writeln!(text, "sink {name}: {last}{pending}");
    }
    text
}

fn adopt(checked: &Checked) -> Result<String> {
    let state = open_state(checked)?;
    let checkpoint = wasmill_engine::adopt(crate::plan::build(checked, &*state)?, &*state)?;
    Ok(format!("{}: the sinks are adopted; the next run goes on after epoch {}\n", checked.name, checkpoint.epoch))
}

fn reset(checked: &Checked) -> Result<String> {
    let state = open_state(checked)?;
    wasmill_engine::reset(crate::plan::build(checked, &*state)?, &*state)?;
    Ok(format!("{}: all progress is forgotten; the next run begins anew\n", checked.name))
}
