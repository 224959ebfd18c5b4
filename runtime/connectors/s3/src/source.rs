//! The source `s3`: records of objects whose keys match, read once, or followed as new ones come.
//!
//! # Splits
//! An object is a split, named by its address. Objects do not change: one whose ETag or size is another than before stops the run.
//! Small objects are fetched ahead, many at once, in the order of their keys; large ones by ranges while they are read.
//!
//! # What a checkpoint knows
//! For an object that is being read, its ETag, its size and the position. Those that are done are
//! records of 12 bytes next to the checkpoints: eight that identify the key and four that identify
//! its content. These alone decide what was read. The order of keys decides only how soon a stream
//! finds an object, never whether it is read.

mod ahead;
mod config;
mod examine;
mod folders;
mod object;
mod pattern;
mod reader;
mod seen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_schema::SchemaRef;
use tokio::task::JoinHandle;
use wasmill_engine::{
    Discovery, Error, Mode, Progress, RecordForm, Result, Retired, Source, Split, SplitId, SplitOpener, SplitReader, SplitState,
};

use self::ahead::Ahead;
pub use self::config::S3SourceConfig;
pub use self::examine::examine;
use self::folders::{Folders, PAGE};
use self::object::{Found, Position};
use self::pattern::{FirstMatch, Pattern};
use self::reader::ObjectReader;
use self::seen::{SEEN, Seen};
use wasmill_connect::{Inferred, Sampling, Survey};
use wasmill_formats::Format;
use wasmill_formats::reading::without_reading;
use wasmill_objects::{Bucket, RetryTime, S3Config};
use wasmill_reading::codes::VANISHED;
use wasmill_reading::{Content, Late, ReadContext, check_requested, infer_from, survey_of};

use crate::codes::NO_MATCH;

/// A source of objects.
pub struct S3Source {
    context: Arc<ReadContext>,
    config: S3SourceConfig,
    patience: RetryTime,
    mode: Mode,
    patterns: Vec<Pattern>,
    /// What is done or was returned in this run.
    seen: Seen,
    ahead: Arc<Ahead>,
    bytes: u64,
    listings: Listings,
    /// How many entries of a folder one request lists.
    page: u16,
}

/// The result of listing each pattern.
type Listing = Vec<PatternListing>;

/// The result of listing one pattern.
struct PatternListing {
    found: Vec<Found>,
    folders: Folders,
}

/// When a stream last listed, and where.
#[derive(Default)]
struct Listings {
    last: Option<Instant>,
    whole: Option<Instant>,
    /// The folders of each pattern; none while a list has them.
    folders: Vec<Folders>,
    running: Option<JoinHandle<Result<Listing>>>,
    /// Lists everything, which may take much longer.
    relisting: Option<JoinHandle<Result<Listing>>>,
}

/// The result of a background list, once it has ended.
fn ended(running: &mut Option<JoinHandle<Result<Listing>>>) -> Result<Option<Listing>> {
    let Some(running) = running.take_if(|running| running.is_finished()) else { return Ok(None) };
    let listing = wasmill_connect::threads::handle()?.block_on(running).map_err(|error| Error::bug(format!("a list broke: {error}")))?;
    listing.map(Some)
}

impl S3Source {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested type that files can't give.
    pub fn new(name: &str, config: S3SourceConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        Self::with_sampling(name, config, requested, (mode, Sampling::default()))
    }

