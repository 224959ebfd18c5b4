//! The pipeline as a whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::{DeadLettersSpec, Period, SinkSpec, Size, SourceSpec, StageSpec};

/// A pipeline: records flow from sources through stages into sinks.
///
/// Paths are relative to the working directory. `--set sources.pins.files.path=…` overrides any value on the command line. Any value may
/// hold references:
///
/// - `${env:NAME}`: an environment variable. `${env:NAME:-default}`: the default, where the variable is not set or empty.
/// - `${secret:NAME}`: an environment variable that is never shown.
/// - `${file:path}`: the text of a file, without the line end after it; never displayed.
/// - `${table:delta:place#column}`: the text of a column in a Delta table of exactly one row; never displayed. The place is a path or
///   `s3://bucket/prefix`, reached with the credentials of the environment.
///
/// Plans, logs and errors never display the values of `${secret:…}`, `${file:…}` and `${table:…}`, nor the
/// password of an address. Nor do they display the values of keys that are named like secrets
/// (`password`, `secret_access_key`, `session_token`, …). All other values are displayed.
///
/// A secret that is written in the file, or as a default, is an error. It is only a warning where
/// all servers of its connection are this machine (`localhost`, 127.0.0.1, `::1`, a socket).
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
    /// A map sets more: `state: { path: .wasmill/state, memory: 1GiB }`.
    ///
    /// `s3://bucket/prefix` keeps them in a bucket whose store supports conditional puts, for
    /// machines that come and go. Endpoint, region and credentials come from where AWS's own tools
    /// take them: `AWS_ENDPOINT_URL_S3`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, a profile, the
    /// instance. There is no lock: of two processes with one pipeline the one that started last
    /// continues, and the other stops.
    pub state: Option<StateSpec>,
}

/// Where a pipeline keeps its state, and how much of it in memory. A text is the `path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateSpec {
    /// The folder or the address of the checkpoints.
    pub path: Option<String>,
    /// What keyed stages may hold in memory.
    pub memory: Option<Size>,
}

/// The keys of a state that is written as a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StateOptions")]
struct StateKeys {
    /// `path: .wasmill/state`
    ///
    /// The folder of the checkpoints, or their address in a bucket.
    #[schemars(length(min = 1))]
    path: Option<String>,
    /// `memory: 512MiB`
    ///
    /// How much memory all keyed stages (`dedup`, `join`, `aggregate`) and lanes hold together of what they collect in an epoch, 16MiB to 1TiB.
    /// Beyond it they write sorted runs to disk, which changes no result. Default: 512MiB.
    memory: Option<Size>,
}

impl<'de> Deserialize<'de> for StateSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrKeys;

        impl<'de> de::Visitor<'de> for PathOrKeys {
            type Value = StateSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a folder, the address of a bucket, or a map")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<StateSpec, E> {
                Ok(StateSpec { path: Some(path.to_owned()), memory: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<StateSpec, A::Error> {
                let StateKeys { path, memory } = StateKeys::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(StateSpec { path, memory })
            }
        }

        deserializer.deserialize_any(PathOrKeys)
    }
}

impl JsonSchema for StateSpec {
    fn schema_name() -> Cow<'static, str> {
        "StateSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<StateKeys>();
        json_schema!({
            "description": "A folder, the address of a bucket, or a map.",
            "anyOf": [{"type": "string", "minLength": 1}, keys],
        })
    }
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
    /// The most records of the sources, at least 1. Default: 500000; 10000000 in a batch with keyed stages
    /// (`aggregate`, `dedup`, `join`), which merge their state at the end of each epoch, and without a sink that upserts, which
    /// holds an epoch's keys in memory.
    #[schemars(range(min = 1))]
    pub rows: Option<u64>,
}

impl Default for EpochSpec {
    fn default() -> Self {
        Self { every: Period::seconds(10), rows: None }
    }
}

impl EpochSpec {
    /// The most records of an epoch. `merges_state`: the pipeline is a batch with keyed stages and without a sink that upserts.
    pub fn rows(&self, merges_state: bool) -> u64 {
        self.rows.unwrap_or(if merges_state { 10_000_000 } else { 500_000 })
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
