//! The source `kafka`.
//!
//! # Splits
//! Every partition is a split, `topic/3`. A batch reads each up to the end that it had when the run
//! began; a stream never ends.
//!
//! # What a checkpoint knows
//! The offset of the next record of each partition, and the topic's id. A topic that was deleted
//! and created again has another id and stops the run, because its offsets are those of other
//! records. So do offsets that retention has removed, unless the file configures otherwise.

mod ahead;
mod columns;
mod discovery;
mod reader;
mod start;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parking_lot::{Mutex, MutexGuard};
use rdkafka::Offset;
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitId, SplitOpener, SplitReader};

use super::client::{self, Client, Health, OWN_QUEUES, fetching};
use super::cluster::{Cluster, Place, Topic, introduce, offsets};
use super::config::{KafkaConfig, KafkaFormat};
use super::position::{Position, parse_split, split_id};
use super::token::Tokens;
use crate::codes::{PARTITION, PATTERN, TOPIC_MISSING, TOPIC_REPLACED};
use ahead::{Ahead, Expected};
pub(crate) use columns::RESERVED;
pub use columns::{HEADERS_COLUMN, KEY_COLUMN, OFFSET_COLUMN, PARTITION_COLUMN, TIMESTAMP_COLUMN, TOPIC_COLUMN, VALUE_COLUMN};
use discovery::TopicDiscovery;
use wasmill_engine::codes::{STATE_OF_OTHER_SOURCE, THREADS};
use wasmill_formats::reading::without_reading;

/// A source of Kafka topics.
pub struct KafkaSource {
    shared: Arc<Shared>,
    group: String,
    tokens: Option<Arc<Tokens>>,
    connected: Option<Connected>,
    opener: Arc<Opener>,
}

/// What readers need to know.
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) config: KafkaConfig,
    pub(super) mode: Mode,
    pub(super) schema: SchemaRef,
    pub(super) patience: Duration,
    pub(super) health: Arc<Health>,
    /// The lag in records of each split that was returned and has not ended.
    pub(super) behind: Mutex<HashMap<SplitId, Arc<AtomicI64>>>,
}

impl Shared {
    /// Registers the lag of a returned split; its reader keeps the number up to date.
    fn note_behind(&self, id: &SplitId, records: i64) -> Arc<AtomicI64> {
        let mut behind = self.behind.lock();
        Arc::clone(behind.entry(Arc::clone(id)).or_insert_with(|| Arc::new(AtomicI64::new(records.max(0)))))
    }
}

/// Opens partitions, once the brokers have responded.
struct Opener {
    shared: Arc<Shared>,
    link: OnceLock<Arc<Link>>,
}

/// What the source and its opener share.
struct Link {
    cluster: Arc<Cluster>,
    pool: Vec<Arc<Client>>,
    handed_out: Mutex<HashMap<SplitId, Handed>>,
    ahead: Ahead,
}

impl Link {
    /// The partitions that were returned. No request is sent while the lock is held.
    fn handed_out(&self) -> MutexGuard<'_, HashMap<SplitId, Handed>> {
        self.handed_out.lock()
    }
}

/// The state once the brokers have responded.
struct Connected {
    link: Arc<Link>,
    /// The topics that are read, and their ids.
    topics: BTreeMap<String, Topic>,
    /// Polls for new partitions, in stream mode.
    discovery: Option<TopicDiscovery>,
    /// What was last noted for the group.
    noted: HashMap<SplitId, i64>,
}

/// What a reader needs about its split besides the position.
#[derive(Debug, Clone, Copy)]
struct Handed {
    /// In batch mode, where it ends.
    end: Option<i64>,
    /// The position depends on when the run began.
    begins_here: bool,
    client: usize,
}

