//! Clients of librdkafka: their options, the thread that serves their events, and how the brokers are.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rdkafka::bindings as rd;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafka;
use rdkafka::{Statistics, TopicPartitionList};
use tracing::subscriber::NoSubscriber;
use wasmill_engine::codes::THREADS;
use wasmill_engine::{Error, Result};

use super::codes::CLIENT_OPTION;
use super::config::KafkaConfig;
use super::shared_queue::SharedQueue;
use super::token::Tokens;

/// All records in the queues of one source together are at most about this large, plus one fetch
/// per broker and the excess of each queue's minimum.
const QUEUED_BYTES: usize = 8 << 20;
/// What one queue holds at least and at most.
const QUEUE_BYTES: (usize, usize) = (1 << 20, 16 << 20);
/// This many partitions of a source have a queue of their own; all others of a client share one.
/// Together they hold some 100 MiB at most.
pub(super) const OWN_QUEUES: usize = 64;
/// How long the events' thread waits in one go; a client that ends waits for it.
const EVENTS_WAIT: Duration = Duration::from_millis(10);

/// How the brokers are, as all clients of a source see it.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when no broker can be reached.
    down_since: Option<Instant>,
    /// What went wrong last.
    last: Option<String>,
    /// The brokers refuse the connection.
    refused: Option<String>,
    /// The group's offsets could not be committed, and this was logged.
    commit_failed: bool,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// A broker has responded.
    pub fn up(&self) {
        let mut state = self.lock();
        state.refused = None;
        if let Some(since) = state.down_since.take() {
            tracing::warn!("the Kafka brokers respond again, after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// For how long no broker has responded.
    pub fn down_for(&self) -> Option<Duration> {
        self.lock().down_since.map(|since| since.elapsed())
    }

    /// What went wrong last, in words that follow a colon.
    pub fn last(&self) -> String {
        self.lock().last.clone().unwrap_or_else(|| "there was no response".to_owned())
    }

    /// Why the brokers refuse the connection, if they do.
    pub fn refused(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    fn error(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        let mut state = self.lock();
        match code {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if state.down_since.is_none() {
                    tracing::warn!("no Kafka broker can be reached, retrying: {}", state.last.as_deref().unwrap_or(reason));
                    state.down_since = Some(Instant::now());
                }
                return;
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL) => {
                state.refused = Some(reason.to_owned());
            }
            _ => {}
        }
        tracing::debug!("Kafka: {reason}");
        state.last = Some(reason.to_owned());
    }

    /// Logs once that the group's offsets are not committed.
    pub fn commit(&self, result: KafkaResult<()>) {
        let mut state = self.lock();
        match result {
            Ok(()) => state.commit_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut state.commit_failed, true) {
                    tracing::warn!("the consumer group's offsets do not follow the checkpoints (which are what counts): {error}");
                }
            }
        }
    }
}

/// What librdkafka calls back.
pub(super) struct Context {
    health: Arc<Health>,
    tokens: Option<Arc<Tokens>>,
}

impl Context {
    /// Reports errors to `health`, and provides tokens on request.
    pub fn new(health: &Arc<Health>, tokens: Option<&Arc<Tokens>>) -> Self {
        Self { health: Arc::clone(health), tokens: tokens.cloned() }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters is returned as an error, once; these lines repeat.
        tracing::debug!("librdkafka: {facility} {message}");
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.error(error.rdkafka_error_code(), reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let tokens = self.tokens.as_ref().ok_or("no token is configured")?;
        tokens.next().map_err(|error| {
            self.health.error(Some(RDKafkaErrorCode::Authentication), &error.to_string());
            error.to_string().replace('\0', " ").into()
        })
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.health.commit(result);
    }
}

/// A client, with a thread of its own that serves its events.
pub(super) struct Client {
    consumer: ManuallyDrop<Arc<BaseConsumer<Context>>>,
    stopping: Arc<AtomicBool>,
    events: Option<JoinHandle<()>>,
    health: Arc<Health>,
    /// How many more partitions can have a queue of their own.
    own_queues: AtomicUsize,
    /// The queue of all others.
    shared_queue: OnceLock<SharedQueue>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Starts a client; connections are opened on demand.
    pub fn start(config: &ClientConfig, health: &Arc<Health>, tokens: Option<&Arc<Tokens>>) -> Result<Self> {
        let context = Context::new(health, tokens);
        let consumer: BaseConsumer<Context> = config
            .create_with_context(context)
            .map_err(|error| Error::environment(format!("cannot start a Kafka client: {}", without_value(&error))).code(CLIENT_OPTION))?;
        let consumer = Arc::new(consumer);
        let stopping = Arc::new(AtomicBool::new(false));
        let (served, stop) = (Arc::clone(&consumer), Arc::clone(&stopping));
        let serve = move || {
            while !stop.load(Ordering::Acquire) {
                // Errors have gone to the context. Messages never arrive here, because their
                // partitions have queues of their own.
                let _ = served.poll(EVENTS_WAIT);
            }
        };
        let events = std::thread::Builder::new().name("kafka-events".to_owned()).spawn(serve);
        let events = Some(events.map_err(|error| Error::io("start a Kafka client's thread", error).or_code(THREADS))?);
        let (own_queues, shared_queue) = (AtomicUsize::new(usize::MAX), OnceLock::new());
        Ok(Self { consumer: ManuallyDrop::new(consumer), stopping, events, health: Arc::clone(health), own_queues, shared_queue })
    }

