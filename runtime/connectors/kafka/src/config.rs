//! The configuration of the source `kafka`.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use super::codes::{NO_TOPICS, PARTITION, PATTERN, RESERVED_OPTION, START, TOPIC_NAME, TOPICS_AND_PATTERN};
use super::connection::KafkaConnection;
use wasmill_connect::codes::{NOT_A_TIME, OUT_OF_RANGE};
use wasmill_connect::{Retry, period};

/// `kafka: { connection: { brokers: "b1:9092,b2:9092" }, topics: [pin] }`
///
/// Reads topics of Apache Kafka (or of a compatible broker). Every partition is read in order,
/// exactly once; the checkpoint decides where a run resumes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `connection: { brokers: "b1:9092,b2:9092" }`
    ///
    /// How to reach the cluster, and with which credentials.
    pub connection: KafkaConnection,
    /// `topics: [pin, geo]`
    ///
    /// The topics by name. They must exist. Either this or `pattern`.
    #[serde(default)]
    pub topics: Vec<String>,
    /// `pattern: "^pin[.]"`
    ///
    /// A regular expression: every topic whose name matches it, also those that are created while a
    /// stream runs. Internal topics are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// `partitions: [0, 1]`
    ///
    /// Only these partitions of every topic. Default: all, also those that are added while a stream runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Vec<i32>>,
    /// `start: earliest`
    ///
    /// Where a partition begins that is not in the checkpoint: `earliest`, `latest`, `{ timestamp:
    /// "2026-01-31T00:00:00Z" }` (the first record that is not older), or `{ offsets: { "pin/0": 17
    /// } }` (others begin at the earliest). Partitions that are added to a topic in the checkpoint,
    /// and topics that a stream finds while it runs, always begin at the earliest.
    #[serde(default)]
    pub start: Start,
    /// `format: json`
    ///
    /// `json`: each value is one JSON object. `raw`: the value as it is, in one column `value`
    /// (binary, or text if the schema declares it).
    #[serde(default)]
    pub format: KafkaFormat,
    /// `group: pin-to-delta`
    ///
    /// The consumer group whose committed offsets follow the checkpoints, so that the usual tools
    /// display the lag. They are never read. Default: the pipeline's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `isolation: read_committed`
    ///
    /// `read_committed`: records of transactions only once they are committed. `read_uncommitted`: all at once, aborted ones too.
    #[serde(default)]
    pub isolation: Isolation,
    /// `on_lost_offsets: stop`
    ///
    /// What to do when retention has removed records before they were read: `stop`, or resume at
    /// the `earliest` or the `latest` with a warning on how many are lost.
    #[serde(default)]
    pub on_lost_offsets: LostOffsets,
    /// `tombstones: reject`
    ///
    /// How to read a record without a value: `reject` (a dead letter), `row` (a row whose columns
    /// are all null, except the `_source.` ones), or `skip` (nothing at all, and not counted).
    #[serde(default)]
    pub tombstones: Tombstones,
    /// `max_record: 16MiB`
    ///
    /// A longer value is rejected; the dead letters keep its first 64 KiB. 1 KiB to 1 GiB. Default: 16MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_record: Option<bytesize::ByteSize>,
    /// `follow: 5s`
    ///
    /// In stream mode, how often to poll for new topics and partitions, and whether the topics are
    /// still the same. 100ms to 1h. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// `retry: { for: 5m }`
    ///
    /// How long an outage of the brokers may last before the run stops. Default: 5m; at the start
    /// of a run at most 30s.
    #[serde(default)]
    pub retry: Retry,
    /// `clients: 2`
    ///
    /// How many clients fetch and decompress, each with threads of its own; partitions are dealt
    /// out to them. 1 to 16. Default: one per core, at most 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub clients: Option<u16>,
    /// `client: { fetch.wait.max.ms: 100 }`
    ///
    /// Any other option of librdkafka, as its CONFIGURATION.md documents them. Those that would
    /// break Wasmill's guarantees are refused.
    #[serde(default)]
    pub client: BTreeMap<String, Setting>,
}

/// Where a partition begins that is not in the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At its oldest record.
    #[default]
    Earliest,
    /// At its end: only what comes from now on.
    Latest,
    /// At the first record that is not older than this time (RFC 3339).
    Timestamp(String),
    /// At these offsets, by `topic/partition`; others begin at the earliest.
    Offsets(BTreeMap<String, i64>),
}