impl KafkaSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. `pipeline` names the consumer group where the configuration
    /// does not. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, or a requested column that it can't give.
    pub fn new(name: &str, pipeline: &str, config: KafkaConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        client::check(&fetching(&config, name, 1))?;
        columns::Columns::new(&config, &requested)?;
        let shared = Shared {
            name: name.into(),
            mode,
            schema: requested,
            patience: config.retry.time()?,
            health: Arc::default(),
            behind: Mutex::default(),
            config,
        };
        let group = shared.config.group.clone().unwrap_or_else(|| pipeline.to_owned());
        let tokens = Tokens::of(shared.config.connection.security.as_ref()).map(Arc::new);
        let shared = Arc::new(shared);
        let opener = Arc::new(Opener { shared: Arc::clone(&shared), link: OnceLock::new() });
        Ok(Self { shared, group, tokens, connected: None, opener })
    }

    /// The columns of records whatever they hold, for a reader that takes all: those of `format:
    /// raw`.
    pub fn known_schema(config: &KafkaConfig) -> Option<SchemaRef> {
        match config.format {
            KafkaFormat::Json => None,
            KafkaFormat::Raw => Some(Arc::new(Schema::new(vec![Field::new(VALUE_COLUMN, DataType::Binary, true)]))),
        }
    }

    fn connect(&self) -> Result<Connected> {
        let (shared, tokens) = (&self.shared, self.tokens.as_ref());
        let cluster = Cluster::start(&shared.config, &shared.name, &self.group, &shared.health, tokens)?;
        let topics = cluster.topics()?;
        if let Some(missing) = shared.config.topics.iter().find(|name| !topics.contains_key(*name)) {
            return Err(Error::environment(format!("the topic {missing} does not exist"))
                .code(TOPIC_MISSING)
                .hint("create it first, or correct the name; wasmill creates no topics by itself"));
        }
        if topics.is_empty() && shared.mode == Mode::Batch {
            return Err(Error::environment(format!("no topic matches the pattern {}", shared.config.topics_in_words())).code(PATTERN));
        }
        let partitions = topics.values().map(|topic| topic.partitions.len()).sum::<usize>().max(1);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let clients = shared.config.clients.map_or(cores.min(4), usize::from).min(partitions);
        let mut options = fetching(&shared.config, &shared.name, partitions);
        if shared.mode == Mode::Batch && !shared.config.client.contains_key("fetch.wait.max.ms") {
            // What a batch reads is there already: a fetch that has to wait only keeps the next partition from its turn.
            options.set("fetch.wait.max.ms", "10");
        }
        // A batch reads one partition after the other, and few are ahead of it.
        let own_queues = if shared.mode == Mode::Stream { OWN_QUEUES / clients } else { usize::MAX };
        let start = |_| Client::start(&options, &shared.health, tokens).map(|client| Arc::new(client.with_own_queues(own_queues)));
        let pool = (0..clients).map(start).collect::<Result<_>>()?;
        let link = Link { cluster: Arc::new(cluster), pool, handed_out: Mutex::default(), ahead: Ahead::default() };
        Ok(Connected { link: Arc::new(link), topics, discovery: None, noted: HashMap::new() })
    }

    fn begin(&mut self, restored: &Progress) -> Result<Discovery> {
        let mut connected = self.connect()?;
        connected.check_topics(restored)?;
        let places = connected.new_places(&self.shared.config)?;
        let splits = connected.hand_out(&self.shared, &places, restored, false)?;
        if self.shared.mode == Mode::Stream {
            connected.discovery = Some(TopicDiscovery::start(
                &connected.link.cluster,
                &connected.topics,
                self.shared.config.follow()?,
                self.shared.patience,
            )?);
        }
        connected.note(restored);
        // A run has one first listing.
        let _ = self.opener.link.set(Arc::clone(&connected.link));
        self.connected = Some(connected);
        Ok(Discovery { splits, complete: self.shared.mode == Mode::Batch })
    }
}