    /// The same, with the result of a sample: what to do about columns that occur and were not
    /// requested.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_sampling(name: &str, config: S3SourceConfig, requested: SchemaRef, (mode, sampling): (Mode, Sampling)) -> Result<Self> {
        config.check()?;
        let patterns = config.uri.all().iter().map(|uri| Pattern::parse(uri)).collect::<Result<Vec<_>>>()?;
        let options = config.reading();
        options.check()?;
        check_requested(&requested)?;
        // An object never grows: its reader needs to know nothing of streams.
        let mut context = ReadContext::new(name, options, requested, Mode::Batch);
        context.late = Late::new(sampling, mode);
        let (seen, patience) = (Seen::default(), RetryTime::Run(config.retry.time()?));
        Ok(Self {
            context: Arc::new(context),
            config,
            patience,
            mode,
            patterns,
            seen,
            ahead: Arc::default(),
            bytes: 0,
            listings: Listings::default(),
            page: PAGE,
        })
    }

    /// The same source, of which one request lists this many objects of a folder, at most 1,000.
    /// For tests: few objects then take many requests.
    #[must_use]
    pub fn with_page(self, objects: u16) -> Self {
        Self { page: objects.min(PAGE), ..self }
    }

    fn bucket(&self, pattern: &Pattern) -> Result<Arc<Bucket>> {
        Bucket::open(&pattern.bucket, &self.config.connection, self.patience)
    }

    /// Lists everything that matches, in order.
    fn list_all(&self) -> Result<Listing> {
        let list = |pattern: &Pattern| {
            let (bucket, mut folders) = (self.bucket(pattern)?, pattern.folders(self.page));
            let found = bucket.wait(pattern.list_all(&bucket, &mut folders))?;
            Ok(PatternListing { found, folders })
        };
        self.patterns.iter().map(list).collect()
    }

    /// The first listing of a run: everything that matches, and everything in the checkpoint.
    fn first_listing(&mut self, restored: &Progress) -> Result<Vec<Split>> {
        let mut begun: BTreeMap<SplitId, Position> = BTreeMap::new();
        for (id, state) in restored {
            if &**id == SEEN {
                self.seen.restore_entry(&state.position)?;
                continue;
            }
            let position = Position::read(id, &state.position)?;
            match state.done {
                true => self.seen.insert(id, &position.etag, position.size),
                false => drop(begun.insert(Arc::clone(id), position)),
            }
        }
        let found = self.list_all()?;
        if found.iter().all(|listing| listing.found.is_empty()) && self.mode == Mode::Batch && !self.config.allow_empty {
            return Err(Error::configuration(format!("no object matches {}", self.config.uri.all().join(", ")))
                .code(NO_MATCH)
                .key(["uri"])
                .hint("a prefix ends with `/`; `allow_empty: true` lets a batch run without objects"));
        }
        let splits = self.take(found, &mut begun)?;
        match begun.keys().next() {
            None => Ok(splits),
            Some(id) => Err(Error::environment(format!("{id} has been read in part and is missing"))
                .code(VANISHED)
                .hint("put the object back until it has been read, or `wasmill state reset` to drop the progress")),
        }
    }

    /// The splits of what was found and is new.
    fn take(&mut self, found: Listing, begun: &mut BTreeMap<SplitId, Position>) -> Result<Vec<Split>> {
        let mut splits = Vec::new();
        let (found, folders): (Vec<_>, Vec<_>) = found.into_iter().map(|listing| (listing.found, listing.folders)).unzip();
        // Of two concurrent lists, the one that began later knows less only of folders that do not
        // grow.
        if self.listings.folders.is_empty() {
            self.listings.folders = folders;
        }
        let found = found.into_iter().enumerate().flat_map(|(index, found)| found.into_iter().map(move |object| (index, object)));
        for (index, object) in found {
            let id: SplitId = object.id().into();
            let position = match begun.remove(&id) {
                Some(position) if position.etag == object.etag && position.size == object.size => position,
                Some(_) => return Err(object::changed(&id)),
                None if self.seen.has(&id, &object.etag, object.size)? => continue,
                // Nothing to read, and nothing to record: what is put in its place later is read.
                None if object.size == 0 => continue,
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

    /// A later listing of a stream. Lists run in the background: this starts them, and takes their
    /// results.
    fn later_listing(&mut self) -> Result<Vec<Split>> {
        let mut splits = Vec::new();
        if let Some(listing) = ended(&mut self.listings.relisting)? {
            self.listings.folders.clear();
            splits.extend(self.take(listing, &mut BTreeMap::new())?);
        }
        if let Some(listing) = ended(&mut self.listings.running)? {
            self.listings.last = Some(Instant::now());
            splits.extend(self.take(listing, &mut BTreeMap::new())?);
        }
        let relist = self.config.relist_interval()?;
        if self.listings.relisting.is_none() && self.listings.whole.is_none_or(|whole| whole.elapsed() >= relist) {
            self.listings.whole = Some(Instant::now());
            let folders = self.patterns.iter().map(|pattern| pattern.folders(self.page)).collect();
            self.listings.relisting = Some(self.begin_list(folders, true)?);
        }
        let follow = self.config.follow_interval()?;
        if self.listings.running.is_none() && self.listings.last.is_none_or(|last| last.elapsed() >= follow) {
            let folders = std::mem::take(&mut self.listings.folders);
            self.listings.running = Some(self.begin_list(folders, false)?);
        }
        Ok(splits)
    }

    /// Starts a background list of each pattern: of all, or of what may be new.
    fn begin_list(&self, folders: Vec<Folders>, whole: bool) -> Result<JoinHandle<Result<Listing>>> {
        let mut lists = Vec::new();
        for (pattern, folders) in self.patterns.iter().zip(folders) {
            lists.push((pattern.clone(), self.bucket(pattern)?, folders));
        }
        Ok(wasmill_connect::threads::handle()?.spawn(async move {
            let mut listing = Vec::new();
            for (pattern, bucket, mut folders) in lists {
                let found = match whole {
                    true => pattern.list_all(&bucket, &mut folders).await?,
                    false => pattern.list_new(&bucket, &mut folders).await?,
                };
                listing.push(PatternListing { found, folders });
            }
            Ok(listing)
        }))
    }
}

impl Source for S3Source {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.context.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let batch = self.mode == Mode::Batch;
        let splits = match (self.listings.last, batch) {
            (None, _) => {
                let splits = self.first_listing(restored)?;
                let now = Some(Instant::now());
                (self.listings.last, self.listings.whole) = (now, now);
                splits
            }
            (Some(_), true) => Vec::new(),
            (Some(_), false) => self.later_listing()?,
        };
        Ok(Discovery { splits, complete: batch })
    }

    fn notes(&self) -> Vec<String> {
        self.context.notes()
    }

    fn known_bytes(&self) -> Option<u64> {
        // Of Parquet only the wanted columns are read: their size is unknown before.
        (self.config.format != Some(Format::Parquet) && !self.patterns.iter().any(|pattern| pattern.shown.contains(".parquet")))
            .then_some(self.bytes)
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        let (context, ahead) = (Arc::clone(&self.context), Arc::clone(&self.ahead));
        Arc::new(Opener { context, ahead, connection: self.config.connection.clone(), patience: self.patience })
    }

    fn record_form(&self) -> Option<RecordForm> {
        Some(seen::FORM)
    }

    fn retire(&self, id: &SplitId, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
        seen::retire(id, state, records)
    }

    fn restore(&mut self, retired: Retired) {
        self.seen.restore(&retired);
    }
}

struct Opener {
    context: Arc<ReadContext>,
    ahead: Arc<Ahead>,
    connection: S3Config,
    patience: RetryTime,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.id, &split.position)?;
        let bucket = Bucket::open(object::place_of(&split.id)?.0, &self.connection, self.patience)?;
        Ok(Box::new(ObjectReader::new(&self.context, &self.ahead, (Arc::clone(&split.id), bucket), position)?))
    }
}

