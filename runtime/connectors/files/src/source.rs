//! The source `files`: records of files that match a path, read once, or followed as they come and grow.
//!
//! # Splits
//! A plain file of JSON lines (or of CSV with `splittable: true`) is cut at every 16 MiB. A split
//! owns the records that *start* in its range, and is named `path@start`. The last 64 MiB of a batch
//! are cut at every 4 MiB, `path@piece4194304`. Parquet is cut by row groups, `path@group0`.
//! Everything else is one split, `path@all`. Names are permanent, because checkpoints hold them.
//!
//! # What a checkpoint knows of a file
//! How far it was read, its size and a digest of its first 4 KiB. For one that was read to its end,
//! this is a record of 51 bytes next to the checkpoints. A file that changed since stops the run. A
//! file that is read by lines may grow: the new lines are read by the next run (batch) or at once
//! (stream). A batch reads a last line without a line feed as whole; if more bytes are appended to
//! it later, that counts as changed. A stream waits for the line feed. Modification times are
//! ignored, and a change after the first 4 KiB that keeps the size goes unnoticed.

mod columns;
pub(crate) mod listing;
mod record;
mod splits;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::SchemaRef;
use wasmill_connect::Sampling;
use wasmill_engine::{
    Discovery, Mode, Progress, RecordForm, Result, Retired, Source, Split, SplitId, SplitOpener, SplitReader, SplitState,
};
use wasmill_formats::reading::without_reading;
use wasmill_reading::{Late, Position, ReadContext, check_requested, open_local};

pub use self::columns::{infer, infer_schema, survey};
use crate::config::FilesConfig;

/// A source of files.
pub struct FilesSource {
    config: FilesConfig,
    context: Arc<ReadContext>,
    /// How long a stream waits before it polls for new files again.
    follow: Duration,
    known: HashMap<PathBuf, splits::Known>,
    /// Files that earlier runs have begun and this run has not found yet.
    missing: BTreeMap<PathBuf, splits::Entries>,
    /// What earlier runs have read and the checkpoint does not name any more.
    retired: Option<Retired>,
    found: splits::Found,
    listed_at: Option<Instant>,
}

impl FilesSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested type that files can't give.
    pub fn new(name: &str, config: FilesConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        check_requested(&requested)?;
        let follow = config.follow_interval()?;
        let context = Arc::new(ReadContext::new(name, config.reading(), requested, mode));
        Ok(Self {
            config,
            context,
            follow,
            known: HashMap::new(),
            missing: BTreeMap::new(),
            retired: None,
            found: splits::Found::default(),
            listed_at: None,
        })
    }

    /// The same, with the result of a sample: what to do about columns that occur and were not
    /// requested.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling, mode: Mode) -> Self {
        if let Some(context) = Arc::get_mut(&mut self.context) {
            context.late = Late::new(sampling, mode);
        }
        self
    }
}

impl Source for FilesSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.context.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let first = self.listed_at.is_none();
        let batch = self.context.mode == Mode::Batch;
        if !first && (batch || self.listed_at.is_some_and(|listed_at| listed_at.elapsed() < self.follow)) {
            return Ok(Discovery { splits: Vec::new(), complete: batch });
        }
        let paths = listing::list(&self.config, first && batch)?;
        if first {
            self.missing = splits::by_file(restored)?;
        }
        let last = paths.last().cloned();
        for path in paths {
            let begun = splits::Begun { entries: self.missing.remove(&path).unwrap_or_default(), retired: self.retired.as_ref() };
            let listed = splits::Listed { path: &path, is_last: last.as_deref() == Some(&path) };
            splits::of_file(&self.context, listed, &begun, &mut self.known, &mut self.found)?;
        }
        for (path, begun) in &self.missing {
            splits::check_vanished(path, begun)?;
        }
        self.listed_at = Some(Instant::now());
        Ok(Discovery { splits: std::mem::take(&mut self.found.splits), complete: batch })
    }

    fn known_bytes(&self) -> Option<u64> {
        Some(self.found.bytes)
    }

    fn notes(&self) -> Vec<String> {
        self.context.notes()
    }

    fn record_form(&self) -> Option<RecordForm> {
        Some(record::FORM)
    }

    fn retire(&self, id: &SplitId, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
        let (_, part) = splits::parse_name(id)?;
        record::add(id, part, state, records).map_err(|error| error.at(format!("split {id}")))
    }

    fn restore(&mut self, retired: Retired) {
        self.retired = Some(retired);
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener(Arc::clone(&self.context)))
    }
}

struct Opener(Arc<ReadContext>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let open = || {
            let (path, part) = splits::parse_name(&split.id)?;
            open_local(&self.0, &path, part, Position::from_value(&split.position)?)
        };
        open().map_err(|error| error.at(format!("split {}", split.id)))
    }
}
