//! The contract of an aggregate: what a keyed stage calls to bring the rows of one key together.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::Result;

/// A planned aggregate: immutable, shared by all lanes.
pub trait Aggregate: Send + Sync {
    /// The columns in which a group's state travels between lanes, to the disk and back. A group may have any number of rows of it.
    ///
    /// Types are those that a [run](crate::run) can hold: no views, dictionaries or unions.
    fn state_schema(&self) -> SchemaRef;

    /// The columns of a finished group, without key and window.
    fn output_schema(&self) -> SchemaRef;

    /// Whether an update may refuse rows. Where it never does, a stage of several aggregates need not ask first.
    fn may_refuse(&self) -> bool {
        true
    }

    /// Opens an empty accumulator for one lane. Called on the lane's own thread, several times where a stage needs several.
    ///
    /// # Errors
    /// The accumulator can't be created; the run stops.
    fn open(&self, lane: usize) -> Result<Box<dyn Accumulator>>;
}

/// The groups of one lane.
///
/// # Contract
/// * Groups are numbered `0..count` without gaps, and a number that was not seen before is an empty group. `count` never falls
///   between two calls that empty the accumulator.
/// * `merge(take_state(update(a)), take_state(update(b)))` equals `update(a ++ b)` for any order and any cut of the rows; floats up to rounding.
/// * A group without any rows is a group too: [`take_state`](Self::take_state) and [`finish`](Self::finish) are about all of `0..count`.
/// * Deterministic: the same calls return the same values, in every run and on every machine.
pub trait Accumulator: Send {
    /// Adds rows: row `i` belongs to `groups[i]`, and there are as many groups as rows. Returns the rows that it refuses, in increasing order;
    /// they have changed nothing. In a stage of several aggregates, whether a row is refused may depend on its values alone.
    ///
    /// # Errors
    /// The rows can't be processed at all; the run stops.
    fn update(&mut self, rows: &RecordBatch, groups: &[u32], count: u32) -> Result<Vec<RowReject>>;

    /// Adds states that accumulators of this aggregate have returned: row `i` belongs to `groups[i]`. A group's rows of one
    /// [`take_state`](Self::take_state) come in their order, and may come in several calls.
    ///
    /// # Errors
    /// The states can't be merged (an overflow); the run stops.
    fn merge(&mut self, states: &RecordBatch, groups: &[u32], count: u32) -> Result<()>;

    /// The state of all groups in increasing order, and empties the accumulator.
    ///
    /// # Errors
    /// The state can't be built; the run stops.
    fn take_state(&mut self) -> Result<Grouped>;

    /// The results of all groups in increasing order, and empties the accumulator. A group may have several rows (the best three, with ties) or none.
    ///
    /// # Errors
    /// A result can't be built (an overflow); the run stops.
    fn finish(&mut self) -> Result<Grouped>;

    /// The bytes that it holds now. The stage spills by it, so it has to grow with what is held.
    fn memory_bytes(&self) -> usize;
}

/// Rows that belong to groups.
#[derive(Debug, Clone)]
pub struct Grouped {
    /// The rows.
    pub records: RecordBatch,
    /// For each row its group, never decreasing; `None`: one row for each group, in order.
    pub groups: Option<Vec<u32>>,
}

impl Grouped {
    /// Whether there is one row of each group, of which there are `count`.
    pub(crate) fn has_row_per_group(&self, count: usize) -> bool {
        match &self.groups {
            None => self.records.num_rows() == count,
            Some(groups) => groups.iter().map(|&group| group as usize).eq(0..count),
        }
    }
}

/// A row that an accumulator refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReject {
    /// Its index in the batch.
    pub row: u32,
    /// The reason for programs, in kebab case.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason for people.
    pub message: String,
}
