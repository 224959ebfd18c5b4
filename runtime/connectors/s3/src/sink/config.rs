//! The configuration of the sink `s3`.

use arrow_schema::{Schema, SchemaRef};
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_connect::Retry;
use wasmill_engine::{Error, Result};

use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_formats::Compression;
use wasmill_formats::SinkFormat;
use wasmill_formats::codes::COMPRESSED_TWICE;
use wasmill_objects::codes::BUCKET_ADDRESS;
use wasmill_objects::{S3Config, S3Uri};

use crate::codes::CONNECT_LAYOUT;

/// Writes objects below a prefix. An object appears whole and keeps its key; its rows are those of
/// one lane and one epoch. An object is atomic, the objects of an epoch together are not: a reader
/// that lists them at that moment may see some before the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3SinkConfig {
    /// `uri: s3://lake/clean/pins`
    ///
    /// The bucket and the prefix. Below it, `_wasmill` holds the sink's token.
    pub uri: String,
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
    /// `format: jsonl`
    ///
    /// `jsonl` (one JSON object per line), `csv` (with a header row) or `parquet`.
    pub format: SinkFormat,
    /// `compression: none`
    ///
    /// `none`, `gzip` or `zstd` for the whole object. Parquet is compressed inside and takes `none`.
    #[serde(default)]
    pub compression: Compression,
    /// `layout: hive`
    ///
    /// How objects are called. `hive`: by `partition_by`, below the prefix. `connect`: as Kafka Connect calls them, for replays and for what reads its objects.
    #[serde(default)]
    pub layout: S3Layout,
    /// `flush_size: 10000`
    ///
    /// With `layout: connect`, the most records of an object, 1 to 1,000,000,000. An epoch always ends its objects, so they may be smaller. Default: 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flush_size: Option<u64>,
    /// `partition_by: [category]`
    ///
    /// Columns whose values name folders, as Hive lays them out: `category=art/`. The columns are
    /// left out of the objects. They are texts, booleans, whole numbers and dates; an empty text
    /// counts as null. A row is rejected if its values are too long for an object's key (1,024
    /// bytes). A lane writes one object per partition and epoch until it has its target size.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// `target_file_size: 256MiB`
    ///
    /// Starts a new object when the current one has grown to about this size, at most 64GiB. An
    /// epoch always ends its objects, so they may be smaller.
    #[serde(default = "default_target_file_size")]
    #[schemars(with = "String")]
    pub target_file_size: ByteSize,
}

/// How objects are called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum S3Layout {
    /// `hive`: a folder per value of the columns of `partition_by`; names that encode sink, epoch
    /// and lane.
    #[default]
    Hive,
    /// `connect`: `<topic>/partition=<n>/<topic>+<n>+<offset of the first record, 10 digits>.json`, for a sink that reads straight from one source `kafka`. With the
    /// source's `format: raw` a line is the record's value, byte by byte; otherwise its columns as JSON. The prefix is the sink's own; Kafka Connect's
    /// `topics.dir` is its last part, as in `uri: s3://lake/topics`. Read them back with the source `s3` and `format: jsonl`.
    Connect,
}

/// The most records of an object in Kafka Connect's layout, where the file does not set it.
const FLUSH_SIZE: u64 = 10_000;

fn default_target_file_size() -> ByteSize {
    ByteSize::mib(256)
}

impl S3SinkConfig {
    /// The configuration that has nothing but a prefix, a connection and a format.
    pub fn new(uri: impl Into<String>, connection: S3Config, format: SinkFormat) -> Self {
        let (compression, target_file_size) = (Compression::None, default_target_file_size());
        let (layout, flush_size, partition_by) = (S3Layout::Hive, None, Vec::new());
        let retry = Retry::default();
        Self { uri: uri.into(), connection, retry, format, compression, layout, flush_size, partition_by, target_file_size }
    }

    /// What is wrong with the values, apart from any schema.
    pub(super) fn check(&self) -> Result<()> {
        self.connection.check().map_err(|error| error.below("connection"))?;
        self.retry.time()?;
        if S3Uri::parse(&self.uri).map_err(|error| error.below("uri"))?.key.is_empty() {
            return Err(Error::configuration(format!("`uri: {}` names a bucket and no prefix in it", self.uri))
                .code(BUCKET_ADDRESS)
                .key(["uri"])
                .hint("write it as s3://bucket/prefix"));
        }
        if self.format == SinkFormat::Parquet && self.compression != Compression::None {
            return Err(Error::configuration("Parquet is compressed inside")
                .code(COMPRESSED_TWICE)
                .key(["compression"])
                .hint("leave `compression` out"));
        }
        if !(ByteSize::kib(4)..=ByteSize::gib(64)).contains(&self.target_file_size) {
            return Err(Error::configuration(format!("`target_file_size: {}` is out of range", self.target_file_size))
                .code(OUT_OF_RANGE)
                .key(["target_file_size"])
                .hint("use 4KiB to 64GiB"));
        }
        self.check_layout()
    }

    fn check_layout(&self) -> Result<()> {
        if self.layout == S3Layout::Hive {
            return match self.flush_size {
                Some(_) => Err(Error::configuration("`flush_size` belongs to `layout: connect`")
                    .code(CONNECT_LAYOUT)
                    .key(["flush_size"])
                    .hint("`target_file_size` ends objects by their size")),
                None => Ok(()),
            };
        }
        if self.format != SinkFormat::Jsonl {
            return Err(Error::configuration("`layout: connect` has one record per line")
                .code(CONNECT_LAYOUT)
                .key(["layout", "connect"])
                .hint("format: jsonl"));
        }
        if !self.partition_by.is_empty() {
            return Err(Error::configuration(
                "`partition_by` and `layout: connect` exclude each other: its folders are the topic's partitions",
            )
            .code(CONNECT_LAYOUT)
            .key(["partition_by"]));
        }
        if !(1..=1_000_000_000).contains(&self.flush_size()) {
            return Err(Error::configuration("`flush_size` must be 1 to 1,000,000,000").code(OUT_OF_RANGE).key(["flush_size"]));
        }
        Ok(())
    }

    /// The most records of an object in Kafka Connect's layout.
    pub(super) fn flush_size(&self) -> u64 {
        self.flush_size.unwrap_or(FLUSH_SIZE)
    }

    /// The columns that are left for the objects.
    pub(super) fn object_schema(&self, schema: &Schema) -> SchemaRef {
        wasmill_lake::without_partition_columns(schema, &self.partition_by)
    }

    /// What a key ends with, dot included.
    pub(super) fn extension(&self) -> String {
        format!(".{}{}", self.format.format().extension(), self.compression.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(S3SinkConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
