//! What connectors share: credentials and connections, files that survive a crash, spools, and
//! prepared commits.
//!
//! Independent of any connector.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aws;
pub mod causes;
pub mod codes;
mod columns;
mod columns_unknown;
#[cfg(feature = "aws")]
pub mod credentials;
pub mod digest;
pub mod durable;
pub mod examine;
pub mod memory;
pub mod period;
pub mod prepared;
pub mod record_columns;
pub mod registry;
mod retry;
mod secret;
mod server;
mod source_columns;
pub mod spool;
pub mod staged;
pub mod threads;
pub mod token;

pub use columns::{Inferred, LateColumns, NewColumns, NothingToSample, OddText, Sampling, Survey};
pub use columns_unknown::{ColumnsUnknown, columns_unknown};
pub use retry::Retry;
pub use secret::Secret;
pub use server::{Address, Server};

/// A source closes a batch once its records have this many bytes, before they are decoded. What is
/// built of them then stays in the caches of a processor, and a lane that holds some batches at a
/// time stays small.
pub const BATCH_BYTES: usize = 3 << 19;
