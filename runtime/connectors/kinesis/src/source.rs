//! The source `kinesis`.
//!
//! # Splits
//! Every shard is a split, `stream/shardId-000000000000`. It is returned once its parents have been
//! read to their end. A batch reads what had arrived when the run began: open shards up to the
//! first record that arrived later, or to their latest record, closed ones to their end. A stream
//! never ends, and follows splits and merges.
//!
//! # What a checkpoint knows
//! The sequence number of the last record of each shard, and within an aggregate the number of the
//! last part; the time until which everything has been read; and when the stream was created. A
//! stream that was deleted and created again stops the run. So do records that retention may have
//! removed, unless the file configures otherwise.

mod columns;
mod config;
mod cursor;
mod discovery;
mod feed;
mod poll;
mod position;
mod reader;
mod records;
mod shards;
mod subscribe;

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell, Semaphore};
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitId, SplitOpener, SplitReader};

use super::api::{Api, Shard, Stream, stream_name};
use crate::codes::{RECORDS_LOST, STREAM_REPLACED};
pub use columns::{ARRIVAL_COLUMN, PARTITION_KEY_COLUMN, SEQUENCE_NUMBER_COLUMN, SHARD_COLUMN, STREAM_COLUMN, SUB_SEQUENCE_COLUMN};
use wasmill_connect::threads;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_formats::VALUE_COLUMN;
use wasmill_formats::reading::without_reading;

pub(crate) use config::check_stream;
pub use config::{Aggregates, Consumer, FanOut, KinesisConfig, KinesisFormat, LostRecords, Start};
use discovery::{Listed, ShardDiscovery};
use position::{Place, Position, parse_split, split_id};
use shards::Shards;

/// How often a checkpoint records that a shard without records has none: what is not known to have
/// been read until then counts as lost once retention has passed it.
const REFRESH: Duration = Duration::from_secs(3600);
/// How long Kinesis may take to respond for the first time.
const CONNECT: Duration = Duration::from_secs(30);

/// A source of one stream.
pub struct KinesisSource {
    shared: Arc<Shared>,
    connected: Option<Connected>,
    opener: Arc<Opener>,
}

/// Opens shards, once Kinesis has responded.
struct Opener {
    shared: Arc<Shared>,
    api: OnceLock<Arc<Api>>,
    handed: Mutex<HashMap<SplitId, Handed>>,
}

/// What readers and their tasks need to know.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) config: KinesisConfig,
    /// The stream's name.
    pub(super) stream: String,
    pub(super) mode: Mode,
    pub(super) schema: SchemaRef,
    pub(super) poll: Duration,
    pub(super) follow: Duration,
    patience: Duration,
    /// How often the time until which a quiet shard was read is noted.
    refresh: Duration,
    /// How long records stay, milliseconds.
    pub(super) retention: AtomicI64,
    /// The lag of each split that was returned and has not ended, milliseconds.
    pub(super) behind: Mutex<HashMap<SplitId, Arc<AtomicI64>>>,
    /// Shards that were read to their end since the last poll.
    ended: Mutex<Vec<String>>,
    /// Shards that take no more records.
    closed: Mutex<BTreeSet<String>>,
    /// Room for responses that shards prefetch.
    pub(super) room: Arc<Semaphore>,
    /// Wakes the task that polls for shards.
    pub(super) wake: Notify,
    stream_arn: Mutex<String>,
    consumer_arn: OnceCell<String>,
    /// Records of aggregates that belonged to other shards.
    left_out: AtomicU64,
    told_left_out: AtomicBool,
}

