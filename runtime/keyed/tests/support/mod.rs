//! What the tests of this crate, and its benchmark, share: accumulators in plain Rust, a store in memory.
#![allow(dead_code)]

pub mod accumulators;
pub mod store;