/// What a record's value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KafkaFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Bytes, in the column `value`.
    Raw,
}

/// Whether records of open and aborted transactions are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// No.
    #[default]
    ReadCommitted,
    /// Yes.
    ReadUncommitted,
}

impl Isolation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

/// What to do when records have gone before they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LostOffsets {
    /// Stop the run.
    #[default]
    Stop,
    /// Resume at the oldest record that is there.
    Earliest,
    /// Resume at the end.
    Latest,
}

/// What a record without a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tombstones {
    /// A dead letter.
    #[default]
    Reject,
    /// A row of nulls.
    Row,
    /// Nothing.
    Skip,
}

/// A value of an option of librdkafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Setting {
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl Setting {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Options that are not the file's to set, and why: those of every client.
const REFUSED: [(&str, &str); 9] = [
    ("bootstrap.servers", "it is set by `brokers`"),
    ("metadata.broker.list", "it is set by `brokers`"),
    ("client.id", "it distinguishes the pipeline's clients"),
    ("security.protocol", "it is set by `security`"),
    ("sasl.mechanism", "it is set by `security`"),
    ("sasl.mechanisms", "it is set by `security`"),
    ("plugin.library.paths", "Wasmill loads no libraries"),
    ("ssl.endpoint.identification.algorithm", "it is set by `security: { tls: { check_host: … } }`"),
    ("log.queue", "the log is taken over"),
];

/// Those of a source.
const REFUSED_BY_SOURCES: [(&str, &str); 9] = [
    ("group.id", "it is set by `group`"),
    ("group.instance.id", "partitions are assigned by the engine, not by a group"),
    ("enable.auto.commit", "offsets follow the checkpoints, never the reading"),
    ("auto.commit.enable", "offsets follow the checkpoints, never the reading"),
    ("enable.auto.offset.store", "offsets follow the checkpoints, never the reading"),
    ("auto.offset.reset", "it would skip records silently; use `on_lost_offsets`"),
    ("isolation.level", "it is set by `isolation`"),
    ("enable.partition.eof", "the end of a batch is found by it"),
    ("check.crcs", "damaged records must be noticed"),
];

/// Refuses options of `client` that are set elsewhere: those of every client and `more`.
pub(super) fn check_options(client: &BTreeMap<String, Setting>, more: &[(&str, &str)]) -> Result<()> {
    for key in client.keys() {
        if let Some((_, why)) = REFUSED.iter().chain(more).find(|(name, _)| name == key) {
            return Err(Error::configuration(format!("`client: {key}` can't be set: {why}")).code(RESERVED_OPTION).key(["client", key]));
        }
        if ["sasl.", "ssl."].iter().any(|prefix| key.starts_with(prefix)) && key != "ssl.cipher.suites" && key != "ssl.curves.list" {
            return Err(Error::configuration(format!("`client: {key}` can't be set: `security` does, where secrets are kept out of logs"))
                .code(RESERVED_OPTION)
                .key(["client", key]));
        }
    }
    Ok(())
}

impl KafkaConfig {
    /// A configuration of one topic and defaults.
    pub fn of_topic(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self { connection: KafkaConnection::of_brokers(brokers), topics: vec![topic.into()], ..Self::default() }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        self.connection.check().map_err(|error| error.below("connection"))?;
        match (&self.pattern, self.topics.is_empty()) {
            (None, true) => {
                return Err(Error::configuration("neither `topics` nor `pattern` sets what to read").code(NO_TOPICS).hint("topics: [pin]"));
            }
            (Some(_), false) => {
                return Err(Error::configuration("`pattern` and `topics` exclude each other").code(TOPICS_AND_PATTERN).key(["pattern"]));
            }
            _ => {}
        }
        if let Some(topic) = self.topics.iter().find(|topic| !is_topic(topic)) {
            return Err(Error::configuration(format!("`topics`: {topic:?} can't be the name of a topic"))
                .code(TOPIC_NAME)
                .key(["topics"])
                .hint("1 to 249 letters, digits, `.`, `_` and `-`; use `pattern` for a regular expression"));
        }
        self.regex()?;
        if self.partitions.as_ref().is_some_and(|partitions| partitions.is_empty() || partitions.iter().any(|one| *one < 0)) {
            return Err(Error::configuration("`partitions` must be numbers from 0 on, at least one").code(PARTITION).key(["partitions"]));
        }
        if !(1 << 10..=1 << 30).contains(&self.max_record_bytes()) {
            return Err(Error::configuration("`max_record` must be between 1 KiB and 1 GiB").code(OUT_OF_RANGE).key(["max_record"]));
        }
        if self.clients.is_some_and(|clients| !(1..=16).contains(&clients)) {
            return Err(Error::configuration("`clients` must be 1 to 16").code(OUT_OF_RANGE).key(["clients"]));
        }
        self.follow()?;
        self.retry.time()?;
        self.start_time()?;
        if let Start::Offsets(offsets) = &self.start
            && let Some((place, _)) = offsets.iter().find(|(place, offset)| super::position::parse_split(place).is_none() || **offset < 0)
        {
            return Err(Error::configuration(format!("`start: offsets`: {place:?} is not `topic/partition` with an offset from 0 on"))
                .code(START)
                .key(["start", "offsets"])
                .hint("start: { offsets: { \"pin/0\": 17 } }"));
        }
        check_options(&self.client, &REFUSED_BY_SOURCES)?;
        Ok(())
    }

    pub(super) fn regex(&self) -> Result<Option<Regex>> {
        let compile = |pattern: &String| {
            Regex::new(pattern).map_err(|error| {
                Error::configuration(format!("`pattern` is not a regular expression: {error}")).code(PATTERN).key(["pattern"])
            })
        };
        self.pattern.as_ref().map(compile).transpose()
    }

    pub(super) fn follow(&self) -> Result<Duration> {
        period::read("follow", self.follow.as_deref(), Duration::from_secs(5), Duration::from_millis(100), Duration::from_secs(3600))
    }

    /// The time to start at, in milliseconds since 1970.
    pub(super) fn start_time(&self) -> Result<Option<i64>> {
        let Start::Timestamp(text) = &self.start else { return Ok(None) };
        let wrong = || {
            Error::configuration(format!("`start: timestamp`: {text:?} is not a time"))
                .code(NOT_A_TIME)
                .key(["start", "timestamp"])
                .hint("write it as \"2026-01-31T00:00:00Z\"")
        };
        let time = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
        let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| wrong())?;
        i64::try_from(since.as_millis()).map(Some).map_err(|_| wrong())
    }

    pub(super) fn max_record_bytes(&self) -> usize {
        self.max_record.map_or(16 << 20, |size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX))
    }

    /// The topics in words.
    pub fn topics_in_words(&self) -> String {
        self.pattern.clone().unwrap_or_else(|| self.topics.join(", "))
    }
}

