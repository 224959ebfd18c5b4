//! The command line of a job.

use std::ffi::OsString;

use clap::Parser as _;

use super::JobSpec;
use crate::commands::Arguments;

/// The arguments of the binary for a job. Runs print events, which say how they end.
pub(super) fn arguments(job: &JobSpec) -> Vec<OsString> {
    match (&job.pipeline, &job.command) {
        (Some(pipeline), _) => {
            let run = ["run", pipeline, "--json"].into_iter().map(OsString::from);
            run.chain(job.options.iter().map(OsString::from)).collect()
        }
        (None, command) => command.iter().flatten().map(OsString::from).collect(),
    }
}

/// The parsed command line.
///
/// # Errors
/// What is wrong with it, in the words of the command line's parser: its first paragraph.
pub(super) fn parse(arguments: &[OsString]) -> Result<Arguments, String> {
    let words = std::iter::once(OsString::from("wasmill")).chain(arguments.iter().cloned());
    Arguments::try_parse_from(words).map_err(|error| {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        first.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}
