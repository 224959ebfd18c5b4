//! The versions of a table that its log still has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value};
use wasmill_engine::Result;

use super::actions::{self, Line};
use crate::address::TableAddress;
use wasmill_objects::RetryTime;

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// Its number.
    pub version: u64,
    /// When it was created, as RFC 3339 in UTC.
    pub time: String,
    /// What was done: `WRITE`, `OPTIMIZE` and so on, as its writer calls it.
    pub operation: String,
    /// Files that it added.
    pub files_added: u64,
    /// Files that it removed.
    pub files_removed: u64,
    /// New rows; none where the log does not record how many. Rows that were only moved to other
    /// files do not count.
    pub rows_added: Option<u64>,
    /// The writing program. For Wasmill it includes the pipeline, its sink and the epoch.
    pub who: String,
}

/// The latest versions of a table, at most this many, the latest first.
///
/// # Errors
/// Configuration or environment: there is no table, or its log can't be read.
pub fn history(table: &TableAddress, limit: usize) -> Result<Vec<HistoryEntry>> {
    let log = table.log(RetryTime::Check)?;
    if log.open(None)?.is_none() {
        return Err(table.no_table());
    }
    let mut entries = Vec::new();
    for (version, written) in log.versions()?.into_iter().rev().take(limit) {
        // An entry may expire while it is read.
        if let Some(entry) = log.entry(version)? {
            entries.push(entry_of(version, written, &actions::read(version, &entry)?));
        }
    }
    Ok(entries)
}

fn entry_of(version: u64, written: SystemTime, lines: &[Line]) -> HistoryEntry {
    let nothing = Map::new();
    let info = lines.iter().find_map(|line| line.commit_info.as_ref()).unwrap_or(&nothing);
    let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let millis = ["inCommitTimestamp", "timestamp"].iter().find_map(|name| info.get(*name)?.as_u64());
    // Beyond the year 9999 a time can't be written.
    let time = millis.filter(|millis| *millis < 253_402_300_800_000).map_or(written, |millis| UNIX_EPOCH + Duration::from_millis(millis));
    let count = |files: usize| files as u64;
    let new = lines.iter().filter_map(|line| line.add.as_ref()).filter(|file| file.data_change);
    HistoryEntry {
        version,
        time: humantime::format_rfc3339_millis(time).to_string(),
        operation: Some(text("operation")).filter(|operation| !operation.is_empty()).unwrap_or_else(|| "unknown".to_owned()),
        files_added: count(lines.iter().filter(|line| line.add.is_some()).count()),
        files_removed: count(lines.iter().filter(|line| line.remove.is_some()).count()),
        rows_added: new.map(actions::File::rows).sum(),
        who: writer_of(info, [text("engineInfo"), text("userName")]),
    }
}

fn writer_of(info: &Map<String, Value>, named: [String; 2]) -> String {
    let mut parts: Vec<String> = named.into_iter().filter(|name| !name.is_empty()).collect();
    if let Some(ours) = info.get("wasmill") {
        let text = |name: &str| ours[name].as_str().unwrap_or_default();
        parts.push(format!("{}/{} epoch {}", text("pipeline"), text("sink"), ours["epoch"]));
    }
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_shown_as_far_as_its_writer_gave_it() {
        let entry = concat!(
            r#"{"commitInfo":{"timestamp":1700000000000,"operation":"WRITE","engineInfo":"wasmill/1","wasmill":{"pipeline":"p","sink":"s","epoch":7}}}"#,
            "\n",
            r#"{"add":{"path":"a","dataChange":true,"stats":"{\"numRecords\":3}"}}"#,
            "\n",
            r#"{"add":{"path":"b","dataChange":false,"stats":"{\"numRecords\":5}"}}"#,
            "\n",
            r#"{"remove":{"path":"c","dataChange":false}}"#,
        );
        let parsed = |entry: &str| entry_of(4, UNIX_EPOCH, &actions::read(4, entry).unwrap());
        let entry = parsed(entry);
        assert_eq!((entry.time.as_str(), entry.operation.as_str()), ("2023-11-14T22:13:20.000Z", "WRITE"));
        assert_eq!((entry.files_added, entry.files_removed, entry.rows_added), (2, 1, Some(3)));
        assert_eq!(entry.who, "wasmill/1, p/s epoch 7");
        let silent = parsed(r#"{"add":{"path":"a"}}"#);
        assert_eq!((silent.rows_added, silent.who.as_str(), silent.operation.as_str()), (None, "unknown", "unknown"));
        assert_eq!(silent.time, "1970-01-01T00:00:00.000Z");
    }
}
