//! What lies behind a route: somewhere that takes records and holds them durably.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A record on its way to a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition that its sender chose.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Its time, milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl Record {
    /// A record of a value alone.
    pub fn of_value(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }
}

/// Where a record lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Its partition, by number.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its shard, by name.
    pub shard: String,
    /// Its sequence number.
    pub sequence: String,
}

/// The key of a request that may be retried, and a digest of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// A digest of the path and the key.
    pub key: [u8; 16],
    /// A digest of the body: the same key with another body is refused.
    pub request: [u8; 16],
}

/// A topic or a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its partitions, in order.
    pub partitions: Vec<Partition>,
    /// Its configuration, as far as it is not the default.
    pub config: Vec<(String, String)>,
    /// Its name for AWS; empty if it has none.
    pub arn: String,
    /// `ACTIVE`, `CREATING`, `UPDATING` or `DELETING`.
    pub status: String,
    /// How long its records stay; 0 where that is not a time.
    pub retention_hours: i32,
    /// When it was created, in seconds since 1970.
    pub created: f64,
}

/// A partition or a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub number: i32,
    /// Its name as a shard.
    pub shard: String,
    /// The broker that takes its records.
    pub leader: Option<i32>,
    /// The brokers that have it, each with whether it is in sync.
    pub replicas: Vec<(i32, bool)>,
    /// The first and the last hash key of a shard.
    pub hash_keys: (u128, u128),
}

/// Why a destination does not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// The reason, for the sender of the request; without secrets.
    pub message: String,
    /// When to retry.
    pub retry_after: Option<Duration>,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// There is no topic or stream of that name.
    NoTopic,
    /// The topic has no partition of that number.
    NoPartition,
    /// There is one already.
    Exists,
    /// The request is against the rules of the destination.
    Invalid,
    /// The destination can't do this at all.
    Unsupported,
    /// A record is larger than the destination takes.
    TooLarge,
    /// There is no room now.
    Full,
    /// The servers behind do not respond, or not in time.
    Unavailable,
    /// The servers behind deny it.
    Denied,
    /// The key of the request was used for another one.
    KeyReused,
    /// Anything else.
    Failed,
}

impl Refusal {
    /// A refusal of a kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        let retry_after = matches!(kind, RefusalKind::Full | RefusalKind::Unavailable).then_some(Duration::from_secs(1));
        Self { kind, message: message.into(), retry_after }
    }

    /// There is no topic or stream of a name.
    pub fn no_topic(name: &str) -> Self {
        Self::new(RefusalKind::NoTopic, format!("there is no topic or stream {name}"))
    }

    /// Something that this destination does not do.
    pub fn unsupported(what: &str) -> Self {
        Self::new(RefusalKind::Unsupported, format!("{what} is not possible behind this route"))
    }

    /// The same for each of several records.
    pub fn for_each(&self, records: usize) -> Vec<Result<Placed, Self>> {
        vec![Err(self.clone()); records]
    }
}

/// What an instance of a consumer is created with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Whether a partition without an offset begins at its oldest record; otherwise at its end.
    pub from_earliest: bool,
    /// Whether offsets are committed without being asked for.
    pub commits: bool,
}

/// What a consumer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Topics by name.
    Topics(Vec<String>),
    /// Every topic whose name matches.
    Pattern(String),
}

/// A partition of a topic.
pub type Place = (String, i32);

/// An offset in a partition, and what its committer noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub place: Place,
    /// The offset.
    pub offset: i64,
    /// The note.
    pub metadata: String,
}

/// A record that a consumer has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
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

/// The beginning or the end of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Its oldest record.
    Beginning,
    /// Behind its newest one.
    End,
}

/// One consumer of a group. Its functions block, and are called one at a time.
pub trait Consumer: Send + Sync {
    /// Joins the group for these topics.
    fn subscribe(&self, to: &Subscription) -> Result<(), Refusal>;
    /// Leaves the group.
    fn unsubscribe(&self) -> Result<(), Refusal>;
    /// The topics that it has subscribed to.
    fn subscription(&self) -> Result<Vec<String>, Refusal>;
    /// Reads these partitions, outside of the group.
    fn assign(&self, places: &[Place]) -> Result<(), Refusal>;
    /// The partitions that it reads.
    fn assignment(&self) -> Result<Vec<Place>, Refusal>;
    /// The next records: waits for the first one at most for `wait`, and takes at most about `max_bytes`.
    fn poll(&self, wait: Duration, max_bytes: usize) -> Result<Vec<Consumed>, Refusal>;
    /// Commits these offsets, or those of what was polled.
    fn commit(&self, positions: Option<&[Position]>) -> Result<(), Refusal>;
    /// The committed offsets; partitions without one are left out.
    fn committed(&self, places: &[Place]) -> Result<Vec<Position>, Refusal>;
    /// Continues at these offsets.
    fn seek(&self, positions: &[Position]) -> Result<(), Refusal>;
    /// Continues at an edge.
    fn seek_to(&self, places: &[Place], edge: Edge) -> Result<(), Refusal>;
}

/// Takes records and holds them durably.
///
/// # Contract
/// * `put` returns when every record is durable or refused, never before, and within a bound.
/// * `put` with a [`RequestKey`] that was seen before, with the same body, puts nothing and returns the places of that time. A destination
///   that can't do this refuses such a request as a whole.
/// * Messages of refusals hold no secrets: they are sent to whom the request came from.
#[async_trait]
pub trait Destination: Send + Sync {
    /// What it is called to senders: `kafka`, `kinesis`, `pipeline`.
    fn kind(&self) -> &'static str;

    /// The names of its topics or streams, in order.
    async fn names(&self) -> Result<Vec<String>, Refusal>;

    /// One topic or stream.
    async fn describe(&self, name: &str) -> Result<Described, Refusal>;

    /// Puts records; returns one result for each.
    async fn put(&self, name: &str, records: Vec<Record>, key: Option<RequestKey>) -> Result<Vec<Result<Placed, Refusal>>, Refusal>;

    /// Creates a topic or a stream.
    async fn create(&self, _name: &str, _partitions: u16) -> Result<(), Refusal> {
        Err(Refusal::unsupported("creating"))
    }

    /// Deletes one.
    async fn delete(&self, _name: &str) -> Result<(), Refusal> {
        Err(Refusal::unsupported("deleting"))
    }

    /// The offsets of the oldest record of a partition, and of the next one.
    async fn offsets(&self, _name: &str, _partition: i32) -> Result<(i64, i64), Refusal> {
        Err(Refusal::unsupported("asking for offsets"))
    }

    /// The id of the cluster, for producers of version 3 of the REST proxy.
    async fn cluster(&self) -> Result<String, Refusal> {
        Ok("wasmill".to_owned())
    }

    /// A new consumer of a group.
    async fn consumer(&self, _group: &str, _options: &ConsumerOptions) -> Result<Arc<dyn Consumer>, Refusal> {
        Err(Refusal::unsupported("consuming"))
    }
}
