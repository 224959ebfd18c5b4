//! Sources and sinks: what connects a pipeline to the world.
//!
//! Each connector has a folder of its own and shares nothing with the others but what is written here.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod delta;
mod durable;
pub mod emulator;
pub mod files;
pub mod formats;
mod token;