impl Shared {
    /// # Errors
    /// Configuration: bad options, or a requested column that the source can't give.
    fn new(name: &str, config: KinesisConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        columns::Columns::new(&config, &requested)?;
        Ok(Self {
            name: name.into(),
            stream: stream_name(&config.stream).to_owned(),
            mode,
            schema: requested,
            poll: config.poll()?,
            follow: config.follow()?,
            patience: config.retry.time()?,
            refresh: REFRESH,
            retention: AtomicI64::new(i64::MAX / 2),
            behind: Mutex::default(),
            ended: Mutex::default(),
            closed: Mutex::default(),
            room: Arc::new(Semaphore::new(feed::MAX_RESPONSES)),
            wake: Notify::new(),
            stream_arn: Mutex::default(),
            consumer_arn: OnceCell::new(),
            left_out: AtomicU64::new(0),
            told_left_out: AtomicBool::new(false),
            config,
        })
    }

    /// Registers the lag of a returned split; its reader keeps the number up to date.
    fn note_behind(&self, id: &SplitId, millis: i64) -> Arc<AtomicI64> {
        let mut behind = self.behind.lock();
        Arc::clone(behind.entry(Arc::clone(id)).or_insert_with(|| Arc::new(AtomicI64::new(millis.max(0)))))
    }

    /// A shard has been read to its end.
    pub(super) fn ended(&self, shard: &str) {
        self.ended.lock().push(shard.to_owned());
        self.wake.notify_one();
    }

    /// Whether a shard is known to accept no more records.
    pub(super) fn is_closed(&self, shard: &str) -> bool {
        self.closed.lock().contains(shard)
    }

    fn note_closed(&self, shards: &[Shard]) {
        let closed = shards.iter().filter(|shard| shard.closed).map(|shard| shard.id.clone());
        self.closed.lock().extend(closed);
    }

    /// Parts of an aggregate were left out.
    pub(super) fn left_out(&self, split: &str, number: &str, count: usize) {
        if count == 0 {
            return;
        }
        let total = self.left_out.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let text = "records of an aggregate are left out: some do not belong to the shard, so its producer sends all of them again";
        if self.told_left_out.swap(true, Ordering::Relaxed) {
            tracing::debug!(split, number, count, total, "{text}");
        } else {
            tracing::warn!(split, number, count, "{text} (logged once; `aggregates: unpack_all` keeps them)");
        }
    }

    /// The ARN of the consumer, which all shards share.
    pub(super) async fn consumer_arn(&self, api: &Api, name: &str) -> Result<String> {
        let stream = self.stream_arn.lock().clone();
        let ask = || api.with_retries(None, || api.consumer(&stream, name));
        self.consumer_arn.get_or_try_init(ask).await.cloned()
    }
}

/// The state once Kinesis has responded.
struct Connected {
    api: Arc<Api>,
    created: i64,
    shards: Shards,
    /// In batch mode, where it ends.
    end: Option<i64>,
    /// The time at which shards begin that are not in the checkpoint, where one was decided.
    start: Option<i64>,
    /// Polls for new shards, in stream mode.
    discovery: Option<ShardDiscovery>,
}

/// What a reader needs about its split besides the position.
#[derive(Debug, Clone)]
pub(super) struct Handed {
    /// What arrived later is left to the next batch.
    pub(super) end: Option<i64>,
    /// The position depends on when the run began.
    pub(super) begins_here: bool,
    pub(super) hash_keys: RangeInclusive<u128>,
}

impl KinesisSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested column that it can't give.
    pub fn new(name: &str, config: KinesisConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        let shared = Arc::new(Shared::new(name, config, requested, mode)?);
        let opener = Arc::new(Opener { shared: Arc::clone(&shared), api: OnceLock::new(), handed: Mutex::default() });
        Ok(Self { shared, connected: None, opener })
    }

    /// The columns of records whatever they hold, for a reader that takes all: those of `format:
    /// raw`.
    pub fn known_schema(config: &KinesisConfig) -> Option<SchemaRef> {
        match config.format {
            KinesisFormat::Json => None,
            KinesisFormat::Raw => Some(Arc::new(Schema::new(vec![Field::new(VALUE_COLUMN, DataType::Binary, true)]))),
        }
    }

    fn begin(&mut self, restored: &Progress) -> Result<Discovery> {
        let shared = Arc::clone(&self.shared);
        let mut connected = threads::handle()?.block_on(Connected::connect(&shared))?;
        connected.take_up(&shared, restored)?;
        // A run has one first listing.
        let _ = self.opener.api.set(Arc::clone(&connected.api));
        let splits = connected.hand_out(&self.opener, restored)?;
        if shared.mode == Mode::Stream {
            connected.discovery = Some(ShardDiscovery::start(&shared, &connected.api)?);
        }
        let complete = shared.mode == Mode::Batch && connected.shards.are_all_handed_out();
        self.connected = Some(connected);
        Ok(Discovery { splits, complete })
    }
}

