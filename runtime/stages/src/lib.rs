//! Built-in stages: what needs no plugin.
//!
//! * [`ColumnChange`]: renames or drops columns, and maps the columns before to those behind it.
//! * [`Projection`]: the stage that does it, column by column and without a copy.
//! * [`keyed`]: stages that bring the rows of a key together.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod change;
pub mod keyed;
mod projection;

pub use change::{ColumnChange, ColumnProblem, RESERVED_PREFIX};
pub use projection::Projection;
