//! Which faults still count: those of the last rows and those of the last while, whichever reaches further back.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits::FaultBudget;

/// When something went wrong: after how many rows, and at what time.
#[derive(Debug, Clone, Copy)]
struct Moment {
    row: u64,
    time: Instant,
}

/// The faults of one instance.
#[derive(Debug)]
pub(crate) struct Faults {
    budget: FaultBudget,
    rows: u64,
    recent: VecDeque<Moment>,
    missed_deadline: Option<Moment>,
}

impl Faults {
    pub fn new(budget: FaultBudget) -> Self {
        Self { budget, rows: 0, recent: VecDeque::new(), missed_deadline: None }
    }

    /// Counts rows that are passed to the instance.
    pub fn add_rows(&mut self, rows: usize) {
        self.rows = self.rows.saturating_add(rows as u64);
    }

    /// Counts a fault. True: there are now more than the budget has.
    pub fn add(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|&oldest| !self.is_recent(oldest, now)) {
            self.recent.pop_front();
        }
        self.recent.push_back(Moment { row: self.rows, time: now });
        self.recent.len() > self.budget.faults as usize
    }

    /// Remembers that a call took longer than it was allowed to.
    pub fn miss_deadline(&mut self, now: Instant) {
        self.missed_deadline = Some(Moment { row: self.rows, time: now });
    }

    /// Whether calls get less time than usual, so that many slow records don't add up to hours.
    pub fn is_cautious(&self, now: Instant) -> bool {
        self.missed_deadline.is_some_and(|missed| self.is_recent(missed, now))
    }

    fn is_recent(&self, moment: Moment, now: Instant) -> bool {
        self.rows - moment.row < self.budget.rows || now.saturating_duration_since(moment.time) < self.budget.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn faults() -> Faults {
        Faults::new(FaultBudget { faults: 2, rows: 100, period: Duration::from_secs(60) })
    }

    #[test]
    fn a_fault_counts_until_both_rows_and_time_have_passed() {
        let start = Instant::now();
        let later = start + Duration::from_secs(61);
        for (rows, now, too_many) in [(100, start, true), (99, later, true), (100, later, false)] {
            let mut faults = faults();
            assert!(!faults.add(start) && !faults.add(start));
            faults.add_rows(rows);
            assert_eq!(faults.add(now), too_many, "{rows} rows later");
        }
    }

    /// However short the batches are that the rows come in.
    #[test]
    fn faults_add_up_over_many_small_batches() {
        let start = Instant::now();
        let mut faults = faults();
        let stops = (0..10).find(|batch| {
            faults.add_rows(10_000);
            faults.add(start + Duration::from_millis(100 * batch))
        });
        assert_eq!(stops, Some(2));
    }

    #[test]
    fn caution_ends_like_a_fault() {
        let start = Instant::now();
        let mut faults = faults();
        assert!(!faults.is_cautious(start));
        faults.miss_deadline(start);
        faults.add_rows(100);
        assert!(faults.is_cautious(start + Duration::from_secs(59)));
        assert!(!faults.is_cautious(start + Duration::from_secs(60)));
    }
}
