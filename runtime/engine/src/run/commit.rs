//! The two-phase commit of an epoch: prepare every sink, note it in the checkpoint, commit every sink.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::graph::StageChange;
use super::lane::{LaneEpoch, MovedSplit};
use super::ledger::Ledger;
use super::shape::{Shape, Sources};
use super::stage_states::StageStates;
use crate::codes::STATE_TAKEN_OVER;
use crate::{Checkpoint, CommitOutcome, EpochTimes, Error, Put, Result, SinkProgress, SplitId, StateStore, failpoint};

/// Commits epochs one after the other. Owns the latest checkpoint.
pub(crate) struct Commits {
    shape: Arc<Shape>,
    sources: Arc<Sources>,
    store: Arc<dyn StateStore>,
    checkpoint: Arc<Checkpoint>,
    /// The checkpoint that was put last, whatever its result.
    attempted: Option<Arc<Checkpoint>>,
    /// The splits that have left the checkpoint; none before the first epoch.
    ledger: Option<Ledger>,
    /// Of the keyed stages; none before the first epoch.
    stages: Option<StageStates>,
}

/// What lanes did in an epoch.
struct Gathered {
    /// The parts of each sink, in the order of lanes.
    parts: Vec<Vec<Value>>,
    /// The splits that moved, by the index of their source.
    moved: HashSet<(usize, SplitId)>,
    /// The changes of each stage's state, in the order of lanes.
    changes: Vec<Vec<StageChange>>,
}

/// What of an epoch is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    Whole,
    /// The dead letters alone: the epoch's other rows were refused, and the next run reads its
    /// records again.
    DeadLetters,
}

