//! The configuration of the source `kinesis`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::KinesisConnection;
use crate::api::stream_name;
use crate::codes::{NAME, START};
use wasmill_connect::codes::{NOT_A_TIME, OUT_OF_RANGE};
use wasmill_connect::{Retry, period};

/// `kinesis: { stream: streaming-1-pin }`
///
/// Reads a stream of Amazon Kinesis. Every shard is read in order, exactly once; a shard that came
/// from a split or merge is read once its parents have been read. The checkpoint decides where a
/// run resumes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisConfig {
    /// `stream: streaming-1-pin`
    ///
    /// The stream, by name or ARN. It must exist.
    #[schemars(length(min = 1))]
    pub stream: String,
    /// `connection: { region: eu-central-1 }`
    ///
    /// How to reach Kinesis, and with which credentials. Default: as AWS's own tools.
    #[serde(default)]
    pub connection: KinesisConnection,
    /// `start: trim_horizon`
    ///
    /// Where to begin without a checkpoint: `trim_horizon` (the oldest records), `latest` (what arrives from now on), `{ timestamp:
    /// "2026-01-31T00:00:00Z" }` (the first record that did not arrive before it), or `{ sequence_numbers: { shardId-000000000000: "4959…" } }` (that record
    /// is the first one; other shards begin at the oldest). Shards that come from splits and merges later are always read from their beginning.
    #[serde(default)]
    pub start: Start,
    /// `format: json`
    ///
    /// `json`: the data of each record is one JSON object. `raw`: the data as it is, in one column
    /// `value` (binary, or text if the schema declares it).
    #[serde(default)]
    pub format: KinesisFormat,
    /// `consumer: polling`
    ///
    /// `polling`: polls each shard for records, as set by `poll`. `{ fan_out: { name: wasmill } }`:
    /// Kinesis pushes them, with a dedicated 2 MB/s per shard (AWS charges for it). The consumer is
    /// registered if it is missing, and stays registered after the run.
    #[serde(default)]
    pub consumer: Consumer,
    /// `aggregates: unpack`
    ///
    /// How to read a record of the Kinesis Producer Library that holds several records. `unpack`:
    /// each is a row; after a split or merge, an aggregate with records of another shard is left
    /// out, because its producer sends all of them again, as in the Kinesis Client Library.
    /// `unpack_all`: the same, with nothing left out, for producers that do not send again. `keep`:
    /// one record, as it is.
    #[serde(default)]
    pub aggregates: Aggregates,
    /// `on_lost_records: stop`
    ///
    /// What to do when retention may have removed records before they were read: `stop`, or resume
    /// at the `trim_horizon` or the `latest` with a warning.
    #[serde(default)]
    pub on_lost_records: LostRecords,
    /// `max_record: 10MiB`
    ///
    /// A longer record is rejected; the dead letters keep its first 64 KiB. 1 KiB to 1 GiB. Default: 10MiB, which is what a stream can hold at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_record: Option<bytesize::ByteSize>,
    /// `poll: 250ms`
    ///
    /// The shortest interval between polls of a shard. 200ms to 1m: Kinesis allows five reads per
    /// second and shard, by all its readers together. Default: 250ms, which leaves one read per
    /// second to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<String>,
    /// `follow: 10s`
    ///
    /// In stream mode, how often to poll for new shards, and whether the stream is still the same;
    /// also when a shard has come to its end. 100ms to 1h. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the service does not respond, is busy or throttles. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
}

/// Where a shard begins that is not in the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At its oldest record.
    #[default]
    TrimHorizon,
    /// At what arrives from now on.
    Latest,
    /// At the first record that did not arrive before this time (RFC 3339).
    Timestamp(String),
    /// At these records, by shard; other shards begin at their oldest.
    SequenceNumbers(BTreeMap<String, String>),
}

/// What a record's data is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KinesisFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Bytes, in the column `value`.
    Raw,
}

/// How records come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consumer {
    /// They are polled.
    #[default]
    Polling,
    /// They are pushed.
    FanOut(FanOut),
}