    /// Gives queues of their own to this many partitions only. Then all partitions must be read in
    /// turn.
    pub fn with_own_queues(self, count: usize) -> Self {
        self.own_queues.store(count, Ordering::Relaxed);
        self
    }

    /// Takes one of the queues for single partitions; returns false if there is none left.
    pub fn claim_queue(&self) -> bool {
        self.own_queues.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether a partition would have to share a queue.
    pub fn is_shared(&self) -> bool {
        self.own_queues.load(Ordering::Relaxed) == 0
    }

    /// Returns a queue.
    pub fn release_queue(&self) {
        let _ = self.own_queues.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_add(1));
    }

    /// The queue that partitions without one of their own share.
    pub fn shared_queue(&self) -> Result<&SharedQueue> {
        if let Some(queue) = self.shared_queue.get() {
            return Ok(queue);
        }
        // SAFETY: the client drops it before librdkafka's client.
        let queue = unsafe { SharedQueue::new(self.native()) }?;
        Ok(self.shared_queue.get_or_init(|| queue))
    }

    /// The client of librdkafka.
    pub fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// Its pointer, valid as long as `self`.
    pub fn native(&self) -> *mut RDKafka {
        use rdkafka::consumer::Consumer;
        self.consumer.client().native_ptr()
    }

    /// How the brokers are.
    pub fn health(&self) -> &Health {
        &self.health
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(events) = self.events.take() {
            let _ = events.join();
        }
        drop(self.shared_queue.take());
        // SAFETY: the client is alive. One of a group is closed here, with what it still has to
        // commit; the library would poll for the end of that only every 100 ms. Without a group
        // there is nothing to close.
        unsafe { rd::rd_kafka_consumer_close(self.native()) };
        // SAFETY: it is not used after this.
        let consumer = unsafe { ManuallyDrop::take(&mut self.consumer) };
        // It complains that it is closed.
        tracing::subscriber::with_default(NoSubscriber::default(), || drop(consumer));
    }
}

/// librdkafka's message on its configuration without the value, which may be a secret.
pub(super) fn without_value(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, key, _) => format!("{key}: {description}"),
        other => other.to_string(),
    }
}

/// The options of every client, before those for its own work.
fn base(config: &KafkaConfig, name: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.connection.brokers).set("client.id", format!("wasmill-{name}"));
    client.set("socket.keepalive.enable", "true").set("reconnect.backoff.max.ms", "2000");
    client
}

/// Applies the options of the file.
fn with_file(mut client: ClientConfig, config: &KafkaConfig) -> ClientConfig {
    for (key, value) in &config.client {
        client.set(key, value.text());
    }
    config.connection.security.as_ref().inspect(|security| security.apply(&mut client));
    client
}

/// The options of all clients of a source, and of those with which a sink reads metadata.
pub(super) fn options(config: &KafkaConfig, name: &str) -> ClientConfig {
    let mut client = base(config, name);
    let largest = (config.max_record_bytes() + (64 << 20)).clamp(100_000_000, i32::MAX as usize);
    let options = [
        ("enable.auto.commit", "false".to_owned()),
        ("auto.commit.enable", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        // Whether and where to resume is decided here, never silently.
        ("auto.offset.reset", "error".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        ("check.crcs", "true".to_owned()),
        // The default of a second stalls a partition each time its queue is full.
        ("fetch.queue.backoff.ms", "5".to_owned()),
        ("fetch.wait.max.ms", "100".to_owned()),
        ("fetch.max.bytes", (4 << 20).to_string()),
        // What is compressed grows in the queue, whose bound it may pass by one fetch.
        ("max.partition.fetch.bytes", (512 << 10).to_string()),
        ("receive.message.max.bytes", largest.to_string()),
    ];
    for (key, value) in options {
        client.set(key, value);
    }
    with_file(client, config)
}

/// The options of a client that produces: `defaults`, which the file may change, and `fixed`, which it may not.
pub(super) fn producing(config: &KafkaConfig, name: &str, defaults: &[(&str, String)], fixed: &[(&str, String)]) -> ClientConfig {
    let mut client = base(config, name);
    for (key, value) in defaults {
        client.set(*key, value);
    }
    let mut client = with_file(client, config);
    for (key, value) in fixed {
        client.set(*key, value);
    }
    client
}

/// The options of a client that fetches, when all clients of a source share this many partitions.
pub(super) fn fetching(config: &KafkaConfig, name: &str, partitions: usize) -> ClientConfig {
    let mut client = options(config, name);
    client.set("isolation.level", config.isolation.name());
    let queued = (QUEUED_BYTES / partitions.max(1)).clamp(QUEUE_BYTES.0, QUEUE_BYTES.1);
    let defaults = [("queued.max.messages.kbytes", (queued >> 10).to_string()), ("queued.min.messages", "1000000".to_owned())];
    for (key, value) in defaults.into_iter().filter(|(key, _)| !config.client.contains_key(*key)) {
        client.set(key, value);
    }
    client
}

/// Checks every option against librdkafka, without starting anything.
pub(super) fn check(client: &ClientConfig) -> Result<()> {
    match client.create_native_config() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::configuration(format!("`client`: {}", without_value(&error)))
            .code(CLIENT_OPTION)
            .key(["client"])
            .hint("the options are those of librdkafka 2: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md")),
    }
}
