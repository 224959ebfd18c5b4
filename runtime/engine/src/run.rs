//! Runs a plan: recovery, then lanes that work and a coordinator that commits what they did.

mod account;
mod board;
mod commit;
mod coordinator;
mod graph;
mod lane;
mod mending;
mod recovery;
mod renamed;
mod shape;
#[cfg(test)]
mod tests;

use crate::{Observer, Plan, Result, StateStore, StopSignal, Summary};

pub use mending::{NamedSink, adopt, drop_source, rename_source, reset};

/// Runs a plan until its sources end or `stop` is set; either way the epoch that is open is finished and committed.
///
/// A plan whose epoch is the whole run commits nothing when it is stopped early.
///
/// # Errors
/// The first error of any lane, source, stage or sink. What was committed stays; the next run goes on from the last checkpoint.
pub fn run(plan: Plan, store: &dyn StateStore, stop: &StopSignal, observer: &dyn Observer) -> Result<Summary> {
    let (shape, sources) = shape::Shape::new(plan);
    let checkpoint = recovery::recover(&shape, store, observer)?;
    coordinator::Coordinator::new(&shape, &sources, store, observer, checkpoint).run(stop)
}
