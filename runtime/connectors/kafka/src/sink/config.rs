//! The configuration of the sink `kafka`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::codes::{COMMITS_TOPIC, HEADER_NAME, TOPIC_NAME};
use crate::config::{KafkaConfig, KafkaFormat, Setting, check_options, is_topic};
use crate::connection::KafkaConnection;
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_connect::{Retry, period};

/// `kafka: { connection: { brokers: "b1:9092,b2:9092" }, topic: clean_pins, key: ind }`
///
/// Writes records into a topic of Apache Kafka, exactly once for readers with
/// `isolation.level=read_committed`: an epoch is one transaction, which is open only while it
/// commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSinkConfig {
    /// `connection: { brokers: "b1:9092,b2:9092" }`
    ///
    /// How to reach the cluster, and with which credentials.
    pub connection: KafkaConnection,
    /// `topic: clean_pins`
    ///
    /// The topic. It must exist: `wasmill topics create` creates one.
    #[schemars(length(min = 1))]
    pub topic: String,
    /// `format: json`
    ///
    /// `json`: a row's value is one JSON object of its columns, except those whose names begin with
    /// `_source.` and that of `tombstone`. `raw`: the value is the column `value` (binary or text)
    /// as it is, and no value where that is null.
    #[serde(default)]
    pub format: KafkaFormat,
    /// `key: ind`
    ///
    /// The column that is the record's key: text, binary or a whole number (as its decimal text). A null is no key. Default: no keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `partition: _source.partition`
    ///
    /// The column of whole numbers that is the record's partition, from 0; a number that the topic does not have rejects the row. Default, and for nulls: by the
    /// key's murmur2 hash, as Java's clients do it, and any for rows without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// `headers: { origin: poster_name }`
    ///
    /// Headers by name, each with the column (text, binary or a whole number) of its values. A null leaves its header out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `timestamp: _source.timestamp`
    ///
    /// The column that is the record's time: a timestamp, or milliseconds since 1970. Default, and for nulls: the time of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// `tombstone: deleted`
    ///
    /// The column of booleans in which `true` means that the record has no value, which deletes its
    /// key in a compacted topic. With `format: raw` a null `value` has the same effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<String>,
    /// `compression: lz4`
    ///
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[serde(default)]
    pub compression: KafkaCompression,
    /// `max_record: 1MiB`
    ///
    /// A larger record (key, value and headers) is rejected. 1 KiB to 1 GiB. Default: what the
    /// topic allows (`max.message.bytes`). It never exceeds that, also where compression would make
    /// the record fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_record: Option<bytesize::ByteSize>,
    /// `commits_topic: wasmill-commits`
    ///
    /// The compacted topic that holds the last committed epoch, one record per sink, written in the
    /// epoch's own transaction. Created if missing. Pipelines may share it.
    #[serde(default = "default_commits_topic")]
    pub commits_topic: String,
    /// `transaction_timeout: 1m`
    ///
    /// How long the brokers keep an epoch's transaction open before they abort it: longer than an
    /// epoch takes to be written. What a process that died leaves open blocks readers at most this
    /// long, and until the pipeline's next start. 10s to 15m (the brokers' own limit). Default: 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_timeout: Option<String>,
    /// `retry: { for: 5m }`
    ///
    /// How long a commit is retried during an outage of the brokers before the run stops. Default:
    /// 5m; at the start of a run at most 30s.
    #[serde(default)]
    pub retry: Retry,
    /// `client: { linger.ms: 20 }`
    ///
    /// Any other option of librdkafka, as its CONFIGURATION.md documents them. Those that would
    /// break Wasmill's guarantees are refused.
    #[serde(default)]
    pub client: BTreeMap<String, Setting>,
}

/// How batches of records are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    /// Not at all.
    None,
    /// Small, and slow to compress.
    Gzip,
    /// Quick.
    Snappy,
    /// Quick.
    #[default]
    Lz4,
    /// Small, and quick enough.
    Zstd,
}