/// The columns of the objects of a configuration, without the rest of their sample.
///
/// # Errors
/// As [`infer`].
pub fn infer_schema(config: &S3SourceConfig) -> Result<SchemaRef> {
    infer(config).map(|inferred| inferred.schema)
}

/// The columns of the objects of a configuration, inferred from a sample as those of files are.
///
/// # Errors
/// Configuration: no object matches, or no record can be read. Environment: the store can't be read.
pub fn infer(config: &S3SourceConfig) -> Result<Inferred> {
    config.check()?;
    let mut objects = Vec::new();
    for uri in config.uri.all() {
        let pattern = Pattern::parse(uri)?;
        let bucket = Bucket::open(&pattern.bucket, &config.connection, RetryTime::Check)?;
        let found = bucket.wait(pattern.list(&bucket))?;
        objects.extend(found.into_iter().map(|object| (Arc::clone(&bucket), object)));
    }
    let open = |(bucket, object): (Arc<Bucket>, Found)| {
        let path = object.id().into();
        Ok((path, Content::Remote(Arc::new(object::Ranged::new(bucket, object)))))
    };
    infer_from(&config.reading(), objects.into_iter().map(open)).map_err(|error| error.below("uri"))
}

/// How many keys are listed to find an object to sample.
const MAX_KEYS: usize = 1_000;

/// Which columns the first object that matches has. `None`: there is none, or it is empty.
///
/// # Errors
/// Configuration: a bad address. Environment: the store can't be read.
pub fn survey(config: &S3SourceConfig) -> Result<Option<Survey>> {
    config.check()?;
    for uri in config.uri.all() {
        let pattern = Pattern::parse(uri)?;
        let bucket = Bucket::open(&pattern.bucket, &config.connection, RetryTime::Check)?;
        let FirstMatch { found: Some(object), .. } = bucket.wait(pattern.first(&bucket, MAX_KEYS))? else { continue };
        let path = object.id().into();
        let content = Content::Remote(Arc::new(object::Ranged::new(bucket, object)));
        return survey_of(&config.reading(), std::iter::once(Ok((path, content))), false);
    }
    Ok(None)
}
