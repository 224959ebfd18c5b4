//! Nexmark: the persons, auctions and bids of an online auction house, as a source of pipelines and as files.
//!
//! Written after the published description of the benchmark: of 50 events one is a person, three are auctions and 46 are bids. Half of the bids go to
//! the hot auction of the moment, and three quarters come from its hot bidder. An event is a function of the seed and its number alone, so any part of
//! them can be generated without the rest.
//!
//! * [`Events`] knows which event is what, when it was, and to what it belongs.
//! * [`columns::Table`] gives the events of one kind as columns.
//! * [`CONNECTOR`] is the source `nexmark` of pipelines, [`write_files`] writes the same rows.

mod columns;
mod connector;
mod draw;
mod events;
mod files;
mod source;
mod texts;

#[cfg(test)]
mod tests;

pub use connector::CONNECTOR;
pub use events::{Events, PER_SECOND, SEED, Stream};
pub use files::{FilesFormat, write_files};
