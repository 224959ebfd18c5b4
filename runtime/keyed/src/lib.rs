//! The core of keyed stages: what brings the rows of one key together, without an engine around it.
//!
//! A keyed stage collects during an epoch and emits at its end. What is handed over between lanes, what is spilled, what is state and what a checkpoint adds is
//! the same thing: an immutable [`Run`](run::Run), sorted by window end, key group and key.
//!
//! * [`Aggregate`], [`Accumulator`]: the contract of what is computed, by SQL, by a plugin or natively.
//! * [`Combined`], [`Renamed`]: several of them as one, and one with other names.
//! * [`key`]: the encoding of keys, and the key groups by which they are spread over lanes.
//! * [`groups`]: the hash table of a lane.
//! * [`run`]: runs in memory and in files.
//! * [`compact`], [`pick`]: merging runs into fewer.
//! * [`windows`]: panes, and the windows that a watermark closes.
//! * [`dedup`]: a stage that drops duplicates.
//! * [`join`]: a stage that brings the rows of two inputs together.
//! * [`operator`]: an aggregating stage of one lane, made of the above: a [`Collector`](operator::Collector) and an [`Emitter`](operator::Emitter).
//!
//! The crate knows no engine, no connector and no plugin, and starts no threads: every value belongs to one lane, except runs and plans, which are shared
//! and do not change.
//!
//! Cost: a row takes some 10 to 30 ns into one of a few thousand groups, and the states of a key are never copied one by one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

// Tests share files with those of the folder `tests`, which know the crate by its name.
#[cfg(test)]
extern crate self as wasmill_keyed;

#[cfg(test)]
#[path = "../tests/support/accumulators.rs"]
#[allow(dead_code)]
mod accumulators;
mod aggregate;
pub mod codes;
mod combined;
pub mod dedup;
pub mod groups;
pub mod join;
pub mod key;
mod merge;
pub mod operator;
mod renamed;
mod rows;
pub mod run;
pub mod windows;

pub use aggregate::{Accumulator, Aggregate, Grouped, RowReject};
pub use combined::{Combined, Part};
pub use merge::{Compaction, compact, pick};
pub use renamed::{Renamed, ResultColumn};
pub use rows::KeptRows;
pub use wasmill_error::{Error, Result};
