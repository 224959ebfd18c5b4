//! Sinks and dead letters in the pipeline file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Inputs;
use super::connectors::{ConsoleSink, DeltaSink, FilesSink, S3Sink};

/// Where records go. Exactly one connector.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// `from: clean_pins`
    ///
    /// What it takes: a source, a stage, a port of a stage (`stage.port`), or a list of them; all of the same columns.
    pub from: Inputs,
    /// `delta: { uri: out/pin_table, write: append }`
    ///
    /// Writes a Delta table.
    #[schemars(extend("x-connector" = true))]
    pub delta: Option<DeltaSink>,
    /// `files: { path: out/pins, format: parquet }`
    ///
    /// Writes files: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub files: Option<FilesSink>,
    /// `s3: { uri: "s3://lake/clean/pins", format: parquet }`
    ///
    /// Writes objects of a bucket: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub s3: Option<S3Sink>,
    /// `console: {}`
    ///
    /// Prints rows as a table. It can't take back what it printed: after a crash rows may be printed twice.
    #[schemars(extend("x-connector" = true))]
    pub console: Option<ConsoleSink>,
}

/// Where rejects go. Exactly one connector.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersSpec {
    /// `files: { path: out/dead_letters, format: jsonl }`
    ///
    /// Writes files: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub files: Option<FilesSink>,
    /// `delta: { uri: out/dead_letters }`
    ///
    /// Writes a Delta table.
    #[schemars(extend("x-connector" = true))]
    pub delta: Option<DeltaSink>,
    /// `s3: { uri: "s3://lake/dead_letters", format: jsonl }`
    ///
    /// Writes objects of a bucket: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub s3: Option<S3Sink>,
    /// `console: {}`
    ///
    /// Prints rejects as a table.
    #[schemars(extend("x-connector" = true))]
    pub console: Option<ConsoleSink>,
}

/// The connector of a sink.
#[derive(Debug, Clone)]
pub enum SinkKind {
    /// A Delta table.
    Delta(DeltaSink),
    /// Files.
    Files(FilesSink),
    /// Objects of a bucket.
    S3(S3Sink),
    /// The console.
    Console(ConsoleSink),
}

impl SinkSpec {
    /// Its connector, if it has exactly one.
    pub fn kind(&self) -> Option<SinkKind> {
        kind(self.delta.as_ref(), self.files.as_ref(), self.s3.as_ref(), self.console.as_ref())
    }
}

impl DeadLettersSpec {
    /// Its connector, if it has exactly one.
    pub fn kind(&self) -> Option<SinkKind> {
        kind(self.delta.as_ref(), self.files.as_ref(), self.s3.as_ref(), self.console.as_ref())
    }
}

fn kind(delta: Option<&DeltaSink>, files: Option<&FilesSink>, s3: Option<&S3Sink>, console: Option<&ConsoleSink>) -> Option<SinkKind> {
    let named = [
        delta.map(|delta| SinkKind::Delta(delta.clone())),
        files.map(|files| SinkKind::Files(files.clone())),
        s3.map(|s3| SinkKind::S3(s3.clone())),
        console.map(|console| SinkKind::Console(console.clone())),
    ];
    let mut named = named.into_iter().flatten();
    named.next().filter(|_| named.next().is_none())
}
