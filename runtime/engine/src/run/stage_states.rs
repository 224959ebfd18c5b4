//! The state of keyed stages: from one checkpoint to the next, and whether a pipeline can use the one that is there.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::graph::StageChange;
use super::obsolete::ObsoleteFiles;
use super::shape::Shape;
use crate::codes::STATE_OF_OTHER_STAGE;
use crate::depot::{EpochId, is_left_over};
use crate::keyed::STATE_FOLDER;
use crate::{Checkpoint, Depot, DepotFile, Error, KeyedStage, Mode, Result, StageState, StateStore, Watermark};

/// With what the keyed stages of a run begin.
pub(crate) struct Resume {
    pub depot: Arc<dyn Depot>,
    /// The state of each stage, by its index; empty for one that starts over or is not keyed.
    pub stages: Vec<StageState>,
}

impl Resume {
    /// What a run begins with after a claim; `None`: no stage is keyed.
    pub fn of(shape: &Shape, store: &dyn StateStore, claim: &Checkpoint) -> Option<Self> {
        shape.keyed().next()?;
        let state = |name: &str| claim.stages.get(name).filter(|_| !shape.epoch.whole_run).cloned().unwrap_or_default();
        Some(Self { depot: store.depot(), stages: shape.stages.iter().map(|node| state(&node.name)).collect() })
    }
}

/// The states of a run's keyed stages, and the files that they name.
pub(crate) struct StageStates {
    depot: Arc<dyn Depot>,
    obsolete: ObsoleteFiles,
}

impl StageStates {
    /// Those of a run that begins with a claim.
    ///
    /// # Errors
    /// The depot can't be listed, or a state is damaged.
    pub fn new(shape: &Shape, depot: Arc<dyn Depot>, claim: &Checkpoint) -> Result<Self> {
        let named: HashSet<String> = files(shape, claim)?.into_iter().map(|file| file.name).collect();
        let of = EpochId { incarnation: claim.incarnation, epoch: claim.epoch };
        // The checkpoints before the claim may name some of them.
        let left = depot.list(STATE_FOLDER)?.into_iter().filter(|name| is_left_over(name, of) && !named.contains(name)).collect();
        let mut obsolete = ObsoleteFiles::new(Arc::clone(&depot), "files of keyed stages");
        obsolete.add(claim.epoch, left);
        Ok(Self { depot, obsolete })
    }

    /// Puts the states after an epoch into its checkpoint, and makes the files durable that it names. `changes` holds those of each stage, by its index,
    /// in the order of lanes.
    ///
    /// # Errors
    /// A stage does not understand its state, or a file can't be made durable.
    pub fn advance(&mut self, shape: &Shape, before: &Checkpoint, next: &mut Checkpoint, changes: Vec<Vec<StageChange>>) -> Result<()> {
        if shape.epoch.whole_run {
            // Everything was read and everything was emitted: nothing is left for a run that reads all of it again.
            next.stages.clear();
        } else {
            let mut changes = changes;
            for (index, node, stage) in shape.keyed() {
                let here = |error: Error| error.at(format!("stage {}", node.name));
                let changes = std::mem::take(&mut changes[index]);
                let before = next.stages.remove(&*node.name).unwrap_or_default();
                next.stages.insert(node.name.to_string(), next_state(&**stage, shape.mode, before, changes).map_err(here)?);
            }
        }
        let old: HashSet<DepotFile> = files(shape, before)?.into_iter().collect();
        let new: HashSet<DepotFile> = files(shape, next)?.into_iter().collect();
        let written: Vec<DepotFile> = new.difference(&old).cloned().collect();
        if !written.is_empty() {
            self.depot.seal(&written)?;
        }
        self.obsolete.add(before.epoch, old.difference(&new).map(|file| file.name.clone()).collect());
        Ok(())
    }

    /// An epoch's checkpoint has been put.
    pub fn noted(&mut self, epoch: u64) {
        self.obsolete.noted(epoch);
    }
}

