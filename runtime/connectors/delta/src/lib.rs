//! The sink `delta`: rows into a Delta table, exactly once; the source `delta`; and what commands do with tables.
//!
//! A lane writes Parquet files where no reader sees them: into a hidden folder of the table, or as
//! uploads that are not completed. A commit moves them to their place and then puts one entry into
//! the table's log, which adds the files and sets the sink's token together. The first process to
//! put an entry for a version owns it. Every other one re-reads the log and decides again, so two
//! processes can't both commit an epoch.
//!
//! An upsert also rewrites the files that hold replaced rows, at the commit, from the version that its
//! entry follows.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod changes;
mod codes;
mod commit;
mod config;
mod connector;
mod convert;
mod data_file;
mod diff;
mod entry;
mod evolution;
mod examine;
mod key;
mod log;
mod moves;
mod only_value;
mod place;
mod prepared;
mod properties;
mod row_set;
mod rows;
mod schema;
mod sink;
mod source;
mod staging;
mod state;
mod stats;
mod text;
mod upkeep;
mod upsert;
mod writer;

pub use address::TableAddress;
pub use config::{DeltaCompression, DeltaConfig, SchemaEvolution, WriteMode};
pub use connector::CONNECTOR;
pub use diff::{Cell, ChangedRow, ColumnDifference, DiffOptions, Difference, Side, diff};
pub use examine::examine;
pub use schema::SchemaDifference;
pub use sink::{DeltaSink, check_schema};
pub use source::{DeltaSource, DeltaSourceConfig, OnChange, infer_schema};
pub use upkeep::{HistoryEntry, LEAST_KEEP, OptimizeOptions, Optimized, VacuumOptions, Vacuumed, history, optimize, vacuum};
