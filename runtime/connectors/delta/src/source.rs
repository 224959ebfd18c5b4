//! The source `delta`: the rows of a table, and then those that new versions add.
//!
//! # Splits
//! A data file is a split, named `<version>@<path>` by its version: the one that was read whole at
//! the beginning, or a later one that added it. Files do not change, so a position is a row number
//! in the file, deleted rows counted.
//!
//! # Which versions
//! The first run reads one version whole: the latest, or the configured one. Every later run, and a
//! running stream, reads what the versions after it added. A version that moves rows without
//! changing them (`dataChange: false`, as compaction does) is skipped. One that removes or changes
//! rows stops the run, because rows that were read can't be taken back. `on_change: ignore` skips
//! it, with all that it adds.
//!
//! # What a checkpoint knows
//! The table's id, the version that was read whole, and the last version before which everything is
//! done. Files of the version after it that are done are counted, in the order of their paths. So a
//! checkpoint holds entries only for files that are being read, and a few that were read out of
//! order.

mod change;
mod config;
mod follow;
mod known;
mod position;
mod reader;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_schema::{Schema, SchemaRef};
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitOpener, SplitReader};

pub use self::config::{DeltaSourceConfig, OnChange};
use self::follow::{Follow, Found};
use self::known::Known;
use self::position::{Position, Restored};
use self::reader::FileReader;
use super::log::TableLog;
use super::rows::TableRows;
use crate::codes::VERSION;
use wasmill_engine::codes::THREADS;
use wasmill_formats::plain_schema;
use wasmill_formats::reading::without_reading;
use wasmill_objects::RetryTime;
use wasmill_reading::check_requested;

/// The prefix of columns that a source adds itself.
const RESERVED: &str = "_source.";

/// A source of rows of a table.
pub struct DeltaSource {
    name: Arc<str>,
    config: DeltaSourceConfig,
    follow_every: Duration,
    schema: SchemaRef,
    /// The columns of the table that are read: those of the schema that are not reserved.
    wanted: SchemaRef,
    mode: Mode,
    known: Arc<Known>,
    polling: Polling,
}

/// Where a stream polls from, or the poll in progress.
enum Polling {
    NotYet,
    Between(Box<Follow>, Instant),
    Running(JoinHandle<(Box<Follow>, Result<Vec<Found>>)>),
    Done,
}

impl DeltaSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested type that files can't give.
    pub fn new(name: &str, config: DeltaSourceConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        check_requested(&requested)?;
        let follow_every = config.follow_interval()?;
        let columns = requested.fields().iter().filter(|field| !field.name().starts_with(RESERVED)).cloned();
        let wanted = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
        let (known, polling) = (Arc::default(), Polling::NotYet);
        Ok(Self { name: name.into(), config, follow_every, schema: requested, wanted, mode, known, polling })
    }

    /// The first listing of a run: the checkpoint's progress, and everything up to now.
    fn first_poll(&mut self, restored: &Progress) -> Result<(Box<Follow>, Vec<Found>)> {
        let restored = Restored::read(restored)?;
        let log = TableLog::new(self.config.table().place(RetryTime::Run(self.config.retry.time()?))?)?;
        let Some(state) = log.open(None)? else { return Err(self.config.table().no_table()) };
        // The initial version is in the checkpoint; the log of that time may have expired since.
        let chosen = match restored.begun.is_none() || self.mode == Mode::Batch {
            true => self.config.chosen_version(&log)?,
            false => None,
        };
        let follow = Follow::begin(log, &state, chosen, &restored, Arc::clone(&self.wanted), self.config.on_change)?;
        let mut follow = Box::new(follow);
        // A batch ends at the given version, or at the latest of this moment.
        let until = (self.mode == Mode::Batch).then(|| chosen.unwrap_or(state.version));
        if let (Some(until), Some(read)) = (until, restored.furthest())
            && until < read
        {
            return Err(Error::configuration(format!("version {until} is to be read, and version {read} has been read already"))
                .code(VERSION)
                .key(["version"])
                .hint("name a later version or none, or start over with `wasmill state reset`"));
        }
        self.known.restore(&restored, follow.base(), follow.table());
        let found = follow.poll(until)?;
        Ok((follow, found))
    }

    /// A later poll of a stream, which runs in the background.
    fn later_poll(&mut self) -> Result<Vec<Found>> {
        match std::mem::replace(&mut self.polling, Polling::Done) {
            Polling::Between(follow, last) if last.elapsed() < self.follow_every => self.polling = Polling::Between(follow, last),
            Polling::Between(mut follow, _) => {
                let poll = move || {
                    let found = follow.poll(None);
                    (follow, found)
                };
                let thread = std::thread::Builder::new().name(format!("follow {}", self.name)).spawn(poll);
                self.polling =
                    Polling::Running(thread.map_err(|error| Error::io("start a thread that follows a table", error).or_code(THREADS))?);
            }
            Polling::Running(running) if running.is_finished() => {
                let (follow, found) = running.join().map_err(|_| Error::bug("a poll of a table panicked"))?;
                self.polling = Polling::Between(follow, Instant::now());
                return found;
            }
            other => self.polling = other,
        }
        Ok(Vec::new())
    }
}

impl Source for DeltaSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let found = match self.polling {
            Polling::NotYet => {
                let (follow, found) = self.first_poll(restored)?;
                self.polling = if self.mode == Mode::Batch { Polling::Done } else { Polling::Between(follow, Instant::now()) };
                found
            }
            _ => self.later_poll()?,
        };
        Ok(Discovery { splits: self.known.add(found, restored)?, complete: self.mode == Mode::Batch })
    }

    fn known_bytes(&self) -> Option<u64> {
        self.known.bytes()
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        let (name, schema, known) = (Arc::clone(&self.name), Arc::clone(&self.schema), Arc::clone(&self.known));
        Arc::new(Opener { name, uri: self.config.uri.trim_end_matches('/').to_owned(), schema, known })
    }

    fn compact(&self, progress: &mut Progress) -> Result<()> {
        self.known.compact(progress)
    }
}

struct Opener {
    name: Arc<str>,
    uri: String,
    schema: SchemaRef,
    known: Arc<Known>,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.id, &split.position)?;
        let (table, file) = self.known.file(&split.id)?;
        let shown = format!("{}/{}", self.uri, file.path());
        Ok(Box::new(FileReader::new((&self.name, &shown), &self.schema, (table, file), position)?))
    }
}

/// The columns of the table that a configuration names, in the types that files give.
///
/// # Errors
/// Environment: there is no table, or it can't be read. Configuration: a column has a type that
/// Wasmill does not support.
pub fn infer_schema(config: &DeltaSourceConfig) -> Result<SchemaRef> {
    config.check()?;
    let log = TableLog::new(config.table().place(RetryTime::Check)?)?;
    if log.open(None)?.is_none() {
        return Err(config.table().no_table());
    }
    let version = config.chosen_version(&log)?;
    plain_schema(TableRows::open(&log, version, None)?.schema())
}
