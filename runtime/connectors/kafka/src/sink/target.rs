//! The topic's metadata, read before a row is written for it: what its brokers would refuse is
//! rejected row by row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use wasmill_engine::{Error, Result};

use super::config::KafkaSinkConfig;
use super::failure::{Failure, with_retries};
use crate::admin::{self, Entry};
use crate::cluster::Cluster;
use crate::codes::{KEY_NEEDED, REQUEST_FAILED, TOPIC_MISSING};

/// How long the brokers may take to describe the topic.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The size that Kafka allows a batch by default.
const DEFAULT_MAX_BYTES: usize = 1_048_588;

/// What librdkafka sends at once, with room for what surrounds a batch.
const MAX_BATCH_BYTES: usize = 1_000_000_000 - (1 << 20);

/// The topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) partitions: i32,
    /// The replication factor of each partition.
    pub(super) replication: i32,
    /// The topic's minimum of in-sync replicas, if it sets one.
    pub(super) min_in_sync: Option<String>,
    /// Bytes of the largest batch, with its head.
    pub(super) max_batch: usize,
    /// Bytes of the largest record.
    pub(super) max_record: usize,
    /// What sets it.
    pub(super) max_record_by: &'static str,
    /// It is compacted: every record has to have a key.
    pub(super) needs_key: bool,
    /// How far a record's time may lie in the future and in the past, in milliseconds.
    pub(super) newest: i64,
    pub(super) oldest: i64,
}

impl Target {
    /// Queries the brokers.
    ///
    /// # Errors
    /// Environment: they can't be reached, or there is no such topic, or it requires keys and the
    /// sink has none.
    pub(super) fn query(config: &KafkaSinkConfig, cluster: &Cluster) -> Result<Self> {
        let topics = cluster.topics()?;
        let Some(topic) = topics.get(&config.topic) else {
            return Err(Error::environment(format!("the topic {} does not exist", config.topic)).code(TOPIC_MISSING).hint(format!(
                "create it first: `wasmill topics create {} --brokers {}`; wasmill creates no topics by itself",
                config.topic, config.connection.brokers
            )));
        };
        let entries = match admin::configuration(cluster.client(), &config.topic, REQUEST_TIMEOUT)? {
            Ok(entries) => entries,
            Err(refusal) if refusal.code == RDKafkaErrorCode::TopicAuthorizationFailed => {
                tracing::warn!(
                    topic = config.topic,
                    "the topic's configuration can't be read (DESCRIBE_CONFIGS is not granted): Kafka's own limits are assumed"
                );
                Vec::new()
            }
            Err(refusal) => {
                return Err(Error::environment(format!(
                    "the brokers do not return the configuration of the topic {}: {}",
                    config.topic, refusal.text
                ))
                .code(REQUEST_FAILED));
            }
        };
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let target = Self::of(config, &entries, partitions, replication(cluster, &config.topic)?);
        if target.needs_key && config.key.is_none() {
            return Err(Error::environment(format!("the topic {} is compacted, and its records need keys", config.topic))
                .code(KEY_NEEDED)
                .hint("name the column that is the `key`"));
        }
        Ok(target)
    }

    fn of(config: &KafkaSinkConfig, entries: &[Entry], partitions: i32, replication: i32) -> Self {
        let value = |name: &str| entries.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref());
        let number = |name: &str, default: i64| value(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let max_batch = value("max.message.bytes").and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_MAX_BYTES).min(MAX_BATCH_BYTES);
        let wanted = config.max_record.map(|size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX));
        let (max_record, max_record_by) = match wanted {
            Some(wanted) if wanted < max_batch => (wanted, "max_record"),
            _ => (max_batch, "max.message.bytes of the topic"),
        };
        let by_broker = value("message.timestamp.type") == Some("LogAppendTime");
        let limit = |name: &str| if by_broker { i64::MAX } else { number(name, i64::MAX) };
        Self {
            partitions,
            replication,
            min_in_sync: value("min.insync.replicas").map(str::to_owned),
            max_batch,
            max_record,
            max_record_by,
            needs_key: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            newest: limit("message.timestamp.after.max.ms"),
            oldest: limit("message.timestamp.before.max.ms"),
        }
    }
}

/// How many partitions the topic has. Some may be added while the sink runs.
pub(super) struct Partitions {
    cluster: Arc<Cluster>,
    topic: String,
    patience: Duration,
    count: AtomicI32,
}

impl Partitions {
    /// The count in the topic's metadata.
    pub(super) fn new(cluster: Arc<Cluster>, config: &KafkaSinkConfig, target: &Target) -> Result<Self> {
        let count = AtomicI32::new(target.partitions);
        Ok(Self { cluster, topic: config.topic.clone(), patience: config.retry.time()?, count })
    }

    /// As many as were last seen.
    pub(super) fn count(&self) -> i32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Refreshes the count if rows are for a partition that is not in it. No row may be rejected by
    /// an outdated count.
    ///
    /// # Errors
    /// Environment: the brokers do not respond for as long as the sink retries.
    pub(super) fn reach(&self, highest: i32) -> Result<()> {
        if highest < self.count() {
            return Ok(());
        }
        let found = with_retries(Instant::now() + self.patience, self.cluster.health(), || {
            let metadata = self.cluster.client().consumer().fetch_metadata(Some(&self.topic), REQUEST_TIMEOUT);
            let metadata = metadata.map_err(|error| Failure::of(&format!("read the metadata of the topic {}", self.topic), &error))?;
            Ok(metadata.topics().iter().map(|topic| topic.partitions().len()).max().unwrap_or_default())
        })?;
        self.count.fetch_max(i32::try_from(found).unwrap_or(i32::MAX), Ordering::Relaxed);
        Ok(())
    }
}

/// On how many brokers the topic's partitions are.
fn replication(cluster: &Cluster, topic: &str) -> Result<i32> {
    let failed = |error| Error::environment(format!("the brokers do not describe the topic {topic}: {error}")).code(REQUEST_FAILED);
    let metadata = cluster.client().consumer().fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(failed)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let least = partitions.map(|partition| partition.replicas().len()).min().unwrap_or(1);
    Ok(i32::try_from(least).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_topic_and_of_the_file() {
        let config = KafkaSinkConfig { max_record: Some(bytesize::ByteSize::kib(4)), ..KafkaSinkConfig::of_topic("b:1", "t") };
        let entry = |name: &str, value: &str| Entry { name: name.into(), value: Some(value.into()), is_set: true };
        let plain = Target::of(&config, &[], 3, 2);
        assert_eq!((plain.max_batch, plain.max_record, plain.needs_key, plain.newest), (DEFAULT_MAX_BYTES, 4096, false, i64::MAX));
        let all = [
            entry("max.message.bytes", "2000"),
            entry("cleanup.policy", "compact,delete"),
            entry("message.timestamp.after.max.ms", "3600000"),
        ];
        let small = Target::of(&config, &all, 3, 2);
        assert_eq!((small.max_record, small.max_record_by), (2000, "max.message.bytes of the topic"));
        assert_eq!((small.needs_key, small.newest, small.oldest), (true, 3_600_000, i64::MAX));
        let stamped = [entry("message.timestamp.type", "LogAppendTime"), entry("message.timestamp.after.max.ms", "1")];
        assert_eq!(Target::of(&config, &stamped, 3, 2).newest, i64::MAX);
    }
}
