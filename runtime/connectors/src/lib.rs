//! Where records come from and where they go: one module a connector, and the file formats that they share.
//!
//! Only `<connector>` names its client library. Everything here implements the traits of `wasmill-engine`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aws;
mod causes;
mod columns_unknown;
pub mod console;
mod credentials;
pub mod delta;
mod digest;
mod durable;
pub mod emulator;
pub mod examine;
pub mod files;
pub mod formats;
mod gather;
pub mod kafka;
pub mod kinesis;
mod memory;
mod period;
pub mod postgres;
mod prepared;
pub mod s3;
mod secret;
mod spool;
mod staged;
mod threads;
mod token;
mod write_behind;

pub use columns_unknown::ColumnsUnknown;
