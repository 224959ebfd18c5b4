//! What time it is where the stream is: arrival times and retention are counted by the server's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::config::Intercept;

use wasmill_connect::aws::Dates;

/// Clocks that differ by no more are taken as equal: the server reports whole seconds, and a
/// response takes a while. Milliseconds.
const EQUAL: i64 = 2_000;

/// The server's clock, by its responses.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// What to add to ours, milliseconds.
    ahead: AtomicI64,
    /// The latest second that the server has reported, milliseconds since 1970.
    reported: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970, by the server's clock to within two seconds, and by ours where the two agree.
    pub(super) fn now(&self) -> i64 {
        ours() + self.ahead.load(Ordering::Relaxed)
    }

    /// The latest time that it can be at the stream, by the last response.
    pub(super) fn latest(&self) -> i64 {
        self.now().max(self.reported.load(Ordering::Relaxed) + 999)
    }

    /// Reads the server's time from every response.
    pub(super) fn watch(self: &Arc<Self>) -> impl Intercept + use<> {
        let clock = Arc::clone(self);
        Dates(move |time| clock.saw(millis(time)))
    }

    fn saw(&self, server: i64) {
        self.reported.fetch_max(server, Ordering::Relaxed);
        let ahead = server - ours();
        // The server omits its milliseconds: it may be a second later than it reports.
        let is_equal = (-EQUAL - 1_000..=EQUAL).contains(&ahead);
        self.ahead.store(if is_equal { 0 } else { ahead }, Ordering::Relaxed);
    }
}

fn ours() -> i64 {
    millis(SystemTime::now())
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_clearly_off_is_corrected() {
        let clock = Clock::default();
        clock.saw(ours() - 900);
        assert_eq!(clock.ahead.load(Ordering::Relaxed), 0);
        clock.saw(ours() + 60_000);
        assert!((clock.now() - ours() - 60_000).abs() < 1_000);
        clock.saw(ours() - 1_500);
        assert_eq!(clock.ahead.load(Ordering::Relaxed), 0);
    }
}
