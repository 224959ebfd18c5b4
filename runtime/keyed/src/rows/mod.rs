//! Rows that are kept whole, for stages that pass them on: collected and sorted into runs, found again by key, gathered into batches.

mod collector;
mod gather;
mod kept;
mod keyed_rows;
mod neighbours;

pub(crate) use collector::{RowCollector, RowPlan};
pub(crate) use gather::{Gather, RowRef};
pub use kept::KeptRows;
pub(crate) use keyed_rows::KeyedRows;
pub(crate) use neighbours::Neighbours;
