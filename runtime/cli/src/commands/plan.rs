//! `wasmill plan`.

use clap::Args;

use super::checked::check_or_exit;
use super::{DrainArgument, PipelineArguments};
use crate::plan::show;

/// Displays how a pipeline would run: lanes, epochs, columns decoded, what crosses into plugins,
/// where state lies
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  wasmill plan pipelines/pin-to-delta.yaml --mode stream")]
pub struct Plan {
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    drain: DrainArgument,
}

impl Plan {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match check_or_exit(&self.pipeline.with(self.drain)) {
            Ok(checked) => super::print(&checked.redactor.clean(&show(&checked))),
            Err(status) => status,
        }
    }
}
