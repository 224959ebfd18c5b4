//! The source `http`.
//!
//! # Splits
//! One: the log. A stream listens, and its split never ends. A batch reads what the log holds and listens to nothing.
//!
//! # What a checkpoint knows
//! Which log it is, and the number of the next record. A log that was replaced, or that lacks what was read, stops the run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_schema::SchemaRef;
use wasmill_connect::durable::escape;
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitId, SplitOpener, SplitReader};
use wasmill_formats::reading::without_reading;

use crate::codes::FOLDER;
use crate::columns::Columns;
use crate::config::{HttpConfig, HttpFormat, check_name};
use crate::listener::Joined;
use crate::log::{Log, extent_of};
use crate::position::Position;
use crate::reader::Reader;

/// The name of the split. Stored in checkpoints: never to be changed.
const SPLIT: &str = "requests";

/// A source of posted records.
pub struct HttpSource {
    shared: Arc<Shared>,
    config: HttpConfig,
    mode: Mode,
    opener: Arc<Opener>,
    /// It listens as long as this lives.
    joined: Option<Joined>,
    listed: bool,
}

/// What readers need to know.
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) format: HttpFormat,
    pub(crate) schema: SchemaRef,
    pub(crate) folder: PathBuf,
    /// The next record to read.
    read: AtomicU64,
}

/// Where reading ends.
#[derive(Clone)]
pub(crate) enum End {
    /// Before a record.
    At(u64),
    /// It follows the log.
    Never(Arc<Log>),
}

struct Opener {
    shared: Arc<Shared>,
    end: OnceLock<End>,
}

impl Shared {
    pub(crate) fn note_read(&self, next: u64) {
        self.read.store(next, Ordering::Relaxed);
    }
}

impl HttpSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved `_source.` columns included. `state` is the
    /// folder of the pipeline's state, where that is one of this machine. Touches nothing.
    ///
    /// # Errors
    /// Configuration: bad options, a column that it can't give, or no folder for the log.
    pub fn new(pipeline: &str, name: &str, config: &HttpConfig, requested: SchemaRef, mode: Mode, state: Option<&Path>) -> Result<Self> {
        config.check()?;
        for name in config.names_of(name) {
            check_name(&name)?;
        }
        Columns::new(config.format, &requested)?;
        let folder = match (&config.folder, state) {
            (Some(folder), _) => Path::new(folder).join(escape(pipeline)).join(escape(name)),
            (None, Some(state)) => state.join("http").join(escape(name)),
            (None, None) => {
                return Err(Error::configuration("the state of the pipeline lies in a bucket, and the log of requests needs a disk")
                    .code(FOLDER)
                    .hint("name a folder of this machine: `folder: /var/lib/wasmill/http`"));
            }
        };
        let shared = Arc::new(Shared { name: name.into(), format: config.format, schema: requested, folder, read: AtomicU64::new(0) });
        let opener = Arc::new(Opener { shared: Arc::clone(&shared), end: OnceLock::new() });
        Ok(Self { shared, config: config.clone(), mode, opener, joined: None, listed: false })
    }

    /// The URL at which it listens, once it does.
    pub fn url(&self) -> Option<String> {
        self.joined.as_ref().map(Joined::url)
    }

    /// Opens the log for writing, and listens.
    fn listen(&mut self, restored: Option<Position>) -> Result<Position> {
        let committed = restored.map(|position| (position.log, position.record));
        let log = Arc::new(Log::open(&self.shared.folder, self.config.limits()?, committed)?);
        let record = restored.map_or_else(|| log.begin(), |position| Ok(position.record))?;
        let position = Position { log: log.id(), record };
        let _ = self.opener.end.set(End::Never(Arc::clone(&log)));
        self.joined = Some(Joined::join(&self.config, &self.shared.name, log)?);
        Ok(position)
    }

    /// What the log holds; none if there is none, or nothing new in it.
    fn look(&self, restored: Option<Position>) -> Result<Option<Position>> {
        let committed = restored.map(|position| (position.log, position.record));
        let Some((log, begin, end)) = extent_of(&self.shared.folder, committed)? else { return Ok(None) };
        let position = Position { log, record: begin };
        let _ = self.opener.end.set(End::At(end));
        Ok((position.record < end).then_some(position))
    }
}

impl Source for HttpSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let is_stream = self.mode == Mode::Stream;
        if std::mem::replace(&mut self.listed, true) {
            return Ok(Discovery { splits: Vec::new(), complete: !is_stream });
        }
        let position = restored.get(SPLIT).map(|state| Position::read(&state.position)).transpose()?;
        let position = if is_stream { Some(self.listen(position)?) } else { self.look(position)? };
        let id: SplitId = SPLIT.into();
        self.shared.note_read(position.map_or(0, |position| position.record));
        let splits = position.map(|position| Split { id, position: position.to_value() }).into_iter().collect();
        Ok(Discovery { splits, complete: !is_stream })
    }

    fn is_endless(&self) -> bool {
        self.mode == Mode::Stream
    }

    fn rows_behind(&self) -> Option<u64> {
        let end = match self.opener.end.get()? {
            End::At(end) => *end,
            End::Never(log) => log.next(),
        };
        Some(end.saturating_sub(self.shared.read.load(Ordering::Relaxed)))
    }

    fn committed(&mut self, progress: &Progress) {
        let position = progress.get(SPLIT).and_then(|state| Position::read(&state.position).ok());
        if let (Some(position), Some(End::Never(log))) = (position, self.opener.end.get()) {
            log.trim(position.record);
        }
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::clone(&self.opener) as _
    }
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let end = self.end.get().ok_or_else(|| Error::bug("a log is read before it was opened"))?;
        Ok(Box::new(Reader::open(&self.shared, split, end.clone())?))
    }
}

impl Drop for HttpSource {
    fn drop(&mut self) {
        // First no more requests, then no more log.
        drop(self.joined.take());
        if let Some(End::Never(log)) = self.opener.end.get() {
            log.close();
        }
    }
}
