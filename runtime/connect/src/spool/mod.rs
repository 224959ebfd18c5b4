//! The spool: rows of an epoch that wait, durable and out of sight, for a commit that may come from another process.
//!
//! For sinks that can't hold an open transaction across a crash, such as a database whose
//! transaction ends with its connection. They write an epoch's rows into files of the state's
//! depot, next to the checkpoints. So another machine that has the state can commit them. The
//! prepared commit names these files with their length and digest. The commit reads them once, from
//! front to back, and removes them when it is done. The meaning of the bytes is the sink's own: it
//! notes their format in its prepared commit, and a later version of Wasmill must read it. They are
//! compressed: an epoch waits for the disk or the store, and a third of the bytes is a third of the
//! wait.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wasmill_engine::{Depot, DepotFile, DepotKey, EpochId, Result, Token};

use crate::durable::owner_name;

mod lane;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use lane::LaneFile;
pub use reader::SpoolReader;
pub use writer::SpoolWriter;

/// A file of a spool, as a prepared commit stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolFile {
    /// Its name in the spool's folder of the depot.
    pub name: String,
    /// Bytes as they are kept.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// The digest of the bytes as they are kept.
    pub sha256: String,
    /// How these bytes hold what was written.
    #[serde(default, skip_serializing_if = "Coding::is_plain")]
    pub coding: Coding,
}

/// How the bytes of a file encode their content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// As it is. Prepared commits that name no coding have it.
    #[default]
    Plain,
    /// As one frame of Zstandard.
    Zstd,
}

impl Coding {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// What the names of its files end with.
const KIND: &str = "rows";

/// The spool of one sink of one pipeline.
#[derive(Clone)]
pub struct Spool {
    depot: Arc<dyn Depot>,
    /// Its folder in the depot. Wasmill 0.1 kept its files in the same place.
    folder: String,
}

impl Spool {
    /// The spool of a sink in the depot of a pipeline's state.
    pub fn of(depot: &Arc<dyn Depot>, pipeline: &str, sink: &str) -> Self {
        Self { depot: Arc::clone(depot), folder: format!("spool/{}", owner_name(pipeline, sink)) }
    }

    /// Starts a file of an epoch.
    pub fn create(&self, incarnation: Uuid, epoch: u64) -> Result<SpoolWriter> {
        SpoolWriter::new(self.depot.create(&DepotKey { folder: &self.folder, incarnation, epoch, kind: KIND })?)
    }

    /// Makes finished files durable, bytes and names.
    pub fn seal(&self, files: &[SpoolFile]) -> Result<()> {
        let files: Vec<DepotFile> = files.iter().map(|file| self.in_depot(file)).collect();
        self.depot.seal(&files)
    }

    /// Opens a file from its front.
    pub fn open(&self, file: &SpoolFile) -> Result<SpoolReader> {
        let in_depot = self.in_depot(file);
        let content = self.depot.open(&in_depot)?;
        SpoolReader::new(content, file.coding, self.depot.shown(&in_depot.name))
    }

    /// Fails if a file that a commit needs is missing.
    pub fn check(&self, files: &[SpoolFile]) -> Result<()> {
        files.iter().try_for_each(|file| self.depot.open(&self.in_depot(file)).map(drop))
    }

    /// Removes files whose commit is done. Best effort: what stays is removed by the next start.
    pub fn remove(&self, files: &[SpoolFile]) {
        let names: Vec<String> = files.iter().map(|file| self.name(file)).collect();
        if let Err(error) = self.depot.remove(&names) {
            tracing::warn!(folder = %self.depot.shown(&self.folder), %error, "files of the spool whose rows are committed could not be removed");
        }
    }

    /// Removes what processes left that ended before they committed it. No process writes for an
    /// epoch before the one behind its claim. So the epoch behind `claim` is not yet a successor's,
    /// which claims it at the earliest.
    pub fn clean_up(&self, claim: &Token) -> Result<()> {
        self.depot.clean(&self.folder, EpochId { incarnation: claim.incarnation, epoch: claim.epoch + 1 }, &|_| false)
    }

    fn name(&self, file: &SpoolFile) -> String {
        format!("{}/{}", self.folder, file.name)
    }

    fn in_depot(&self, file: &SpoolFile) -> DepotFile {
        DepotFile { name: self.name(file), bytes: file.bytes, sha256: file.sha256.clone() }
    }
}
