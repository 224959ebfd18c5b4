//! The configuration of the source `delta`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::address::TableAddress;
use crate::codes::VERSION;
use crate::config::DeltaConfig;
use crate::log::TableLog;
use wasmill_connect::codes::NOT_A_TIME;
use wasmill_connect::{Retry, period};
use wasmill_objects::S3Config;

/// The bounds of `follow`: every poll is a request.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// `delta: { uri: "s3://lake/pin_table" }`
///
/// Reads a Delta table: one version whole, and then what later versions add. A file is read by one
/// lane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaSourceConfig {
    /// `uri: out/pin_table`
    ///
    /// The table's folder: a path, a `file://` URL, or `s3://bucket/prefix`.
    pub uri: String,
    /// `connection: { endpoint: "http://127.0.0.1:9000" }`
    ///
    /// How to reach the bucket of an `s3://` table, and with which credentials. Default: as AWS's
    /// own tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<S3Config>,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the bucket of an `s3://` table does not respond, before the run
    /// stops. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
    /// `version: 12`
    ///
    /// The version that is read whole at the beginning. A batch reads nothing after it; a stream
    /// continues from it. Default: the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// `timestamp: "2026-11-21T08:00:00Z"`
    ///
    /// Instead of `version`: the last version that is not younger than this moment (UTC), by the times of the table's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// `follow: 10s`
    ///
    /// In stream mode, how often to poll for new versions, which costs one or two requests.
    /// Default: 1s; 100ms to a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// `on_change: ignore`
    ///
    /// What to do about a version that removes or changes rows that have been read (an update, a
    /// delete, an overwrite): `stop`, or `ignore` it with everything that it adds.
    #[serde(default)]
    pub on_change: OnChange,
}

/// What to do about a version that removes or changes rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// Stops the run.
    #[default]
    Stop,
    /// Passes over the version.
    Ignore,
}

impl DeltaSourceConfig {
    /// What is wrong with the values.
    pub(super) fn check(&self) -> Result<()> {
        DeltaConfig { connection: self.connection.clone(), ..DeltaConfig::new(&self.uri) }.location()?;
        if self.version.is_some() && self.timestamp.is_some() {
            return Err(Error::configuration("`version` and `timestamp` both set where to begin")
                .code(VERSION)
                .key(["version"])
                .hint("leave one of them out"));
        }
        self.millis()?;
        self.retry.time()?;
        self.follow_interval().map(drop)
    }

    pub(super) fn table(&self) -> TableAddress {
        TableAddress { uri: self.uri.clone(), connection: self.connection.clone().unwrap_or_default() }
    }

    pub(super) fn follow_interval(&self) -> Result<Duration> {
        period::read("follow", self.follow.as_deref(), Duration::from_secs(1), SHORTEST, LONGEST)
    }

    /// `timestamp` in milliseconds since 1970.
    fn millis(&self) -> Result<Option<i64>> {
        let Some(text) = &self.timestamp else { return Ok(None) };
        let time: SystemTime = humantime::parse_rfc3339_weak(text.trim()).map_err(|error| {
            Error::configuration(format!("`timestamp: {text}` is not a time: {error}"))
                .code(NOT_A_TIME)
                .key(["timestamp"])
                .hint("write it in UTC, as in 2026-11-21T08:00:00Z")
        })?;
        let since = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Ok(Some(i64::try_from(since).unwrap_or(i64::MAX)))
    }

    /// The version that is named, if one is.
    ///
    /// # Errors
    /// Environment: the table was not there yet, or the log of that time is gone.
    pub(super) fn chosen_version(&self, log: &TableLog) -> Result<Option<u64>> {
        match self.millis()? {
            None => Ok(self.version),
            Some(millis) => log.version_at(millis).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        let check = |json: &str| serde_json::from_str::<DeltaSourceConfig>(json).unwrap().check();
        assert!(check(r#"{"uri": "out/t", "version": 3, "follow": "200ms", "on_change": "ignore"}"#).is_ok());
        assert!(check(r#"{"uri": "out/t", "timestamp": "2026-11-21 08:00:00"}"#).is_ok());
        for (bad, why) in [
            (r#"{"uri": ""}"#, "empty"),
            (r#"{"uri": "t", "version": 1, "timestamp": "2026-11-21T08:00:00Z"}"#, "both"),
            (r#"{"uri": "t", "timestamp": "yesterday"}"#, "not a time"),
            (r#"{"uri": "t", "follow": "1ms"}"#, "`follow`"),
            (r#"{"uri": "t", "connection": {}}"#, "in none"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        assert!(serde_json::from_str::<DeltaSourceConfig>(r#"{"uri": "t", "on_change": "fail"}"#).is_err());
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(DeltaSourceConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
