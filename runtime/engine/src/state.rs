//! The durable state of a pipeline: its checkpoints, and which process may write them.

mod checkpoint;
pub mod depot;
mod local;
mod local_depot;
mod lock;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use checkpoint::FIRST_CLAIM;
pub use checkpoint::{Checkpoint, SinkProgress, StageState};
pub use depot::{Depot, DepotFile, DepotKey, DepotWriter, EpochId};
pub use local::LocalState;
pub use local_depot::LocalDepot;
pub use lock::FolderLock;

use crate::Result;

/// The result of a conditional put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The checkpoint is durable and the latest.
    Done,
    /// Another process has written this epoch or a later one: the caller is fenced.
    Taken,
}

/// Where checkpoints lie.
///
/// # Contract
/// * `put` is durable and atomic when it returns. Of all processes that put the same epoch exactly
///   one returns [`Put::Done`].
/// * `latest` returns the latest checkpoint, or an error where it is damaged: never an older one in
///   its place.
pub trait StateStore: Send + Sync {
    /// Reads the latest checkpoint.
    fn latest(&self) -> Result<Option<Checkpoint>>;

    /// Writes a checkpoint if there is none of its epoch or a later one.
    fn put(&self, checkpoint: &Checkpoint) -> Result<Put>;

    /// Notes that every sink has committed the epoch: a hint that spares a question, not a promise.
    fn note_committed(&self, epoch: u64);

    /// Whether that note is there.
    fn is_noted_committed(&self, epoch: u64) -> bool;

    /// The epoch of the latest checkpoint, whether or not it can be read.
    fn newest_epoch(&self) -> Result<Option<u64>>;

    /// Removes all checkpoints of earlier epochs, all notes, and all files of other incarnations.
    /// It is for `wasmill state reset`, which has put `first` as the first checkpoint of a new
    /// incarnation.
    fn forget_before(&self, first: &Checkpoint) -> Result<()>;

    /// The files besides the checkpoints.
    fn depot(&self) -> Arc<dyn Depot>;

    /// Keeps the facts of a run that ended, in place of those of the run before. Nothing resumes from them: they are for reports.
    fn note_run(&self, run: &Value) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// The facts of the last run that ended; `None` if there are none.
    fn last_run(&self) -> Result<Option<Value>> {
        Ok(None)
    }

    /// Where the state lies, for readers.
    fn location(&self) -> String;
}
