//! The configuration of a files sink.

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_formats::codes::COMPRESSED_TWICE;
use wasmill_formats::{Compression, SinkFormat};

use crate::codes::{NO_PATH, NOT_LOCAL};

/// Writes files into a folder. A file appears whole and keeps its name; its rows are those of one lane and one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesSinkConfig {
    /// `path: out/dead_letters`
    ///
    /// The folder, relative to the working directory. It is created by the first rows; a hidden folder `.wasmill` in it
    /// holds what is not committed yet.
    pub path: String,
    /// `format: jsonl`
    ///
    /// `jsonl` (one JSON object per line), `csv` (with a header row) or `parquet`.
    pub format: SinkFormat,
    /// `write: append`
    ///
    /// `append` adds files. `overwrite` replaces the files of the run before at the end of a batch;
    /// the folder has to hold no others. The commit is decided in one step and then removes the old
    /// files before the new ones appear, one after the other: a reader that comes in between finds
    /// a part of the new rows. A run without rows leaves no file.
    #[serde(default, skip_serializing_if = "is_append")]
    pub write: FilesWriteMode,
    /// `compression: none`
    ///
    /// `none`, `gzip` or `zstd` for the whole file. Parquet files are compressed inside and take `none`.
    #[serde(default)]
    pub compression: Compression,
    /// `partition_by: [category]`
    ///
    /// Columns whose values name folders, as Hive lays them out: `category=art/`. The columns are
    /// left out of the files. They are texts, booleans, whole numbers and dates; an empty text
    /// counts as null. A row is rejected if its values are too long for the name of a folder. A
    /// lane writes one file per partition and epoch until it has its target size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// `target_file_size: 256MiB`
    ///
    /// Starts a new file when the current one has grown to about this size. An epoch always ends
    /// its files, so they may be smaller.
    #[serde(default = "default_target_file_size")]
    #[schemars(with = "String")]
    pub target_file_size: ByteSize,
}

/// What happens to the files of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FilesWriteMode {
    /// They stay.
    #[default]
    Append,
    /// They are replaced.
    Overwrite,
}

fn is_append(write: &FilesWriteMode) -> bool {
    *write == FilesWriteMode::Append
}

fn default_target_file_size() -> ByteSize {
    ByteSize::mib(256)
}

impl FilesSinkConfig {
    /// The configuration that has nothing but a folder and a format.
    pub fn new(path: impl Into<String>, format: SinkFormat) -> Self {
        let (write, compression, partition_by) = (FilesWriteMode::Append, Compression::None, Vec::new());
        Self { path: path.into(), format, write, compression, partition_by, target_file_size: default_target_file_size() }
    }

    /// What is wrong with the values, apart from any schema.
    pub(crate) fn check(&self) -> Result<()> {
        if self.path.is_empty() {
            return Err(Error::configuration("`path` is empty").code(NO_PATH).key(["path"]).hint("name a folder, as in `path: out/rows`"));
        }
        if self.path.contains("://") {
            return Err(Error::configuration(format!("`path: {}` is not the path of a folder", self.path))
                .code(NOT_LOCAL)
                .key(["path"])
                .hint("this sink writes local files"));
        }
        if self.format == SinkFormat::Parquet && self.compression != Compression::None {
            return Err(Error::configuration("Parquet files are compressed inside")
                .code(COMPRESSED_TWICE)
                .key(["compression"])
                .hint("leave `compression` out"));
        }
        if self.target_file_size < ByteSize::kib(4) {
            return Err(Error::configuration(format!("`target_file_size: {}` is too small", self.target_file_size))
                .code(OUT_OF_RANGE)
                .key(["target_file_size"])
                .hint("use at least 4KiB"));
        }
        Ok(())
    }

    /// The extension of a file's name, dot included.
    pub(crate) fn extension(&self) -> String {
        format!(".{}{}", self.format.format().extension(), self.compression.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_format_do() {
        let config: FilesSinkConfig = serde_json::from_str(r#"{"path": "out", "format": "jsonl"}"#).unwrap();
        assert_eq!(config, FilesSinkConfig::new("out", SinkFormat::Jsonl));
        let gzip: FilesSinkConfig = serde_json::from_str(r#"{"path": "out", "format": "csv", "compression": "gzip"}"#).unwrap();
        assert_eq!(gzip.extension(), ".csv.gz");
        assert!(serde_json::from_str::<FilesSinkConfig>(r#"{"path": "out", "format": "json"}"#).is_err());
        let parquet = FilesSinkConfig { compression: Compression::Zstd, ..FilesSinkConfig::new("out", SinkFormat::Parquet) };
        assert!(parquet.check().is_err());
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(FilesSinkConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
