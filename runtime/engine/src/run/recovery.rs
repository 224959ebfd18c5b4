//! What every start does first: re-send what was prepared, compare tokens, claim the next epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::commit::{commit_prepared, fenced};
use super::renamed::{check_sources, note_sources};
use super::shape::Shape;
use super::stage_states::check_stages;
use crate::codes::{STATE_DISAGREEMENT, STATE_OF_OTHER_PIPELINE, STATE_PENDING_COMMIT};
use crate::state::FIRST_CLAIM;
use crate::{Checkpoint, Committed, Error, Event, Observer, Put, Result, SinkNode, StateStore, failpoint};

/// How often a start compares again when another process advances the pipeline while it compares
/// state and sinks.
const MAX_COMPARISONS: usize = 10;

/// Brings state and sinks to one epoch and claims the next one, so that a process which slept since finds it taken.
///
/// Calls no source and no plugin. Returns the claim.
pub(crate) fn recover(shape: &Shape, store: &dyn StateStore, observer: &dyn Observer) -> Result<Checkpoint> {
    let Recovered { mut claim, epoch, committed } = agree(shape, store)?;
    note_sources(shape, &mut claim);
    if store.put(&claim)? == Put::Taken {
        return Err(fenced(&shape.name, claim.epoch));
    }
    failpoint::hit("engine-after-claim");
    for node in &shape.sinks {
        failpoint::hit("engine-in-clean-up");
        node.sink.clean_up(&claim.token(&node.name)).map_err(|error| error.at(format!("sink {}", node.name)))?;
    }
    observer.on(Event::Recovered { epoch, committed: &committed });
    Ok(claim)
}

/// State and sinks at one epoch.
struct Recovered {
    /// The checkpoint to put next.
    claim: Checkpoint,
    /// The epoch of the state; `None` for a new state.
    epoch: Option<u64>,
    /// The sinks in which this start made that epoch visible.
    committed: Vec<Arc<str>>,
}

/// Compares state and sinks and sends the noted commits again. If they disagree because another
/// process has put a checkpoint since, the newer checkpoint is compared.
fn agree(shape: &Shape, store: &dyn StateStore) -> Result<Recovered> {
    let mut newest = store.latest()?;
    for _ in 1..MAX_COMPARISONS {
        let error = match agree_with(shape, store, newest.as_ref()) {
            Ok(recovered) => return Ok(recovered),
            Err(error) => error,
        };
        let again = store.latest()?;
        if again == newest {
            return Err(error);
        }
        newest = again;
    }
    agree_with(shape, store, newest.as_ref())
}

fn agree_with(shape: &Shape, store: &dyn StateStore, newest: Option<&Checkpoint>) -> Result<Recovered> {
    let Some(checkpoint) = newest else {
        check_fresh(shape, store)?;
        return Ok(Recovered { claim: first_checkpoint(&shape.name, Uuid::now_v7(), FIRST_CLAIM), epoch: None, committed: Vec::new() });
    };
    check_pipeline(&shape.name, checkpoint, store)?;
    check_removed_sinks(shape, checkpoint, store)?;
    check_sources(shape, checkpoint)?;
    check_stages(shape, checkpoint)?;
    shape.sinks.iter().try_for_each(|node| check_token(node, &shape.name, checkpoint, store))?;
    let committed = commit_prepared(shape, checkpoint)?;
    Ok(Recovered { claim: checkpoint.claim(), epoch: Some(checkpoint.epoch), committed })
}

pub(super) fn first_checkpoint(pipeline: &str, incarnation: Uuid, epoch: u64) -> Checkpoint {
    Checkpoint {
        pipeline: pipeline.to_owned(),
        incarnation,
        epoch,
        sources: BTreeMap::new(),
        sinks: BTreeMap::new(),
        stages: BTreeMap::new(),
    }
}

pub(super) fn check_pipeline(pipeline: &str, checkpoint: &Checkpoint, store: &dyn StateStore) -> Result<()> {
    if checkpoint.pipeline == pipeline {
        return Ok(());
    }
    Err(Error::environment(format!("the state in {} is of pipeline `{}`, not of `{pipeline}`", store.location(), checkpoint.pipeline))
        .code(STATE_OF_OTHER_PIPELINE)
        .hint("state folders must not be renamed; choose another one with --state"))
}

/// A new state must not meet sinks that hold an older one's token: their rows would be written
/// again.
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

/// The sink must be where the checkpoint found it, or where the checkpoint's commit left it.
fn check_token(node: &SinkNode, pipeline: &str, checkpoint: &Checkpoint, store: &dyn StateStore) -> Result<()> {
    if !node.sink.remembers() {
        return Ok(());
    }
    let progress = checkpoint.sinks.get(&*node.name).cloned().unwrap_or_default();
    let settled = progress.settled(checkpoint.epoch);
    // A commit that was noted as done must be there; one that was not may or may not be. The note
    // is read first. Another process may be about to commit this very epoch, and would note it
    // after the sink's token was read.
    let must_be_settled = settled > 0 && store.is_noted_committed(checkpoint.epoch);
    let found = committed(node, pipeline)?;
    let is_expected = match &found {
        None => progress.previous == 0,
        Some(found) => found.incarnation == checkpoint.incarnation && [progress.previous, settled].contains(&found.epoch),
    };
    let is_settled = found.as_ref().is_some_and(|found| found.epoch == settled);
    if is_expected && (is_settled || !must_be_settled) {
        return Ok(());
    }
    let expected = match settled {
        0 => "the state has no commit to it".to_owned(),
        epoch => format!("the last commit in the state is epoch {epoch} of {}", checkpoint.incarnation),
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
    Error::environment(format!("state and sink disagree: {state}, but {sink}; continuing would lose rows or write them twice"))
        .code(STATE_DISAGREEMENT)
        .at(format!("sink {}", node.name))
        .hint(format!(
            "was the state folder ({}) lost or swapped, or the sink replaced? Restore the one that is wrong; or accept the \
                sink as it is and resume from the state with `wasmill state adopt`, or start over with `wasmill state reset`",
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
        .code(STATE_PENDING_COMMIT)
        .hint("run the pipeline once with that sink, or give it up with `wasmill state adopt`")),
        _ => Ok(()),
    }
}
