//! `wasmill check`.

use clap::Args;

use super::checked::{checked, fail};
use super::{DrainArgument, PipelineArguments};
use crate::check::Report;
use crate::diagnostics::{Level, Style, render, to_json};
use crate::document::Redactor;
use crate::exit;

/// Finds everything that is wrong with a pipeline, and touches nothing
///
/// Servers that do not take a connection within 5 s are reported, and the rest is checked. With
/// --offline no server is contacted and no credentials are looked up; what that leaves open is
/// listed as not checked, which is no mistake.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill check pipelines/pin-to-delta.yaml\n  \
    wasmill check pipelines/kafka-to-delta.yaml --offline\n  \
    wasmill check pipelines/pin-to-delta.yaml --set sources.pins.files.path=other/*.jsonl --json")]
pub struct Check {
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    drain: DrainArgument,
    /// Contacts no server, and does without variables and files that are not set
    #[arg(long)]
    offline: bool,
    /// Prints the findings as one JSON object
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let report = match checked(&self.pipeline.with(self.drain), self.offline) {
            Ok(report) => report,
            Err(error) => return fail(&error, &Redactor::default(), self.json),
        };
        let status = report.diagnostics.class().map_or(exit::OK, exit::status);
        let printed = if self.json {
            let json = to_json(&report.diagnostics, &report.files, &report.redactor);
            super::print(&format!("{json:#}\n"))
        } else {
            let style = Style::of(&std::io::stdout());
            super::print_as_it_is(&(render(&report.diagnostics, &report.files, &report.redactor, style) + &summary(&report)))
        };
        if status == exit::OK { printed } else { status }
    }
}

fn summary(report: &Report) -> String {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let count = |level, word: &str| Some(report.diagnostics.count(level)).filter(|count| *count > 0).map(|count| plural(count, word));
    let mut counts: Vec<String> = [count(Level::Error, "error"), count(Level::Warning, "warning")].into_iter().flatten().collect();
    if counts.is_empty() {
        counts.push("no mistakes".to_owned());
    }
    let not_checked = report.diagnostics.not_checked().count();
    counts.extend(Some(not_checked).filter(|count| *count > 0).map(|count| format!("{count} not checked")));
    let counts = counts.join(", ");
    match &report.pipeline {
        None => format!("{counts}\n"),
        Some(pipeline) => {
            let (sources, stages, sinks) = (pipeline.sources.len(), pipeline.stages.len(), pipeline.sinks.len());
            let shape = [plural(sources, "source"), plural(stages, "stage"), plural(sinks, "sink")].join(", ");
            format!("{}: {shape}: {counts}\n", pipeline.name)
        }
    }
}
