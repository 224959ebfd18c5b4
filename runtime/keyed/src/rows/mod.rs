//! Rows that are kept whole, for stages that pass them on: collected and sorted into runs, found again by key, gathered into batches.

mod collector;
mod gather;
mod in_order;
mod kept;
mod keyed_rows;
mod neighbours;

pub(crate) use collector::{RowCollector, RowPlan};
pub(crate) use gather::{Gather, RowRef};
pub(crate) use in_order::{Marks, RowsInOrder, RowsWriter};
pub use kept::KeptRows;
pub(crate) use keyed_rows::KeyedRows;
pub(crate) use neighbours::Neighbours;
