//! Runs a plugin natively, as the host does: over the contract's bytes, with the host's checks, and
//! with the columns that stayed behind added again.
//!
//! [`transform`] takes and returns rows as JSON; [`transform_batch`] takes and returns record
//! batches; [`cases`] runs the case files next to a plugin.
//! [`aggregate`] and [`aggregate_cases`] do the same for aggregates, the cases also in random cuts, orders and merges. Everything here is for tests.

mod aggregate;
mod assemble;
mod cases;
mod driver;
mod rows;

pub use aggregate::{Accumulation, aggregate, aggregate_cases};
pub use cases::cases;
pub use driver::{Outcome, PortRows, RowReject, crossing_columns, describe, input_schema, transform, transform_batch};