fn next_state(stage: &dyn KeyedStage, mode: Mode, before: StageState, changes: Vec<StageChange>) -> Result<StageState> {
    // All lanes have come to the same one.
    let watermark = changes.first().map(|change| change.watermark);
    let closed = changes.iter().filter_map(|change| change.closed).max();
    let changed: Vec<_> = changes.into_iter().filter_map(|change| change.state).collect();
    let state = if changed.is_empty() { before.state } else { stage.next_state(before.state.as_ref(), changed)? };
    let watermark = match watermark {
        // A stream has promised that nothing follows: what does all the same must not be counted apart from what was emitted.
        Some(Watermark::END) if mode == Mode::Stream => before.watermark.max(closed),
        // Sources that have ended may have more the next time.
        Some(Watermark::END | Watermark::NONE) => None,
        Some(watermark) => Some(watermark.micros()),
        None => before.watermark,
    };
    Ok(StageState { fingerprint: stage.fingerprint(), watermark, state })
}

/// The files that the states of a checkpoint name. Those of stages that the pipeline does not have are not known.
fn files(shape: &Shape, checkpoint: &Checkpoint) -> Result<Vec<DepotFile>> {
    let mut files = Vec::new();
    for (_, node, stage) in shape.keyed() {
        if let Some(state) = checkpoint.stages.get(&*node.name).and_then(|stage| stage.state.as_ref()) {
            files.extend(stage.files(state).map_err(|error| error.at(format!("stage {}", node.name)))?);
        }
    }
    Ok(files)
}

/// Fails if the pipeline can't use the state of a stage.
pub(super) fn check_stages(shape: &Shape, checkpoint: &Checkpoint) -> Result<()> {
    if shape.epoch.whole_run {
        return Ok(());
    }
    checkpoint.stages.iter().try_for_each(|(name, held)| {
        let stage = shape.keyed().find(|(_, node, _)| *node.name == **name).map(|(.., stage)| &**stage);
        check_stage_state(name, held, stage).map_err(|error| error.at(format!("stage {name}")))
    })
}

/// Fails if a stage can't use a state: it does other work than when the state was written, or is gone. What the state holds would be lost, or worse, mixed
/// with what does not belong to it. `stage` is the pipeline's keyed stage of that name.
///
/// # Errors
/// Environment, with the differences and the way out.
pub fn check_stage_state(name: &str, held: &StageState, stage: Option<&dyn KeyedStage>) -> Result<()> {
    if held.state.is_none() {
        return Ok(());
    }
    let difference = match stage.map(KeyedStage::fingerprint) {
        None => "the pipeline has no such keyed stage any more".to_owned(),
        Some(now) if now == held.fingerprint => return Ok(()),
        Some(now) => {
            let mut found = Vec::new();
            differences("", Some(&held.fingerprint), Some(&now), &mut found);
            found.join("; ")
        }
    };
    Err(Error::environment(format!("the state of stage `{name}` can't be used: {difference}"))
        .code(STATE_OF_OTHER_STAGE)
        .hint(format!("put the stage back as it was, or give up what it holds with `wasmill state drop-stage PIPELINE {name}`")))
}

/// Adds what differs in two fingerprints: `work.state_version was 1 and is 2`.
fn differences(path: &str, before: Option<&Value>, now: Option<&Value>, found: &mut Vec<String>) {
    let within = |key: &dyn std::fmt::Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match (before, now) {
        (before, now) if before == now => {}
        (Some(Value::Object(before)), Some(Value::Object(now))) => {
            let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            keys.into_iter().for_each(|key| differences(&within(key), before.get(key), now.get(key), found));
        }
        (Some(Value::Array(before)), Some(Value::Array(now))) if before.len() == now.len() => {
            before
                .iter()
                .zip(now)
                .enumerate()
                .for_each(|(index, (before, now))| differences(&within(&index), Some(before), Some(now), found));
        }
        (before, now) => {
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            found.push(format!("{path} was {} and is {}", shown(before), shown(now)));
        }
    }
}
