//! A producer without transactions, for records that come one by one: each is acknowledged by all replicas, or refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::Statistics;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use wasmill_engine::{Error, Result};

use super::client::{self, Context, Health, producing, without_value};
use super::cluster::is_passing_code;
use super::codes::CLIENT_OPTION;
use super::config::{KafkaConfig, check_options};
use super::token::Tokens;

/// How long a record may wait for its acknowledgement.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request for a topic's metadata may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the partitions of a topic are taken to be what they were.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// All records that wait are at most so large.
const QUEUED_KBYTES: usize = 128 << 10;

/// Options of `client` that would break what is promised of a record.
const REFUSED: [(&str, &str); 6] = [
    ("transactional.id", "a gateway uses no transactions"),
    ("enable.idempotence", "records would be written twice after a lost answer"),
    ("acks", "a request is answered when all replicas have its records"),
    ("partitioner", "keys are spread as Java's clients do it"),
    ("allow.auto.create.topics", "topics are not created by producing"),
    ("message.timeout.ms", "it bounds the time to an answer"),
];

/// Why a record was not written, or another request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason.
    pub kind: RefusedKind,
    /// The reason, without secrets.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// There is no such topic.
    NoTopic,
    /// The topic has no such partition.
    NoPartition,
    /// The record is too large.
    TooLarge,
    /// Too many records wait.
    Full,
    /// The brokers deny it.
    Denied,
    /// The brokers do not respond, or not in time.
    Unavailable,
    /// It contradicts what was asked before.
    Conflict,
    /// Anything else.
    Failed,
}

