//! Jobs at set times: when they are due, and the processes that run them.
//!
//! * [`Times`]: a cron expression in a time zone.
//! * [`Agenda`]: decides which runs begin, which times are skipped and what is retried. It knows no clock and no process: the caller brings the time.
//! * [`Journal`]: what has happened, in a file that survives `kill -9`. The agenda of the next process is restored from it.
//! * [`Scheduler`]: carries the agenda out, each run as a process of its own.
//!
//! A run holds the lock of its job as long as its process lives, even when the scheduler is gone: no second run of the job begins beside it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod agenda;
pub mod codes;
mod evidence;
mod job;
mod journal;
mod process;
mod scheduler;
mod times;

pub use agenda::{Agenda, Step};
pub use job::{Attempt, CatchUp, Job, Outcome, Retries};
pub use journal::{Entry, Journal, Skipped};
pub use scheduler::{News, Program, Scheduler, Until};
pub use times::{Moment, Times, Zone, known_zone, zones};
