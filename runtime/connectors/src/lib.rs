//! Where records come from and where they go: one module a connector, and the file formats that they share.
//!
//! Only `<connector>` names its client library. Everything here implements the traits of `wasmill-engine`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod console;
pub mod delta;
pub mod emulator;
pub mod files;
pub mod kafka;
pub mod kinesis;
pub mod postgres;
pub mod s3;
