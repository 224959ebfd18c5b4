//! The effect of one version of a table on its rows, by its log entry.

use std::collections::BTreeSet;

use serde::Deserialize;
use wasmill_engine::{Error, Result};

use crate::codes::DAMAGED;

/// What a version did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// The paths of files whose rows are new.
    pub(super) added: BTreeSet<String>,
    /// How many files were removed whose rows are gone, or are others in the files that were added.
    pub(super) removed: usize,
    /// The table's id, where the version has it.
    pub(super) table: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<File>,
    remove: Option<File>,
    meta_data: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: String,
    #[serde(default = "changes")]
    data_change: bool,
}

#[derive(Deserialize)]
struct Metadata {
    id: String,
}

fn changes() -> bool {
    true
}

impl Change {
    /// Reads the log entry of a version.
    pub(super) fn read(version: u64, entry: &str) -> Result<Self> {
        let mut change = Self::default();
        for line in entry.lines().filter(|line| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line)
                .map_err(|error| Error::environment(format!("version {version} of the table's log is damaged: {error}")).code(DAMAGED))?;
            change.added.extend(line.add.filter(|file| file.data_change).map(|file| file.path));
            change.removed += usize::from(line.remove.is_some_and(|file| file.data_change));
            change.table = line.meta_data.map(|metadata| metadata.id).or(change.table);
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_rows_counts() {
        let entry = concat!(
            r#"{"commitInfo":{"operation":"x"}}"#,
            "\n",
            r#"{"add":{"path":"a%20b","dataChange":true}}"#,
            "\n\n",
            r#"{"add":{"path":"moved","dataChange":false}}"#,
            "\n",
            r#"{"remove":{"path":"small","dataChange":false}}"#,
            "\n",
            r#"{"metaData":{"id":"t"}}"#,
        );
        let change = Change::read(7, entry).unwrap();
        assert_eq!(change, Change { added: ["a%20b".to_owned()].into(), removed: 0, table: Some("t".into()) });
        assert_eq!(Change::read(7, r#"{"remove":{"path":"x","dataChange":true}}"#).unwrap().removed, 1);
        assert!(Change::read(7, "{").unwrap_err().message().contains("version 7"));
    }
}
