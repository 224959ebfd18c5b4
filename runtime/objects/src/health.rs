//! The health of a store: failed requests are retried silently, and an outage is logged here, once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A store that fails now and then is reported once in this time.
const QUIET: Duration = Duration::from_secs(60);
/// An outage that was reported and lasted this long is reported to be over.
const OUTAGE: Duration = Duration::from_secs(1);

/// How the store at one address is.
#[derive(Debug)]
pub struct Health {
    address: String,
    failures: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since when every request has failed.
    down_since: Option<Instant>,
    /// How many there were before.
    failures_before: u64,
    /// When failing requests were last reported.
    reported: Option<Instant>,
    /// Whether the present outage was reported.
    outage_reported: bool,
}

/// What to report.
#[derive(Debug, PartialEq, Eq)]
enum Report {
    Nothing,
    Down,
    /// It is back, after this many failed requests.
    Up(u64),
}

impl Health {
    /// The health of the store at an address, not known yet.
    pub fn new(address: String) -> Self {
        Self { address, failures: AtomicU64::new(0), state: Mutex::default() }
    }

    /// A request failed, and may succeed when it is sent again.
    pub fn failed(&self, why: &str) {
        if self.note(false, Instant::now()) == Report::Down {
            tracing::warn!("the store at {} fails, retrying: {why}", self.address);
        }
    }

    /// A request succeeded.
    pub(super) fn went_well(&self) {
        let now = Instant::now();
        let since = self.state.lock().down_since;
        if let Report::Up(failures) = self.note(true, now) {
            let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
            tracing::warn!("the store at {} responds again, after {seconds:.1} s and {failures} failed requests", self.address);
        }
    }

    fn note(&self, well: bool, now: Instant) -> Report {
        let mut state = self.state.lock();
        if well {
            let Some(since) = state.down_since.take() else { return Report::Nothing };
            let failures = self.failures.load(Ordering::Relaxed) - state.failures_before;
            let reported = std::mem::take(&mut state.outage_reported);
            return if reported && now.duration_since(since) >= OUTAGE { Report::Up(failures) } else { Report::Nothing };
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if state.down_since.is_none() {
            (state.down_since, state.failures_before) = (Some(now), before);
        }
        if state.outage_reported || state.reported.is_some_and(|reported| now.duration_since(reported) < QUIET) {
            return Report::Nothing;
        }
        (state.reported, state.outage_reported) = (Some(now), true);
        Report::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_reported_once_and_so_is_its_end() {
        let (health, start) = (Health::new("http://s".to_owned()), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(health.note(true, at(0)), Report::Nothing);
        assert_eq!(health.note(false, at(1)), Report::Down);
        assert!((2..150).all(|second| health.note(false, at(second)) == Report::Nothing));
        assert_eq!(health.note(true, at(150)), Report::Up(149));
        assert_eq!(health.note(true, at(150)), Report::Nothing);
    }

    #[test]
    fn a_store_that_fails_now_and_then_is_reported_now_and_then() {
        let (health, start) = (Health::new("http://s".to_owned()), Instant::now());
        let reported: Vec<u64> = (0..200)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                let reported = health.note(false, now) == Report::Down;
                assert_eq!(health.note(true, now), Report::Nothing);
                reported
            })
            .collect();
        assert_eq!(reported, [0, 60, 120, 180]);
    }
}
