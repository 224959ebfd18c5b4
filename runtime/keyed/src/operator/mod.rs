//! An aggregating stage of one lane: it collects rows during an epoch and emits results at its end.
//!
//! Every lane has a [`Collector`] and an [`Emitter`]. An epoch goes like this:
//!
//! 1. [`Collector::begin`] with the watermark; [`Collector::collect`] for every batch. Over its memory bound the collector spills a run.
//! 2. [`Collector::seal`] returns the lane's new runs. They are handed to all lanes, with the times of the splits, and every lane computes the next watermark.
//! 3. [`Emitter::emit`] of every lane takes the new runs of all lanes and the stage's state, and fires windows for its own key groups. It returns
//!    which runs are state from then on. Runs in memory among those are [stored](crate::run::store) before a checkpoint names them.
//!
//! Which rows, keys and windows are emitted depends neither on the number of lanes, nor on batches, nor on spills and compactions.

mod collector;
mod emitter;
mod ghosts;
mod panes;
mod running;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;

pub use collector::{Collected, Collector, Limits};
pub use emitter::{EmitInput, Emitted, Emitter};
pub(crate) use panes::{Panes, Sorted};

use crate::codes::EVENT_TIME_TYPE;
use crate::key::KeyCodec;
use crate::run::check_state_schema;
use crate::windows::Windows;
use crate::{Aggregate, Error, Result};

/// When a stage emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Once a window closes, and again for late rows.
    AtClose,
    /// At the end of every epoch the results so far of the keys that got rows: for sinks that replace rows by key.
    EveryEpoch,
}

/// What an aggregating stage does. Columns are indices into the stage's input.
#[derive(Clone)]
pub struct AggregateSpec {
    /// The columns that make the key; none: one group for all rows.
    pub keys: Vec<usize>,
    /// The columns that the accumulator gets, in this order.
    pub values: Vec<usize>,
    /// The column of event time; needed by windows.
    pub event_time: Option<usize>,
    /// The windows.
    pub windows: Windows,
    /// When results are emitted.
    pub emit: Emit,
    /// What is computed.
    pub aggregate: Arc<dyn Aggregate>,
}

/// A planned aggregating stage: immutable, shared by all lanes.
pub struct AggregateStage {
    pub(crate) spec: AggregateSpec,
    pub(crate) codec: KeyCodec,
}

impl AggregateStage {
    /// Plans a stage over rows of a schema.
    ///
    /// # Errors
    /// Configuration: a column can't be a key, the event time is missing where there are windows, or the state has a column that can't be written.
    pub fn new(input: &Schema, spec: AggregateSpec) -> Result<Self> {
        let out_of_range = |&column: &usize| column >= input.fields().len();
        if spec.keys.iter().chain(&spec.values).chain(&spec.event_time).any(out_of_range) {
            return Err(Error::bug("a column of a keyed stage lies outside its input"));
        }
        if !spec.windows.is_none() && spec.event_time.is_none() {
            return Err(Error::configuration("windows need a column of event time").code(EVENT_TIME_TYPE));
        }
        if let Some(column) = spec.event_time {
            let none = arrow_array::new_empty_array(input.field(column).data_type());
            crate::windows::event_times(&none, &mut Vec::new())?;
        }
        check_state_schema(&spec.aggregate.state_schema())?;
        let codec = KeyCodec::new(spec.keys.iter().map(|&column| Arc::clone(&input.fields()[column])).collect::<Vec<_>>())?;
        Ok(Self { spec, codec })
    }

    /// The codec of its keys.
    pub fn codec(&self) -> &KeyCodec {
        &self.codec
    }

    /// What it does.
    pub fn spec(&self) -> &AggregateSpec {
        &self.spec
    }
}

/// Results of one window, a row each.
#[derive(Debug, Clone)]
pub struct Fired {
    /// The end of the window in microseconds since 1970; [`NEVER`](crate::windows::NEVER) without windows.
    pub end: i64,
    /// Whether earlier results of this window may have been emitted, which these replace.
    pub again: bool,
    /// The key columns.
    pub keys: Vec<ArrayRef>,
    /// The results, in the aggregate's output schema; as many rows as the keys.
    pub rows: RecordBatch,
}

#[cfg(test)]
mod tests;