/// A consumer of fan-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FanOut {
    /// `name: wasmill`
    ///
    /// Its name. Two pipelines must not share one: each would end the other's subscriptions.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// What an aggregate of the Kinesis Producer Library is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregates {
    /// The records of this shard that it holds.
    #[default]
    Unpack,
    /// All records that it holds.
    UnpackAll,
    /// One record.
    Keep,
}

/// What to do when records may have gone before they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostRecords {
    /// Stop the run.
    #[default]
    Stop,
    /// Resume at the oldest record that is there.
    TrimHorizon,
    /// Resume with what arrives from now on.
    Latest,
}

impl KinesisConfig {
    /// A configuration of one stream and defaults.
    pub fn of_stream(stream: impl Into<String>, connection: KinesisConnection) -> Self {
        Self { stream: stream.into(), connection, ..Self::default() }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        check_stream(&self.stream)?;
        self.connection.check().map_err(|error| error.below("connection"))?;
        if let Consumer::FanOut(fan_out) = &self.consumer
            && !is_name(&fan_out.name)
        {
            return Err(Error::configuration(format!("`consumer`: {:?} can't be the name of a consumer", fan_out.name))
                .code(NAME)
                .key(["consumer"])
                .hint("1 to 128 letters, digits, `.`, `_` and `-`"));
        }
        if !(1 << 10..=1 << 30).contains(&self.max_record_bytes()) {
            return Err(Error::configuration("`max_record` must be between 1 KiB and 1 GiB").code(OUT_OF_RANGE).key(["max_record"]));
        }
        self.poll()?;
        self.follow()?;
        self.retry.time()?;
        self.start_time()?;
        if let Start::SequenceNumbers(numbers) = &self.start
            && let Some((shard, _)) =
                numbers.iter().find(|(_, number)| number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(Error::configuration(format!("`start: sequence_numbers`: that of {shard} is not a number"))
                .code(START)
                .key(["start", "sequence_numbers"])
                .hint("write it in quotes: \"49590338271490256608559692538361571095921575989136588898\""));
        }
        Ok(())
    }

    pub(super) fn poll(&self) -> Result<Duration> {
        period::read("poll", self.poll.as_deref(), Duration::from_millis(250), Duration::from_millis(200), Duration::from_secs(60))
    }

    pub(super) fn follow(&self) -> Result<Duration> {
        period::read("follow", self.follow.as_deref(), Duration::from_secs(10), Duration::from_millis(100), Duration::from_secs(3600))
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
        self.max_record.map_or(10 << 20, |size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX))
    }
}

/// Fails unless it can be the name or the ARN of a stream.
pub(crate) fn check_stream(stream: &str) -> Result<()> {
    if is_name(stream_name(stream)) {
        return Ok(());
    }
    Err(Error::configuration(format!("`stream`: {stream:?} can't be the name or the ARN of a stream"))
        .code(NAME)
        .key(["stream"])
        .hint("a name has 1 to 128 letters, digits, `.`, `_` and `-`"))
}

fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut KinesisConfig)) -> String {
        let mut config = KinesisConfig::of_stream("pin", KinesisConnection::default());
        config.check().unwrap();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_their_key() {
        assert!(refused(|config| config.stream = "a b".into()).contains("`stream`"));
        assert!(refused(|config| config.poll = Some("100ms".into())).contains("`poll`"));
        assert!(refused(|config| config.follow = Some("soon".into())).contains("`follow`"));
        assert!(refused(|config| config.start = Start::Timestamp("today".into())).contains("today"));
        assert!(refused(|config| config.start = Start::SequenceNumbers([("s".into(), "x1".into())].into())).contains("sequence_numbers"));
        assert!(refused(|config| config.consumer = Consumer::FanOut(FanOut { name: "a b".into() })).contains("`consumer`"));
        assert!(refused(|config| config.max_record = Some(bytesize::ByteSize(1))).contains("`max_record`"));
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        for schema in [schemars::schema_for!(KinesisConfig), schemars::schema_for!(FanOut)] {
            let schema = serde_json::to_value(schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                let described = field["description"].as_str().unwrap_or_default();
                assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
            }
        }
    }
}
