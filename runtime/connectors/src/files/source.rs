//! The source `files`: records of files that match a path, read once, or followed as they come and grow.
//!
//! # Splits
//! A plain file of JSON lines (or of CSV that says `splittable: true`) is cut at every 16 MiB; a split owns the records that *start* in
//! its range, and is named `path@start`. Parquet is cut by row groups, `path@group0`. Everything else is one split, `path@all`. Names are stable for ever: they stand in checkpoints.
//!
//! # What a checkpoint knows of a file
//! How far it was read, its size and a digest of its first 4 KiB; of one that was read up, this is a record of 51 bytes beside the checkpoints. A file
//! that changed since stops the run. What may happen to a file
//! that is read by lines is that it grows: the new lines are read by the next run (batch) or at once (stream). A batch takes a last line
//! without a line feed as whole; if more bytes are glued to it later, that counts as changed. A stream waits for the line feed.
//! Times of modification are not looked at, and a change behind the first 4 KiB that keeps the size is not noticed.

mod config;
mod content;
mod damage;
mod folders;
mod frame;
mod gunzip;
mod identity;
mod infer;
mod input;
mod late;
mod listing;
mod naming;
mod reader;
mod record;
mod splits;
mod survey;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_schema::{DataType, SchemaRef};
use wasmill_engine::{
    Discovery, Error, Mode, Progress, RecordForm, Result, Retired, Source, Split, SplitId, SplitOpener, SplitReader, SplitState,
};

pub use config::{CsvConfig, FilesConfig, OnBadFile, Paths};
pub(crate) use content::{Content, ReadAt};
pub use identity::{Identity, Position};
pub(crate) use infer::infer_from;
pub use infer::infer_schema;
pub(crate) use input::SKIP_TIME;
pub(crate) use late::Late;
pub use late::{LateColumns, NewColumns};
pub(crate) use reader::batch::Assembler;
pub(crate) use survey::survey_of;
pub use survey::{Survey, survey};
use wasmill_formats::plain_schema;
use wasmill_formats::reading::without_reading;

/// The files that a configuration means, sorted; none is no mistake.
pub(super) fn listed(config: &FilesConfig) -> Result<Vec<std::path::PathBuf>> {
    listing::list(config, false)
}
pub(crate) use reader::open_remote;

/// The reserved column that holds the path of a record's file.
pub const PATH_COLUMN: &str = "_source.path";
/// The reserved column that holds a record's position in its file.
pub const POSITION_COLUMN: &str = "_source.position";

/// A source of files.
pub struct FilesSource {
    shared: Arc<Shared>,
    known: HashMap<PathBuf, splits::Known>,
    /// Files that earlier runs have begun and this run has not found yet.
    missing: BTreeMap<PathBuf, splits::Entries>,
    /// What earlier runs have read and the checkpoint does not name any more.
    retired: Option<Retired>,
    found: splits::Found,
    looked: Option<Instant>,
}

/// What readers need to know.
pub(crate) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) config: FilesConfig,
    pub(super) mode: Mode,
    /// Every column of the batches.
    pub(crate) schema: SchemaRef,
    pub(super) follow: Duration,
    /// Columns that come up and were not asked for.
    pub(crate) late: Late,
    /// How many files were set aside.
    pub(super) set_aside: AtomicU64,
}

impl Shared {
    /// What a person should learn at the end of a run.
    pub(crate) fn notes(&self) -> Vec<String> {
        let set_aside = match self.set_aside.load(Ordering::Relaxed) {
            0 => None,
            1 => Some("1 damaged file was set aside: the dead letters say which, with code `bad-file`".to_owned()),
            count => Some(format!("{count} damaged files were set aside: the dead letters say which, with code `bad-file`")),
        };
        set_aside.into_iter().chain(self.late.notes()).collect()
    }
}

impl FilesSource {
    /// A source named `name` in its pipeline that gives the columns of `requested`, reserved `_source.` columns included.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested type that files can't give.
    pub fn new(name: &str, config: FilesConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        check_requested(&requested)?;
        let follow = config.follow_interval()?;
        let shared =
            Shared { name: name.into(), config, mode, schema: requested, follow, late: Late::default(), set_aside: AtomicU64::new(0) };
        Ok(Self {
            shared: Arc::new(shared),
            known: HashMap::new(),
            missing: BTreeMap::new(),
            retired: None,
            found: splits::Found::default(),
            looked: None,
        })
    }

    /// The same, with something to do about columns that come up and were not asked for.
    #[must_use]
    pub fn with_late_columns(mut self, late: LateColumns, mode: Mode) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.late = Late::new(late, mode);
        }
        self
    }
}

/// What files can give: reserved columns of their own types, and plain types.
///
/// # Errors
/// Configuration: a requested column or type that files can't give.
pub(crate) fn check_requested(requested: &SchemaRef) -> Result<()> {
    for field in requested.fields() {
        let expected = match field.name().as_str() {
            PATH_COLUMN => DataType::Utf8,
            POSITION_COLUMN => DataType::Int64,
            other if other.starts_with("_source.") => {
                return Err(Error::configuration(format!("files have no column {other}"))
                    .hint(format!("they have {PATH_COLUMN} and {POSITION_COLUMN}")));
            }
            _ => continue,
        };
        if *field.data_type() != expected {
            return Err(Error::configuration(format!("the column {} is of type {expected}, not {}", field.name(), field.data_type())));
        }
    }
    if plain_schema(requested)?.fields() != requested.fields() {
        return Err(Error::configuration("the requested schema has types that files do not give")
            .hint("use plain types: text instead of views and dictionaries, list instead of LargeList"));
    }
    Ok(())
}

impl FilesSource {
    /// What readers of its files need to know, for a source whose files lie in a store.
    pub(crate) fn into_shared(self) -> Arc<Shared> {
        self.shared
    }
}

impl Source for FilesSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let first = self.looked.is_none();
        let batch = self.shared.mode == Mode::Batch;
        if !first && (batch || self.looked.is_some_and(|looked| looked.elapsed() < self.shared.follow)) {
            return Ok(Discovery { splits: Vec::new(), complete: batch });
        }
        let paths = listing::list(&self.shared.config, first && batch)?;
        if first {
            self.missing = splits::by_file(restored)?;
        }
        for path in paths {
            let begun = splits::Begun { entries: self.missing.remove(&path).unwrap_or_default(), retired: self.retired.as_ref() };
            splits::of_file(&self.shared, &path, &begun, &mut self.known, &mut self.found)?;
        }
        for (path, begun) in &self.missing {
            splits::check_vanished(path, begun)?;
        }
        self.looked = Some(Instant::now());
        Ok(Discovery { splits: std::mem::take(&mut self.found.splits), complete: batch })
    }

    fn known_bytes(&self) -> Option<u64> {
        Some(self.found.bytes)
    }

    fn notes(&self) -> Vec<String> {
        self.shared.notes()
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
        Arc::new(Opener(Arc::clone(&self.shared)))
    }
}

struct Opener(Arc<Shared>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        reader::open(&self.0, split).map_err(|error| error.at(format!("split {}", split.id)))
    }
}
