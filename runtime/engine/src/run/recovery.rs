//! What every start does first: re-send what was prepared, compare tokens, claim the next epoch.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::commit::{commit_prepared, fenced};
use super::shape::Shape;
use crate::{Checkpoint, Committed, Error, Event, Observer, Plan, Put, Result, SinkNode, StateStore, Token};

/// Brings state and sinks to one epoch and claims the next one, so that a process which slept since finds it taken.
///
/// Calls no source and no plugin. Returns the claim.
pub(crate) fn recover(shape: &Shape, store: &dyn StateStore, observer: &dyn Observer) -> Result<Checkpoint> {
    let (claim, epoch, committed) = match store.latest()? {
        None => {
            check_fresh(shape, store)?;
            (first_checkpoint(&shape.name, Uuid::now_v7()), None, Vec::new())
        }
        Some(checkpoint) => {
            check_pipeline(&shape.name, &checkpoint, store)?;
            check_removed_sinks(shape, &checkpoint, store)?;
            shape.sinks.iter().try_for_each(|node| check_token(node, &shape.name, &checkpoint, store))?;
            let committed = commit_prepared(shape, &checkpoint)?;
            (checkpoint.claim(), Some(checkpoint.epoch), committed)
        }
    };
    if store.put(&claim)? == Put::Taken {
        return Err(fenced(&shape.name, claim.epoch));
    }
    for node in &shape.sinks {
        node.sink.clean_up(&claim.token(&node.name)).map_err(|error| error.at(format!("sink {}", node.name)))?;
    }
    observer.on(Event::Recovered { epoch, committed: &committed });
    Ok(claim)
}

fn first_checkpoint(pipeline: &str, incarnation: Uuid) -> Checkpoint {
    Checkpoint { pipeline: pipeline.to_owned(), incarnation, epoch: 1, sources: BTreeMap::new(), sinks: BTreeMap::new() }
}

fn check_pipeline(pipeline: &str, checkpoint: &Checkpoint, store: &dyn StateStore) -> Result<()> {
    if checkpoint.pipeline == pipeline {
        return Ok(());
    }
    Err(Error::environment(format!("the state in {} is of pipeline `{}`, not of `{pipeline}`", store.location(), checkpoint.pipeline))
        .hint("state folders must not be renamed; choose another one with --state"))
}

/// A new state must not meet sinks that remember an older one: the rows that they hold would come again.
fn check_fresh(shape: &Shape, store: &dyn StateStore) -> Result<()> {
    for node in &shape.sinks {
        if let Some(found) = committed(node, &shape.name)? {
            return Err(disagreement(node, "there is no state", &describe(Some(&found)), store));
        }
    }
    Ok(())
}

fn committed(node: &SinkNode, pipeline: &str) -> Result<Option<Committed>> {
    if !node.sink.remembers() {
        return Ok(None);
    }
    node.sink.committed(pipeline, &node.name).map_err(|error| error.at(format!("sink {}", node.name)))
}

/// The sink must stand where the checkpoint found it, or where the checkpoint's commit left it.
fn check_token(node: &SinkNode, pipeline: &str, checkpoint: &Checkpoint, store: &dyn StateStore) -> Result<()> {
    if !node.sink.remembers() {
        return Ok(());
    }
    let progress = checkpoint.sinks.get(&*node.name).cloned().unwrap_or_default();
    let settled = progress.settled(checkpoint.epoch);
    let found = committed(node, pipeline)?;
    let stands = match &found {
        None => progress.previous == 0,
        Some(found) => found.incarnation == checkpoint.incarnation && [progress.previous, settled].contains(&found.epoch),
    };
    // A commit that was noted as done must be there; one that was not may or may not be.
    let must_be_settled = settled > 0 && store.is_noted_committed(checkpoint.epoch);
    let is_settled = found.as_ref().is_some_and(|found| found.epoch == settled);
    if stands && (is_settled || !must_be_settled) {
        return Ok(());
    }
    let expected = match settled {
        0 => "the state says that nothing was committed to it".to_owned(),
        epoch => format!("the state says that epoch {epoch} of {} was committed last", checkpoint.incarnation),
    };
    Err(disagreement(node, &expected, &describe(found.as_ref()), store))
}

