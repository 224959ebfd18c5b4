//! What lanes and the coordinator tell each other: the open epoch, the splits that wait, the last commit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{EpochPolicy, Split};

/// How long a lane with nothing to read waits before it asks its readers again.
const IDLE_WAIT: Duration = Duration::from_millis(10);

pub(crate) struct Board {
    policy: EpochPolicy,
    state: Mutex<State>,
    changed: Condvar,
    /// Live figures for the progress line; lanes add, nobody decides by them.
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    pub rejects: AtomicU64,
}

struct State {
    /// The epoch that lanes should be in; they close every lower one.
    open_epoch: u64,
    opened_at: Instant,
    /// Source records of the open epoch, good and bad.
    rows: u64,
    last_epoch: Option<u64>,
    committed: u64,
    aborted: bool,
    /// Splits that end: a lane takes the next one when it has room for it.
    queue: VecDeque<(usize, Split)>,
    /// Splits that never end, dealt out to the lanes, which open them at once.
    dealt: Vec<VecDeque<(usize, Split)>>,
    /// How many of those each lane has been dealt, less those that ended all the same.
    endless: Vec<usize>,
    open_splits: usize,
    /// No source will ever have another split.
    complete: bool,
    /// How many readers each lane had open when it last asked for a split.
    readers: Vec<usize>,
    /// Lanes that have no reader and found the queue empty.
    idle: Vec<bool>,
}

/// What a lane should do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Work,
    /// Close the epoch that it is in; `last`: and end.
    Close {
        last: bool,
    },
    Abort,
}

