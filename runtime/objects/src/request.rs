//! Requests with retries, as long as the caller allows: the store's client never retries by itself.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::failure::{Failure, Kind};
use super::{Bucket, RetryTime};

/// The pauses grow from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl RetryTime {
    pub(crate) fn time(self) -> Duration {
        match self {
            Self::Check => Duration::from_secs(10),
            Self::Run(time) => time,
        }
    }

    fn pauses(self) -> ExponentialBackoff {
        let pauses = ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).with_jitter();
        match self {
            Self::Check => pauses.with_max_times(2),
            Self::Run(_) => pauses.without_max_times(),
        }
        .build()
    }
}

/// This many pauses between checks of what an attempt may have done.
pub(super) fn pauses_between_checks(times: usize) -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_times(times).build()
}

impl Bucket {
    /// Sends a request, and sends it again while the failure is transient. The last failure leaves
    /// open what the attempts did.
    pub async fn ask<T, E, F>(&self, send: impl Fn() -> F) -> Result<T, Failure>
    where
        E: Into<Failure>,
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let mut pauses = self.patience.pauses();
        loop {
            let failure = match send().await {
                Ok(answer) => {
                    self.health.went_well();
                    return Ok(answer);
                }
                Err(failure) => failure.into(),
            };
            if failure.kind != Kind::Passing {
                if failure.is_answer {
                    self.health.went_well();
                }
                return Err(failure);
            }
            self.health.failed(failure.outage());
            let tried = begun.elapsed();
            match pauses.next() {
                Some(pause) if tried + pause < self.patience.time() => tokio::time::sleep(pause).await,
                _ => return Err(failure.after(tried)),
            }
        }
    }
}
