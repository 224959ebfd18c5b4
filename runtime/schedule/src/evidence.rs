//! How a run ended, by what it printed: the last word on a process that nobody waited for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

/// So many bytes at the end of a log are read.
const TAIL_BYTES: u64 = 1024 * 1024;

/// What a run with `--json` has printed about its end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// It finished; whether it was a batch that was stopped before its input ended.
    pub finished: Option<Cut>,
    /// How many records its sources have read.
    pub rows: Option<u64>,
    /// Its failure: the exit status of its class, and the message.
    pub failed: Option<(u8, String)>,
    /// What a process that has no events says last: the last line that begins with `error`, or else the last one.
    pub last_line: Option<String>,
}

/// Whether a finished run was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of its input was read, or it is a stream, which ends by being stopped.
    Whole,
    /// It is a batch that was stopped.
    Short,
}

impl Evidence {
    /// Reads the end of a log. One that is not there says nothing.
    pub fn of(log: &Path) -> Self {
        let text = tail(log).unwrap_or_default();
        let (mut evidence, mut error) = (Self::default(), None);
        for line in text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(event) if event.get("event").is_some() => evidence.add(&event),
                _ if line.starts_with("error") => error = Some(line.trim().to_owned()),
                _ if !line.trim().is_empty() => evidence.last_line = Some(line.trim().to_owned()),
                _ => {}
            }
        }
        evidence.last_line = error.or(evidence.last_line);
        evidence
    }

    fn add(&mut self, event: &Value) {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        match text("/event") {
            Some("finished") => {
                let stopped = event.pointer("/summary/stopped").and_then(Value::as_bool).unwrap_or_default();
                let is_batch = text("/summary/mode") == Some("batch");
                self.finished = Some(if stopped && is_batch { Cut::Short } else { Cut::Whole });
                let nodes = event.pointer("/summary/nodes").and_then(Value::as_array).into_iter().flatten();
                let sources = nodes.filter(|node| node.get("kind").and_then(Value::as_str) == Some("source"));
                self.rows = Some(sources.filter_map(|node| node.pointer("/counts/rows_in")?.as_u64()).sum());
            }
            Some("failed") => {
                let status = text("/class").map_or(70, status_of);
                self.failed = Some((status, text("/message").unwrap_or_default().to_owned()));
            }
            _ => {}
        }
    }
}

/// The exit status of a class of errors, by the name that events have for it.
fn status_of(class: &str) -> u8 {
    match class {
        "configuration" => 2,
        "plugin-refusal" => 3,
        "plugin-fault" => 4,
        "environment" => 5,
        "too-many-rejects" => 6,
        _ => 70,
    }
}

fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(text: &str) -> Evidence {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, text).unwrap();
        Evidence::of(&log)
    }

    #[test]
    fn a_log_says_how_its_run_ended() {
        let finished = |stopped: bool, mode: &str| {
            let node = r#"{"kind":"source","name":"a","counts":{"rows_in":7}}"#;
            let sink = r#"{"kind":"sink","name":"a","counts":{"rows_in":5}}"#;
            evidence(&format!(r#"{{"event":"finished","summary":{{"mode":"{mode}","stopped":{stopped},"nodes":[{node},{node},{sink}]}}}}"#))
        };
        assert_eq!((finished(false, "batch").finished, finished(false, "batch").rows), (Some(Cut::Whole), Some(14)));
        assert_eq!(finished(true, "batch").finished, Some(Cut::Short));
        assert_eq!(finished(true, "stream").finished, Some(Cut::Whole));
        let failed = evidence(
            "{\"event\":\"started\"}\n{\"event\":\"failed\",\"class\":\"too-many-rejects\",\"message\":\"half of it\"}\nerror: half of it\n",
        );
        assert_eq!(failed.failed, Some((6, "half of it".into())));
        assert_eq!(failed.last_line.as_deref(), Some("error: half of it"));
        let findings = evidence("error[yaml]: not YAML\n --> a.yaml:1:1\n  = help: write YAML\n");
        assert_eq!(findings.last_line.as_deref(), Some("error[yaml]: not YAML"));
        assert_eq!(evidence("{\"event\":\"epo"), Evidence { last_line: Some("{\"event\":\"epo".into()), ..Evidence::default() });
        assert_eq!(Evidence::of(Path::new("/nowhere")), Evidence::default());
    }

    #[test]
    fn of_a_long_log_the_end_counts() {
        let text = "x".repeat(3 << 20) + "\n{\"event\":\"failed\",\"class\":\"environment\",\"message\":\"m\"}\n";
        assert_eq!(evidence(&text).failed, Some((5, "m".into())));
    }
}
