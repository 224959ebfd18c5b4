//! x
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

// Tests share files with those of the folder `tests`, which know the crate by its name.
#[cfg(test)]
extern crate self as wasmill_keyed;

mod aggregate;
pub mod codes;
pub mod groups;
pub mod key;
mod merge;
pub mod operator;
pub mod run;
pub mod windows;
pub use aggregate::{Accumulator, Aggregate, Grouped, RowReject};
pub use merge::{Compaction, compact, pick};
pub use wasmill_error::{Error, Result};
