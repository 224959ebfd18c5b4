//! A job and what becomes of its runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Moment, Times};

/// A job: when it is due, and what becomes of times that pass and of runs that fail.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// When it is due.
    pub times: Times,
    /// What becomes of times at which it could not begin.
    pub catch_up: CatchUp,
    /// How often a failed run is started again.
    pub retries: Retries,
    /// The longest time of one attempt.
    pub timeout: Option<Duration>,
    /// How long a run that is stopped may take to end, before it is ended by force.
    pub stop_within: Duration,
}

/// What becomes of times at which a job could not begin: nothing was running to start it, or a run before it had not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// They are skipped.
    #[default]
    None,
    /// The latest of them is run.
    Latest,
    /// All of them are run, one after another, in their order.
    All,
}

/// How often a failed run is started again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often. A run has one attempt more.
    pub times: u32,
    /// The time between the first attempt and the second. It doubles with each further one.
    pub backoff: Duration,
    /// It does not grow beyond this.
    pub max_backoff: Duration,
}

impl Retries {
    /// The time between the end of an attempt, counted from 1, and the next one.
    pub fn delay(&self, attempt: u32) -> Duration {
        let doubled = attempt.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doubled).min(self.max_backoff)
    }
}

/// One attempt to do what was due at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The time at which the run was due.
    pub scheduled: Moment,
    /// Counted from 1.
    pub attempt: u32,
    /// Whether a person asked for the run, at a time that is not one of the job's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It did all that it had to do.
    Succeeded,
    /// It ended with another exit status than 0.
    Failed {
        /// The exit status.
        status: u8,
    },
    /// A signal ended it.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// It took longer than its `timeout`, and was stopped.
    TimedOut,
    /// It was stopped with the scheduler, or by somebody else, before its input ended.
    Stopped,
    /// It lived on without its scheduler or died with it, and left no word of how it ended.
    Interrupted,
}

impl Outcome {
    /// Whether another attempt can help without a person's help. Statuses 2, 3, 4 and 6 are for the authors of the pipeline and its plugins, and for the owner of the data.
    pub fn is_retried(self) -> bool {
        match self {
            Self::Succeeded => false,
            Self::Failed { status } => !matches!(status, 2 | 3 | 4 | 6),
            Self::Killed { .. } | Self::TimedOut | Self::Stopped | Self::Interrupted => true,
        }
    }

    /// Whether the scheduler's own end cut it short: then the next attempt does not wait.
    pub fn is_cut_short(self) -> bool {
        matches!(self, Self::Stopped | Self::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let retries = Retries { times: 9, backoff: Duration::from_secs(60), max_backoff: Duration::from_secs(500) };
        let delays: Vec<u64> = (1..=5).map(|attempt| retries.delay(attempt).as_secs()).collect();
        assert_eq!(delays, [60, 120, 240, 480, 500]);
        assert_eq!(retries.delay(u32::MAX).as_secs(), 500);
        let longest = Retries { times: 9, backoff: Duration::MAX, max_backoff: Duration::MAX };
        assert_eq!(longest.delay(40), Duration::MAX);
    }

    #[test]
    fn who_has_to_act_decides_what_is_retried() {
        let failed = |status| Outcome::Failed { status }.is_retried();
        assert!([1, 5, 70, 101, 130].into_iter().all(failed));
        assert!(![2, 3, 4, 6].into_iter().any(failed));
        assert!(Outcome::Killed { signal: 9 }.is_retried() && Outcome::TimedOut.is_retried() && !Outcome::Succeeded.is_retried());
    }
}
