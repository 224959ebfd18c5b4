//! A consumer of a group that is asked for records, as the REST proxy needs it. Its functions block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use wasmill_engine::{Error, Result};

use super::client::{self, Context, Health, options, without_value};
use super::cluster::{Place, is_passing_code};
use super::codes::CLIENT_OPTION;
use super::config::KafkaConfig;
use super::produce::{Refused, RefusedKind};
use super::token::Tokens;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Behind the first record of a poll, how long to wait for the next.
const NEXT_RECORD: Duration = Duration::from_millis(10);
/// The most records of a poll.
const MOST_RECORDS: usize = 100_000;

/// How a consumer is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Whether a partition without an offset begins at its oldest record; otherwise at its end.
    pub from_earliest: bool,
    /// Whether offsets of polled records are committed every few seconds.
    pub commits: bool,
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
}

/// An offset in a partition, with the note of its committer.
pub type Noted = (String, i32, i64, String);

/// What a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    Nothing,
    Topics,
    Partitions,
}

/// A consumer of a group. Dropping it leaves the group.
pub struct GroupConsumer {
    consumer: BaseConsumer<Context>,
    health: Arc<Health>,
    reads: Mutex<Reads>,
}

impl GroupConsumer {
    /// Starts a consumer; it joins the group when it subscribes. Of the configuration, `connection` and `client` count.
    ///
    /// # Errors
    /// Configuration: brokers or options that can't be used.
    pub fn start(config: &KafkaConfig, group: &str, wanted: Wanted) -> Result<Self> {
        config.connection.check().map_err(|error| error.below("connection"))?;
        let mut client = options(config, "gateway");
        client.set("group.id", group).set("isolation.level", "read_committed").set("enable.partition.eof", "false");
        client.set("auto.offset.reset", if wanted.from_earliest { "earliest" } else { "latest" });
        client.set("enable.auto.commit", if wanted.commits { "true" } else { "false" });
        client.set("enable.auto.offset.store", "true").set("queued.max.messages.kbytes", "16384");
        client::check(&client)?;
        let (health, tokens) = (Arc::<Health>::default(), Tokens::of(config.connection.security.as_ref()).map(Arc::new));
        let consumer = client
            .create_with_context(Context::new(&health, tokens.as_ref()))
            .map_err(|error| Error::environment(format!("cannot start a Kafka client: {}", without_value(&error))).code(CLIENT_OPTION))?;
        Ok(Self { consumer, health, reads: Mutex::new(Reads::Nothing) })
    }

