//! `wasmill doctor`.

use std::io::Write;

use clap::Args;
use serde_json::json;
use wasmill_connect::examine::Finding;

use super::PipelineArguments;
use super::checked::{checked_by, fail};
use crate::check::{ForgivingConnectors, NewColumns};
use crate::diagnostics::{Style, render};
use crate::document::Redactor;
use crate::exit;
use crate::plan::{Examined, examine};

/// Examines every place that a pipeline names: whether servers respond, credentials suffice, reading and writing are permitted, clocks agree
///
/// Changes nothing: no group's offsets move, no table is created, no object is left behind. Each finding is one line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill doctor pipelines/kafka-to-delta.yaml\n  \
    wasmill doctor pipelines/kafka-to-delta.yaml --set sources.pins.kafka.connection.brokers=b1:9092 --json")]
pub struct Doctor {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Prints one JSON object per finding
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let report = match checked_by(&self.pipeline, &ForgivingConnectors, &NewColumns::new()) {
            Ok(report) => report,
            Err(error) => return fail(&error, &Redactor::default(), self.json),
        };
        let style = Style::of(&std::io::stderr());
        let _ = std::io::stderr().write_all(render(&report.diagnostics, &report.files, &report.redactor, style).as_bytes());
        let Some(pipeline) = report.pipeline else { return report.diagnostics.class().map_or(exit::BUG, exit::status) };
        let mut worst = exit::OK;
        // Printed as they arrive: a server that does not respond takes its time.
        for examined in examine(&pipeline) {
            for finding in &examined.findings {
                if let Finding::Bad(error) = finding {
                    worst = worst.max(exit::status(error.class()));
                }
                let text = if self.json { as_json(&examined, finding) } else { as_line(&examined, finding) };
                let printed = super::print(&pipeline.redactor.clean(&text));
                if printed != exit::OK {
                    return printed;
                }
            }
        }
        worst
    }
}

fn as_line(examined: &Examined, finding: &Finding) -> String {
    let role = &examined.role;
    match finding {
        Finding::Good(what) => format!("ok     {role}: {what}\n"),
        Finding::Doubt { what, hint } => format!("doubt  {role}: {what}\n       help: {hint}\n"),
        Finding::Bad(error) => {
            let hint = error.hint_text().map(|hint| format!("       help: {hint}\n")).unwrap_or_default();
            format!("BAD    {role}: {error}\n{hint}")
        }
    }
}

fn as_json(examined: &Examined, finding: &Finding) -> String {
    let (outcome, what, hint) = match finding {
        Finding::Good(what) => ("ok", what.clone(), None),
        Finding::Doubt { what, hint } => ("doubt", what.clone(), Some(hint.clone())),
        Finding::Bad(error) => ("bad", error.to_string(), error.hint_text().map(str::to_owned)),
    };
    format!("{}\n", json!({ "role": examined.role, "place": examined.place, "outcome": outcome, "what": what, "hint": hint }))
}

#[cfg(test)]
mod tests {
    use wasmill_engine::Error;

    use super::*;

    #[test]
    fn a_line_names_who_what_and_what_to_do() {
        let examined = Examined { role: "sink t".into(), place: "delta out/t".into(), findings: Vec::new() };
        assert_eq!(as_line(&examined, &Finding::Good("fine".into())), "ok     sink t: fine\n");
        let bad = Finding::Bad(Error::environment("no way in").hint("knock"));
        assert_eq!(as_line(&examined, &bad), "BAD    sink t: no way in\n       help: knock\n");
        let json: serde_json::Value = serde_json::from_str(&as_json(&examined, &bad)).unwrap();
        assert_eq!((&json["outcome"], &json["hint"], &json["place"]), (&"bad".into(), &"knock".into(), &"delta out/t".into()));
    }
}
