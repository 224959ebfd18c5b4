//! What a run reports while it runs, and at its end.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::{Counts, Mode};

/// Listens to a run. Called from the coordinating thread; must be quick.
pub trait Observer: Send + Sync {
    /// An event occurred.
    fn on(&self, event: Event<'_>);
}

/// An event of a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The state was read and what an earlier run had prepared is committed.
    Recovered {
        /// The epoch of the state; `None` for a new state, 0 for one in which no epoch was
        /// committed.
        epoch: Option<u64>,
        /// The sinks in which this start made that epoch visible.
        committed: &'a [Arc<str>],
    },
    /// An epoch is visible in all sinks.
    EpochCommitted {
        /// Its number. The first epoch of a state is 1; each later start takes one number for itself.
        epoch: u64,
        /// Source records in it.
        rows: u64,
        /// How long that took once all lanes had ended it.
        took: EpochTimes,
    },
    /// From time to time: how far the run is. Counts include rows that are not committed yet.
    Progress(&'a Progression),
    /// A stop was requested; the current epoch is being finished.
    Stopping,
}

/// How long the steps took in which an epoch became visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EpochTimes {
    /// Preparing every sink: what was written becomes durable.
    pub prepare: Duration,
    /// Putting the checkpoint.
    pub checkpoint: Duration,
    /// Committing every sink.
    pub commit: Duration,
}

impl EpochTimes {
    /// All steps together.
    pub fn total(&self) -> Duration {
        self.prepare + self.checkpoint + self.commit
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progression {
    /// Source records read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The size in bytes of what the sources have found, read parts included; `None` where one of
    /// them can't report it.
    pub bytes_known: Option<u64>,
    /// Records that are still to be read in the open splits; `None` where no source can report it.
    pub rows_behind: Option<u64>,
    /// The lag of the source that is furthest behind its latest record, in milliseconds; `None`
    /// where no source reports one.
    pub milliseconds_behind: Option<u64>,
    /// Records rejected, anywhere.
    pub rejects: u64,
    /// The epoch that lanes are in.
    pub epoch: u64,
    /// The last epoch that is committed.
    pub committed_epoch: u64,
    /// Splits that wait for a lane.
    pub splits_waiting: usize,
    /// Splits that lanes are reading.
    pub splits_open: usize,
}

/// What a run did, counted over the epochs that it committed.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// Batch or stream.
    pub mode: Mode,
    /// Whether it was stopped before its sources ended.
    pub stopped: bool,
    /// How many epochs it committed.
    pub epochs: u64,
    /// Wall time.
    #[serde(serialize_with = "seconds")]
    pub time: Duration,
    /// Every node with its counts: sources, stages, sinks, dead letters.
    pub nodes: Vec<NodeSummary>,
    /// Notes for the reader: the name of a source and a sentence each.
    pub notes: Vec<(Arc<str>, String)>,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// One node of a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct NodeSummary {
    /// What it is: `source`, `stage`, `sink` or `dead letters`.
    pub kind: &'static str,
    /// Its name.
    pub name: Arc<str>,
    /// Its rows.
    pub counts: Counts,
}