    /// Joins the group for topics: names, or regular expressions that begin with `^`.
    ///
    /// # Errors
    /// It reads assigned partitions, or a name can't be one.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), Refused> {
        self.reads(Reads::Topics)?;
        self.consumer.subscribe(topics).map_err(|error| self.refused(&error))
    }

    /// Leaves the group, or the assigned partitions.
    ///
    /// # Errors
    /// The brokers do not respond.
    pub fn unsubscribe(&self) -> Result<(), Refused> {
        match std::mem::replace(&mut *self.reads.lock(), Reads::Nothing) {
            Reads::Partitions => self.consumer.unassign().map_err(|error| self.refused(&error)),
            Reads::Topics | Reads::Nothing => {
                self.consumer.unsubscribe();
                Ok(())
            }
        }
    }

    /// The topics that it has subscribed to.
    ///
    /// # Errors
    /// librdkafka refuses.
    pub fn subscription(&self) -> Result<Vec<String>, Refused> {
        let list = self.consumer.subscription().map_err(|error| self.refused(&error))?;
        Ok(list.elements().iter().map(|element| element.topic().to_owned()).collect())
    }

    /// Reads partitions, outside of the group.
    ///
    /// # Errors
    /// It has subscribed to topics.
    pub fn assign(&self, places: &[Place]) -> Result<(), Refused> {
        self.reads(Reads::Partitions)?;
        let list = list(places.iter().map(|(topic, partition)| (topic.as_str(), *partition, Offset::Invalid)))?;
        self.consumer.assign(&list).map_err(|error| self.refused(&error))
    }

    /// The partitions that it reads.
    ///
    /// # Errors
    /// librdkafka refuses.
    pub fn assignment(&self) -> Result<Vec<Place>, Refused> {
        let list = self.consumer.assignment().map_err(|error| self.refused(&error))?;
        Ok(list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect())
    }

    /// The next records: waits for the first one, and takes what is there behind it.
    ///
    /// # Errors
    /// It has subscribed to nothing, or the brokers refuse.
    pub fn poll(&self, wait: Duration, max_bytes: usize) -> Result<Vec<Received>, Refused> {
        if *self.reads.lock() == Reads::Nothing {
            return Err(Refused::new(RefusedKind::Conflict, "Consumer is not subscribed to any topics or assigned any partitions"));
        }
        let deadline = Instant::now() + wait;
        let (mut all, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes && all.len() < MOST_RECORDS {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if all.is_empty() { left } else { left.min(NEXT_RECORD) };
            match self.consumer.poll(patience) {
                None if all.is_empty() && Instant::now() < deadline => {}
                None => break,
                Some(Ok(message)) => {
                    bytes += message.payload_len() + message.key_len();
                    all.push(Received {
                        topic: message.topic().to_owned(),
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().map(Bytes::copy_from_slice),
                        value: message.payload().map(Bytes::copy_from_slice),
                    });
                }
                // What was read is returned first.
                Some(Err(_)) if !all.is_empty() => break,
                Some(Err(error)) if is_passing(&error) && Instant::now() < deadline => {}
                Some(Err(error)) if is_passing(&error) => break,
                Some(Err(error)) => return Err(self.refused(&error)),
            }
        }
        Ok(all)
    }

    /// Commits offsets: these, or those behind what was polled.
    ///
    /// # Errors
    /// The brokers refuse.
    pub fn commit(&self, offsets: Option<&[Noted]>) -> Result<(), Refused> {
        let committed = match offsets {
            None => self.consumer.commit_consumer_state(CommitMode::Sync),
            Some(offsets) => {
                // An offset that is committed is that of the next record to read.
                let mut wanted = TopicPartitionList::with_capacity(offsets.len());
                for (topic, partition, offset, note) in offsets {
                    let mut element = wanted.add_partition(topic, *partition);
                    element.set_offset(Offset::Offset(offset.saturating_add(1))).map_err(|error| Refused::of(&error))?;
                    if !note.is_empty() {
                        element.set_metadata(note);
                    }
                }
                self.consumer.commit(&wanted, CommitMode::Sync)
            }
        };
        match committed {
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
            other => other.map_err(|error| self.refused(&error)),
        }
    }

    /// The committed offsets; partitions without one are left out.
    ///
    /// # Errors
    /// The brokers refuse.
    pub fn committed(&self, places: &[Place]) -> Result<Vec<Noted>, Refused> {
        let wanted = list(places.iter().map(|(topic, partition)| (topic.as_str(), *partition, Offset::Invalid)))?;
        let found = self.consumer.committed_offsets(wanted, REQUEST_TIMEOUT).map_err(|error| self.refused(&error))?;
        let noted = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.topic().to_owned(), element.partition(), offset, element.metadata().to_owned())),
            _ => None,
        };
        Ok(found.elements().iter().filter_map(noted).collect())
    }

    /// Continues at an offset, or at the beginning or end of a partition.
    ///
    /// # Errors
    /// The partition is not read by it, or the brokers do not respond.
    pub fn seek(&self, topic: &str, partition: i32, to: SeekTo) -> Result<(), Refused> {
        let offset = match to {
            SeekTo::Beginning => Offset::Beginning,
            SeekTo::End => Offset::End,
            SeekTo::Offset(offset) => Offset::Offset(offset),
        };
        self.consumer.seek(topic, partition, offset, REQUEST_TIMEOUT).map_err(|error| match error {
            KafkaError::Seek(why) if why.contains("State") || why.contains("state") => {
                Refused::new(RefusedKind::Conflict, format!("No current assignment for partition {topic}-{partition}"))
            }
            error => self.refused(&error),
        })
    }

    fn reads(&self, wanted: Reads) -> Result<(), Refused> {
        let mut reads = self.reads.lock();
        if *reads != Reads::Nothing && *reads != wanted {
            return Err(Refused::new(RefusedKind::Conflict, "Subscription to topics, partitions and pattern are mutually exclusive"));
        }
        *reads = wanted;
        Ok(())
    }

    fn refused(&self, error: &KafkaError) -> Refused {
        match Refused::of(error) {
            Refused { kind: RefusedKind::Unavailable, .. } => {
                Refused::new(RefusedKind::Unavailable, format!("the brokers do not respond: {}", self.health.last()))
            }
            other => other,
        }
    }
}

/// Where to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// At the oldest record.
    Beginning,
    /// Behind the newest record.
    End,
    /// At an offset.
    Offset(i64),
}

fn is_passing(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_none_or(is_passing_code)
}

fn list<'a>(places: impl Iterator<Item = (&'a str, i32, Offset)>) -> Result<TopicPartitionList, Refused> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in places {
        list.add_partition_offset(topic, partition, offset).map_err(|error| Refused::of(&error))?;
    }
    Ok(list)
}
