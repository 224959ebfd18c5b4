//! Keyed stages: the collectors and emitters of `wasmill-keyed` behind the engine's contract.
//!
//! A lane collects rows and seals them as runs, which all lanes get. Each lane emits what became of the keys that it owns, and keeps what stays of the new runs
//! as one run of these keys, a file of the depot: an epoch's files are its change. Now and then a lane merges some of its files into one.
//!
//! * [`Aggregating`]: one row per key and window, or as many as its aggregate makes.
//! * [`Deduplicating`]: of the rows of a key, the first passes.
//! * [`Joining`]: pairs of the rows of two inputs.

mod aggregating;
mod deduplicating;
mod joining;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Field;
use serde_json::Value;
use wasmill_engine::{Batch, Error, EventTime, Lineage, Payload, Result, RowReject, Sealed, SourceChunk, Watermark};
use wasmill_keyed::operator::Limits;
use wasmill_keyed::run::Run;
use wasmill_keyed::windows::Windows;

pub use aggregating::{Aggregating, WINDOW_END, WINDOW_START, Work};
pub use deduplicating::Deduplicating;
pub use joining::Joining;
pub use state::{Held, Verified, examine, verify};

/// The reject code of a row that comes after its last window has closed.
const LATE_CODE: &str = "late";

/// How a keyed stage is set up, beside what it does.
#[derive(Debug, Clone)]
pub struct KeyedOptions {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// How far its watermark is behind; `None`: it has no event time.
    pub event_time: Option<EventTime>,
    /// How much memory a lane takes.
    pub limits: Limits,
}

/// A field as it stands in fingerprints.
fn describe(field: &Field) -> String {
    format!("{}: {}", field.name(), field.data_type())
}

/// The descriptions of some columns of a schema.
fn describe_all(schema: &arrow_schema::Schema, columns: &[usize]) -> Value {
    columns.iter().filter_map(|&column| schema.fields().get(column)).map(|field| describe(field)).collect()
}

/// The rows that a collector rejects: those that come late, and bad ones.
fn rejects(late: Vec<u32>, refused: Vec<wasmill_keyed::RowReject>, time: Option<&str>) -> Vec<RowReject> {
    let late = late.into_iter().map(|row| RowReject {
        row,
        code: LATE_CODE.to_owned(),
        column: time.map(str::to_owned),
        message: "it came later than the stage waits: what it belongs to has been emitted".to_owned(),
    });
    let refused = refused.into_iter().map(|reject| {
        let wasmill_keyed::RowReject { row, code, column, message } = reject;
        RowReject { row, code, column, message }
    });
    let mut rejects: Vec<RowReject> = refused.chain(late).collect();
    rejects.sort_by_key(|reject| reject.row);
    rejects
}

/// The watermark at which every row is late that belongs to what these runs hold; `None` where that is never so, and while more rows are awaited.
fn closed<'r>(windows: &Windows, runs: impl IntoIterator<Item = &'r Arc<Run>>, watermark: Watermark) -> Option<i64> {
    let last = runs.into_iter().filter_map(|run| run.last_end()).max()?;
    if watermark == Watermark::END { windows.expires_at(last) } else { None }
}

/// What a lane has sealed, for each side of its stage.
struct SealedRuns(Vec<Vec<Arc<Run>>>);

/// The new runs of one side, of all lanes in their order.
fn new_runs(sealed: &[Sealed], side: usize) -> Result<Vec<Arc<Run>>> {
    let mut runs = Vec::new();
    for sealed in sealed {
        let sides = (&**sealed as &dyn Any).downcast_ref::<SealedRuns>().and_then(|sealed| sealed.0.get(side));
        runs.extend_from_slice(sides.ok_or_else(|| Error::bug("the runs of another stage were handed over"))?);
    }
    Ok(runs)
}

/// Emitted rows: their source is the stage.
fn emitted(name: &Arc<str>, records: RecordBatch) -> Batch {
    let payload = Payload::Rows { first: 0, count: records.num_rows() };
    with_payload(name, records, payload)
}

fn with_payload(name: &Arc<str>, records: RecordBatch, payload: Payload) -> Batch {
    let chunk = SourceChunk { source: Arc::clone(name), partition: Arc::clone(name), payload };
    Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) }
}
