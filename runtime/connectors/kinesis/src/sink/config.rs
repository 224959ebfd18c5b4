//! The configuration of the sink `kinesis`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::codes::DELIVERY;
use crate::source::check_stream;
use crate::{KinesisConnection, KinesisFormat};
use wasmill_connect::Retry;

/// `kinesis: { stream: clean-pin, delivery: at_least_once }`
///
/// Puts rows into a stream of Amazon Kinesis, one record per row. Rows wait next to the pipeline's
/// state until their epoch is noted, and are then put. A stream has no transactions and keeps no
/// token. After a crash between the first put and the last, or after a lost response, rows are put
/// again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisSinkConfig {
    /// `stream: clean-pin`
    ///
    /// The stream, by name or ARN. It must exist.
    #[schemars(length(min = 1))]
    pub stream: String,
    /// `delivery: at_least_once`
    ///
    /// The delivery guarantee. A stream supports no stronger one, and its readers must know, so it
    /// must be written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// `connection: { region: eu-central-1 }`
    ///
    /// How to reach Kinesis, and with which credentials. Default: as AWS's own tools.
    #[serde(default)]
    pub connection: KinesisConnection,
    /// `partition_key: poster_name`
    ///
    /// The column of text or whole numbers that is the partition key, 1 to 256 characters; rows without one are rejected. Default: a key at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// `ordered: true`
    ///
    /// With a `partition_key`: whether rows of one key (and lane) keep their order also when some
    /// of them are refused and put again. A call then holds one row of each key at most, which is
    /// slow where there are few keys. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// `format: json`
    ///
    /// `json`: a row is one JSON object. `raw`: the bytes of the one column `value` (binary or text).
    #[serde(default)]
    pub format: KinesisFormat,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the service does not respond, is busy or throttles. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
}

/// What a sink promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// No row is lost; some may come twice after a crash.
    AtLeastOnce,
    /// Each row once.
    ExactlyOnce,
}

impl KinesisSinkConfig {
    /// A sink into one stream, with defaults.
    pub fn of_stream(stream: impl Into<String>, connection: KinesisConnection) -> Self {
        Self { stream: stream.into(), connection, delivery: Some(Delivery::AtLeastOnce), ..Self::default() }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        check_stream(&self.stream)?;
        self.connection.check().map_err(|error| error.below("connection"))?;
        self.retry.time()?;
        match self.delivery {
            Some(Delivery::AtLeastOnce) => Ok(()),
            Some(Delivery::ExactlyOnce) => Err(Error::configuration(
                "`delivery: exactly_once` is more than a stream of Kinesis can hold: after a crash rows may be put a second time",
            )
            .code(DELIVERY)
            .key(["delivery", "exactly_once"])
            .hint("write `delivery: at_least_once` if its readers can bear that, or choose another sink: delta, postgres, s3, files")),
            None => Err(Error::configuration(
                "a stream of Kinesis gets rows at least once, not exactly once, and the file does not acknowledge that",
            )
            .code(DELIVERY)
            .key(["delivery"])
            .hint("write `delivery: at_least_once`: after a crash some rows may come twice")),
        }
    }

    /// Whether a call holds one row of each key at most.
    pub(super) fn is_ordered(&self) -> bool {
        self.partition_key.is_some() && self.ordered.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_promises_has_to_be_written() {
        let config = KinesisSinkConfig::of_stream("pin", KinesisConnection::default());
        config.check().unwrap();
        for delivery in [None, Some(Delivery::ExactlyOnce)] {
            let error = KinesisSinkConfig { delivery, ..config.clone() }.check().unwrap_err();
            assert!(error.hint_text().unwrap().contains("`delivery: at_least_once`"), "{error}");
        }
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(KinesisSinkConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
