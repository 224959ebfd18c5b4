//! The pipeline as a whole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{DeadLettersSpec, Period, SinkSpec, SourceSpec, StageSpec};

/// A pipeline: records flow from sources through stages into sinks.
///
/// Paths are relative to the working directory. `--set sources.pins.files.path=…` overrides any value on the command line. Any value may
/// hold references:
///
/// - `${env:NAME}`: an environment variable. `${env:NAME:-default}`: the default, where the variable is not set or empty.
/// - `${secret:NAME}`: an environment variable that is never shown.
/// - `${file:path}`: the text of a file, without the line end after it; never displayed.
///
/// Plans, logs and errors never display the values of `${secret:…}` and `${file:…}`, nor the values
/// of keys that are named like secrets (`password`, `secret_access_key`, `session_token`, …), nor
/// the password of an address. All other values are displayed.
///
/// A secret that is written in the file, or as a default, is a warning where all servers of its
/// connection are this machine (`localhost`, 127.0.0.1, `::1`, a socket), and an error elsewhere.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Wasmill pipeline")]
pub struct PipelineSpec {
    /// `name: pin-to-delta`
    ///
    /// The name of the pipeline. It identifies its state and what it has committed into each sink: a pipeline that is renamed starts over.
    /// Lower-case letters, digits, `-` and `_`; at most 64.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// `mode: batch`
    ///
    /// Whether the pipeline ends with its input. `--mode` overrides it.
    #[serde(default)]
    pub mode: Mode,
    /// `connections: { lake: { endpoint: "http://127.0.0.1:9000" } }`
    ///
    /// Connections by name, for those that several connectors share: each refers to it by
    /// `connection: lake`. Their keys are those of the connectors that use them.
    #[serde(default)]
    pub connections: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// `sources: { pins: { files: { path: "data/pin/*.jsonl" } } }`
    ///
    /// Where records come from, by name. At least one.
    pub sources: BTreeMap<String, SourceSpec>,
    /// `stages: { clean_pins: { from: pins, plugin: clean-pin } }`
    ///
    /// What transforms them, by name. Sources and stages share their names.
    #[serde(default)]
    pub stages: BTreeMap<String, StageSpec>,
    /// `sinks: { pin_table: { from: clean_pins, delta: { uri: out/pin_table } } }`
    ///
    /// Where they go, by name. At least one.
    pub sinks: BTreeMap<String, SinkSpec>,
    /// `dead_letters: { files: { path: out/dead_letters, format: jsonl } }`
    ///
    /// Where rejects go: any sink. Without it, the first reject stops the pipeline.
    pub dead_letters: Option<DeadLettersSpec>,
    /// `epoch: { every: 10s, rows: 500000 }`
    ///
    /// When what was read is committed, into all sinks at once.
    #[serde(default)]
    pub epoch: EpochSpec,
    /// `lanes: 2`
    ///
    /// How many lanes work in parallel, 1 to 256. Default: one per core.
    #[schemars(range(min = 1, max = 256))]
    pub lanes: Option<u16>,
    /// `batch_rows: 8192`
    ///
    /// The most rows that go through a stage in one call, 1 to 65536. Default: 8192.
    #[serde(default = "default_batch_rows")]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_rows: u32,
    /// `state: .wasmill/state`
    ///
    /// The folder of the checkpoints; each pipeline has a folder of its own name in it. `--state` overrides it. Default: `.wasmill/state`.
    ///
    /// `s3://bucket/prefix` keeps them in a bucket whose store supports conditional puts, for
    /// machines that come and go. Endpoint, region and credentials come from where AWS's own tools
    /// take them: `AWS_ENDPOINT_URL_S3`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, a profile, the
    /// instance. There is no lock: of two processes with one pipeline the one that started last
    /// continues, and the other stops.
    #[schemars(length(min = 1))]
    pub state: Option<String>,
}

/// Whether a pipeline ends with its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reads what is there, commits, ends.
    #[default]
    Batch,
    /// Runs until it is stopped.
    Stream,
}

/// When an epoch ends: at whichever bound comes first.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EpochSpec {
    /// `every: 10s`
    ///
    /// The longest time, 100ms to 1day. While the epoch before it is being committed, an epoch lasts longer, up to its rows. Default: 10s.
    pub every: Period,
    /// `rows: 500000`
    ///
    /// The most records of the sources, at least 1. Default: 500000.
    #[schemars(range(min = 1))]
    pub rows: u64,
}

impl Default for EpochSpec {
    fn default() -> Self {
        Self { every: Period::seconds(10), rows: 500_000 }
    }
}

/// How many rows go through a stage in one call.
pub(crate) fn default_batch_rows() -> u32 {
    8192
}

/// Whether sources, stages and sinks may be called so: `[a-z][a-z0-9_]*`, at most 64 characters.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '_'))
}

/// Whether a pipeline may be called so: `[a-z0-9][a-z0-9_-]*`, at most 64 characters.
pub fn is_pipeline_name(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_lowercase() || char.is_ascii_digit())
        && name.len() <= 64
        && name.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '_' | '-'))
}
