//! The configuration of a Delta sink.

use std::path::PathBuf;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmill_connect::Retry;
use wasmill_engine::{Error, Result};

use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_lake::codes::PARTITION_BY;
use wasmill_objects::codes::BUCKET_ADDRESS;
use wasmill_objects::{S3Config, S3Uri};

use crate::codes::ADDRESS;
use crate::key;

/// Writes into a Delta table. A table that does not exist is created by the first commit, readable by every Delta reader
/// (protocol reader 1, writer 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaConfig {
    /// `uri: out/pin_table`
    ///
    /// The table's folder: a path, relative to the working directory, a `file://` URL, or
    /// `s3://bucket/prefix`. In S3 commits are conditional puts; no lock table is needed, but the
    /// store must support `If-None-Match`.
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
    /// `write: append`
    ///
    /// `append` adds rows. `upsert` replaces the row of the same `key`, if there is one; of several
    /// rows of a key in one epoch the last one counts, by lane and then by the order within the
    /// lane. Data files that hold replaced rows are rewritten by the commit, which keeps the
    /// epoch's keys in memory: some 100 bytes per row, and the key itself. `overwrite` replaces all
    /// rows of the table in one step at the end of a batch; the schema may change by it.
    #[serde(default)]
    pub write: WriteMode,
    /// `key: [index]`
    ///
    /// The columns that decide which row an upsert replaces: texts, whole numbers, decimals,
    /// booleans, dates, timestamps and binary. A row with a null in one of them is rejected. A
    /// table that the sink creates declares them as not null.
    #[serde(default)]
    pub key: Vec<String>,
    /// `partition_by: [category]`
    ///
    /// Columns whose values name the folders of the table's files. Rows without a value go to a
    /// partition of their own; an empty text counts as null, as in every Delta table. A row is
    /// rejected if its values are too long for a folder's name (255 bytes on most file systems) or
    /// for an object's key (1,024 bytes). A lane writes one file per partition and epoch until it
    /// has its target size.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// `schema_evolution: add_columns`
    ///
    /// What to do where the table has other columns: `refuse`, or `add_columns`. With
    /// `add_columns`, columns that the table lacks become nullable columns of it with the commit
    /// that writes into them. Nullable columns that the pipeline does not write are null in its
    /// rows. Other types, other partition columns and fields inside of structs are always refused.
    /// Ignored with `overwrite`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
    /// `checkpoint_every: 100`
    ///
    /// Versions of the table's log per checkpoint, which keeps the table quick to open. `0` never
    /// writes one. The table's property `delta.checkpointInterval` takes precedence.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// `target_file_size: 128MiB`
    ///
    /// Starts a new data file when the current one has grown to about this size. An epoch always
    /// ends its files, so they may be smaller.
    #[serde(default = "default_target_file_size")]
    #[schemars(with = "String")]
    pub target_file_size: ByteSize,
    /// `compression: zstd`
    ///
    /// How data files are compressed: `zstd`, `snappy` or `none`.
    #[serde(default)]
    pub compression: DeltaCompression,
}

/// Where a table lies, by its configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Location {
    /// A local folder.
    Folder(PathBuf),
    /// A prefix of a bucket.
    S3(S3Uri),
}

/// Whether a table may grow columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaEvolution {
    /// A table with other columns takes no rows.
    #[default]
    Refuse,
    /// New columns are added, missing ones are null.
    AddColumns,
}

impl SchemaEvolution {
    /// Whether it is the default, which prepared commits omit.
    pub(crate) fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

/// What happens to the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// Adds rows to those that are there.
    #[default]
    Append,
    /// Replaces the rows of the same keys.
    Upsert,
    /// Replaces all rows.
    Overwrite,
}

/// The compression of data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeltaCompression {
    /// Small and quick: zstd at its level 1.
    #[default]
    Zstd,
    /// Larger and quicker.
    Snappy,
    /// Not compressed.
    None,
}

fn default_checkpoint_every() -> u64 {
    100
}

fn default_target_file_size() -> ByteSize {
    ByteSize::mib(128)
}

