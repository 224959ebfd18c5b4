//! What the lanes and the coordinator of a run share: its epochs, its splits, and the figures of the progress line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::allowance::Allowance;
use super::epochs::{Directive, Epochs};
use super::splits::{SourceSplit, Splits};
use crate::EpochPolicy;

/// How long a lane with nothing to read waits before it polls its readers again.
const IDLE_WAIT: Duration = Duration::from_millis(10);

/// Epochs and splits behind one lock, whose changes wake the waiting threads.
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
    read: LiveFigures,
    /// How much the run may still read.
    pub allowance: Allowance,
}

struct State {
    epochs: Epochs,
    splits: Splits,
}

/// What was read of one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Source records, good and bad.
    pub rows: u64,
    /// Records that were rejected on the way, the source's own included.
    pub rejects: u64,
    pub bytes: u64,
}

/// The sum of all figures. Lanes add; nothing is decided by it.
#[derive(Default)]
struct LiveFigures {
    rows: AtomicU64,
    rejects: AtomicU64,
    bytes: AtomicU64,
}

/// A run as its progress line displays it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// All that was read in this run.
    pub read: Figures,
    /// The epoch that is open.
    pub epoch: u64,
    pub committed_epoch: u64,
    pub splits_waiting: usize,
    pub splits_open: usize,
}

impl LiveFigures {
    fn add(&self, figures: Figures) {
        self.rows.fetch_add(figures.rows, Ordering::Relaxed);
        self.rejects.fetch_add(figures.rejects, Ordering::Relaxed);
        self.bytes.fetch_add(figures.bytes, Ordering::Relaxed);
    }

    fn sum(&self) -> Figures {
        let sum = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Figures { rows: sum(&self.rows), rejects: sum(&self.rejects), bytes: sum(&self.bytes) }
    }
}

impl Board {
    /// The board of a run whose first epoch is `epoch`; the one before it is committed.
    pub fn new(lanes: usize, epoch: u64, policy: EpochPolicy) -> Self {
        let state = State { epochs: Epochs::new(epoch, policy), splits: Splits::new(lanes) };
        Self { state: Mutex::new(state), changed: Condvar::new(), read: LiveFigures::default(), allowance: Allowance::default() }
    }

    /// The same for a run that ends after this many source records.
    #[must_use]
    pub fn with_limit(self, limit: Option<u64>) -> Self {
        Self { allowance: Allowance::of(limit), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A lane that panics leaves plain numbers behind; its panic is reported separately.
        self.state.lock()
    }

    /// The directive for a lane in `epoch`. Also closes the open epoch when its policy demands it.
    pub fn directive(&self, epoch: u64) -> Directive {
        let mut state = self.lock();
        self.close_if_due(&mut state);
        state.epochs.directive(epoch)
    }

    fn close_if_due(&self, state: &mut State) {
        if state.epochs.close_if_due() {
            self.changed.notify_all();
        }
    }

    /// Checks the clock for lanes that wait for data.
    pub fn tick(&self) {
        self.close_if_due(&mut self.lock());
    }

    /// Closes the open epoch as the last one of the run. `at_end`: all sources have ended. Later calls change nothing.
    pub fn close_last(&self, at_end: bool) {
        if self.lock().epochs.close_last(at_end) {
            self.changed.notify_all();
        }
    }

    /// Whether all sources have ended with this epoch.
    pub fn is_end(&self, epoch: u64) -> bool {
        self.lock().epochs.is_end(epoch)
    }

    /// Whether lanes end without closing anything.
    pub fn is_aborted(&self) -> bool {
        self.lock().epochs.is_aborted()
    }

    /// Whether some split waits for a lane.
    pub fn has_waiting_splits(&self) -> bool {
        self.lock().splits.waiting() > 0
    }

    /// Makes every lane end without closing anything.
    pub fn abort(&self) {
        self.lock().epochs.abort();
        self.changed.notify_all();
    }

    /// Reports that an epoch is done with, committed or found to be empty.
    pub fn committed(&self, epoch: u64) {
        self.lock().epochs.commit(epoch);
        self.changed.notify_all();
    }

    /// Waits until an epoch may be begun, or the run is aborted.
    pub fn wait_to_begin(&self, epoch: u64) {
        let mut state = self.lock();
        while !state.epochs.is_aborted() && !state.epochs.may_begin(epoch) {
            self.changed.wait(&mut state);
        }
    }

    /// Waits a little for something new.
    pub fn wait_for_work(&self, lane: usize, epoch: u64) {
        let mut state = self.lock();
        if !state.splits.wait_for(lane) && state.epochs.open() == epoch && !state.epochs.is_aborted() {
            self.changed.wait_for(&mut state, IDLE_WAIT);
        }
    }

    /// Adds what a lane has read to the epoch that it is in.
    pub fn add(&self, epoch: u64, figures: Figures) {
        self.read.add(figures);
        self.lock().epochs.count(epoch, figures.rows);
    }

    /// Offers splits to the lanes, as [`Splits::offer`].
    pub fn offer(&self, splits: impl IntoIterator<Item = SourceSplit>, is_endless: impl Fn(usize) -> bool, complete: bool) {
        self.lock().splits.offer(splits, is_endless, complete);
        self.changed.notify_all();
    }

    /// Takes a split for a lane, as [`Splits::take`].
    pub fn take(&self, lane: usize, readers: usize, room: bool) -> Option<SourceSplit> {
        self.lock().splits.take(lane, readers, room)
    }

    /// Reports that a lane has reached the end of a split.
    pub fn finished_split(&self, lane: usize, was_dealt: bool) {
        self.lock().splits.finish(lane, was_dealt);
    }

    /// Whether all splits have been found.
    pub fn is_complete(&self) -> bool {
        self.lock().splits.is_complete()
    }

    /// Whether everything that will ever come has been read.
    pub fn is_exhausted(&self) -> bool {
        self.lock().splits.is_exhausted()
    }

    /// The run as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let (epoch, committed_epoch) = (state.epochs.open(), state.epochs.committed());
        let (splits_waiting, splits_open) = (state.splits.waiting(), state.splits.open());
        Snapshot { read: self.read.sum(), epoch, committed_epoch, splits_waiting, splits_open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(rows: u64) -> Board {
        Board::new(2, 5, EpochPolicy { every: Duration::from_secs(3600), rows, whole_run: false })
    }

    #[test]
    fn what_is_read_closes_an_epoch_and_is_shown() {
        let board = board(10);
        board.add(5, Figures::default());
        board.add(5, Figures { rows: 9, rejects: 2, bytes: 700 });
        assert_eq!(board.directive(5), Directive::Close { last: false });
        board.add(5, Figures { rows: 3, rejects: 0, bytes: 20 });
        assert_eq!(board.directive(6), Directive::Work);
        let read = Figures { rows: 12, rejects: 2, bytes: 720 };
        assert_eq!(board.snapshot(), Snapshot { read, epoch: 6, committed_epoch: 4, splits_waiting: 0, splits_open: 0 });
    }

    #[test]
    fn a_lane_waits_for_the_epoch_before_the_last_one() {
        let board = board(10);
        board.wait_to_begin(5);
        board.wait_to_begin(6);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| board.wait_to_begin(7));
            assert!(!waiting.is_finished());
            board.committed(5);
            waiting.join().unwrap();
            let waiting = scope.spawn(|| board.wait_to_begin(8));
            board.abort();
            waiting.join().unwrap();
        });
    }
}
