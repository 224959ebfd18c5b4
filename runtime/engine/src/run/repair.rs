//! The changes of `wasmill state`: sinks are adopted, progress is dropped, sources are renamed and
//! dropped.
//!
//! It needs the pipeline's name, its state, and the sinks that it touches: no source and no plugin. Each of these is a checkpoint of the next
//! epoch, so that a process that still runs is fenced.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::commit::fenced;
use super::recovery::{check_pipeline, first_checkpoint};
use crate::codes::{STATE_MISSING, STATE_PENDING_COMMIT, STATE_SOURCE_KNOWN, STATE_SOURCE_UNKNOWN, STATE_STAGE_UNKNOWN};
use crate::state::FIRST_CLAIM;
use crate::{Checkpoint, Error, Put, Result, Sink, StateStore, Token};

/// A sink by its name in the pipeline.
#[derive(Clone)]
pub struct NamedSink {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// The sink itself.
    pub sink: Arc<dyn Sink>,
}

/// Accepts sinks as they are. Their tokens are set to the state's, and pending commits are
/// committed where still possible. What is pending for a sink that is not among them is dropped.
///
/// # Errors
/// There is no state, or a sink can't be reached.
pub fn adopt(pipeline: &str, sinks: &[NamedSink], store: &dyn StateStore) -> Result<Checkpoint> {
    let checkpoint = newest(pipeline, store)?;
    let is_committed = store.is_noted_committed(checkpoint.epoch);
    for NamedSink { name, sink } in sinks {
        adopt_one(&checkpoint, is_committed, name, &**sink).map_err(|error| error.at(format!("sink {name}")))?;
    }
    put(checkpoint.claim(), store)
}

fn adopt_one(checkpoint: &Checkpoint, is_committed: bool, name: &str, sink: &dyn Sink) -> Result<()> {
    let progress = checkpoint.sinks.get(name).cloned().unwrap_or_default();
    let pending = progress.prepared.as_ref().filter(|_| !is_committed);
    let token = checkpoint.token(name);
    if !sink.remembers() {
        return pending.map_or(Ok(()), |prepared| sink.commit(&token, prepared).map(drop));
    }
    let settled = progress.settled(checkpoint.epoch);
    let found = sink.committed(&checkpoint.pipeline, name)?;
    if found.is_some_and(|found| found.incarnation == checkpoint.incarnation && found.epoch == settled) {
        return Ok(());
    }
    match pending {
        Some(prepared) => {
            sink.adopt(&Token { epoch: token.previous, ..token.clone() })?;
            sink.commit(&token, prepared).map(drop)
        }
        None => sink.adopt(&Token { epoch: settled, ..token }),
    }
}

/// Drops all progress and begins a new incarnation; the sinks keep their rows and are taken over.
///
/// # Errors
/// The state can't be written, or a sink can't be reached. An unreachable sink is found before any
/// progress is dropped.
pub fn reset(pipeline: &str, sinks: &[NamedSink], store: &dyn StateStore) -> Result<Checkpoint> {
    let mut taken_over = Vec::new();
    for NamedSink { name, sink } in sinks.iter().filter(|named| named.sink.remembers()) {
        let held = sink.committed(pipeline, name).map_err(|error| error.at(format!("sink {name}")))?;
        taken_over.extend(held.map(|_| (name, sink)));
    }
    // Epochs never restart from 1: a process of the old incarnation that still runs or is suspended
    // finds its next epoch taken.
    let epoch = store.newest_epoch()?.map_or(FIRST_CLAIM, |newest| newest + 1);
    let first = put(first_checkpoint(pipeline, Uuid::now_v7(), epoch), store)?;
    store.forget_before(&first)?;
    for (name, sink) in taken_over {
        sink.adopt(&Token { epoch: 0, ..first.token(name) }).map_err(|error| error.at(format!("sink {name}")))?;
    }
    Ok(first)
}

/// Another name for a source.
#[derive(Debug, Clone, Copy)]
pub struct SourceRename<'a> {
    /// The name in the state.
    pub old: &'a str,
    /// The name in the pipeline.
    pub new: &'a str,
}

