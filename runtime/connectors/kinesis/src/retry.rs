//! Retries transient failures: with growing pauses and jitter, bounded, logged once and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use parking_lot::Mutex;
use wasmill_connect::codes::RETRIES_EXHAUSTED;
use wasmill_engine::{Error, Result};

use super::failure::{Failure, Kind};

/// Failures are logged no more often than this.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// The pauses grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The failures of all requests of one source or sink.
#[derive(Debug)]
pub(super) struct Retries {
    patience: Duration,
    /// Requests that were retried.
    count: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

impl Retries {
    /// None so far. Failures are retried for `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, count: AtomicU64::new(0), logged: Mutex::new(None) }
    }

    fn note(&self, failure: &Failure) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if failure.is_wait {
            return tracing::debug!("Kinesis: {}", failure.error);
        }
        let mut logged = self.logged.lock();
        if logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(retries = count, "Kinesis: {}; retrying", failure.error);
        } else {
            tracing::debug!(retries = count, "Kinesis: {}", failure.error);
        }
    }

    /// Begins a series of attempts.
    pub(super) fn retry(&self) -> Retry<'_> {
        self.retry_for(self.patience)
    }

    /// The same with another bound.
    pub(super) fn retry_for(&self, patience: Duration) -> Retry<'_> {
        Retry { retries: self, patience, since: None, pauses: None }
    }
}

/// One thing that is tried until it works.
#[derive(Debug)]
pub(super) struct Retry<'a> {
    retries: &'a Retries,
    patience: Duration,
    since: Option<Instant>,
    pauses: Option<ExponentialBackoff>,
}

impl Retry<'_> {
    /// It worked: the next failure is the first one.
    pub(super) fn worked(&mut self) {
        (self.since, self.pauses) = (None, None);
    }

    /// Waits after a failure until the next attempt is due.
    ///
    /// # Errors
    /// The failure, if it does not pass, or has not for too long.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<()> {
        if failure.kind != Kind::Passing {
            return Err(failure.error);
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.patience {
            let text = format!("{}; it was tried for {:.0} s", failure.error.message(), since.elapsed().as_secs_f64());
            return Err(Error::environment(text)
                .code(RETRIES_EXHAUSTED)
                .hint("start again when it works: the run resumes from its last checkpoint; `retry: { for: … }` sets how long"));
        }
        self.retries.note(&failure);
        let pauses = self.pauses.get_or_insert_with(|| {
            ExponentialBuilder::default().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).with_jitter().without_max_times().build()
        });
        let pause = pauses.next().unwrap_or(PAUSES.1).min(self.patience);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_for_a_while_and_counted() {
        let retries = Retries::new(Duration::from_millis(300));
        wasmill_connect::threads::handle().unwrap().block_on(async {
            let mut retry = retries.retry();
            let mut tries = 0;
            let error = loop {
                match retry.after(Failure::passing("no")).await {
                    Ok(()) => tries += 1,
                    Err(error) => break error,
                }
            };
            assert!((1..20).contains(&tries), "{tries}");
            assert_eq!(retries.count.load(Ordering::Relaxed), tries);
            assert!(error.message().starts_with("no; it was tried for"), "{error}");
            retry.worked();
            retry.after(Failure::passing("no")).await.unwrap();
            let last = Failure::from(Error::environment("never"));
            assert_eq!(retry.after(last).await.unwrap_err().message(), "never");
        });
    }
}
