//! The committer: a thread that commits epochs in order, so that a slow sink delays neither
//! signals, failures nor the figures of the progress line.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::commit::{Commits, Extent};
use super::lane::{LaneEpoch, Report};
use crate::codes::THREADS;
use crate::counts::NodeCounts;
use crate::{Checkpoint, EpochTimes, Error, Result};

/// An epoch that all lanes have closed.
pub(crate) struct ClosedEpoch {
    pub epoch: u64,
    /// What each lane did, in the order of lanes.
    pub lanes: Vec<LaneEpoch>,
    pub counts: NodeCounts,
    /// Why only its dead letters are committed, and the run then ends with this error.
    pub refused: Option<Error>,
}

/// An epoch that is visible in all sinks.
pub(crate) struct Committed {
    pub epoch: u64,
    pub counts: NodeCounts,
    pub took: EpochTimes,
    pub checkpoint: Arc<Checkpoint>,
}

/// How long a run that ends early waits for the commit that is under way.
const GRACE: Duration = Duration::from_millis(500);

/// The committer's thread, seen from the coordinator. Dropping it starts no further commit, and
/// gives a commit under way a moment to end.
///
/// The thread is not joined: a commit that hangs must not keep a run from ending. To the sinks,
/// what it leaves unfinished is a crash, and the next start sends the noted commits again.
pub(crate) struct Committer {
    /// `None` once no epoch will follow.
    epochs: Option<Sender<ClosedEpoch>>,
    abandoned: Arc<AtomicBool>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Committer {
    /// Starts the thread. It reports [`Report::Committed`] per epoch, or one [`Report::NotCommitted`] and ends.
    pub fn start(mut commits: Commits, reports: Sender<Report>) -> Result<Self> {
        let (epochs, waiting) = unbounded::<ClosedEpoch>();
        let (ending, ended) = bounded(0);
        let abandoned = Arc::new(AtomicBool::new(false));
        let is_abandoned = Arc::clone(&abandoned);
        let body = move || {
            let _ending: Sender<()> = ending;
            for closed in waiting {
                if is_abandoned.load(Ordering::Acquire) {
                    return;
                }
                let report = commit(&mut commits, closed);
                let is_last = matches!(report, Report::NotCommitted(_));
                // The coordinator is gone only when the run is over.
                if reports.send(report).is_err() || is_last {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("committer".to_owned()).spawn(body);
        spawned.map_err(|error| Error::io("start the committer's thread", error).or_code(THREADS))?;
        Ok(Self { epochs: Some(epochs), abandoned, ended })
    }

    /// Passes an epoch on. Lanes are at most one epoch ahead, so few wait.
    pub fn commit(&self, closed: ClosedEpoch) {
        // A committer that is gone has reported why.
        let _ = self.epochs.as_ref().map(|epochs| epochs.send(closed));
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Release);
        self.epochs = None;
        if self.ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a commit is still under way; the next run sends it again");
        }
    }
}

fn commit(commits: &mut Commits, closed: ClosedEpoch) -> Report {
    let ClosedEpoch { epoch, lanes, counts, refused } = closed;
    let extent = if refused.is_some() { Extent::DeadLetters } else { Extent::Whole };
    let committed = match catch_unwind(AssertUnwindSafe(|| commits.commit(epoch, lanes, extent))) {
        Ok(committed) => committed.map_err(|error| commits.explain(error)),
        Err(panic) => Err(super::panicked(&format!("the commit of epoch {epoch}"), &*panic)
            .hint("this is a bug in wasmill; what the state has noted is committed by the next run")),
    };
    match (committed, refused) {
        (Ok(_), Some(refused)) => Report::NotCommitted(refused),
        (Ok(took), None) => Report::Committed(Committed { epoch, counts, took, checkpoint: Arc::clone(commits.checkpoint()) }),
        (Err(error), None) => Report::NotCommitted(error),
        (Err(error), Some(refused)) => Report::NotCommitted(refused.detail(format!("its dead letters could not be committed: {error}"))),
    }
}
