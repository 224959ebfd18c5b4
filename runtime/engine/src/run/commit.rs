//! The two-phase commit of an epoch: prepare every sink, note it in the checkpoint, commit every sink.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Instant;

use serde_json::Value;

use super::lane::LaneEpoch;
use super::shape::{Shape, Sources};
use crate::{Checkpoint, CommitOutcome, EpochTimes, Error, Put, Result, SinkProgress, StateStore, failpoint};

/// Commits epochs one after the other. Owns the newest checkpoint.
pub(crate) struct Committer<'p> {
    shape: &'p Shape,
    sources: &'p Sources,
    store: &'p dyn StateStore,
    checkpoint: Checkpoint,
}

impl<'p> Committer<'p> {
    pub fn new(shape: &'p Shape, sources: &'p Sources, store: &'p dyn StateStore, checkpoint: Checkpoint) -> Self {
        Self { shape, sources, store, checkpoint }
    }

    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Commits what the lanes did in an epoch, in the order of lanes.
    pub fn commit(&mut self, epoch: u64, lanes: Vec<LaneEpoch>) -> Result<EpochTimes> {
        let begun = Instant::now();
        let mut next = Checkpoint { epoch, ..self.checkpoint.claim() };
        if self.shape.epoch.whole_run {
            // Everything was read anew: what an earlier run had read says nothing about this one.
            next.sources.clear();
        }
        let mut parts: Vec<Vec<Value>> = self.shape.sinks.iter().map(|_| Vec::new()).collect();
        for lane in lanes {
            for (sink, part) in parts.iter_mut().zip(lane.part.parts) {
                sink.extend(part);
            }
            for (source, split, state) in lane.progress {
                let source = self.shape.sources[source].0.to_string();
                next.sources.entry(source).or_default().insert(split, state);
            }
        }
        self.compact(&mut next)?;
        failpoint::hit("engine-before-prepare");
        next.sinks = self.prepare(&next, parts)?;
        let prepared = Instant::now();
        failpoint::hit("engine-before-checkpoint");
        match self.store.put(&next)? {
            Put::Done => self.checkpoint = next,
            Put::Taken => return Err(fenced(&self.shape.name, epoch)),
        }
        let noted = Instant::now();
        failpoint::hit("engine-after-checkpoint");
        commit_prepared(self.shape, &self.checkpoint)?;
        failpoint::hit("engine-after-commit");
        self.store.note_committed(epoch);
        Ok(EpochTimes { prepare: prepared - begun, checkpoint: noted - prepared, commit: noted.elapsed() })
    }

    fn compact(&self, next: &mut Checkpoint) -> Result<()> {
        for ((name, _), source) in self.shape.sources.iter().zip(self.sources) {
            if let Some(progress) = next.sources.get_mut(&**name) {
                let source = source.lock().unwrap_or_else(PoisonError::into_inner);
                source.compact(progress).map_err(|error| error.at(format!("source {name}")))?;
            }
        }
        Ok(())
    }

    /// Says why this process failed, if another one has taken over: it may have removed what this one had staged.
    pub fn explain(&self, error: Error) -> Error {
        match self.store.latest() {
            Ok(Some(newest)) if newest.epoch > self.checkpoint.epoch => fenced(&self.shape.name, newest.epoch).caused_by(error),
            _ => error,
        }
    }

    fn prepare(&self, next: &Checkpoint, parts: Vec<Vec<Value>>) -> Result<BTreeMap<String, SinkProgress>> {
        let mut sinks = next.sinks.clone();
        for (node, parts) in self.shape.sinks.iter().zip(parts) {
            let progress = sinks.entry(node.name.to_string()).or_default();
            if !parts.is_empty() {
                let prepared = node.sink.prepare(&next.token(&node.name), parts);
                progress.prepared = Some(prepared.map_err(|error| error.at(format!("sink {}", node.name)))?);
            }
        }
        Ok(sinks)
    }
}

pub(crate) fn fenced(pipeline: &str, epoch: u64) -> Error {
    Error::environment(format!("another process has taken over pipeline `{pipeline}`: it has written epoch {epoch} already"))
        .hint("this process has committed nothing since; leave the other one running, or stop both and start one")
}

/// Makes every prepared commit of a checkpoint visible. Answers the sinks in which this call did it.
pub(crate) fn commit_prepared(shape: &Shape, checkpoint: &Checkpoint) -> Result<Vec<std::sync::Arc<str>>> {
    let mut done = Vec::new();
    for node in &shape.sinks {
        let Some(prepared) = checkpoint.sinks.get(&*node.name).and_then(|progress| progress.prepared.as_ref()) else { continue };
        let outcome = node.sink.commit(&checkpoint.token(&node.name), prepared);
        match outcome.map_err(|error| error.at(format!("sink {}", node.name)).at(format!("commit of epoch {}", checkpoint.epoch)))? {
            CommitOutcome::Done => done.push(std::sync::Arc::clone(&node.name)),
            CommitOutcome::Already => {}
        }
        failpoint::hit("engine-after-sink-commit");
    }
    Ok(done)
}
