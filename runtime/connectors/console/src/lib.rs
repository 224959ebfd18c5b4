//! The sink `console`: rows as an aligned table that fits the terminal.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cell;
mod codes;
mod config;
mod connector;
mod sink;
mod table;

pub use config::ConsoleConfig;
pub use connector::CONNECTOR;
pub use sink::ConsoleSink;
