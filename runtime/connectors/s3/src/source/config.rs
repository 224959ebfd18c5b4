//! The configuration of the source `s3`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use super::pattern::Pattern;
use crate::codes::NO_URI;
use wasmill_connect::{Retry, period};
use wasmill_formats::{Compression, Format};
use wasmill_objects::S3Config;
use wasmill_reading::{CsvConfig, OnBadFile, Paths, ReadOptions};

/// The bounds of `follow` and `relist`: every poll is a request.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// `s3: { uri: "s3://lake/pins/*.jsonl" }`
///
/// Reads objects of JSON lines, JSON, CSV or Parquet, plain or compressed. An object is read by one lane, from its start to its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3SourceConfig {
    /// `uri: "s3://lake/topics/pin/**/*.json"`
    ///
    /// An address or a list of addresses. One that ends with `/` means all objects below it. `*`
    /// and `?` match within a part of a key between slashes, `**` any parts, `[a-z]` one character.
    /// Parts that begin with `.` or `_` match only where the pattern has that character. Everything
    /// below the part before the first wildcard is listed. Parts named `column=value` add the
    /// column to records that lack it.
    pub uri: Paths,
    /// `connection: { endpoint: "http://127.0.0.1:9000" }`
    ///
    /// How to reach the bucket, and with which credentials. Default: as AWS's own tools.
    #[serde(default)]
    pub connection: S3Config,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the bucket does not respond, before the run stops. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
    /// `format: json`
    ///
    /// `jsonl` (one object per line), `json` (one array of objects, or objects one after the other
    /// on any number of lines, as Kafka Connect writes them), `csv` or `parquet`. Default: by the
    /// key's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// `compression: gzip`
    ///
    /// `none`, `gzip` or `zstd`. Default: by the key's extension: `.gz`, `.zst`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// `csv: { delimiter: ";" }`
    ///
    /// How CSV objects are written.
    #[serde(default)]
    pub csv: CsvConfig,
    /// `follow: 10s`
    ///
    /// In stream mode, how often to poll for new objects. Each poll lists the 256 folders that grew
    /// last, each after its known objects, and their parents for new folders: one request per
    /// folder. Where a list of everything takes no more requests (one per 1,000 objects), it lists
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// `relist: 10m`
    ///
    /// In stream mode, how often to list everything. This finds new objects in folders that
    /// `follow` does not list, and objects whose keys lie more than 250 places before the greatest
    /// key of their folder. Keys that begin with a date or count up, also in up to 256 folders in
    /// parallel, are found at the next `follow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relist: Option<String>,
    /// `allow_empty: true`
    ///
    /// In batch mode, an address that matches no object is an error unless this is set. A stream waits for objects.
    #[serde(default)]
    pub allow_empty: bool,
    /// `max_record: 16MiB`
    ///
    /// A longer record is rejected and skipped without being held in memory; the dead letters keep its first 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_record: Option<bytesize::ByteSize>,
    /// `on_bad_file: set_aside`
    ///
    /// What to do with an object that is damaged, truncated or of another kind than its key: `stop`
    /// the run, or `set_aside`. With `set_aside` the rows before the damage are kept, the rest is
    /// not read, and the dead letters get one entry with code `bad-file` and the object's address.
    /// An empty object has no rows and is never damaged.
    #[serde(default)]
    pub on_bad_file: OnBadFile,
}

impl S3SourceConfig {
    /// A configuration of one address and defaults.
    pub fn of_uri(uri: impl Into<String>, connection: S3Config) -> Self {
        Self { uri: Paths::One(uri.into()), connection, ..Self::default() }
    }

    /// How the objects are read.
    pub(super) fn reading(&self) -> ReadOptions {
        ReadOptions {
            path: self.uri.clone(),
            format: self.format,
            compression: self.compression,
            csv: self.csv.clone(),
            max_record: self.max_record,
            on_bad_file: self.on_bad_file,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.uri.all().is_empty() {
            return Err(Error::configuration("`uri` names no objects").code(NO_URI).key(["uri"]));
        }
        self.uri.all().iter().try_for_each(|uri| Pattern::parse(uri).map(drop)).map_err(|error| error.below("uri"))?;
        self.connection.check().map_err(|error| error.below("connection"))?;
        self.retry.time()?;
        self.follow_interval()?;
        self.relist_interval().map(drop)
    }

    pub(super) fn follow_interval(&self) -> Result<Duration> {
        period::read("follow", self.follow.as_deref(), Duration::from_secs(10), SHORTEST, LONGEST)
    }

    pub(super) fn relist_interval(&self) -> Result<Duration> {
        period::read("relist", self.relist.as_deref(), Duration::from_secs(600), SHORTEST, LONGEST)
    }

    /// Whether each of the objects declares its columns itself.
    pub fn is_certain(&self) -> bool {
        let format = |uri: &String| self.format.or_else(|| Format::of_path(std::path::Path::new(uri)));
        self.uri.all().iter().all(|uri| matches!(format(uri), Some(Format::Parquet | Format::Csv)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(S3SourceConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }

    #[test]
    fn polls_have_their_bounds() {
        let check = |json: &str| serde_json::from_str::<S3SourceConfig>(json).unwrap().check();
        assert!(check(r#"{"uri": "s3://lake/pins/", "follow": "1s"}"#).is_ok());
        for bad in
            [r#"{"uri": []}"#, r#"{"uri": "pins/"}"#, r#"{"uri": "s3://l/p", "follow": "1ms"}"#, r#"{"uri": "s3://l/[", "relist": "1s"}"#]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