impl Source for KinesisSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let shared = Arc::clone(&self.shared);
        let Some(connected) = &mut self.connected else { return self.begin(restored) };
        if let Some(Listed { stream, shards }) = connected.discovery.as_ref().map_or(Ok(None), ShardDiscovery::found)? {
            check_created(&shared.stream, connected.created, stream.created)?;
            shared.retention.store(stream.retention, Ordering::Relaxed);
            shared.note_closed(&shards);
            connected.shards.list(shards);
        }
        for shard in shared.ended.lock().drain(..) {
            connected.shards.finish(&shard);
        }
        let splits = connected.hand_out(&self.opener, restored)?;
        Ok(Discovery { splits, complete: shared.mode == Mode::Batch && connected.shards.are_all_handed_out() })
    }

    fn is_endless(&self) -> bool {
        self.shared.mode == Mode::Stream
    }

    fn behind(&self) -> Option<Duration> {
        let behind = self.shared.behind.lock();
        let longest = behind.values().map(|millis| millis.load(Ordering::Relaxed)).max()?;
        Some(Duration::from_millis(u64::try_from(longest).unwrap_or_default()))
    }

    fn compact(&self, progress: &mut Progress) -> Result<()> {
        let Some(connected) = &self.connected else { return Ok(()) };
        // Shards are never named twice: one that retention removed after it was read will not be
        // requested again.
        let is_listed = |id: &str| parse_split(id).is_some_and(|(_, shard)| connected.shards.get(shard).is_some());
        let is_read = |id: &str| parse_split(id).is_some_and(|(_, shard)| connected.shards.is_done(shard));
        progress.retain(|id, state| is_listed(id) || !(state.done && is_read(id)));
        Ok(())
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::clone(&self.opener) as Arc<dyn SplitOpener>
    }
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let handed = self.handed.lock().get(&split.id).cloned();
        let Some((api, handed)) = self.api.get().zip(handed) else {
            return Err(Error::bug(format!("the split {} was never listed", split.id)));
        };
        let reader = reader::Reader::open(&self.shared, api, split, handed);
        Ok(Box::new(reader.map_err(|error| error.at(format!("shard {}", split.id)))?))
    }
}

impl Connected {
    async fn connect(shared: &Shared) -> Result<Self> {
        let config = &shared.config;
        let api = Arc::new(Api::new(&config.connection, &config.stream, shared.patience).await?);
        let patience = Some(CONNECT.min(shared.patience));
        let stream: Stream = api.with_retries(patience, || api.describe()).await?;
        shared.retention.store(stream.retention, Ordering::Relaxed);
        *shared.stream_arn.lock() = stream.arn;
        // Before the shards are listed: shards that are created in between begin behind it.
        let end = (shared.mode == Mode::Batch).then(|| api.clock.latest());
        let mut shards = Shards::default();
        let listed = api.with_retries(patience, || api.shards()).await?;
        shared.note_closed(&listed);
        shards.list(listed);
        // After the shards are listed: those that were closed then hold nothing that is newer.
        let start = match config.start {
            Start::Latest => Some(api.clock.now()),
            _ => config.start_time()?,
        };
        Ok(Self { api, created: stream.created, shards, end, start, discovery: None })
    }

