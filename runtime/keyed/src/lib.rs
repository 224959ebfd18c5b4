//! x
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aggregate;
pub mod codes;
pub mod groups;
pub mod key;
pub mod run;
pub mod windows;
pub use aggregate::{Accumulator, Aggregate, Grouped, RowReject};
pub use wasmill_error::{Error, Result};