pub(super) fn is_topic(name: &str) -> bool {
    (1..=249).contains(&name.len()) && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut KafkaConfig)) -> String {
        let mut config = KafkaConfig::of_topic("b:9092", "pin");
        config.check().unwrap();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn what_would_break_a_promise_is_refused_with_a_reason() {
        let option = |key: &'static str| refused(|config| drop(config.client.insert(key.to_owned(), Setting::Flag(true))));
        assert!(option("enable.auto.commit").contains("follow the checkpoints"));
        assert!(option("auto.offset.reset").contains("on_lost_offsets"));
        assert!(option("sasl.password").contains("security"));
    }

    #[test]
    fn mistakes_name_their_key() {
        assert!(refused(|config| config.topics.clear()).contains("`topics`"));
        assert!(refused(|config| config.pattern = Some("p".into())).contains("exclude"));
        assert!(refused(|config| config.topics = vec!["a b".into()]).contains("\"a b\""));
        assert!(refused(|config| config.connection.brokers = " ,".into()).contains("`brokers`"));
        assert!(refused(|config| config.follow = Some("1ms".into())).contains("`follow`"));
        assert!(refused(|config| config.start = Start::Timestamp("today".into())).contains("today"));
        assert!(refused(|config| config.start = Start::Offsets([("pin".to_owned(), 3)].into())).contains("topic/partition"));
        assert!(refused(|config| { (config.topics.clear(), config.pattern = Some("(".into())).1 }).contains("`pattern`"));
    }
}
