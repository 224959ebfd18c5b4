//! How many requests a route takes per second.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A bucket of tokens: full, it lets one second's requests through at once.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, state: Mutex::new((per_second, Instant::now())) }
    }

    /// Lets one request pass, or returns how long to wait for the next.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock();
        let passed = now.saturating_duration_since(state.1).as_secs_f64();
        *state = ((state.0 + passed * self.per_second).min(self.per_second.max(1.0)), now.max(state.1));
        if state.0 >= 1.0 {
            state.0 -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - state.0) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_passes() {
        let (rate, start) = (Rate::new(10), Instant::now());
        let at = |millis: u64| rate.take_at(start + Duration::from_millis(millis));
        assert_eq!((0..20).filter(|_| at(0).is_ok()).count(), 10);
        let wait = at(0).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!((0..20).filter(|_| at(500).is_ok()).count(), 5);
        assert_eq!((0..50).filter(|_| at(60_000).is_ok()).count(), 10, "rest is not saved up");
    }
}
