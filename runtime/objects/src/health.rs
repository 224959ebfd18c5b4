//! How a store is: requests that fail are tried again without a word, and what goes on is told here, once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A store that fails now and then is told of once in this time.
const QUIET: Duration = Duration::from_secs(60);
/// An outage that was told of and lasted so long is told to be over.
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
    /// When it was told last that requests fail.
    told: Option<Instant>,
    /// It was told of the outage that goes on.
    outage_told: bool,
}

/// What to tell.
#[derive(Debug, PartialEq, Eq)]
enum Tell {
    Nothing,
    Down,
    /// It is back, after so many failed requests.
    Up(u64),
}

impl Health {
    /// Of the store at an address nothing is known yet.
    pub fn new(address: String) -> Self {
        Self { address, failures: AtomicU64::new(0), state: Mutex::default() }
    }

    /// A request failed, and may go well when it is sent again.
    pub fn failed(&self, why: &str) {
        if self.note(false, Instant::now()) == Tell::Down {
            tracing::warn!("the store at {} has trouble, trying again: {why}", self.address);
        }
    }

    /// A request was answered.
    pub(super) fn went_well(&self) {
        let now = Instant::now();
        let since = self.state.lock().down_since;
        if let Tell::Up(failures) = self.note(true, now) {
            let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
            tracing::warn!("the store at {} answers again, after {seconds:.1} s and {failures} failed requests", self.address);
        }
    }

    fn note(&self, well: bool, now: Instant) -> Tell {
        let mut state = self.state.lock();
        if well {
            let Some(since) = state.down_since.take() else { return Tell::Nothing };
            let failures = self.failures.load(Ordering::Relaxed) - state.failures_before;
            let told = std::mem::take(&mut state.outage_told);
            return if told && now.duration_since(since) >= OUTAGE { Tell::Up(failures) } else { Tell::Nothing };
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if state.down_since.is_none() {
            (state.down_since, state.failures_before) = (Some(now), before);
        }
        if state.outage_told || state.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            return Tell::Nothing;
        }
        (state.told, state.outage_told) = (Some(now), true);
        Tell::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_so_is_its_end() {
        let (health, start) = (Health::new("http://s".to_owned()), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(health.note(true, at(0)), Tell::Nothing);
        assert_eq!(health.note(false, at(1)), Tell::Down);
        assert!((2..150).all(|second| health.note(false, at(second)) == Tell::Nothing));
        assert_eq!(health.note(true, at(150)), Tell::Up(149));
        assert_eq!(health.note(true, at(150)), Tell::Nothing);
    }

    #[test]
    fn a_store_that_fails_now_and_then_is_told_of_now_and_then() {
        let (health, start) = (Health::new("http://s".to_owned()), Instant::now());
        let told: Vec<u64> = (0..200)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                let told = health.note(false, now) == Tell::Down;
                assert_eq!(health.note(true, now), Tell::Nothing);
                told
            })
            .collect();
        assert_eq!(told, [0, 60, 120, 180]);
    }
}
