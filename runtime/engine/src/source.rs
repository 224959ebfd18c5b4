//! The contract of a source: splits, readers, positions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Batch, RecordForm, Reject, Result, Retired};

/// A permanent name of a split: the same part of the same partition has the same id in every run.
pub type SplitId = Arc<str>;

/// A part of a source that one lane reads from its start to its end: a file, a range of a file, a Kafka partition.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Its name in checkpoints.
    pub id: SplitId,
    /// Where to begin, in the source's own terms: a value of [`SplitReader::position`], or the
    /// source's initial position.
    pub position: Value,
}

/// How far a split has been read, as a checkpoint keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitState {
    /// The value of [`SplitReader::position`] after the last row of the epoch.
    pub position: Value,
    /// Whether the reader had come to its end.
    pub done: bool,
}

/// How far a source has been read: every split that was begun, except those that were retired
/// ([`Source::retire`]). No split's name begins with `@`.
pub type Progress = BTreeMap<SplitId, SplitState>;

/// The result of one listing of splits.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Splits that this source has not returned before in this run, in order of preference.
    pub splits: Vec<Split>,
    /// True when no more splits will ever come. A bounded source sets it at its first listing,
    /// unless some of its splits may be opened only when others have ended. It is then listed again
    /// until it sets it.
    pub complete: bool,
}

/// A place that records come from.
///
/// # Contract
/// * `schema` never changes while the source lives; every batch of every reader has it.
/// * `discover` receives the progress of the last checkpoint at its first call. It must leave out
///   what is done and continue what was begun at its recorded position. If what it recorded is no
///   longer true (a file that changed), it must fail with [`Class::Environment`](crate::Class).
///   Later calls receive the same value and return only what is new since the previous call.
/// * Splits are independent: two readers of different splits may run on different lanes at once.
/// * Reading from a recorded position gives exactly the records after it, in the same order, as long as the data is there.
/// * Errors are final: a source retries by itself what is worth retrying, with bounds.
pub trait Source: Send {
    /// The columns of its batches, reserved `_source.*` columns included.
    fn schema(&self) -> SchemaRef;

    /// Lists new splits. In stream mode it is called periodically; it must be quick and must not
    /// block for data.
    fn discover(&mut self, restored: &Progress) -> Result<Discovery>;

    /// Whether its splits never end, as the partitions of a topic in a stream. Lanes keep all of
    /// them open at once and read them in turns, because none may wait for another. So such a
    /// reader holds almost nothing between two reads, and the source bounds what all of them
    /// prefetch together.
    fn is_endless(&self) -> bool {
        false
    }

    /// The size in bytes of everything that it has found in this run, read or not, if known.
    /// Progress and remaining time are computed from it.
    fn known_bytes(&self) -> Option<u64> {
        None
    }

    /// Notes for the reader at the end of a run on how the source was read, such as what was left
    /// out. One sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// How many records are still to be read in the splits that were returned, open or not, if
    /// known: the lag of a stream.
    fn rows_behind(&self) -> Option<u64> {
        None
    }

    /// The age of the oldest record that is still to be read in the splits that were returned, open
    /// or not, if known and records are not counted.
    fn behind(&self) -> Option<Duration> {
        None
    }

    /// Reports how far the source has been read in epochs that every sink has committed, for
    /// external systems that track it (the offsets of a consumer group). The checkpoint alone
    /// decides where a run resumes. So a source must not fail here, and must not wait.
    fn committed(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// Shrinks what a checkpoint keeps of this source. Entries of splits that are done may be
    /// replaced by fewer with the same effect on `discover`. Called before every checkpoint;
    /// entries of splits that are not done must stay.
    fn compact(&self, _progress: &mut Progress) -> Result<()> {
        Ok(())
    }

    /// The form of the records by which it recognises splits that have no entry in a checkpoint any
    /// more. `None` if all splits keep theirs, because there are few, or [`Source::compact`]
    /// shrinks them.
    fn record_form(&self) -> Option<RecordForm> {
        None
    }

    /// Adds the record of a split to `records`, if its entry need not stay: the split is done, or
    /// can be found again without its name. Returns false, and adds nothing, if the entry must
    /// stay. An entry of an older version may cover many records.
    ///
    /// # Errors
    /// Environment: the entry is not one of this source.
    fn retire(&self, _id: &SplitId, _state: &SplitState, _records: &mut Vec<u8>) -> Result<bool> {
        Ok(false)
    }

    /// Takes the records that earlier runs have retired. Called once, before the first `discover`, if there are any. An entry of a split is later than
    /// its record.
    fn restore(&mut self, _retired: Retired) {}

    /// Opens its splits, including those that later calls of `discover` return. Taken once, before
    /// the lanes start.
    fn opener(&self) -> Arc<dyn SplitOpener>;
}

/// Opens the splits that a source returns.
///
/// # Contract
/// * All lanes share it, and call it concurrently with each other and with the functions of
///   [`Source`]. No lock may be held for longer than it takes to look up a split.
/// * `open` does not read up to the position: what an earlier run has read is passed over by [`SplitReader::read`], in steps.
pub trait SplitOpener: Send + Sync {
    /// Opens a split at its recorded position. Called on the lane's own thread.
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>>;
}

/// Reads one split on one lane.
pub trait SplitReader: Send {
    /// Reads the next rows: at most `max_rows`, good and bad ones together. It must not block for
    /// more than some 50 ms when there is nothing to read. It returns [`Read::Idle`] instead, or
    /// [`Read::Skipping`] while it is on its way to the position at which it was opened.
    fn read(&mut self, max_rows: usize) -> Result<Read>;

    /// Whether the next checkpoint must keep the position at which it was opened even if nothing is
    /// read. That is so if the position depends on the moment (the end of a topic) and would differ
    /// in the next run.
    fn begins_here(&self) -> bool {
        false
    }

    /// The position after everything that `read` has returned so far. Small, and stable across versions of Wasmill.
    fn position(&self) -> Value;
}

/// What a reader had.
#[derive(Debug)]
pub enum Read {
    /// Some records. A batch without any moves the position on, so that a checkpoint keeps it.
    Batch(SourceBatch),
    /// Nothing now, possibly later: the end of a file that grows, a rate limit.
    Idle,
    /// Nothing yet, though there is something: it skips what an earlier run has read, and is to be
    /// called again at once. Its position stays the one at which it was opened.
    Skipping,
    /// Nothing any more.
    End,
}

/// Records of a source, decoded.
#[derive(Debug)]
pub struct SourceBatch {
    /// The good ones; may have no rows.
    pub batch: Batch,
    /// Those that could not be decoded.
    pub rejects: Vec<Reject>,
    /// How many bytes were read for them, before decompression if known.
    pub bytes: u64,
}

impl SourceBatch {
    /// How many records it holds, good and bad ones.
    pub fn records(&self) -> u64 {
        self.batch.records.num_rows() as u64 + self.rejects.len() as u64
    }
}