impl Board {
    /// The board of a run whose first epoch is `epoch`; the one before it is committed.
    pub fn new(lanes: usize, epoch: u64, policy: EpochPolicy) -> Self {
        let state = State {
            open_epoch: epoch,
            opened_at: Instant::now(),
            rows: 0,
            last_epoch: None,
            committed: epoch - 1,
            aborted: false,
            queue: VecDeque::new(),
            dealt: vec![VecDeque::new(); lanes],
            endless: vec![0; lanes],
            open_splits: 0,
            complete: false,
            readers: vec![0; lanes],
            idle: vec![false; lanes],
        };
        let zero = || AtomicU64::new(0);
        Self { policy, state: Mutex::new(state), changed: Condvar::new(), rows: zero(), bytes: zero(), rejects: zero() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A lane that panicked left plain numbers behind; its panic is reported by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the lane that is in `epoch` should do now. Also closes the open epoch when its policy says so.
    pub fn directive(&self, epoch: u64) -> Directive {
        let mut state = self.lock();
        self.close_if_due(&mut state);
        if state.aborted {
            Directive::Abort
        } else if state.open_epoch > epoch {
            Directive::Close { last: state.last_epoch == Some(epoch) }
        } else {
            Directive::Work
        }
    }

    /// An epoch whose time is over stays open while the one before it is being committed: closed, it would only wait for its turn, and what comes
    /// in meanwhile would wait for one turn more.
    fn close_if_due(&self, state: &mut State) {
        let in_turn = state.committed + 1 == state.open_epoch;
        let timely = state.rows > 0 && in_turn && state.opened_at.elapsed() >= self.policy.every;
        let due = state.rows >= self.policy.rows || timely;
        if due && !self.policy.whole_run && state.last_epoch.is_none() {
            self.open_next(state);
        }
    }

    fn open_next(&self, state: &mut State) {
        state.open_epoch += 1;
        state.opened_at = Instant::now();
        state.rows = 0;
        self.changed.notify_all();
    }

    /// Looks at the clock for lanes that are waiting for data.
    pub fn tick(&self) {
        self.close_if_due(&mut self.lock());
    }

    /// Closes the open epoch as the last one of the run. Later calls change nothing.
    pub fn close_last(&self) {
        let mut state = self.lock();
        if state.last_epoch.is_none() {
            state.last_epoch = Some(state.open_epoch);
            self.open_next(&mut state);
        }
    }

    /// Makes every lane end without closing anything.
    pub fn abort(&self) {
        self.lock().aborted = true;
        self.changed.notify_all();
    }

    /// Tells that an epoch is done with, committed or found to be empty.
    pub fn committed(&self, epoch: u64) {
        self.lock().committed = epoch;
        self.changed.notify_all();
    }

    /// Waits until an epoch may be begun: at most one before it may still be uncommitted.
    pub fn wait_to_begin(&self, epoch: u64) {
        let mut state = self.lock();
        while !state.aborted && state.committed + 2 < epoch {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits a little for something new.
    pub fn wait_for_work(&self, lane: usize, epoch: u64) {
        let state = self.lock();
        let may_take = !state.queue.is_empty() && state.readers.iter().all(|others| state.readers[lane] <= *others);
        let may_take = may_take || !state.dealt[lane].is_empty();
        if !may_take && state.open_epoch == epoch && !state.aborted {
            let _ = self.changed.wait_timeout(state, IDLE_WAIT);
        }
    }

    /// Adds source records to the epoch that their lane is in. Those of an epoch that is closed already count for no bound: an epoch that
    /// is open has rows only if a lane wrote some into it.
    pub fn add(&self, epoch: u64, rows: u64, rejects: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.rejects.fetch_add(rejects, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut state = self.lock();
        if state.open_epoch == epoch {
            // A batch without records has moved a position, which some epoch has to note.
            state.rows += rows.max(1);
        }
    }

    /// Puts splits into the queue; those of sources whose splits never end are dealt out to the lanes that have the fewest of them.
    pub fn offer(&self, splits: impl IntoIterator<Item = (usize, Split)>, is_endless: impl Fn(usize) -> bool, complete: bool) {
        let mut state = self.lock();
        for (source, split) in splits {
            if !is_endless(source) {
                state.queue.push_back((source, split));
                continue;
            }
            let fewest = state.endless.iter().enumerate().min_by_key(|(_, endless)| **endless).map_or(0, |(lane, _)| lane);
            state.endless[fewest] += 1;
            state.dealt[fewest].push_back((source, split));
        }
        state.complete = complete;
        self.changed.notify_all();
    }

    /// Takes a split for a lane that has so many readers open: one that it was dealt, or the next one of the queue if it has `room`. A lane that has
    /// more readers than another one leaves the queue to that one. With none taken, the lane counts as idle if it has no reader open.
    pub fn take(&self, lane: usize, readers: usize, room: bool) -> Option<(usize, Split)> {
        let mut state = self.lock();
        state.readers[lane] = readers;
        let mut taken = state.dealt[lane].pop_front();
        if taken.is_none() && room && state.readers.iter().all(|others| readers <= *others) {
            taken = state.queue.pop_front();
        }
        if taken.is_some() {
            state.open_splits += 1;
            state.readers[lane] += 1;
        }
        state.idle[lane] = taken.is_none() && readers == 0;
        taken
    }

    /// Tells that a lane has come to the end of a split. One that was dealt makes room for another: the children of a shard, say.
    pub fn finished_split(&self, lane: usize, was_dealt: bool) {
        let mut state = self.lock();
        state.open_splits -= 1;
        state.endless[lane] -= usize::from(was_dealt);
    }

    /// Whether all splits have been found.
    pub fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// Whether everything that will ever come has been read.
    pub fn is_exhausted(&self) -> bool {
        let state = self.lock();
        let none_wait = state.queue.is_empty() && state.dealt.iter().all(VecDeque::is_empty);
        state.complete && none_wait && state.idle.iter().all(|idle| *idle)
    }

    /// The open epoch, the last committed one, splits waiting, splits open.
    pub fn figures(&self) -> (u64, u64, usize, usize) {
        let state = self.lock();
        let waiting = state.queue.len() + state.dealt.iter().map(VecDeque::len).sum::<usize>();
        (state.open_epoch, state.committed, waiting, state.open_splits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(rows: u64) -> Board {
        Board::new(2, 5, EpochPolicy { every: Duration::from_secs(3600), rows, whole_run: false })
    }

    #[test]
    fn rows_close_an_epoch_for_every_lane() {
        let board = board(10);
        board.add(5, 9, 0, 0);
        assert_eq!(board.directive(5), Directive::Work);
        board.add(5, 1, 0, 0);
        assert_eq!(board.directive(5), Directive::Close { last: false });
        assert_eq!(board.directive(6), Directive::Work);
    }

    #[test]
    fn rows_of_a_lane_that_is_behind_count_for_its_own_epoch() {
        let board = board(10);
        board.add(5, 10, 0, 0);
        assert_eq!(board.directive(5), Directive::Close { last: false });
        board.add(5, 10, 0, 0);
        assert_eq!(board.directive(6), Directive::Work, "nothing was written into epoch 6");
    }

    #[test]
    fn time_closes_an_epoch_whose_turn_it_is() {
        let board = Board::new(1, 5, EpochPolicy { every: Duration::ZERO, rows: 10, whole_run: false });
        assert_eq!(board.directive(5), Directive::Work, "it has no rows");
        board.add(5, 1, 0, 0);
        assert_eq!(board.directive(5), Directive::Close { last: false });
        board.add(6, 1, 0, 0);
        assert_eq!(board.directive(6), Directive::Work, "epoch 5 is not committed");
        board.committed(5);
        assert_eq!(board.directive(6), Directive::Close { last: false });
        board.add(7, 10, 0, 0);
        assert_eq!(board.directive(7), Directive::Close { last: false }, "its rows close it all the same");
    }

    #[test]
    fn a_batch_without_records_ends_in_an_epoch_too() {
        let board = board(1);
        assert_eq!(board.directive(5), Directive::Work);
        board.add(5, 0, 0, 0);
        assert_eq!(board.directive(5), Directive::Close { last: false });
        assert_eq!(board.rows.load(Ordering::Relaxed), 0, "it adds nothing to what is shown");
    }

    #[test]
    fn one_epoch_may_be_uncommitted_when_the_next_begins() {
        let board = board(10);
        board.wait_to_begin(5);
        board.wait_to_begin(6);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| board.wait_to_begin(7));
            assert!(!waiting.is_finished());
            board.committed(5);
            waiting.join().unwrap();
        });
    }

    #[test]
    fn splits_spread_over_the_lanes() {
        let board = board(10);
        board.offer(["a", "b", "c"].map(split), |_| false, false);
        assert!(board.take(0, 0, true).is_some());
        assert!(board.take(0, 1, true).is_none(), "the other lane has none yet");
        assert!(board.take(1, 0, true).is_some());
        assert!(board.take(0, 1, true).is_some());
    }

    fn split(id: &str) -> (usize, Split) {
        (0, Split { id: id.into(), position: serde_json::Value::Null })
    }

    #[test]
    fn a_lane_opens_all_endless_splits_that_it_is_dealt_whatever_it_reads_and_whatever_waits() {
        let board = board(10);
        board.offer([split("file")], |_| false, false);
        board.offer(["a", "b", "c", "d"].map(split), |_| true, false);
        let ids = |lane: usize, from: usize| {
            let taken: Vec<_> = (from..).map_while(|readers| board.take(lane, readers, false)).collect();
            taken.iter().map(|(_, split)| split.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(board.figures().2, 5, "all of them wait");
        assert_eq!(ids(0, 3), ["a", "c"]);
        assert_eq!(ids(1, 0), ["b", "d"]);
        assert_eq!((board.figures().2, board.figures().3), (1, 4));
        board.finished_split(1, true);
        board.offer(["e", "f"].map(split), |_| true, false);
        assert_eq!(ids(1, 1), ["e"], "it had one less");
        assert_eq!(ids(0, 5), ["f"]);
    }

    #[test]
    fn a_run_is_exhausted_when_every_lane_found_nothing() {
        let board = board(10);
        board.offer([split("a")], |_| false, true);
        assert!(board.take(0, 0, true).is_some());
        assert!(board.take(1, 0, true).is_none());
        assert!(!board.is_exhausted());
        assert!(board.take(0, 1, true).is_none());
        assert!(!board.is_exhausted(), "lane 0 is still reading");
        assert!(board.take(0, 0, true).is_none());
        assert!(board.is_exhausted());
        board.close_last();
        assert_eq!(board.directive(5), Directive::Close { last: true });
    }
}
