//! Runs a plan: recovery, then lanes that work and a coordinator that commits what they did.

mod account;
mod allowance;
mod board;
mod clock;
mod commit;
mod committer;
mod coordinator;
mod epochs;
mod exchange;
mod graph;
mod judge;
mod keyed_graph;
mod lane;
mod ledger;
mod obsolete;
mod reasons;
mod recovery;
mod renamed;
mod repair;
mod shape;
mod splits;
mod stage_states;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::{Error, Observer, Plan, Result, StateStore, StopSignal, Summary, panic_message};

pub use ledger::{RETIRED, retired_pieces};
pub use repair::{NamedSink, SourceRename, adopt, drop_source, drop_stage, rename_source, reset};
pub use stage_states::check_stage_state;

/// Runs a plan until its sources end or `stop` is set; either way the epoch that is open is finished and committed.
///
/// A plan whose epoch is the whole run commits nothing when it is stopped early.
///
/// # Errors
/// The first error of any lane, source, stage or sink. What was committed stays; the next run
/// resumes from the last checkpoint.
///
/// A run that fails waits only half a second for a commit that is under way. Its thread may outlive
/// the call and then holds the store. A caller may start another run at once, because the commit is
/// the same from any process.
pub fn run(plan: Plan, store: Arc<dyn StateStore>, stop: &StopSignal, observer: &dyn Observer) -> Result<Summary> {
    let run = || {
        let (shape, sources) = shape::Shape::new(plan);
        let checkpoint = recovery::recover(&shape, &*store, observer)?;
        ledger::restore(&shape, &sources, &*store, &checkpoint)?;
        coordinator::Coordinator::new(Arc::new(shape), Arc::new(sources), store, observer, checkpoint).run(stop)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(panicked("the coordinator", &*panic)
            .hint("this is a bug in wasmill; what the state has noted is committed by the next run, which repeats the rest"))
    })
}

/// The error that a panic is.
fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Error {
    Error::bug(format!("{thread} panicked: {}", panic_message(panic)))
}
