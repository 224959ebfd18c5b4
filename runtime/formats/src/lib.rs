//! File formats: bytes to Arrow columns and back. Independent of files and pipelines.
//!
//! * Decoders isolate bad records: a record that can't be decoded affects that record only (`json`,
//!   `csv`).
//! * Encoders write batches as a stream of bytes: [`record_writer`] creates a [`RecordWriter`].
//!
//! How values are written and read as text is the same everywhere; the JSON side is fixed by the plugin contract
//! (`wit/wasmill.wit`, encoding `json-lines`). What is written here is read back unchanged by the decoders here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod codes;
mod columns;
mod conversion;
pub mod csv;
mod decoder;
mod encode;
pub mod json;
mod keys;
mod number;
pub mod parquet;
mod plain;
pub mod time;
mod values;

use std::path::Path;

pub use columns::{BadRecord, Step, one_value};
pub use conversion::{Converted, RowConversion, check_columns, with_types};
pub use decoder::{RecordDecoder, Unknown, Utf8Records};
pub use encode::{RecordWriter, TextEncoder, WriteOptions, record_writer, text_writer};
pub use json::row_to_json;
pub use number::is_number;
pub use plain::{plain_schema, plain_type, to_plain};
pub use values::{VALUE_COLUMN, Values};
pub use wasmill_types::{FieldType, TypeName, reading};

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `jsonl`: one JSON object per line.
    Jsonl,
    /// `json`: one JSON array of objects, or objects one after the other.
    Json,
    /// `csv`: text with a header row, delimiter and quotes.
    Csv,
    /// `parquet`: Apache Parquet.
    Parquet,
}

impl Format {
    /// The format by the extension of a file's name, if known: `.jsonl`, `.ndjson`, `.json`,
    /// `.csv`, `.parquet`, before `.gz` or `.zst`.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The usual extension of its files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// A format of files that sinks write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SinkFormat {
    /// One JSON object per line.
    Jsonl,
    /// Text with a header row.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl SinkFormat {
    /// The format among all formats.
    pub fn format(self) -> Format {
        match self {
            Self::Jsonl => Format::Jsonl,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}

/// How a whole file is compressed. Parquet compresses inside and takes `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// `none`: not at all.
    #[default]
    None,
    /// `gzip`: RFC 1952, also of several members.
    Gzip,
    /// `zstd`: Zstandard, also of several frames.
    Zstd,
}

impl Compression {
    /// The compression by the extension of a file's name: `.gz`, `.zst`, or none.
    pub fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) if extension.eq_ignore_ascii_case("gz") => Self::Gzip,
            Some(extension) if extension.eq_ignore_ascii_case("zst") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What it adds to a file's name, dot included.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        let of = |name: &str| (Format::of_path(Path::new(name)), Compression::of_path(Path::new(name)));
        assert_eq!(of("a/b.jsonl"), (Some(Format::Jsonl), Compression::None));
        assert_eq!(of("b.JSON.GZ"), (Some(Format::Json), Compression::Gzip));
        assert_eq!(of("b.csv.zst"), (Some(Format::Csv), Compression::Zstd));
        assert_eq!(of("b.parquet"), (Some(Format::Parquet), Compression::None));
        assert_eq!(of("b.txt"), (None, Compression::None));
        assert_eq!(of("jsonl"), (None, Compression::None));
    }
}
