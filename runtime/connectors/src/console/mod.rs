//! The sink `console`: rows as an aligned table that fits the terminal.

mod cell;
mod config;
mod sink;
mod table;

pub use config::ConsoleConfig;
pub use sink::ConsoleSink;
