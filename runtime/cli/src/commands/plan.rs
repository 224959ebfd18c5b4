//! `wasmill plan`.

use clap::Args;

use super::PipelineArguments;
use super::checked::check_or_exit;
use crate::plan::show;

/// Displays how a pipeline would run: lanes, epochs, columns decoded, what crosses into plugins,
/// where state lies
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wasmill plan pipelines/pin-to-delta.yaml --mode stream")]
pub struct Plan {
    #[command(flatten)]
    pipeline: PipelineArguments,
}

impl Plan {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match check_or_exit(&self.pipeline) {
            Ok(checked) => super::print(&checked.redactor.clean(&show(&checked))),
            Err(status) => status,
        }
    }
}