    /// Checks the checkpoint's progress, and adopts it.
    fn take_up(&mut self, shared: &Shared, restored: &Progress) -> Result<()> {
        for (id, state) in restored {
            let Some((_, shard)) = parse_split(id).filter(|(stream, _)| *stream == shared.stream) else {
                return Err(Error::environment(format!(
                    "the checkpoint has read the split {id}, which is not a shard of the stream {}",
                    shared.stream
                ))
                .code(STATE_OF_OTHER_SOURCE)
                .hint("change the source back, or start over with another `--state` folder"));
            };
            let position = Position::read(&state.position)?;
            check_created(&shared.stream, position.stream, self.created)?;
            if position.closed {
                self.shards.finish(shard);
            } else if self.shards.get(shard).is_none() {
                check_gone(shared.config.on_lost_records, shard, &position)?;
                self.shards.finish(shard);
            }
        }
        if restored.is_empty() {
            if shared.config.start == Start::Latest {
                self.shards.leave_out_closed();
            }
            return Ok(());
        }
        // The decision of the first checkpoint holds for all shards that were not in it.
        let decided = restored.values().filter_map(|state| Position::read(&state.position).ok()?.start);
        self.start = decided.min();
        Ok(())
    }

    /// Builds splits of the shards that may be read now.
    fn hand_out(&mut self, opener: &Opener, restored: &Progress) -> Result<Vec<Split>> {
        let shared = &opener.shared;
        let mut splits = Vec::new();
        for shard in self.shards.hand_out() {
            let id = split_id(&shared.stream, &shard.id);
            let known = restored.get(&id).map(|state| Position::read(&state.position)).transpose()?;
            let begins_here = known.is_none() && self.start.is_some();
            let position = known.unwrap_or_else(|| self.beginning(shared, &shard));
            // A closed shard ends by itself: everything in it had arrived.
            let end = self.end.filter(|_| !shard.closed);
            // Until it is read, only the time until which everything was read is known.
            shared.note_behind(&id, position.until.map_or(0, |until| self.api.clock.now() - until));
            let handed = Handed { end, begins_here, hash_keys: shard.hash_keys };
            opener.handed.lock().insert(id.clone(), handed);
            splits.push(Split { id, position: position.to_value()? });
        }
        Ok(splits)
    }

    fn beginning(&self, shared: &Shared, shard: &Shard) -> Position {
        let at = match (&shared.config.start, self.start) {
            (Start::SequenceNumbers(numbers), _) if numbers.contains_key(&shard.id) => {
                Place::At(numbers.get(&shard.id).cloned().unwrap_or_default())
            }
            (_, Some(start)) => Place::Timestamp(start),
            _ => Place::TrimHorizon,
        };
        Position { stream: self.created, at, until: None, start: self.start, closed: false }
    }
}

fn check_created(stream: &str, then: i64, now: i64) -> Result<()> {
    if then == now {
        return Ok(());
    }
    Err(Error::environment(format!(
        "the stream {stream} was deleted and created again: it was created {} and is now one that was created {}, with other records",
        cursor::time_of(then),
        cursor::time_of(now)
    ))
    .code(STREAM_REPLACED)
    .hint("start over with another `--state` folder or `wasmill state reset`, if the new stream is to be read"))
}

/// A shard was read in part, and is there no more.
fn check_gone(policy: LostRecords, shard: &str, position: &Position) -> Result<()> {
    let until = position.until.map_or_else(|| "its beginning".to_owned(), cursor::time_of);
    let what =
        format!("the shard {shard} was read up to what arrived {until}, and has gone by retention; records behind may have gone unread");
    match policy {
        LostRecords::Stop => Err(Error::environment(what)
            .code(RECORDS_LOST)
            .hint("`on_lost_records: trim_horizon` (or `latest`) resumes without them; nothing else can bring them back")),
        LostRecords::TrimHorizon | LostRecords::Latest => {
            tracing::warn!("{what}; resuming without them, by `on_lost_records`");
            Ok(())
        }
    }
}
