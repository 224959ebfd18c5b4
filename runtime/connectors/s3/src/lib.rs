//! Objects in S3 and in stores with its API: as a source and as a sink.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod codes;
mod connector;
pub mod sink;
pub mod source;

pub use connector::CONNECTOR;