impl DeltaConfig {
    /// The configuration that has nothing but its table.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            connection: None,
            retry: Retry::default(),
            write: WriteMode::default(),
            key: Vec::new(),
            partition_by: Vec::new(),
            schema_evolution: SchemaEvolution::default(),
            checkpoint_every: default_checkpoint_every(),
            target_file_size: default_target_file_size(),
            compression: DeltaCompression::default(),
        }
    }

    /// Where the table lies. The one place that decides what a `uri` may be.
    pub(crate) fn location(&self) -> Result<Location> {
        if self.uri.is_empty() {
            return Err(Error::configuration("`uri` is empty")
                .code(ADDRESS)
                .key(["uri"])
                .hint("name the table's folder, as in `uri: out/my_table`"));
        }
        if S3Uri::is_one(&self.uri) {
            self.connection.as_ref().map_or(Ok(()), S3Config::check).map_err(|error| error.below("connection"))?;
            let uri = S3Uri::parse(&self.uri).map_err(|error| error.below("uri"))?;
            return match uri.key.is_empty() {
                true => Err(Error::configuration(format!("`uri: {}` names a bucket and no table in it", self.uri))
                    .code(BUCKET_ADDRESS)
                    .key(["uri"])
                    .hint("write it as s3://bucket/prefix")),
                false => Ok(Location::S3(uri)),
            };
        }
        if self.connection.is_some() {
            return Err(Error::configuration(format!("`connection` is for a bucket, and `uri: {}` is in none", self.uri))
                .code(ADDRESS)
                .key(["connection"])
                .hint("write uri: s3://bucket/prefix, or leave `s3` out"));
        }
        if !self.uri.contains("://") {
            return Ok(Location::Folder(PathBuf::from(&self.uri)));
        }
        let url = Url::parse(&self.uri)
            .map_err(|error| Error::configuration(format!("`uri: {}` is not a URL: {error}", self.uri)).code(ADDRESS).key(["uri"]))?;
        if url.scheme() != "file" {
            return Err(Error::configuration(format!("`uri: {}`: a Delta table can't lie in `{}://`", self.uri, url.scheme()))
                .code(ADDRESS)
                .key(["uri"])
                .hint("use a path, a file:// URL or s3://bucket/prefix"));
        }
        let folder = url
            .to_file_path()
            .map_err(|()| Error::configuration(format!("`uri: {}` names no local path", self.uri)).code(ADDRESS).key(["uri"]))?;
        Ok(Location::Folder(folder))
    }

    /// What is wrong with the values, apart from any schema.
    pub(crate) fn check(&self) -> Result<()> {
        self.location()?;
        self.retry.time()?;
        if self.target_file_size < ByteSize::kib(64) {
            return Err(Error::configuration(format!("`target_file_size: {}` is too small", self.target_file_size))
                .code(OUT_OF_RANGE)
                .key(["target_file_size"])
                .hint("use at least 64KiB; 128MiB suits most readers"));
        }
        for (index, column) in self.partition_by.iter().enumerate() {
            if self.partition_by[..index].contains(column) {
                return Err(Error::configuration(format!("`partition_by` names the column `{column}` twice"))
                    .code(PARTITION_BY)
                    .key(["partition_by"]));
            }
        }
        key::check(self.write, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_is_required() {
        let config: DeltaConfig = serde_json::from_str(r#"{"uri": "out/t"}"#).unwrap();
        assert_eq!(config, DeltaConfig::new("out/t"));
        assert!(serde_json::from_str::<DeltaConfig>(r#"{"uri": "out/t", "mode": "append"}"#).is_err());
    }

    #[test]
    fn sizes_are_written_as_people_do() {
        let config: DeltaConfig = serde_json::from_str(r#"{"uri": "t", "target_file_size": "1MiB", "write": "overwrite"}"#).unwrap();
        assert_eq!((config.target_file_size, config.write), (ByteSize::mib(1), WriteMode::Overwrite));
    }

    #[test]
    fn an_upsert_and_its_key_go_together() {
        let key = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>();
        let config = |write, columns: &[&str]| DeltaConfig { write, key: key(columns), ..DeltaConfig::new("t") };
        config(WriteMode::Upsert, &["a", "b"]).check().unwrap();
        for (config, at, why) in [
            (config(WriteMode::Upsert, &[]), "write", "needs a `key`"),
            (config(WriteMode::Upsert, &["a", "a"]), "key", "`a` twice"),
            (config(WriteMode::Append, &["a"]), "key", "`write: upsert`"),
            (config(WriteMode::Overwrite, &["a"]), "key", "`write: upsert`"),
        ] {
            let error = config.check().unwrap_err();
            assert_eq!(error.class(), wasmill_engine::Class::Configuration);
            assert!(error.message().contains(why), "{error}");
            assert!(format!("{error:?}").contains(at), "{error:?}");
        }
    }

    #[test]
    fn a_uri_is_a_path_a_file_url_or_a_prefix_of_a_bucket() {
        let location = |uri: &str| DeltaConfig::new(uri).location();
        assert_eq!(location("a/b").unwrap(), Location::Folder(PathBuf::from("a/b")));
        assert_eq!(location("file:///a%20b").unwrap(), Location::Folder(PathBuf::from("/a b")));
        assert_eq!(location("s3://b/t/").unwrap(), Location::S3(S3Uri { bucket: "b".into(), key: "t".into() }));
        for (uri, why) in [("", "empty"), ("s3://b", "no table in it"), ("abfss://c@a/t", "abfss://"), ("s3:///t", "no bucket")] {
            let error = location(uri).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
        let local = DeltaConfig { connection: Some(S3Config::default()), ..DeltaConfig::new("out/t") };
        assert!(local.location().unwrap_err().message().contains("is in none"));
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(DeltaConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
