//! The source `s3`: records of objects whose keys match, read once, or followed as new ones come.
//!
//! # Splits
//! An object is a split, named by its address. Objects do not change: one whose ETag or size is another than before stops the run.
//! Small objects are fetched ahead, many at once, in the order of their keys; large ones by ranges while they are read.
//!
//! # What a checkpoint knows
//! Of an object that is being read its ETag, its size and how far. All that are done share one entry with 12 bytes each: eight that
//! tell the key and four that tell its content, so that a checkpoint over thousands of objects stays small. What was read is known by
//! these alone: the order of keys decides only how soon a stream finds an object, never whether it is read.

mod ahead;
mod config;
mod examine;
mod object;
mod pattern;
mod reader;
mod seen;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arrow_schema::SchemaRef;
use tokio::task::JoinHandle;
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitId, SplitOpener, SplitReader};

use self::ahead::Ahead;
pub use self::config::S3SourceConfig;
pub use self::examine::examine;
use self::object::{Found, Position};
use self::pattern::Pattern;
use self::reader::ObjectReader;
use self::seen::{SEEN, Seen};
use super::{Bucket, Patience, S3Config};
use crate::files::source::{Content, FilesSource, Shared, infer_from};
use crate::formats::Format;

/// A source of objects.
pub struct S3Source {
    shared: Arc<Shared>,
    config: S3SourceConfig,
    mode: Mode,
    patterns: Vec<Pattern>,
    /// What is done or was handed out in this run.
    seen: Seen,
    ahead: Arc<Ahead>,
    bytes: u64,
    looks: Looks,
}

/// Objects, each with the index of the pattern that it matches.
type Listing = Vec<(usize, Found)>;

/// When a stream looked, and where.
#[derive(Default)]
struct Looks {
    last: Option<Instant>,
    whole: Option<Instant>,
    /// The greatest key that each pattern has seen.
    greatest: HashMap<usize, String>,
    running: Option<JoinHandle<Result<Listing>>>,
}

impl S3Source {
    /// A source named `name` in its pipeline that gives the columns of `requested`, reserved `_source.` columns included. Touches nothing.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested type that files can't give.
    pub fn new(name: &str, config: S3SourceConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        let patterns = config.uri.all().iter().map(|uri| Pattern::parse(uri)).collect::<Result<Vec<_>>>()?;
        // An object never grows: its reader needs to know nothing of streams.
        let shared = FilesSource::new(name, config.as_files(), requested, Mode::Batch)?.into_shared();
        let seen = Seen::default();
        Ok(Self { shared, config, mode, patterns, seen, ahead: Arc::default(), bytes: 0, looks: Looks::default() })
    }

    fn bucket(&self, pattern: &Pattern) -> Result<Arc<Bucket>> {
        Bucket::open(&pattern.bucket, &self.config.connection, Patience::Run)
    }

