//! The lines of a log entry, as far as upkeep needs them.

use serde::Deserialize;
use serde_json::{Map, Value};
use wasmill_engine::{Error, Result};

use crate::codes::DAMAGED;

/// A line; one of its fields is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) add: Option<File>,
    pub(super) remove: Option<File>,
    pub(super) commit_info: Option<Map<String, Value>>,
    pub(super) meta_data: Option<Value>,
    pub(super) protocol: Option<Value>,
}

/// A file that is added or removed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    /// As the log has it.
    pub(super) path: String,
    #[serde(default = "changes")]
    pub(super) data_change: bool,
    pub(super) stats: Option<String>,
}

fn changes() -> bool {
    true
}

impl File {
    /// How many rows it has, if the log records it.
    pub(super) fn rows(&self) -> Option<u64> {
        serde_json::from_str::<Value>(self.stats.as_ref()?).ok()?.get("numRecords")?.as_u64()
    }
}

/// The lines of an entry.
pub(super) fn read(version: u64, entry: &str) -> Result<Vec<Line>> {
    let lines = entry.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        serde_json::from_str(line)
            .map_err(|error| Error::environment(format!("version {version} of the table's log is damaged: {error}")).code(DAMAGED))
    });
    lines.collect()
}
