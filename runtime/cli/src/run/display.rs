//! How a run is displayed: a live line on a terminal, log lines elsewhere, JSON for programs, or
//! nothing.

use std::io::IsTerminal;

/// Where the news of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A line on standard error that is redrawn.
    Line,
    /// A log line on standard error for each epoch, at most one in some seconds.
    Log,
    /// One JSON object per line on standard output.
    Json,
    /// Nothing but errors.
    Quiet,
}

impl Display {
    /// The requested display, or what fits standard error.
    pub fn choose(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ if std::io::stderr().is_terminal() => Self::Line,
            _ => Self::Log,
        }
    }
}
