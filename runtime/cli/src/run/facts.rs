//! The facts of a run that ended: what its state keeps of it, and reports show.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::{Error, Result, Summary};

use crate::commands::codes::NOT_A_RUN;
use crate::document::Redactor;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It came to the end of its input.
    Finished,
    /// It was asked to stop, and committed what it had read.
    Stopped,
    /// An error ended it.
    Failed,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// How it ended.
    pub outcome: Outcome,
    /// When it began, by RFC 3339; events do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The error that ended it, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it did, as [`Summary`] is written; nothing of a run that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Value>,
}

impl RunFacts {
    /// Those of a run that ends now.
    pub fn of(begun: SystemTime, ran: &Result<Summary>, redactor: &Redactor) -> Self {
        let moment = |time| Some(humantime::format_rfc3339_seconds(time).to_string());
        let outcome = match ran {
            Ok(summary) if summary.stopped => Outcome::Stopped,
            Ok(_) => Outcome::Finished,
            Err(_) => Outcome::Failed,
        };
        Self {
            outcome,
            begun: moment(begun),
            ended: moment(SystemTime::now()),
            error: ran.as_ref().err().map(|error| redactor.clean(&error.to_string())),
            summary: ran.as_ref().ok().map(|summary| serde_json::json!(summary)),
        }
    }

    /// Those of the last run among the events that `wasmill run --json` printed into a file.
    ///
    /// # Errors
    /// Environment: the file can't be read. Configuration: it holds no events of a run that ended.
    pub fn of_events(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(format_args!("read {shown}"), error))?;
        let events = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = events.into_iter().find_map(|mut event| match event["event"].as_str() {
            Some("finished") => {
                let summary = event["summary"].take();
                let outcome = if summary["stopped"] == true { Outcome::Stopped } else { Outcome::Finished };
                Some(Self { outcome, begun: None, ended: None, error: None, summary: Some(summary) })
            }
            Some("failed") => {
                let error = event["message"].as_str().map(str::to_owned);
                Some(Self { outcome: Outcome::Failed, begun: None, ended: None, error, summary: None })
            }
            _ => None,
        });
        last.ok_or_else(|| {
            Error::configuration(format!("{shown} has no event of a run that ended"))
                .code(NOT_A_RUN)
                .hint("name a file that holds what `wasmill run --json` printed")
        })
    }
}
