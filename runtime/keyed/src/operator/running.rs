//! Results at the end of every epoch, of the keys that got rows.
//!
//! The epoch's keys find their older states by searching the state's runs from the newest to the oldest, up to their newest complete entry. What they are
//! merged to is emitted and is a complete entry itself, in one new run: cost follows the change and not the state.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::emitter::ends;
use super::{EmitInput, Emitted, Emitter, Fired};
use crate::merge::{MergedKeys, Merger, Span, block};
use crate::run::{Run, RunWriter};
use crate::windows::Firing;
use crate::{Accumulator, Grouped, Result};

pub(super) fn emit(
    emitter: &Emitter,
    accumulator: &mut dyn Accumulator,
    input: EmitInput<'_>,
    into: &mut dyn FnMut(Fired) -> Result<()>,
) -> Result<Emitted> {
    let windows = emitter.stage.spec.windows;
    let added = complete(emitter, accumulator, input, into)?;
    if let Some(added) = added.as_ref().filter(|_| !windows.panes_are_windows()) {
        let schema = emitter.stage.spec.aggregate.state_schema();
        let new = [Arc::clone(added)];
        let touched: BTreeSet<i64> = ends(&new).flat_map(|pane| windows.windows_of(pane)).collect();
        for end in touched.into_iter().filter(|&end| !windows.takes_no_more(end, input.before)) {
            let merger = || Merger::of_new_in_window(Arc::clone(&schema), emitter.window(end), input.state, &new);
            emitter.finish_all(accumulator, &merger, Firing { end, again: true }, into)?;
        }
    }
    let kept = emitter.unexpired(input.state, input.now);
    let added = added.filter(|run| run.last_end().is_some_and(|end| !windows.has_expired(end, input.now)));
    Ok(Emitted { kept, added, rows: 0 })
}

/// Merges the new keys with what the state has of them into a run of complete entries. Where panes are windows, their results are emitted at once.
fn complete(
    emitter: &Emitter,
    accumulator: &mut dyn Accumulator,
    input: EmitInput<'_>,
    into: &mut dyn FnMut(Fired) -> Result<()>,
) -> Result<Option<Arc<Run>>> {
    let schema = emitter.stage.spec.aggregate.state_schema();
    let emits = emitter.stage.spec.windows.panes_are_windows();
    let span = Span { ends: i64::MIN..=i64::MAX, key_groups: emitter.key_groups.clone() };
    let merger = || Merger::of_new_places(Arc::clone(&schema), input.state, input.new, &span);
    let mut writer = RunWriter::in_memory_up_to(emitter.run_memory_bytes, Arc::clone(&schema), Arc::clone(&emitter.store));
    let mut merging = merger()?;
    loop {
        let merged = merging.next(accumulator).map_err(|error| emitter.blame(error, &merger, merging.failed()))?;
        let Some(keys) = merged else { break };
        let states = accumulator.take_state().map_err(|error| emitter.blame(error, &merger, &keys))?;
        if emits {
            // The accumulator is empty now, and gets the state back for the results.
            let groups = states.groups.clone().unwrap_or_else(|| (0..keys.len() as u32).collect());
            accumulator.merge(&states.records, &groups, keys.len() as u32)?;
            let results = accumulator.finish().map_err(|error| emitter.blame(error, &merger, &keys))?;
            emit_by_window(emitter, &keys, &results, into)?;
        }
        writer.push(block(&keys, states, Some(true))?)?;
    }
    if writer.is_empty() {
        return Ok(None);
    }
    writer.finish().map(|run| Some(Arc::new(run)))
}

/// Emits results of keys that are in the order of their windows.
fn emit_by_window(emitter: &Emitter, keys: &MergedKeys, results: &Grouped, into: &mut dyn FnMut(Fired) -> Result<()>) -> Result<()> {
    let offsets = results.offsets(keys.len())?;
    let mut from = 0;
    for same in keys.ends.chunk_by(|one, next| one == next) {
        let firing = Firing { end: same[0], again: true };
        if let Some(fired) = emitter.fired(keys, results, &offsets, from..from + same.len(), firing)? {
            into(fired)?;
        }
        from += same.len();
    }
    Ok(())
}
