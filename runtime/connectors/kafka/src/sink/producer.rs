//! A producer, with transactions or without. A transactional one comes up, which ends what an earlier one of its name left open, and holds one transaction at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Statistics, bindings};
use wasmill_engine::Error;

use super::failure::{Failure, code};
use super::record::Record;
use crate::client::{Context, Health, without_value};
use crate::codes::CLIENT_OPTION;
use crate::token::Tokens;

/// How long one request to the coordinator may take before it is sent again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long giving a transaction up may take: the brokers do so by themselves after its timeout.
const GIVE_UP: Duration = Duration::from_secs(3);
/// After this long without any record taken, the transaction is aborted and the cause is checked.
const STALLED: Duration = Duration::from_secs(10);
/// How long one poll of the records in flight waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a topic's metadata is read for a partition that the producer does not know.
const METADATA_READS: u32 = 5;
/// How long to wait for room among the records that are on their way.
const ROOM: Duration = Duration::from_millis(20);

/// What the producer calls back.
struct Deliveries {
    context: Context,
    /// The first record of the transaction that was not taken, and why.
    failed: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let mut failed = self.failed.lock();
            let place = format!("partition {} of {}", message.partition(), message.topic());
            failed.get_or_insert_with(|| (code(error), place));
        }
    }
}

/// A producer that is up.
pub(super) struct Session {
    producer: ThreadedProducer<Deliveries>,
}

impl Session {
    /// Starts a producer under its name (`transactional.id`): hanging transactions of that name are
    /// ended, and earlier producers of that name are fenced.
    pub(super) fn start(
        options: &ClientConfig,
        (health, tokens): (&Arc<Health>, Option<&Arc<Tokens>>),
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let session = Self::open(options, (health, tokens))?;
        session.with_retries("begin with transactions", deadline, |wait| session.producer.init_transactions(wait))?;
        Ok(session)
    }

    /// Opens a producer without transactions.
    pub(super) fn open(options: &ClientConfig, (health, tokens): (&Arc<Health>, Option<&Arc<Tokens>>)) -> Result<Self, Failure> {
        let context = Deliveries { context: Context::new(health, tokens), failed: Mutex::default() };
        let producer: ThreadedProducer<Deliveries> = options
            .create_with_context(context)
            .map_err(|error| Error::environment(format!("cannot start a Kafka producer: {}", without_value(&error))).code(CLIENT_OPTION))?;
        Ok(Self { producer })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.failed().take();
        self.producer.begin_transaction().map_err(|error| Failure::of("begin a transaction", &error))
    }

    /// Passes a record on; waits while too many are in flight.
    pub(super) fn send(&self, topic: &str, record: &Record<'_>, deadline: Instant) -> Result<(), Failure> {
        let mut next = BaseRecord::<[u8], [u8]>::to(topic);
        (next.partition, next.timestamp, next.key, next.payload) = (record.partition, record.timestamp, record.key, record.value);
        if record.headers.count > 0 {
            let all = OwnedHeaders::new_with_capacity(record.headers.count);
            next.headers = Some(record.headers.clone().fold(all, |all, (key, value)| all.insert(Header { key, value: Some(value) })));
        }
        let (mut progress, mut reads) = (Progress::new(self), 0);
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.check_deliveries()?;
                    progress.check(self, deadline)?;
                    self.producer.poll(ROOM);
                    next = again;
                }
                // It was added since this producer last read the topic's metadata.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition), again)) if reads < METADATA_READS => {
                    reads += 1;
                    if let Err(error) = self.producer.client().fetch_metadata(Some(topic), REQUEST_TIMEOUT) {
                        tracing::debug!(%error, topic, "the topic's partitions are not known");
                    }
                    progress.check(self, deadline)?;
                    self.producer.poll(ROOM);
                    next = again;
                }
                Err((error, _)) => {
                    self.check_deliveries()?;
                    return Err(Failure::of("write the rows", &error));
                }
            }
        }
    }

    /// Waits until the brokers have all records.
    pub(super) fn flush(&self, deadline: Instant) -> Result<(), Failure> {
        let mut progress = Progress::new(self);
        loop {
            let flushed = self.producer.flush(POLL_TIMEOUT);
            self.check_deliveries()?;
            match flushed {
                Ok(()) => return Ok(()),
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) => progress.check(self, deadline)?,
                Err(error) => return Err(Failure::of("write the rows", &error)),
            }
        }
    }

    /// Commits the transaction.
    pub(super) fn commit(&self, deadline: Instant) -> Result<(), Failure> {
        self.with_retries("commit the transaction", deadline, |wait| self.producer.commit_transaction(wait))
    }

    /// Aborts the transaction. Best effort: otherwise the next producer of this name, or the
    /// brokers, do it.
    pub(super) fn abort(&self) {
        if let Err(error) = self.producer.abort_transaction(GIVE_UP) {
            tracing::debug!(%error, "a transaction was not aborted");
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<(RDKafkaErrorCode, String)>> {
        self.producer.client().context().failed.lock()
    }

    fn check_deliveries(&self) -> Result<(), Failure> {
        match self.failed().as_ref() {
            None => Ok(()),
            // It was aborted because of another error, which the producer itself reports.
            Some((RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight, place)) => match self.fatal() {
                Some((code, text)) => Err(Failure::of_code(&format!("write into the {place}"), code, &text)),
                None => Err(Failure::late(&format!("write into the {place}"))),
            },
            Some((code, place)) => Err(Failure::of_code(&format!("write into the {place}"), *code, &code.to_string())),
        }
    }

    /// Why the producer can't do anything any more.
    fn fatal(&self) -> Option<(RDKafkaErrorCode, String)> {
        let mut text = [0; 512];
        // SAFETY: the producer is alive, and `text` has the length that is passed.
        let code = unsafe { bindings::rd_kafka_fatal_error(self.producer.client().native_ptr(), text.as_mut_ptr(), text.len()) };
        let code = RDKafkaErrorCode::from(code);
        (code != RDKafkaErrorCode::NoError).then(|| (code, code.to_string()))
    }

    /// Repeats a request that timed out, until the deadline.
    fn with_retries(&self, what: &str, deadline: Instant, mut ask: impl FnMut(Duration) -> Result<(), KafkaError>) -> Result<(), Failure> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match ask(left.min(REQUEST_TIMEOUT)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = match &error {
                KafkaError::Transaction(error) => error.is_retriable(),
                KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
                _ => false,
            };
            if !again || left.is_zero() {
                // The failed record is more informative than the bare failure.
                self.check_deliveries()?;
                return Err(Failure::of(what, &error));
            }
        }
    }
}

/// Whether the brokers still take records.
struct Progress {
    waiting: i32,
    since: Instant,
}

impl Progress {
    fn new(session: &Session) -> Self {
        Self { waiting: session.producer.in_flight_count(), since: Instant::now() }
    }

    /// Fails when they have not taken any for long.
    fn check(&mut self, session: &Session, deadline: Instant) -> Result<(), Failure> {
        let waiting = session.producer.in_flight_count();
        if waiting < self.waiting {
            *self = Self { waiting, since: Instant::now() };
        }
        if self.since.elapsed() < STALLED && Instant::now() < deadline {
            return Ok(());
        }
        Err(Failure::late("write the rows"))
    }
}