impl KafkaCompression {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

fn default_commits_topic() -> String {
    "wasmill-commits".to_owned()
}

const BY_TRANSACTIONS: &str = "an epoch is exactly one transaction";
const BY_TIMEOUT: &str = "it follows `transaction_timeout`";

/// Options that are not the file's to set, and why.
const REFUSED: [(&str, &str); 22] = [
    ("transactional.id", "it names the pipeline and the sink"),
    ("transaction.timeout.ms", "it is set by `transaction_timeout`"),
    ("message.timeout.ms", BY_TIMEOUT),
    ("delivery.timeout.ms", BY_TIMEOUT),
    ("enable.idempotence", BY_TRANSACTIONS),
    ("enable.gapless.guarantee", BY_TRANSACTIONS),
    ("acks", BY_TRANSACTIONS),
    ("request.required.acks", BY_TRANSACTIONS),
    ("retries", BY_TRANSACTIONS),
    ("message.send.max.retries", BY_TRANSACTIONS),
    ("max.in.flight", BY_TRANSACTIONS),
    ("max.in.flight.requests.per.connection", BY_TRANSACTIONS),
    ("queuing.strategy", BY_TRANSACTIONS),
    ("partitioner", "it is murmur2, or the column that `partition` names"),
    ("compression.codec", "it is set by `compression`"),
    ("compression.type", "it is set by `compression`"),
    ("message.max.bytes", "it follows the topic and `max_record`"),
    ("allow.auto.create.topics", "a topic that is gone must be noticed"),
    ("group.id", "a sink has no group"),
    ("isolation.level", "the sink's token counts only once it is committed"),
    ("enable.partition.eof", "the end of the tokens is found by it"),
    ("check.crcs", "damaged records must be noticed"),
];

impl KafkaSinkConfig {
    /// A configuration of one topic and defaults.
    pub fn of_topic(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            connection: KafkaConnection::of_brokers(brokers),
            topic: topic.into(),
            format: KafkaFormat::default(),
            key: None,
            partition: None,
            headers: BTreeMap::new(),
            timestamp: None,
            tombstone: None,
            compression: KafkaCompression::default(),
            max_record: None,
            commits_topic: default_commits_topic(),
            transaction_timeout: None,
            retry: Retry::default(),
            client: BTreeMap::new(),
        }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        self.connection.check().map_err(|error| error.below("connection"))?;
        for (key, topic) in [("topic", &self.topic), ("commits_topic", &self.commits_topic)] {
            if !is_topic(topic) {
                return Err(Error::configuration(format!("`{key}`: {topic:?} can't be the name of a topic"))
                    .code(TOPIC_NAME)
                    .key([key])
                    .hint("1 to 249 letters, digits, `.`, `_` and `-`"));
            }
        }
        if self.topic == self.commits_topic {
            return Err(Error::configuration("`commits_topic` is the topic that the rows go to")
                .code(COMMITS_TOPIC)
                .key(["commits_topic"])
                .hint("leave it out, or name another one"));
        }
        if self.max_record.is_some_and(|size| !(1 << 10..=1 << 30).contains(&size.as_u64())) {
            return Err(Error::configuration("`max_record` must be between 1 KiB and 1 GiB").code(OUT_OF_RANGE).key(["max_record"]));
        }
        if let Some(name) = self.headers.keys().find(|name| name.is_empty() || name.contains('\0') || name.len() > 1000) {
            return Err(Error::configuration(format!("`headers`: {name:?} can't be the name of a header"))
                .code(HEADER_NAME)
                .key(["headers"])
                .hint("1 to 1,000 bytes"));
        }
        self.retry.time()?;
        self.transaction_timeout()?;
        check_options(&self.client, &REFUSED)?;
        Ok(())
    }

    pub(super) fn transaction_timeout(&self) -> Result<Duration> {
        let (text, least, most) = (self.transaction_timeout.as_deref(), Duration::from_secs(10), Duration::from_secs(900));
        period::read("transaction_timeout", text, Duration::from_secs(60), least, most)
    }

    /// The same brokers, as a reader sees them.
    pub(crate) fn reading(&self) -> KafkaConfig {
        KafkaConfig {
            topics: vec![self.topic.clone(), self.commits_topic.clone()],
            connection: self.connection.clone(),
            retry: self.retry.clone(),
            client: self.client.clone(),
            ..KafkaConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut KafkaSinkConfig)) -> String {
        let mut config = KafkaSinkConfig::of_topic("b:9092", "pin");
        config.check().unwrap();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_their_key() {
        assert!(refused(|config| config.connection.brokers = " ,".into()).contains("`brokers`"));
        assert!(refused(|config| config.topic = "a b".into()).contains("`topic`"));
        assert!(refused(|config| config.commits_topic = "pin".into()).contains("`commits_topic`"));
        assert!(refused(|config| config.retry = Retry::of("2days")).contains("`for`"));
        assert!(refused(|config| config.transaction_timeout = Some("1h".into())).contains("`transaction_timeout`"));
        assert!(refused(|config| config.max_record = Some(bytesize::ByteSize::b(5))).contains("`max_record`"));
        assert!(refused(|config| drop(config.headers.insert(String::new(), "x".into()))).contains("`headers`"));
    }

    #[test]
    fn what_would_break_a_promise_is_refused_with_a_reason() {
        let option = |key: &'static str| refused(|config| drop(config.client.insert(key.to_owned(), Setting::Flag(true))));
        assert!(option("acks").contains("one transaction"));
        assert!(option("transactional.id").contains("names the pipeline"));
        assert!(option("bootstrap.servers").contains("`brokers`"));
        assert!(option("ssl.key.password").contains("security"));
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(KafkaSinkConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
