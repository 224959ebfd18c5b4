//! Records sent to topics one by one, outside of any pipeline: for programs that play producers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmill_engine::Result;

use super::failure::with_retries;
use super::producer::Session;
use super::record::{Headers, Record};
use crate::client::{Health, check, producing};
use crate::config::KafkaConfig;
use crate::connection::KafkaConnection;
use crate::token::Tokens;

/// How long the brokers may take for what was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends records, each of which all replicas acknowledge. Without a pipeline there are no epochs: a
/// sender that is killed may have sent the last records or not.
pub struct Sender {
    session: Session,
    health: Arc<Health>,
}

impl Sender {
    /// A sender to a cluster. Connects when the first record is sent.
    ///
    /// # Errors
    /// Configuration: brokers or options that can't be used.
    pub fn connect(connection: &KafkaConnection) -> Result<Self> {
        connection.check()?;
        let config = KafkaConfig { connection: connection.clone(), ..KafkaConfig::default() };
        let fixed = [
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            ("partitioner", "murmur2_random".to_owned()),
            ("message.timeout.ms", PATIENCE.as_millis().to_string()),
        ];
        let options = producing(&config, "sender", &[], &fixed);
        check(&options)?;
        let (health, tokens) = (Arc::new(Health::default()), Tokens::of(connection.security.as_ref()).map(Arc::new));
        let session = Session::open(&options, (&health, tokens.as_ref())).map_err(|failure| failure.error)?;
        Ok(Self { session, health })
    }

    /// Passes a record on. It has arrived after the next [`Sender::flush`].
    ///
    /// # Errors
    /// Environment: the brokers refuse an earlier record, or can't be reached for a minute.
    pub fn send(&self, topic: &str, value: &[u8]) -> Result<()> {
        let record = Record { partition: None, timestamp: None, key: None, value: Some(value), headers: Headers::none() };
        self.in_time(|deadline| self.session.send(topic, &record, deadline))
    }

    /// Waits until all records have arrived.
    ///
    /// # Errors
    /// Environment: the brokers refuse one, or can't be reached for a minute.
    pub fn flush(&self) -> Result<()> {
        self.in_time(|deadline| self.session.flush(deadline))
    }

    /// Once: a record that is sent again would be there twice.
    fn in_time(&self, send: impl Fn(Instant) -> Result<(), super::failure::Failure>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        with_retries(Instant::now(), &self.health, || send(deadline))
    }
}