impl Source for KafkaSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let Some(connected) = &mut self.connected else { return self.begin(restored) };
        let complete = self.shared.mode == Mode::Batch;
        let Some(found) = connected.discovery.as_ref().map_or(Ok(None), TopicDiscovery::found)? else {
            return Ok(Discovery { splits: Vec::new(), complete });
        };
        let known = connected.topics.clone();
        connected.merge(found)?;
        let places = connected.new_places(&self.shared.config)?;
        let splits = connected.hand_out(&self.shared, &places, &Progress::new(), !known.is_empty() || !restored.is_empty())?;
        Ok(Discovery { splits, complete })
    }

    fn is_endless(&self) -> bool {
        self.shared.mode == Mode::Stream
    }

    fn rows_behind(&self) -> Option<u64> {
        let behind = self.shared.behind.lock();
        let rows = behind.values().map(|rows| u64::try_from(rows.load(Ordering::Relaxed)).unwrap_or_default()).sum();
        (!behind.is_empty()).then_some(rows)
    }

    fn committed(&mut self, progress: &Progress) {
        if let Some(connected) = &mut self.connected {
            connected.note(progress);
        }
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::clone(&self.opener) as Arc<dyn SplitOpener>
    }
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let opened = self.link.get().and_then(|link| {
            let handed = link.handed_out().get(&split.id).copied()?;
            Some((handed, Arc::clone(link.pool.get(handed.client)?), link))
        });
        let Some((handed, client, link)) = opened else {
            return Err(Error::bug(format!("the split {} was never listed", split.id)));
        };
        let open = || {
            let offset = Position::read(&split.position)?.offset;
            let queue = link.ahead.take(&Expected { id: Arc::clone(&split.id), client, offset })?;
            reader::Reader::open(&self.shared, split, handed, queue, Arc::clone(&link.cluster))
        };
        Ok(Box::new(open().map_err(|error| error.at(format!("partition {}", split.id)))?))
    }
}

impl Drop for Link {
    /// A client takes its time to end: they do so side by side.
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            for client in std::mem::take(&mut self.pool) {
                // Without a thread for it, it ends right here.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(client));
            }
        });
    }
}

impl Connected {
    /// A topic of the checkpoint must still be the same one.
    fn check_topics(&self, restored: &Progress) -> Result<()> {
        for (id, state) in restored {
            let Some((name, _)) = parse_split(id) else {
                return Err(Error::environment(format!("the checkpoint has read the split {id}, which is no partition of a topic"))
                    .code(STATE_OF_OTHER_SOURCE)
                    .hint("change the source back, or start over with another `--state` folder"));
            };
            let position = Position::read(&state.position)?;
            match self.topics.get(name) {
                Some(topic) => check_id(name, &position.topic, &topic.id)?,
                None => tracing::warn!("the checkpoint has read {id}, which is not read any more; its position is kept"),
            }
        }
        Ok(())
    }

    /// Merges the result of a poll.
    fn merge(&mut self, found: BTreeMap<String, Topic>) -> Result<()> {
        for (name, topic) in found {
            if let Some(known) = self.topics.get(&name) {
                check_id(&name, &known.id, &topic.id)?;
            }
            self.topics.insert(name, topic);
        }
        Ok(())
    }