impl Commits {
    pub fn new(shape: Arc<Shape>, sources: Arc<Sources>, store: Arc<dyn StateStore>, checkpoint: Arc<Checkpoint>) -> Self {
        Self { shape, sources, store, checkpoint, attempted: None, ledger: None, stages: None }
    }

    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.checkpoint
    }

    /// Commits what the lanes did in an epoch, in the order of lanes.
    ///
    /// Epochs have no gaps. A process whose epoch does not follow the latest checkpoint could put
    /// it next to another process's claim, and both would own the pipeline.
    pub fn commit(&mut self, epoch: u64, lanes: Vec<LaneEpoch>, extent: Extent) -> Result<EpochTimes> {
        let begun = Instant::now();
        let mut next = self.checkpoint.claim();
        if next.epoch != epoch {
            return Err(Error::bug(format!("epoch {epoch} is to be committed after epoch {}", self.checkpoint.epoch)));
        }
        if self.shape.epoch.whole_run && extent == Extent::Whole {
            // Everything was read again, so the progress of an earlier run does not apply.
            next.sources.clear();
        }
        let Gathered { parts, moved, changes } = self.gather(&mut next, lanes, extent);
        self.compact(&mut next)?;
        self.retire(&mut next, &moved)?;
        if extent == Extent::Whole {
            self.advance_stages(&mut next, changes)?;
        }
        failpoint::hit("engine-before-prepare");
        next.sinks = self.prepare(&next, parts)?;
        let prepared = Instant::now();
        failpoint::hit("engine-before-checkpoint");
        let next = Arc::new(next);
        self.attempted = Some(Arc::clone(&next));
        match self.store.put(&next)? {
            Put::Done => self.checkpoint = next,
            Put::Taken => return Err(fenced(&self.shape.name, epoch)),
        }
        let noted = Instant::now();
        failpoint::hit("engine-after-checkpoint");
        commit_prepared(&self.shape, &self.checkpoint)?;
        failpoint::hit("engine-after-commit");
        self.store.note_committed(epoch);
        if let Some(ledger) = &mut self.ledger {
            ledger.noted(epoch);
        }
        if let Some(stages) = &mut self.stages {
            stages.noted(epoch);
        }
        Ok(EpochTimes { prepare: prepared - begun, checkpoint: noted - prepared, commit: noted.elapsed() })
    }

    /// Gathers what the lanes did, and notes their progress.
    fn gather(&self, next: &mut Checkpoint, lanes: Vec<LaneEpoch>, extent: Extent) -> Gathered {
        let mut moved = HashSet::new();
        let mut parts: Vec<Vec<Value>> = self.shape.sinks.iter().map(|_| Vec::new()).collect();
        let mut changes: Vec<Vec<StageChange>> = self.shape.stages.iter().map(|_| Vec::new()).collect();
        for lane in lanes {
            for (index, part) in lane.part.parts.into_iter().enumerate() {
                if extent == Extent::Whole || self.shape.dead_letters == Some(index) {
                    parts[index].extend(part);
                }
            }
            changes.iter_mut().zip(lane.part.stages).for_each(|(changes, change)| changes.extend(change));
            for MovedSplit { source, id, state } in lane.progress.into_iter().filter(|_| extent == Extent::Whole) {
                moved.insert((source, Arc::clone(&id)));
                let source = self.shape.sources[source].name.to_string();
                next.sources.entry(source).or_default().insert(id, state);
            }
        }
        Gathered { parts, moved, changes }
    }

    fn advance_stages(&mut self, next: &mut Checkpoint, changes: Vec<Vec<StageChange>>) -> Result<()> {
        let stages = match &mut self.stages {
            Some(stages) => stages,
            None if self.shape.keyed().next().is_none() => return Ok(()),
            none => none.insert(StageStates::new(&self.shape, self.store.depot(), &self.checkpoint)?),
        };
        stages.advance(&self.shape, &self.checkpoint, next, changes)
    }

    /// Takes the entries of splits out that need none any more.
    fn retire(&mut self, next: &mut Checkpoint, moved: &HashSet<(usize, SplitId)>) -> Result<()> {
        let ledger = match &mut self.ledger {
            Some(ledger) => ledger,
            None if !any_retires(&self.sources) => return Ok(()),
            none => none.insert(Ledger::new(&self.shape, self.store.depot(), &self.checkpoint)?),
        };
        ledger.retire(&self.shape, &self.sources, next, moved)
    }

    fn compact(&self, next: &mut Checkpoint) -> Result<()> {
        for (shape, source) in self.shape.sources.iter().zip(&*self.sources) {
            if let Some(progress) = next.sources.get_mut(&*shape.name) {
                let source = source.lock();
                source.compact(progress).map_err(|error| error.at(shape.place()))?;
            }
        }
        Ok(())
    }

    /// Explains a failed commit if another process has taken over, which may have removed what this
    /// one had staged. A checkpoint that this process put itself, but whose put failed halfway, is
    /// not evidence of another process.
    pub fn explain(&self, error: Error) -> Error {
        match self.store.latest() {
            Ok(Some(newest)) if self.is_of_another_process(&newest) => fenced(&self.shape.name, newest.epoch).caused_by(error),
            _ => error,
        }
    }

    fn is_of_another_process(&self, newest: &Checkpoint) -> bool {
        let is_ours = |ours: &Checkpoint| ours == newest;
        newest.epoch > self.checkpoint.epoch && !self.attempted.as_deref().is_some_and(is_ours)
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

/// Whether splits of some source leave the checkpoint.
fn any_retires(sources: &Sources) -> bool {
    sources.iter().any(|source| source.lock().record_form().is_some())
}

pub(crate) fn fenced(pipeline: &str, epoch: u64) -> Error {
    Error::environment(format!("another process has taken over pipeline `{pipeline}`: it has written epoch {epoch} already"))
        .code(STATE_TAKEN_OVER)
        .hint("this process has committed nothing since; leave the other one running, or stop both and start one")
}

/// Makes every prepared commit of a checkpoint visible. Returns the sinks in which this call did
/// it.
pub(crate) fn commit_prepared(shape: &Shape, checkpoint: &Checkpoint) -> Result<Vec<Arc<str>>> {
    let mut done = Vec::new();
    for node in &shape.sinks {
        let Some(prepared) = checkpoint.sinks.get(&*node.name).and_then(|progress| progress.prepared.as_ref()) else { continue };
        let outcome = node.sink.commit(&checkpoint.token(&node.name), prepared);
        match outcome.map_err(|error| error.at(format!("sink {}", node.name)).at(format!("commit of epoch {}", checkpoint.epoch)))? {
            CommitOutcome::Done => done.push(Arc::clone(&node.name)),
            CommitOutcome::Already => {}
        }
        failpoint::hit("engine-after-sink-commit");
    }
    Ok(done)
}
