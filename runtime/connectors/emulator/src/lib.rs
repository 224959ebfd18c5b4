//! Emulator: posts, places and users as a Pinterest data pipeline sees them, generated row by row
//! from a seed.
//!
//! * [`EmulatorConfig`] is the configuration under `emulator:`.
//! * [`Generator`] generates row `n` of a table as JSON: a pure function, so any part can be
//!   generated without the rest.
//! * [`EmulatorSource`] passes them to a pipeline, decoded like any other JSON, with the bytes kept
//!   for dead letters.
//! * [`emulate`] writes the same rows to files or to a console.
//! * [`Steps`] chooses rows of tables that are there already, at random.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod codes;
mod config;
mod connector;
mod names;
mod pace;
mod people;
mod pin;
mod random;
mod rows;
mod source;
mod steps;
mod text;
mod words;
mod write;

#[cfg(test)]
mod tests;

pub use config::{Dirt, DirtShares, EmulatorConfig, Level, Shares, Table};
pub use connector::CONNECTOR;
pub use rows::Generator;
pub use source::{EmulatorSource, PARTITION_COLUMN, POSITION_COLUMN};
pub use steps::{Step, Steps};
pub use write::{Destination, Emulated, Emulation, emulate};
