//! The configuration of each connector, as the connectors define it.

use schemars::JsonSchema;
use serde::Deserialize;

/// Reads files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesSource {
    /// `path: "data/pin/*.jsonl"`
    ///
    /// A file, a folder, or a pattern with `*`, `**`, `?` and `[…]`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `format: jsonl`
    ///
    /// Default: by the file's name.
    pub format: Option<FileFormat>,
}

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// JSON lines.
    Jsonl,
    /// A JSON array.
    Json,
    /// Comma-separated values.
    Csv,
    /// Parquet.
    Parquet,
}

/// Makes rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmulatorSource {
    /// `table: pin`
    pub table: EmulatorTable,
    /// `rows: 1000`
    ///
    /// How many rows to make. Default: endless.
    pub rows: Option<u64>,
}

/// A table of the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmulatorTable {
    /// Posts.
    Pin,
    /// Places.
    Geo,
    /// Users.
    User,
}

/// Writes a Delta table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeltaSink {
    /// `uri: out/pin_table`
    #[schemars(length(min = 1))]
    pub uri: String,
    /// `write: append`
    #[serde(default)]
    pub write: WriteMode,
}

/// What becomes of the rows that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// They stay.
    #[default]
    Append,
    /// They go.
    Overwrite,
}

/// Writes files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesSink {
    /// `path: out/pins`
    #[schemars(length(min = 1))]
    pub path: String,
    /// `format: jsonl`
    pub format: FileFormat,
    /// `write: append`
    #[serde(default)]
    pub write: WriteMode,
}

/// Prints rows.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSink {
    /// `rows: 20`
    pub rows: Option<u64>,
}

/// Whether an emulator never ends.
pub fn is_endless(emulator: &EmulatorSource) -> bool {
    emulator.rows.is_none()
}

/// Whether a sink replaces what is there; `None` where that means nothing.
pub fn is_overwrite(kind: &super::SinkKind) -> Option<bool> {
    match kind {
        super::SinkKind::Delta(delta) => Some(delta.write == WriteMode::Overwrite),
        super::SinkKind::Files(files) => Some(files.write == WriteMode::Overwrite),
        super::SinkKind::Console(_) => None,
    }
}

/// Where a sink writes; `None` where two may write.
pub fn place(kind: &super::SinkKind) -> Option<&str> {
    match kind {
        super::SinkKind::Delta(delta) => Some(&delta.uri),
        super::SinkKind::Files(files) => Some(&files.path),
        super::SinkKind::Console(_) => None,
    }
}
