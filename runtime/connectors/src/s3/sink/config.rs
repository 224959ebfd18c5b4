//! The configuration of the sink `s3`.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use crate::files::sink::FilesSinkFormat;
use crate::formats::Compression;
use crate::s3::{S3Config, S3Uri};

/// Writes objects below a prefix. An object appears whole and keeps its key; its rows are those of one lane and one epoch. An object is
/// atomic, the objects of an epoch together are not: a reader that lists them in that moment may see some before the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3SinkConfig {
    /// `uri: s3://lake/clean/pins`
    ///
    /// The bucket and the prefix. Below it, `_wasmill` holds the sink's token.
    pub uri: String,
    /// `connection: { endpoint: "http://127.0.0.1:9000" }`
    ///
    /// How to reach the bucket, and who to be there. Default: as AWS's own tools.
    #[serde(default)]
    pub connection: S3Config,
    /// `format: jsonl`
    ///
    /// `jsonl` (one JSON object a line), `csv` (with a header row) or `parquet`.
    pub format: FilesSinkFormat,
    /// `compression: none`
    ///
    /// `none`, `gzip` or `zstd` for the whole object. Parquet is compressed inside and takes `none`.
    #[serde(default)]
    pub compression: Compression,
    /// `partition_by: [category]`
    ///
    /// Columns whose values name folders, as Hive lays them out: `category=art/`. The columns are left out of the objects. Texts, booleans,
    /// whole numbers and dates; an empty text counts as no value. At most 12 objects are open a lane.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// `target_file_size: 256MiB`
    ///
    /// Begins a new object when the current one has grown to about this size, at most 64GiB. An epoch always ends its objects, so they
    /// may be smaller.
    #[serde(default = "default_target_file_size")]
    #[schemars(with = "String")]
    pub target_file_size: ByteSize,
}

fn default_target_file_size() -> ByteSize {
    ByteSize::mib(256)
}

impl S3SinkConfig {
    /// The configuration that has nothing but a prefix, a connection and a format.
    pub fn new(uri: impl Into<String>, connection: S3Config, format: FilesSinkFormat) -> Self {
        let (compression, target_file_size) = (Compression::None, default_target_file_size());
        Self { uri: uri.into(), connection, format, compression, partition_by: Vec::new(), target_file_size }
    }

    /// What is wrong with the values, apart from any schema.
    pub(super) fn check(&self) -> Result<()> {
        self.connection.check()?;
        if S3Uri::parse(&self.uri)?.key.is_empty() {
            return Err(Error::configuration(format!("`uri: {}` names a bucket and no prefix in it", self.uri))
                .hint("write it as s3://bucket/prefix"));
        }
        if self.format == FilesSinkFormat::Parquet && self.compression != Compression::None {
            return Err(Error::configuration("Parquet is compressed inside").hint("leave `compression` out"));
        }
        if !(ByteSize::kib(4)..=ByteSize::gib(64)).contains(&self.target_file_size) {
            return Err(
                Error::configuration(format!("`target_file_size: {}` is out of range", self.target_file_size)).hint("use 4KiB to 64GiB")
            );
        }
        for (index, column) in self.partition_by.iter().enumerate() {
            if self.partition_by[..index].contains(column) {
                return Err(Error::configuration(format!("`partition_by` names the column `{column}` twice")));
            }
        }
        Ok(())
    }

    /// The columns that are left for the objects.
    pub(super) fn object_schema(&self, schema: &Schema) -> SchemaRef {
        let left = schema.fields().iter().filter(|field| !self.partition_by.contains(field.name()));
        Arc::new(Schema::new(left.cloned().collect::<Vec<_>>()))
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
