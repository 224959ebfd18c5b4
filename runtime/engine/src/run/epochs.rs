//! Which epoch is open, and when it closes: by rows, by time, or because it is the last one of the run.

use std::time::Instant;

use crate::EpochPolicy;

/// The next step of a lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Work,
    /// Close its epoch; with `last`, end afterwards.
    Close {
        last: bool,
    },
    Abort,
}

/// The epochs of a run. Plain state, which a [`Board`](super::board::Board) shares.
pub(crate) struct Epochs {
    policy: EpochPolicy,
    /// The epoch that lanes should be in; they close every lower one.
    open: u64,
    opened_at: Instant,
    /// Source records of the open epoch, good and bad.
    rows: u64,
    last: Option<u64>,
    /// All sources have ended with the last epoch.
    at_end: bool,
    committed: u64,
    aborted: bool,
}

impl Epochs {
    /// The epochs of a run whose first one is `first`; the one before it is committed.
    pub fn new(first: u64, policy: EpochPolicy) -> Self {
        Self { policy, open: first, opened_at: Instant::now(), rows: 0, last: None, at_end: false, committed: first - 1, aborted: false }
    }

    /// The epoch that is open.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// The last epoch that is committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether lanes end without closing anything.
    pub fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// What the lane that is in `epoch` should do now.
    pub fn directive(&self, epoch: u64) -> Directive {
        if self.aborted {
            Directive::Abort
        } else if self.open > epoch {
            Directive::Close { last: self.last == Some(epoch) }
        } else {
            Directive::Work
        }
    }

    /// Whether an epoch may be begun: at most one before it may still be uncommitted.
    pub fn may_begin(&self, epoch: u64) -> bool {
        self.committed + 2 >= epoch
    }

    /// Counts source records of an epoch. Those of a closed epoch count for no bound. An open epoch
    /// has rows only if a lane wrote some into it.
    pub fn count(&mut self, epoch: u64, rows: u64) {
        if self.open == epoch {
            // A batch without records has moved a position, which some epoch has to note.
            self.rows += rows.max(1);
        }
    }

    /// Closes the open epoch if its policy demands it; returns true if it did. An epoch whose time
    /// is over stays open while the previous one is being committed. Closed, it would only wait for
    /// its turn, and rows that arrive meanwhile would wait for one turn more.
    pub fn close_if_due(&mut self) -> bool {
        let in_turn = self.committed + 1 == self.open;
        let timely = self.rows > 0 && in_turn && self.opened_at.elapsed() >= self.policy.every;
        let due = self.rows >= self.policy.rows || timely;
        let closes = due && !self.policy.whole_run && self.last.is_none();
        if closes {
            self.open_next();
        }
        closes
    }

    /// Closes the open epoch as the last one of the run; true if it did. `at_end`: all sources have ended. Later calls change nothing.
    pub fn close_last(&mut self, at_end: bool) -> bool {
        let closes = self.last.is_none();
        if closes {
            self.at_end = at_end;
            self.last = Some(self.open);
            self.open_next();
        }
        closes
    }

    /// An epoch is done with, committed or found to be empty.
    pub fn commit(&mut self, epoch: u64) {
        self.committed = epoch;
    }

    /// Whether all sources have ended with this epoch.
    pub fn is_end(&self, epoch: u64) -> bool {
        self.at_end && self.last == Some(epoch)
    }

    /// Makes every lane end without closing anything.
    pub fn abort(&mut self) {
        self.aborted = true;
    }

    fn open_next(&mut self) {
        self.open += 1;
        self.opened_at = Instant::now();
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn epochs(rows: u64) -> Epochs {
        Epochs::new(5, EpochPolicy { every: Duration::from_secs(3600), rows, whole_run: false })
    }

    /// The directive for a lane that has just added rows.
    fn directive(epochs: &mut Epochs, epoch: u64, rows: u64) -> Directive {
        epochs.count(epoch, rows);
        epochs.close_if_due();
        epochs.directive(epoch)
    }

    #[test]
    fn rows_close_an_epoch_for_every_lane() {
        let mut epochs = epochs(10);
        assert_eq!(directive(&mut epochs, 5, 9), Directive::Work);
        assert_eq!(directive(&mut epochs, 5, 1), Directive::Close { last: false });
        assert_eq!(epochs.directive(6), Directive::Work);
    }

    #[test]
    fn rows_of_a_lane_that_is_behind_count_for_its_own_epoch() {
        let mut epochs = epochs(10);
        assert_eq!(directive(&mut epochs, 5, 10), Directive::Close { last: false });
        directive(&mut epochs, 5, 10);
        assert_eq!(epochs.directive(6), Directive::Work, "nothing was written into epoch 6");
    }

    #[test]
    fn time_closes_an_epoch_whose_turn_it_is() {
        let mut epochs = Epochs::new(5, EpochPolicy { every: Duration::ZERO, rows: 10, whole_run: false });
        assert!(!epochs.close_if_due(), "it has no rows");
        assert_eq!(directive(&mut epochs, 5, 1), Directive::Close { last: false });
        assert_eq!(directive(&mut epochs, 6, 1), Directive::Work, "epoch 5 is not committed");
        epochs.commit(5);
        assert!(epochs.close_if_due());
        assert_eq!(epochs.directive(6), Directive::Close { last: false });
        assert_eq!(directive(&mut epochs, 7, 10), Directive::Close { last: false }, "its rows close it all the same");
    }

    #[test]
    fn an_epoch_that_is_the_whole_run_closes_at_its_end_only() {
        let mut epochs = Epochs::new(5, EpochPolicy { every: Duration::ZERO, rows: 1, whole_run: true });
        assert_eq!(directive(&mut epochs, 5, 100), Directive::Work);
        assert!(epochs.close_last(true) && !epochs.close_last(false));
        assert!(epochs.is_end(5) && !epochs.is_end(4));
        assert_eq!((epochs.directive(5), epochs.open()), (Directive::Close { last: true }, 6));
    }

    #[test]
    fn no_epoch_follows_the_last_one() {
        let mut epochs = epochs(1);
        epochs.close_last(false);
        assert!(!epochs.is_end(5));
        assert_eq!(directive(&mut epochs, 6, 10), Directive::Work);
        epochs.abort();
        assert_eq!([epochs.directive(5), epochs.directive(6)], [Directive::Abort, Directive::Abort]);
    }

    #[test]
    fn one_epoch_may_be_uncommitted_when_the_next_begins() {
        let mut epochs = epochs(10);
        assert_eq!([5, 6, 7].map(|epoch| epochs.may_begin(epoch)), [true, true, false]);
        epochs.commit(5);
        assert!(epochs.may_begin(7) && !epochs.may_begin(8));
    }

    #[test]
    fn a_batch_without_records_ends_in_an_epoch_too() {
        assert_eq!(directive(&mut epochs(1), 5, 0), Directive::Close { last: false });
    }
}
