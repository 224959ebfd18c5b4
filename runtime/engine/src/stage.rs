//! The contract of a stage: batches in, batches out, every row accounted for.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::Result;

/// A planned stage: immutable, shared by all lanes.
pub trait Stage: Send + Sync {
    /// Its outputs, by name; at least one. Their order is what [`PortOutput::port`] counts.
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)>;

    /// Creates the instance of one lane. Called on the lane's own thread.
    fn open(&self, lane: usize) -> Result<Box<dyn StageInstance>>;
}

/// A lane's own instance of a stage.
///
/// # Contract
/// * Deterministic: the same batches in the same order give the same results, in every run and on
///   every machine.
/// * Every input row is the origin of an output row, or rejected, or filtered out, never both of
///   the first two. Outputs and rejects name input rows by index. `origins` never decrease. There
///   is at most one output per port.
/// * A bad row is a reject, not an error. An error stops the pipeline.
pub trait StageInstance: Send {
    /// Transforms one batch of at least one row.
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput>;
}

/// The result of a stage for one batch.
#[derive(Debug, Default)]
pub struct StageOutput {
    /// Rows that continue.
    pub outputs: Vec<PortOutput>,
    /// Rejected rows, in increasing order of row, each at most once.
    pub rejects: Vec<RowReject>,
}

/// Rows that leave by one port.
#[derive(Debug)]
pub struct PortOutput {
    /// An index into [`Stage::ports`].
    pub port: usize,
    /// The rows.
    pub records: RecordBatch,
    /// For each row, the input row that it comes from. `None` means every input row that is not
    /// rejected, in order.
    pub origins: Option<Vec<u32>>,
}

/// An input row that a stage rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// Its index in the input batch.
    pub row: u32,
    /// The reason for programs, in kebab case.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason, for readers.
    pub message: String,
}
