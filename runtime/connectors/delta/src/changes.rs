//! What a prepared commit changes in a table at one version.

use std::borrow::Cow;

use serde_json::Value;
use wasmill_engine::Result;

use super::data_file::now_millis;
use super::log::TableLog;
use super::prepared::DataFile;
use super::rows::TableRows;
use super::state::TableState;

/// The files that a commit adds and removes.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// The actions that remove files.
    pub(crate) removed: Vec<Value>,
    /// The files that are added. They are at their place.
    pub(crate) added: Cow<'a, [DataFile]>,
    /// What an upsert did to rows.
    pub(crate) merged: Option<Merged>,
}

/// The rows of an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Rows of the epoch.
    pub(crate) source: u64,
    /// Those of them that are written: the last one of each key.
    pub(crate) written: u64,
    /// Rows of the table that are gone.
    pub(crate) replaced: u64,
}

impl<'a> Changes<'a> {
    /// Adds files.
    pub(crate) fn appending(files: &'a [DataFile]) -> Self {
        Self { removed: Vec::new(), added: Cow::Borrowed(files), merged: None }
    }

    /// Adds files in place of all that the table has.
    pub(crate) fn overwriting(log: &TableLog, state: Option<&TableState>, files: &'a [DataFile]) -> Result<Self> {
        let Some(state) = state else { return Ok(Self::appending(files)) };
        let now = now_millis();
        let there = TableRows::open(log, Some(state.version), None)?.files()?;
        let removed = there.iter().map(|file| file.removal(&state.metadata.partition_columns, now, true)).collect();
        Ok(Self { removed, ..Self::appending(files) })
    }
}