    /// Lists everything that matches, in order, each object once.
    fn list_all(&self) -> Result<Listing> {
        let mut found = Vec::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let bucket = self.bucket(pattern)?;
            found.extend(bucket.wait(pattern.list(&bucket, None))?.into_iter().map(|object| (index, object)));
        }
        Ok(found)
    }

    /// The first look of a run: everything that matches, and everything that a checkpoint knows.
    fn first_look(&mut self, restored: &Progress) -> Result<Vec<Split>> {
        let mut begun: BTreeMap<SplitId, Position> = BTreeMap::new();
        for (id, state) in restored {
            if &**id == SEEN {
                self.seen.restore(&state.position)?;
                continue;
            }
            let position = Position::read(id, &state.position)?;
            match state.done {
                true => self.seen.insert(id, &position.etag, position.size),
                false => drop(begun.insert(Arc::clone(id), position)),
            }
        }
        let found = self.list_all()?;
        if found.is_empty() && self.mode == Mode::Batch && !self.config.allow_empty {
            return Err(Error::configuration(format!("no object matches {}", self.config.uri.all().join(", ")))
                .hint("a prefix ends with `/`; `allow_empty: true` lets a batch run without objects"));
        }
        let splits = self.take(found, &mut begun)?;
        match begun.keys().next() {
            None => Ok(splits),
            Some(id) => Err(Error::environment(format!("{id} has been read in part and is no longer there"))
                .hint("put the object back until it has been read, or `wasmill state reset` to forget what was read")),
        }
    }

    /// The splits of what was found and is new.
    fn take(&mut self, found: Listing, begun: &mut BTreeMap<SplitId, Position>) -> Result<Vec<Split>> {
        let mut splits = Vec::new();
        for (index, object) in found {
            let greatest = self.looks.greatest.entry(index).or_default();
            if object.key > *greatest {
                greatest.clone_from(&object.key);
            }
            let id: SplitId = object.id().into();
            let position = match begun.remove(&id) {
                Some(position) if position.etag == object.etag && position.size == object.size => position,
                Some(_) => return Err(object::changed(&id)),
                None if self.seen.has(&id, &object.etag, object.size)? => continue,
                None => Position { offset: 0, size: object.size, etag: object.etag.clone(), ended: false },
            };
            self.seen.insert(&id, &object.etag, object.size);
            self.bytes += object.size;
            let bucket = self.bucket(&self.patterns[index])?;
            self.ahead.expect(&id, bucket, object);
            splits.push(Split { id, position: position.to_value() });
        }
        Ok(splits)
    }

    /// A later look of a stream. The list runs beside the pipeline: this begins it, or takes what it has found.
    fn later_look(&mut self) -> Result<Vec<Split>> {
        if let Some(running) = self.looks.running.take_if(|running| running.is_finished()) {
            let found = crate::threads::handle()?.block_on(running).map_err(|error| Error::bug(format!("a list broke: {error}")))??;
            self.looks.last = Some(Instant::now());
            return self.take(found, &mut BTreeMap::new());
        }
        let follow = self.config.follow_interval()?;
        if self.looks.running.is_some() || self.looks.last.is_some_and(|last| last.elapsed() < follow) {
            return Ok(Vec::new());
        }
        let whole = self.looks.whole.is_none_or(|whole| whole.elapsed() >= self.config.relist_interval().unwrap_or_default());
        if whole {
            self.looks.whole = Some(Instant::now());
        }
        let mut lists = Vec::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            let after = self.looks.greatest.get(&index).filter(|_| !whole).cloned();
            lists.push((index, pattern.clone(), self.bucket(pattern)?, after));
        }
        self.looks.running = Some(crate::threads::handle()?.spawn(async move {
            let mut found = Vec::new();
            for (index, pattern, bucket, after) in lists {
                found.extend(pattern.list(&bucket, after.as_deref()).await?.into_iter().map(|object| (index, object)));
            }
            Ok(found)
        }));
        Ok(Vec::new())
    }
}

impl Source for S3Source {
    fn schema(&self) -> SchemaRef {
        self.shared.schema.clone()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let batch = self.mode == Mode::Batch;
        let splits = match (self.looks.last, batch) {
            (None, _) => {
                let splits = self.first_look(restored)?;
                let now = Some(Instant::now());
                (self.looks.last, self.looks.whole) = (now, now);
                splits
            }
            (Some(_), true) => Vec::new(),
            (Some(_), false) => self.later_look()?,
        };
        Ok(Discovery { splits, complete: batch })
    }

    fn known_bytes(&self) -> Option<u64> {
        // Of Parquet only the wanted columns are read: how much that is, nobody knows before.
        (self.config.format != Some(Format::Parquet) && !self.patterns.iter().any(|pattern| pattern.shown.contains(".parquet")))
            .then_some(self.bytes)
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        let (shared, ahead) = (Arc::clone(&self.shared), Arc::clone(&self.ahead));
        Arc::new(Opener { shared, ahead, connection: self.config.connection.clone() })
    }

    fn compact(&self, progress: &mut Progress) -> Result<()> {
        seen::compact(progress)
    }
}

struct Opener {
    shared: Arc<Shared>,
    ahead: Arc<Ahead>,
    connection: S3Config,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.id, &split.position)?;
        let bucket = Bucket::open(object::place_of(&split.id)?.0, &self.connection, Patience::Run)?;
        Ok(Box::new(ObjectReader::new(&self.shared, &self.ahead, (Arc::clone(&split.id), bucket), position)?))
    }
}

/// The columns of the objects that a configuration names, told from a sample as those of files are.
///
/// # Errors
/// Configuration: no object matches, or no record can be read. Environment: the store can't be read.
pub fn infer_schema(config: &S3SourceConfig) -> Result<SchemaRef> {
    config.check()?;
    let mut objects = Vec::new();
    for uri in config.uri.all() {
        let pattern = Pattern::parse(uri)?;
        let bucket = Bucket::open(&pattern.bucket, &config.connection, Patience::Look)?;
        let found = bucket.wait(pattern.list(&bucket, None))?;
        objects.extend(found.into_iter().map(|object| (Arc::clone(&bucket), object)));
    }
    let open = |(bucket, object): (Arc<Bucket>, Found)| {
        let path = object.id().into();
        Ok((path, Content::Remote(Arc::new(object::Ranged::new(bucket, object)))))
    };
    infer_from(&config.as_files(), objects.into_iter().map(open))
}
