//! How many rows may have been made by now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock of rows, shared by everyone who makes them. Rows not taken in time do not pile up beyond one second's worth,
/// so a pipeline that stood still goes on at the set rate instead of in a burst.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    began: Instant,
    /// Rows taken, and rows that nobody took in time.
    used: AtomicU64,
}

impl Pace {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, began: Instant::now(), used: AtomicU64::new(0) }
    }

    /// Takes up to `wanted` rows; 0 means that it is too early for the next.
    pub(super) fn take(&self, wanted: usize) -> usize {
        self.take_at(self.began.elapsed(), wanted)
    }

    fn take_at(&self, elapsed: Duration, wanted: usize) -> usize {
        // The first row is due at once.
        let due = (elapsed.as_secs_f64() * self.rate) as u64 + 1;
        let mut taken = 0;
        let took = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let used = used.max(due.saturating_sub(self.rate.ceil() as u64));
            taken = due.saturating_sub(used).min(wanted as u64);
            (taken > 0).then_some(used + taken)
        });
        if took.is_ok() { taken as usize } else { 0 }
    }

    /// How long until the next row is due.
    pub(super) fn wait(&self) -> Duration {
        let due = self.used.load(Ordering::Relaxed) as f64 / self.rate;
        Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX).saturating_sub(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_rate_and_does_not_save_up() {
        let pace = Pace::new(10.0);
        let at = |milliseconds| pace.take_at(Duration::from_millis(milliseconds), 100);
        assert_eq!(at(0), 1);
        assert_eq!(at(50), 0);
        assert_eq!(at(110), 1);
        assert_eq!(at(510), 4);
        assert_eq!(at(60_000), 10, "one second's worth after a long pause");
        assert_eq!(at(60_010), 0);
        assert_eq!(pace.take_at(Duration::from_millis(60_950), 3), 3);
    }

    #[test]
    fn slow_rates_work_too() {
        let pace = Pace::new(0.5);
        assert_eq!(pace.take_at(Duration::ZERO, 10), 1);
        assert_eq!(pace.take_at(Duration::from_millis(1_900), 10), 0);
        assert_eq!(pace.take_at(Duration::from_millis(2_100), 10), 1);
    }
}
