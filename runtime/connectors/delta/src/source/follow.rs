//! Polls versions of a table, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{Schema, SchemaRef};
use delta_kernel::snapshot::SnapshotRef;
use wasmill_engine::{Error, Result};

use super::change::Change;
use super::config::OnChange;
use super::position::Restored;
use crate::codes::{COLUMN_MISSING, DAMAGED, LOG_EXPIRED, OTHER_TABLE, ROWS_CHANGED, VERSION};
use crate::log::TableLog;
use crate::rows::{TableFile, TableRows};
use crate::state::TableState;
use wasmill_formats::check_columns;

/// After this long, a poll verifies that the table is still the followed one: the end of its log
/// may be a gap in it.
const TRUST: Duration = Duration::from_secs(60);

/// A version that was read.
pub(super) struct Found {
    pub(super) version: u64,
    /// The table at this version; none if there is nothing to read of it.
    pub(super) table: Option<Arc<TableRows>>,
    /// What it brought, in the order of the paths.
    pub(super) files: Vec<TableFile>,
}

/// Follows one table.
pub(super) struct Follow {
    log: TableLog,
    wanted: SchemaRef,
    on_change: OnChange,
    /// The table's id.
    table: String,
    /// The version that is read whole.
    base: u64,
    /// The next version to read.
    next: u64,
    /// The latest version that was opened: the next one is opened from it.
    opened: Option<SnapshotRef>,
    trusted: Instant,
}

impl Follow {
    /// Begins at the checkpoint's position, at the configured version, or at the latest.
    ///
    /// # Errors
    /// Environment: the table is not the one that was read.
    pub(super) fn begin(
        log: TableLog,
        newest: &TableState,
        chosen: Option<u64>,
        restored: &Restored,
        wanted: SchemaRef,
        on_change: OnChange,
    ) -> Result<Self> {
        let table = newest.metadata.id().to_owned();
        let base = match &restored.begun {
            None => chosen.unwrap_or(newest.version),
            Some((other, _)) if *other != table => return Err(another(&log)),
            Some((_, base)) => *base,
        };
        let next = restored.done.as_ref().and_then(|done| done.through).map_or(base, |through| through + 1);
        if next > newest.version + 1 {
            return Err(another(&log));
        }
        Ok(Self { log, wanted, on_change, table, base, next, opened: None, trusted: Instant::now() })
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Everything new up to a version, or up to the latest.
    pub(super) fn poll(&mut self, until: Option<u64>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        if self.next == self.base && until.is_none_or(|until| self.base <= until) {
            let table = self.open(self.base)?;
            let files = table.files()?;
            found.push(Found { version: self.base, table: Some(table), files });
            self.next += 1;
        }
        while until.is_none_or(|until| self.next <= until) {
            let version = self.next;
            match self.log.entry(version)? {
                Some(entry) => found.push(self.version(version, &entry)?),
                None => {
                    self.check_end(until)?;
                    break;
                }
            }
            self.next += 1;
        }
        Ok(found)
    }

    /// What one version brought.
    fn version(&mut self, version: u64, entry: &str) -> Result<Found> {
        let change = Change::read(version, entry)?;
        let shown = self.log.shown();
        if change.table.is_some_and(|table| table != self.table) {
            return Err(another(&self.log));
        }
        let nothing = Found { version, table: None, files: Vec::new() };
        if change.removed > 0 {
            if self.on_change == OnChange::Ignore {
                let (files, removed) = (change.added.len(), change.removed);
                tracing::warn!(table = %shown, version, files, removed, "a version that changes rows was passed over, with the files that it adds");
                return Ok(nothing);
            }
            return Err(Error::environment(format!(
                "version {version} of the Delta table {shown} removes or changes rows ({} files of rows that may have been read)",
                change.removed
            ))
            .code(ROWS_CHANGED)
            .hint(
                "`on_change: ignore` skips such versions with all that they add; `wasmill state reset` reads the table again \
                from the start, into emptied sinks",
            ));
        }
        if change.added.is_empty() {
            return Ok(nothing);
        }
        let table = self.open(version)?;
        let files = table.added(&change.added)?;
        if files.len() != change.added.len() {
            return Err(Error::environment(format!(
                "version {version} of the Delta table {shown} adds {} files, and the table lists {} of them",
                change.added.len(),
                files.len()
            ))
            .code(DAMAGED));
        }
        Ok(Found { version, table: Some(table), files })
    }

    /// Opens a version, with the columns that are wanted.
    fn open(&mut self, version: u64) -> Result<Arc<TableRows>> {
        let snapshot = self.log.snapshot_from(self.opened.take(), version)?;
        self.opened = Some(Arc::clone(&snapshot));
        let all = TableRows::of(&self.log, Arc::clone(&snapshot), None)?;
        let names = self.columns(all.schema(), version)?;
        TableRows::of(&self.log, snapshot, Some(&names)).map(Arc::new)
    }

    /// The columns to read. One is always read: rows without columns could not be counted.
    fn columns(&self, there: &Schema, version: u64) -> Result<Vec<String>> {
        let at = |error: Error| error.at(format!("version {version} of the Delta table {}", self.log.shown()));
        let names: Vec<String> = self.wanted.fields().iter().map(|field| field.name().clone()).collect();
        if let Some(missing) = names.iter().find(|name| there.index_of(name).is_err()) {
            let listed: Vec<&str> = there.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(at(
                Error::environment(format!("there is no column {missing:?}; there are {}", listed.join(", "))).code(COLUMN_MISSING)
            ));
        }
        check_columns(&self.wanted, there).map_err(at)?;
        let first = || there.fields().first().map(|field| field.name().clone());
        Ok(if names.is_empty() { first().into_iter().collect() } else { names })
    }

    /// Verifies that the apparent end of the log is its end: an expired log has a gap, and a table
    /// that was created again has fewer versions.
    fn check_end(&mut self, until: Option<u64>) -> Result<()> {
        let last = self.next - 1;
        if until.is_none() && self.trusted.elapsed() < TRUST {
            return Ok(());
        }
        let Some(newest) = self.log.open(None)? else { return Err(another(&self.log)) };
        if newest.metadata.id() != self.table || newest.version < last {
            return Err(another(&self.log));
        }
        // A version that appeared between the two reads has not expired.
        if newest.version > last && self.log.entry(self.next)?.is_none() {
            return Err(Error::environment(format!(
                "version {} of the Delta table {} can't be read: its log entry has expired, and the latest version is {}",
                self.next,
                self.log.shown(),
                newest.version
            ))
            .code(LOG_EXPIRED)
            .hint(
                "start over with `wasmill state reset`, into emptied sinks; keep the log for longer than a pipeline is stopped \
                (delta.logRetentionDuration)",
            ));
        }
        if until.is_some_and(|until| newest.version < until) {
            return Err(Error::environment(format!("the Delta table {} has no version {} yet", self.log.shown(), until.unwrap_or(last)))
                .code(VERSION));
        }
        self.trusted = Instant::now();
        Ok(())
    }
}

fn another(log: &TableLog) -> Error {
    Error::environment(format!("the Delta table {} is not the one that was read: it was removed or created again", log.shown()))
        .code(OTHER_TABLE)
        .hint("put the table back, or start over with `wasmill state reset`")
}
