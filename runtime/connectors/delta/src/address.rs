//! A table that a command names: its address, how to reach it, and which version.

use wasmill_engine::{Error, Result};

use super::config::DeltaConfig;
use super::log::TableLog;
use super::place::Place;
use crate::codes::NO_TABLE;
use wasmill_objects::{RetryTime, S3Config, S3Uri};

/// A table, named on a command line.
#[derive(Debug, Clone, PartialEq)]
pub struct TableAddress {
    /// A path, a `file://` URL or `s3://bucket/prefix`.
    pub uri: String,
    /// How to reach the bucket of an `s3://` table. Unused for others.
    pub connection: S3Config,
}

impl TableAddress {
    /// Its log.
    ///
    /// # Errors
    /// Configuration: it is not an address. Environment: its place can't be reached.
    pub(crate) fn log(&self, patience: RetryTime) -> Result<TableLog> {
        TableLog::new(self.place(patience)?)
    }

    /// Where it lies.
    pub(crate) fn place(&self, patience: RetryTime) -> Result<Place> {
        let connection = S3Uri::is_one(&self.uri).then(|| self.connection.clone());
        Place::open(&DeltaConfig { connection, ..DeltaConfig::new(&self.uri) }, patience)
    }

    /// The error of an address without a table.
    pub(crate) fn no_table(&self) -> Error {
        Error::environment(format!("there is no Delta table at {}", self.uri))
            .code(NO_TABLE)
            .hint("name the folder or the prefix that has `_delta_log` in it")
    }
}
