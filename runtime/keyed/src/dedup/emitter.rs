//! Lets the first rows through.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::DedupStage;
use super::collector::by_time;
use super::state::{EmittedTimes, times};
use crate::key::KeyGroups;
use crate::merge::{MergedKeys, Merger, Span, block};
use crate::operator::EmitInput;
use crate::rows::{Gather, KeyedRows, Neighbours, RowRef};
use crate::run::{Run, RunStore, RunWriter};
use crate::{Aggregate, Grouped, Result};

/// What became of the rows of an epoch.
#[derive(Debug, Default)]
pub struct Deduplicated {
    /// Runs of the state that remain, the same for every lane.
    pub kept: Vec<Arc<Run>>,
    /// A run that this lane has made, of its own key groups: what passed in this epoch.
    pub added: Option<Arc<Run>>,
    /// How many rows passed.
    pub passed: u64,
    /// How many rows were duplicates.
    pub duplicates: u64,
}

/// Emits the rows of one lane that are no duplicates.
pub struct DedupEmitter {
    stage: Arc<DedupStage>,
    key_groups: KeyGroups,
    store: Arc<dyn RunStore>,
    run_memory_bytes: usize,
}

/// The rows that passed just before.
#[derive(Default)]
struct Recent {
    /// The end of the window that `times` are of.
    end: i64,
    /// The times of the rows that passed in this epoch, by key.
    times: HashMap<Vec<u8>, i64>,
    /// Those of the window before.
    before: HashMap<Vec<u8>, i64>,
}

impl DedupEmitter {
    /// An emitter of the key groups that a lane [owns](crate::key::owned).
    pub fn new(stage: Arc<DedupStage>, key_groups: KeyGroups, run_memory_bytes: usize, store: Arc<dyn RunStore>) -> Self {
        Self { stage, key_groups, store, run_memory_bytes }
    }

    /// Ends an epoch: hands the rows that pass to `into`, some thousand at a time. New runs are runs of rows; the state's are of [`EmittedTimes`].
    ///
    /// # Errors
    /// A run can't be read or is damaged, the state can't be written, or `into` fails.
    pub fn emit(&mut self, input: EmitInput<'_>, into: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<Deduplicated> {
        let mut done = Deduplicated::default();
        let within = self.stage.spec.within;
        let distances: Vec<i64> = within.map_or(vec![0], |within| vec![-within, 0, within]);
        let span = Span { ends: i64::MIN..=i64::MAX, key_groups: self.key_groups.clone() };
        let mut merger = Merger::of_places(Arc::clone(&self.stage.row_schema), input.new, &span)?;
        let mut state = Neighbours::new(input.state, &self.key_groups, &distances)?;
        let mut writer = RunWriter::in_memory_up_to(self.run_memory_bytes, EmittedTimes.state_schema(), Arc::clone(&self.store));
        let mut recent = Recent::default();
        let mut gather = Gather::new(Arc::clone(&self.stage.input));
        while let Some(rows) = KeyedRows::next(&mut merger, by_time)? {
            let passed = first_rows(within, &rows, &mut state, &mut recent)?;
            done.passed += passed.len() as u64;
            done.duplicates += (rows.rows.len() - passed.len()) as u64;
            if !passed.is_empty() {
                for &(_, row, _) in &passed {
                    let owner = rows.batch(row);
                    let batch = gather.batch_of(owner, owner);
                    gather.push(Some(RowRef { batch, ..row }));
                }
                into(gather.take()?)?;
                writer.push(state_block(&rows.keys, &passed)?)?;
            }
        }
        let windows = self.stage.windows;
        let is_kept = |run: &&Arc<Run>| run.last_end().is_some_and(|end| !windows.has_expired(end, input.now));
        done.kept = input.state.iter().filter(is_kept).map(Arc::clone).collect();
        let added = if writer.is_empty() { None } else { Some(Arc::new(writer.finish()?)) };
        done.added = added.filter(|run| is_kept(&run));
        Ok(done)
    }
}

/// A row that passes: its key among the merged ones, where it is, and its time.
type Passed = (u32, RowRef, i64);

/// Of the rows of each key, which are sorted, the one that passes.
fn first_rows(within: Option<i64>, rows: &KeyedRows, state: &mut Neighbours, recent: &mut Recent) -> Result<Vec<Passed>> {
    let mut passed = Vec::new();
    let mut known = Vec::new();
    for (place, of_key) in rows.by_key() {
        known.clear();
        state.find(place, |block, rows| known.extend(&block.states().column(0).as_primitive::<Int64Type>().values()[rows]))?;
        if let Some(within) = within {
            recent.move_to(place.end, within);
            known.extend(recent.before.get(place.key));
        }
        let time = |row: RowRef| {
            let batch = rows.batch(row);
            batch.column(batch.num_columns() - 3).as_primitive::<Int64Type>().value(row.row as usize)
        };
        let is_duplicate = |time: i64| known.iter().any(|&other| within.is_none_or(|within| time.abs_diff(other) < within.unsigned_abs()));
        if let Some(&(key, row)) = of_key.iter().find(|(_, row)| !is_duplicate(time(*row))) {
            passed.push((key, row, time(row)));
            if within.is_some() {
                recent.times.insert(place.key.to_vec(), time(row));
            }
        }
    }
    Ok(passed)
}

impl Recent {
    /// Moves to a window; windows come in increasing order.
    fn move_to(&mut self, end: i64, within: i64) {
        if end != self.end {
            let is_next = self.end.checked_add(within) == Some(end);
            self.before = std::mem::take(&mut self.times);
            if !is_next {
                self.before.clear();
            }
            self.end = end;
        }
    }
}

fn state_block(keys: &MergedKeys, passed: &[Passed]) -> Result<crate::run::Block> {
    let mut of = MergedKeys::default();
    for &(key, ..) in passed {
        of.ends.push(keys.ends[key as usize]);
        of.key_groups.push(keys.key_groups[key as usize]);
        of.keys.push(keys.keys.get(key as usize));
    }
    let records = times(passed.iter().map(|passed| passed.2).collect())?;
    block(&of, Grouped { records, groups: None }, Some(false))
}