impl Refused {
    pub(super) fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The reason behind an error of librdkafka.
    pub(super) fn of(error: &KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let Some(code) = error.rdkafka_error_code() else { return Self::new(RefusedKind::Failed, error.to_string()) };
        let kind = match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => RefusedKind::NoTopic,
            Code::UnknownPartition => RefusedKind::NoPartition,
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => RefusedKind::TooLarge,
            Code::QueueFull => RefusedKind::Full,
            Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed => RefusedKind::Denied,
            Code::MessageTimedOut | Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => RefusedKind::Unavailable,
            code if is_passing_code(code) => RefusedKind::Unavailable,
            _ => RefusedKind::Failed,
        };
        Self::new(kind, code.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None`: by the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The time, milliseconds since 1970; `None`: now.
    pub timestamp: Option<i64>,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What arrives when a record was acknowledged or refused.
pub type Delivery = oneshot::Receiver<Result<Delivered, Refused>>;

/// A producer that is up. It is restarted where librdkafka gives it up.
pub struct Producer {
    options: ClientConfig,
    health: Arc<Health>,
    tokens: Option<Arc<Tokens>>,
    running: Mutex<Arc<ThreadedProducer<Deliveries>>>,
    known: Mutex<HashMap<String, (usize, Instant)>>,
}

/// What the producer calls back.
struct Deliveries(Context);

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.generate_oauth_token(config)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<Delivered, Refused>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let delivered = match result {
            Ok(message) => Ok(Delivered { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(Refused::of(error)),
        };
        // Its request may have been given up.
        let _ = opaque.send(delivered);
    }
}

impl Producer {
    /// Checks the configuration of a producer, without starting it. Of the configuration, `connection` and `client` count.
    ///
    /// # Errors
    /// Configuration: brokers or options that can't be used.
    pub fn check(config: &KafkaConfig, name: &str) -> Result<()> {
        options(config, name).map(drop)
    }

    /// Starts a producer, which connects at once.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn start(config: &KafkaConfig, name: &str) -> Result<Self> {
        let options = options(config, name)?;
        let (health, tokens) = (Arc::<Health>::default(), Tokens::of(config.connection.security.as_ref()).map(Arc::new));
        let running = Mutex::new(Arc::new(create(&options, &health, tokens.as_ref())?));
        Ok(Self { options, health, tokens, running, known: Mutex::default() })
    }

    /// Passes a record on. The result arrives later, within a bound.
    ///
    /// # Errors
    /// It is refused at once.
    pub fn send(&self, record: &Outgoing<'_>, headers: &[(&str, Option<&[u8]>)]) -> Result<Delivery, Refused> {
        let running = Arc::clone(&self.running.lock());
        match send(&running, record, headers) {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                let restarted = self.restart(&running)?;
                send(&restarted, record, headers).map_err(|error| Refused::of(&error))
            }
            sent => sent.map_err(|error| Refused::of(&error)),
        }
    }

    /// Another producer in the place of one that librdkafka has given up.
    fn restart(&self, broken: &Arc<ThreadedProducer<Deliveries>>) -> Result<Arc<ThreadedProducer<Deliveries>>, Refused> {
        let mut running = self.running.lock();
        if Arc::ptr_eq(&running, broken) {
            tracing::warn!("a Kafka producer was given up: {}; another one is started", self.health.last());
            let created = create(&self.options, &self.health, self.tokens.as_ref());
            *running = Arc::new(created.map_err(|error| Refused::new(RefusedKind::Failed, error.to_string()))?);
        }
        Ok(Arc::clone(&running))
    }

    /// How many partitions a topic has, if that was looked up a moment ago.
    pub fn known_partitions(&self, topic: &str) -> Option<usize> {
        self.known.lock().get(topic).filter(|(_, at)| at.elapsed() < KNOWN_FOR).map(|(partitions, _)| *partitions)
    }

    /// How many partitions a topic has. Blocks for a request.
    ///
    /// # Errors
    /// There is no such topic, or the brokers do not respond.
    pub fn partitions(&self, topic: &str) -> Result<usize, Refused> {
        let running = Arc::clone(&self.running.lock());
        let metadata = running.client().fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(|error| self.refused(&error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if let Some(error) = found.and_then(|found| found.error()) {
            return Err(Refused::of(&KafkaError::MetadataFetch(error.into())));
        }
        let partitions = found.map_or(0, |found| found.partitions().len());
        if partitions == 0 {
            return Err(Refused::new(RefusedKind::NoTopic, format!("there is no topic {topic}")));
        }
        self.known.lock().insert(topic.to_owned(), (partitions, Instant::now()));
        Ok(partitions)
    }

    /// The id of the cluster. Blocks for a request.
    ///
    /// # Errors
    /// The brokers do not respond.
    pub fn cluster_id(&self) -> Result<String, Refused> {
        let running = Arc::clone(&self.running.lock());
        let unavailable = || Refused::new(RefusedKind::Unavailable, format!("the brokers do not respond: {}", self.health.last()));
        running.client().fetch_cluster_id(REQUEST_TIMEOUT).ok_or_else(unavailable)
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

impl Drop for Producer {
    fn drop(&mut self) {
        // What is on its way is waited for by its requests; what is left is given up soon.
        let _ = self.running.lock().flush(Duration::from_secs(2));
    }
}

/// The options of librdkafka, checked.
fn options(config: &KafkaConfig, name: &str) -> Result<ClientConfig> {
    config.connection.check().map_err(|error| error.below("connection"))?;
    check_options(&config.client, &REFUSED)?;
    let defaults = [
        ("queue.buffering.max.kbytes", QUEUED_KBYTES.to_string()),
        ("queue.buffering.max.messages", "1000000".to_owned()),
        ("linger.ms", "1".to_owned()),
    ];
    let fixed = [
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("partitioner", "murmur2_random".to_owned()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string()),
    ];
    let options = producing(config, name, &defaults, &fixed);
    client::check(&options)?;
    Ok(options)
}

fn create(options: &ClientConfig, health: &Arc<Health>, tokens: Option<&Arc<Tokens>>) -> Result<ThreadedProducer<Deliveries>> {
    options
        .create_with_context(Deliveries(Context::new(health, tokens)))
        .map_err(|error| Error::environment(format!("cannot start a Kafka producer: {}", without_value(&error))).code(CLIENT_OPTION))
}

fn send(producer: &ThreadedProducer<Deliveries>, record: &Outgoing<'_>, headers: &[(&str, Option<&[u8]>)]) -> Result<Delivery, KafkaError> {
    let (sender, receiver) = oneshot::channel();
    let mut next = BaseRecord::<[u8], [u8], _>::with_opaque_to(record.topic, Box::new(sender));
    (next.partition, next.timestamp, next.key, next.payload) = (record.partition, record.timestamp, record.key, record.value);
    if !headers.is_empty() {
        let all = OwnedHeaders::new_with_capacity(headers.len());
        next.headers = Some(headers.iter().fold(all, |all, (key, value)| all.insert(Header { key, value: *value })));
    }
    producer.send(next).map(|()| receiver).map_err(|(error, _)| error)
}