fn describe(found: Option<&Committed>) -> String {
    match found {
        None => "the sink holds nothing of this pipeline".to_owned(),
        Some(found) => format!("the sink holds epoch {} of {}", found.epoch, found.incarnation),
    }
}

fn disagreement(node: &SinkNode, state: &str, sink: &str, store: &dyn StateStore) -> Error {
    Error::environment(format!("state and sink disagree: {state}, but {sink}; going on would lose rows or write them twice"))
        .at(format!("sink {}", node.name))
        .hint(format!(
            "was the state folder ({}) lost or swapped, or the sink replaced? Restore the one that is wrong; or accept the sink as it is \
             and go on from the state with `wasmill state adopt`, or begin anew with `wasmill state reset`",
            store.location()
        ))
}

/// A sink that was taken out of the pipeline while a commit to it was pending would lose that commit.
fn check_removed_sinks(shape: &Shape, checkpoint: &Checkpoint, store: &dyn StateStore) -> Result<()> {
    let present: BTreeSet<&str> = shape.sinks.iter().map(|node| &*node.name).collect();
    let pending = checkpoint.sinks.iter().find(|(name, progress)| progress.prepared.is_some() && !present.contains(name.as_str()));
    match pending {
        Some((name, _)) if !store.is_noted_committed(checkpoint.epoch) => Err(Error::environment(format!(
            "sink `{name}` is no longer in the pipeline, but epoch {} may not be committed to it yet",
            checkpoint.epoch
        ))
        .hint("run the pipeline once with that sink, or give it up with `wasmill state adopt`")),
        _ => Ok(()),
    }
}

/// Accepts every sink as it is: their tokens are set to what the state says, and pending commits are committed where they still can be.
///
/// # Errors
/// There is no state, or a sink can't be reached.
pub fn adopt(plan: Plan, store: &dyn StateStore) -> Result<Checkpoint> {
    let (shape, _) = Shape::new(plan);
    let Some(checkpoint) = store.latest()? else {
        return Err(Error::environment(format!("there is no state in {} that a sink could be adopted to", store.location()))
            .hint("`wasmill state reset` begins anew"));
    };
    check_pipeline(&shape.name, &checkpoint, store)?;
    for node in shape.sinks.iter().filter(|node| node.sink.remembers()) {
        let here = |error: Error| error.at(format!("sink {}", node.name));
        let progress = checkpoint.sinks.get(&*node.name).cloned().unwrap_or_default();
        let found = node.sink.committed(&shape.name, &node.name).map_err(here)?;
        let settled = progress.settled(checkpoint.epoch);
        let holds_it = found.as_ref().is_some_and(|found| found.incarnation == checkpoint.incarnation && found.epoch == settled);
        if holds_it {
            continue;
        }
        let token = checkpoint.token(&node.name);
        let claim = Token { epoch: token.previous, ..token.clone() };
        node.sink.adopt(&claim).map_err(here)?;
        if let Some(prepared) = progress.prepared.as_ref().filter(|_| !store.is_noted_committed(checkpoint.epoch)) {
            node.sink.commit(&token, prepared).map_err(here)?;
        } else {
            node.sink.adopt(&Token { epoch: settled, ..token }).map_err(here)?;
        }
    }
    let claim = checkpoint.claim();
    match store.put(&claim)? {
        Put::Done => Ok(claim),
        Put::Taken => Err(fenced(&shape.name, claim.epoch)),
    }
}

/// Forgets all progress and begins a new incarnation; the sinks keep their rows and are taken over.
///
/// # Errors
/// The state can't be written, or a sink can't be reached.
pub fn reset(plan: Plan, store: &dyn StateStore) -> Result<Checkpoint> {
    let (shape, _) = Shape::new(plan);
    store.clear()?;
    let first = first_checkpoint(&shape.name, Uuid::now_v7());
    if store.put(&first)? == Put::Taken {
        return Err(fenced(&shape.name, first.epoch));
    }
    for node in shape.sinks.iter().filter(|node| node.sink.remembers()) {
        let here = |error: Error| error.at(format!("sink {}", node.name));
        if node.sink.committed(&shape.name, &node.name).map_err(here)?.is_some() {
            node.sink.adopt(&Token { epoch: 0, ..first.token(&node.name) }).map_err(here)?;
        }
    }
    Ok(first)
}
