//! Runs a plugin natively, the way that the host does: over the contract's bytes, with the host's checks, and with the columns
//! that stayed behind put back.
//!
//! [`transform`] takes rows as JSON and gives rows as JSON; [`transform_batch`] takes and gives record batches; [`cases`] runs
//! the case files beside a plugin. Everything here is for tests.

mod assemble;
mod cases;
mod driver;
mod rows;

pub use cases::cases;
pub use driver::{Outcome, PortRows, RowReject, crossing_columns, describe, input_schema, transform, transform_batch};