    /// The partitions that were not returned yet.
    fn new_places(&self, config: &KafkaConfig) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        let handed_out = self.link.handed_out();
        for (name, topic) in &self.topics {
            if let Some(wanted) = &config.partitions
                && let Some(missing) = wanted.iter().find(|partition| !topic.partitions.contains(partition))
            {
                return Err(Error::environment(format!("the topic {name} has no partition {missing}: it has {}", topic.partitions.len()))
                    .code(PARTITION)
                    .hint("`partitions` counts from 0"));
            }
            let wanted = |partition: &i32| config.partitions.as_ref().is_none_or(|wanted| wanted.contains(partition));
            let partitions = topic.partitions.iter().copied().filter(wanted);
            places.extend(partitions.filter(|one| !handed_out.contains_key(&split_id(name, *one))).map(|one| (name.clone(), one)));
        }
        Ok(places)
    }

    /// Builds splits of partitions. `late`: they were found during the run.
    fn hand_out(&mut self, shared: &Shared, places: &[Place], restored: &Progress, late: bool) -> Result<Vec<Split>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let link = Arc::clone(&self.link);
        let begins = link.cluster.begins(places)?;
        // What is found late begins at its start, whatever its end is.
        let ends = if late { begins.clone() } else { link.cluster.ends(places)? };
        let at_time = shared.config.start_time()?.filter(|_| !late).map(|time| link.cluster.at_time(places, time)).transpose()?;
        let stable = if late { None } else { Some(self.stable_ends(places)?) };
        let known: Vec<&str> = restored.keys().filter_map(|id| parse_split(id)).map(|(topic, _)| topic).collect();
        let (mut splits, mut expected) = (Vec::new(), Vec::new());
        for place in places {
            let id = split_id(&place.0, place.1);
            let of = |all: &HashMap<Place, i64>| all.get(place).copied().filter(|offset| *offset >= 0);
            let range = (of(&begins).unwrap_or(0), of(&ends).unwrap_or(0));
            let stable = stable.as_ref().and_then(of).unwrap_or(range.1);
            let position = restored.get(&id).map(|state| Position::read(&state.position)).transpose()?;
            let asked = start::Asked { late: late || known.contains(&place.0.as_str()), time: at_time.as_ref().and_then(of), stable };
            let start::StartOffset { offset, may_change: begins_here } =
                start::start(shared, &id, range, position.as_ref(), &asked).map_err(|error| error.at(format!("partition {id}")))?;
            let end = (shared.mode == Mode::Batch).then_some(stable);
            let handed = Handed { end, begins_here, client: self.client_of(link.handed_out().len()) };
            link.handed_out().insert(id.clone(), handed);
            let client = link.pool.get(handed.client).cloned();
            let is_done = position.is_some() && end.is_some_and(|end| offset >= end);
            if !is_done {
                shared.note_behind(&id, end.unwrap_or(range.1) - offset);
                let topic = self.topics.get(&place.0).map(|topic| topic.id.clone()).unwrap_or_default();
                expected.extend(client.map(|client| Expected { id: id.clone(), client, offset }));
                splits.push(Split { id, position: Position { offset, topic }.to_value() });
            }
        }
        link.ahead.expect(expected);
        Ok(splits)
    }

    /// The ends of partitions as their readers will see them: with read_committed the first offset
    /// of the oldest open transaction. Each client requests its own partitions, concurrently, and
    /// is connected to their brokers then.
    fn stable_ends(&self, places: &[Place]) -> Result<HashMap<Place, i64>> {
        let before = self.link.handed_out().len();
        let shares = self.link.pool.iter().enumerate().map(|(index, client)| {
            let own = |(number, _): &(usize, &Place)| self.client_of(before + number) == index;
            (client, places.iter().enumerate().filter(own).map(|(_, place)| place.clone()).collect::<Vec<_>>())
        });
        std::thread::scope(|scope| {
            let ask = |(client, own): (&Arc<Client>, Vec<Place>)| {
                let client = Arc::clone(client);
                let ask = move || {
                    if let Some((topic, _)) = own.first() {
                        introduce(&client, topic);
                    }
                    offsets(&client, &own, Offset::End)
                };
                let asking = std::thread::Builder::new().spawn_scoped(scope, ask);
                asking.map_err(|error| Error::io("start a thread", error).or_code(THREADS))
            };
            let asking: Vec<_> = shares.map(ask).collect::<Result<_>>()?;
            let answers = asking.into_iter().map(|asking| asking.join().unwrap_or_else(|_| Err(Error::bug("asking for offsets broke"))));
            answers.collect::<Result<Vec<_>>>().map(|answers| answers.into_iter().flatten().collect())
        })
    }

    /// The client that reads the partition that is returned as number `number`.
    fn client_of(&self, number: usize) -> usize {
        number % self.link.pool.len().max(1)
    }

    /// Notes for the group how far the checkpoints have come.
    fn note(&mut self, progress: &Progress) {
        let mut moved = Vec::new();
        let handed_out = self.link.handed_out();
        for (id, state) in progress.iter().filter(|(id, _)| handed_out.contains_key(*id)) {
            let (Some((topic, partition)), Ok(position)) = (parse_split(id), Position::read(&state.position)) else { continue };
            if self.noted.insert(id.clone(), position.offset) != Some(position.offset) {
                moved.push((topic, partition, position.offset));
            }
        }
        drop(handed_out);
        if !moved.is_empty() {
            self.link.cluster.commit(&moved);
        }
    }
}

fn check_id(name: &str, then: &str, now: &str) -> Result<()> {
    if then.is_empty() || now.is_empty() || then == now {
        return Ok(());
    }
    Err(Error::environment(format!(
        "the topic {name} was deleted and created again: its id was {then} and is now {now}, and its offsets are those of other records"
    ))
    .code(TOPIC_REPLACED)
    .hint("start over with another `--state` folder or `wasmill state reset`, if the new topic is to be read"))
}