/// Renames the progress of a source. `sinks` is called only where commits may be pending.
///
/// # Errors
/// The state lacks the old name, has progress under the new one, or can't be written; a pending
/// commit failed.
pub fn rename_source(
    pipeline: &str,
    rename: SourceRename<'_>,
    sinks: impl FnOnce() -> Result<Vec<NamedSink>>,
    store: &dyn StateStore,
) -> Result<Checkpoint> {
    let SourceRename { old, new } = rename;
    change(pipeline, sinks, store, |next| {
        let sources = &mut next.sources;
        if sources.get(new).is_some_and(|progress| !progress.is_empty()) {
            return Err(Error::environment(format!("the state holds progress of source `{new}`: `{old}` can't take its name"))
                .code(STATE_SOURCE_KNOWN)
                .hint(format!("`wasmill state drop-source PIPELINE {new}` drops it")));
        }
        let progress = take(sources, old, store)?;
        sources.insert(new.to_owned(), progress);
        Ok(())
    })
}

/// Drops the progress of a source. `sinks` is called only where commits may be pending.
///
/// # Errors
/// The state does not know the source, or can't be written; a pending commit failed.
pub fn drop_source(
    pipeline: &str,
    name: &str,
    sinks: impl FnOnce() -> Result<Vec<NamedSink>>,
    store: &dyn StateStore,
) -> Result<Checkpoint> {
    change(pipeline, sinks, store, |next| take(&mut next.sources, name, store).map(drop))
}

/// Gives up what a keyed stage holds: its groups and rows are lost, and it starts over with the next row. `sinks` is called only
/// where commits may be pending.
///
/// # Errors
/// The state holds nothing of the stage, or can't be written; a pending commit failed.
pub fn drop_stage(
    pipeline: &str,
    name: &str,
    sinks: impl FnOnce() -> Result<Vec<NamedSink>>,
    store: &dyn StateStore,
) -> Result<Checkpoint> {
    change(pipeline, sinks, store, |next| match next.stages.remove(name) {
        Some(_) => Ok(()),
        None => Err(Error::configuration(format!("the state in {} holds nothing of a stage `{name}`", store.location()))
            .code(STATE_STAGE_UNKNOWN)
            .hint(format!("its keyed stages: {}", listed(next.stages.keys())))),
    })
}

type Sources = BTreeMap<String, crate::Progress>;

fn take(sources: &mut Sources, name: &str, store: &dyn StateStore) -> Result<crate::Progress> {
    sources.remove(name).ok_or_else(|| {
        let known = listed(sources.keys());
        Error::configuration(format!("the state in {} has no source `{name}`", store.location()))
            .code(STATE_SOURCE_UNKNOWN)
            .hint(format!("its sources: {known}"))
    })
}

fn listed<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Puts a checkpoint that differs from the newest one, after the commits that are pending.
fn change(
    pipeline: &str,
    sinks: impl FnOnce() -> Result<Vec<NamedSink>>,
    store: &dyn StateStore,
    change: impl FnOnce(&mut Checkpoint) -> Result<()>,
) -> Result<Checkpoint> {
    let checkpoint = newest(pipeline, store)?;
    let mut next = checkpoint.claim();
    change(&mut next)?;
    // The next checkpoint holds no commits: what is pending goes first.
    if checkpoint.sinks.values().any(|progress| progress.prepared.is_some()) && !store.is_noted_committed(checkpoint.epoch) {
        let sinks = sinks()?;
        for (name, progress) in &checkpoint.sinks {
            let Some(prepared) = &progress.prepared else { continue };
            let Some(NamedSink { sink, .. }) = sinks.iter().find(|known| *known.name == **name) else {
                return Err(Error::environment(format!("epoch {} may not be committed to sink `{name}` yet", checkpoint.epoch))
                    .code(STATE_PENDING_COMMIT)
                    .hint("run the pipeline once as it was, or give it up with `wasmill state adopt`"));
            };
            sink.commit(&checkpoint.token(name), prepared).map_err(|error| error.at(format!("sink {name}")))?;
        }
    }
    put(next, store)
}

fn newest(pipeline: &str, store: &dyn StateStore) -> Result<Checkpoint> {
    let Some(checkpoint) = store.latest()? else {
        return Err(Error::environment(format!("there is no state in {}", store.location()))
            .code(STATE_MISSING)
            .hint("is it the right --state? `wasmill state reset` starts over, and takes over sinks that hold rows"));
    };
    check_pipeline(pipeline, &checkpoint, store)?;
    Ok(checkpoint)
}

fn put(checkpoint: Checkpoint, store: &dyn StateStore) -> Result<Checkpoint> {
    match store.put(&checkpoint)? {
        Put::Done => Ok(checkpoint),
        Put::Taken => Err(fenced(&checkpoint.pipeline, checkpoint.epoch)),
    }
}
