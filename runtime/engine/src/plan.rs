//! A plan: the nodes of a pipeline and how they are wired, checked and ready to run.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{KeyedStage, Result, Sink, Source, Stage};

/// Writes one row of a batch as one line of JSON, for rejects without bytes of their own.
pub type RowAsJson = fn(&RecordBatch, usize) -> Result<String>;

/// Whether a pipeline ends with its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reads what is there, commits, ends.
    Batch,
    /// Runs until it is stopped.
    Stream,
}

/// When an epoch ends: at whichever bound comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochPolicy {
    /// The longest time; longer while the epoch before is being committed.
    pub every: Duration,
    /// The most source records, counted over all lanes. Batches are not split, so every lane may
    /// exceed it by one batch.
    pub rows: u64,
    /// One single epoch for the whole run, as sinks that overwrite need it: both bounds are ignored, and progress of earlier runs too.
    pub whole_run: bool,
}

/// What a node reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// A source, by index in [`Plan::sources`].
    Source(usize),
    /// A port of a stage, by index in [`Plan::stages`] and in [`Stage::ports`].
    Stage(usize, usize),
}

/// A source in a plan.
pub struct SourceNode {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// The source.
    pub source: Box<dyn Source>,
    /// The share of its records that may be rejected before the pipeline stops, 0 to 1.
    pub max_reject_share: f64,
}

/// A stage in a plan. Stages come after what they read from.
pub struct StageNode {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// What it does, and what it reads.
    pub work: StageWork,
    /// Its plugin as `name@sha256:digest`, for dead letters.
    pub plugin: Option<Arc<str>>,
    /// The share of its rows that may be rejected before the pipeline stops, 0 to 1.
    pub max_reject_share: f64,
}

/// What a stage does with its rows.
pub enum StageWork {
    /// Batches go through it one by one.
    Rows {
        /// The stage.
        stage: Arc<dyn Stage>,
        /// What it reads; all of one schema.
        inputs: Vec<Input>,
    },
    /// Rows of one key come together in it. Its rows leave by its only port, number 0.
    Keyed {
        /// The stage.
        stage: Arc<dyn KeyedStage>,
        /// What each side reads; all inputs of a side are of one schema.
        sides: Vec<Vec<Input>>,
    },
}

/// A sink in a plan.
pub struct SinkNode {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// What it takes; all of one schema.
    pub inputs: Vec<Input>,
    /// The columns that it gets.
    pub schema: SchemaRef,
}

/// A pipeline, ready to run.
pub struct Plan {
    /// The pipeline's name: it names its state and its tokens.
    pub name: String,
    /// Whether it ends with its input.
    pub mode: Mode,
    /// A stream that is drained: it ends when its sources do, which have ends, and then every window closes. Ignored in a batch, which always ends so.
    pub drains: bool,
    /// How many lanes work in parallel.
    pub lanes: usize,
    /// The most rows that a lane decodes into one batch.
    pub batch_rows: usize,
    /// How rejected rows are written that have no original bytes.
    pub row_as_json: RowAsJson,
    /// When epochs end.
    pub epoch: EpochPolicy,
    /// After how many source records, good and bad ones, the run ends as if its sources did. `None`
    /// reads all. What was read is committed.
    pub limit: Option<u64>,
    /// Whether commits only simulate: progress is then not reported to the sources.
    pub is_rehearsal: bool,
    /// Where records come from.
    pub sources: Vec<SourceNode>,
    /// What transforms them, in an order in which inputs come first.
    pub stages: Vec<StageNode>,
    /// Where they go.
    pub sinks: Vec<SinkNode>,
    /// Where rejects go. Its `inputs` are empty and its schema is [`dead_letter_schema`](crate::dead_letter_schema).
    pub dead_letters: Option<SinkNode>,
}
