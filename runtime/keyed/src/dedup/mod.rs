//! Dropping duplicates: of the rows of a key that are near one another in time, the first passes.
//!
//! Rows are kept as they come during an epoch; only their places are sorted by key. At its end, the rows of a key are taken by event time, then by
//! partition and position of their source: a row passes unless a row of its key has passed already whose time is less than `within` away, earlier or
//! later. Without `within` one row per key passes for ever. Which copy wins depends neither on lanes nor on arrival within the epoch; a copy that was
//! let through in an earlier epoch stays the winner.
//!
//! The state is the times of the rows that passed, in windows of `within`: of a key at most one per window, so a row has to be held against its own
//! window and the two beside it. A row is late when the watermark has reached its time plus `within`; state is kept for twice that.

mod collector;
mod emitter;
mod sealed;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_schema::SchemaRef;

pub use collector::{DedupCollector, Origin};
pub use emitter::{DedupEmitter, DedupInput, Deduplicated};
pub use sealed::CollectedRows;
pub use state::EmittedTimes;

use crate::codes::EVENT_TIME_TYPE;
use crate::key::KeyCodec;
use crate::run::check_state_schema;
use crate::windows::Windows;
use crate::{Error, Result};

/// What a stage that drops duplicates does. Columns are indices into its input.
#[derive(Debug, Clone)]
pub struct DedupSpec {
    /// The columns in which duplicates are equal; nulls are equal to nulls.
    pub keys: Vec<usize>,
    /// The column of event time; needed by `within`.
    pub event_time: Option<usize>,
    /// How far duplicates are from one another, in microseconds; `None`: as far as they like, and keys are kept for ever.
    pub within: Option<i64>,
}

/// A planned stage that drops duplicates: immutable, shared by all lanes.
pub struct DedupStage {
    spec: DedupSpec,
    codec: KeyCodec,
    input: SchemaRef,
    /// What runs of places hold.
    place_schema: SchemaRef,
    windows: Windows,
    /// How many collectors it has had.
    collectors: AtomicU32,
}

impl DedupStage {
    /// Plans a stage over rows of a schema.
    ///
    /// # Errors
    /// Configuration: a column can't be a key or can't be kept in a run, `within` is not positive, or the event time is missing.
    pub fn new(input: SchemaRef, spec: DedupSpec) -> Result<Self> {
        if spec.keys.iter().chain(&spec.event_time).any(|&column| column >= input.fields().len()) {
            return Err(Error::bug("a column of a keyed stage lies outside its input"));
        }
        let windows = match spec.within {
            None => Windows::none(),
            Some(within) => Windows::tumbling(within)?.with_allowed_lateness(within.saturating_mul(2)),
        };
        if spec.within.is_some() && spec.event_time.is_none() {
            return Err(Error::configuration("`within` needs a column of event time").code(EVENT_TIME_TYPE));
        }
        if let Some(column) = spec.event_time {
            let none = arrow_array::new_empty_array(input.field(column).data_type());
            crate::windows::event_times(&none, &mut Vec::new())?;
        }
        let codec = KeyCodec::new(spec.keys.iter().map(|&column| Arc::clone(&input.fields()[column])).collect::<Vec<_>>())?;
        check_state_schema(&input)?;
        let place_schema = sealed::place_schema();
        Ok(Self { spec, codec, input, place_schema, windows, collectors: AtomicU32::default() })
    }

    /// The windows in which its state is kept.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// What it does.
    pub fn spec(&self) -> &DedupSpec {
        &self.spec
    }

    /// A number that no other collector of it has.
    fn number_of_collector(&self) -> u32 {
        self.collectors.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
