//! Emits the rows of an epoch that are no duplicates.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::DedupStage;
use super::sealed::{CollectedRows, Places};
use super::state::{EmittedTimes, times};
use crate::groups::to_places;
use crate::key::KeyGroups;
use crate::merge::{MergedKeys, Merger, Span, block};
use crate::rows::{Marks, Neighbours};
use crate::run::{Place, Run, RunStore, RunWriter};
use crate::{Aggregate, Error, Grouped, Result};

/// What an emitter is given at the end of an epoch.
pub struct DedupInput<'a> {
    /// The runs of the state, from the oldest to the newest.
    pub state: &'a [Arc<Run>],
    /// What every lane has collected, in the order of lanes.
    pub new: &'a [Arc<CollectedRows>],
    /// The watermark from now on.
    pub now: i64,
}

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

/// A row: its key among the merged ones, and where it is.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: u32,
    /// Who collected it, by the order of lanes.
    lane: u32,
    row: u64,
    time: i64,
    position: u64,
}

/// What all lanes have collected, as it is looked up by places.
struct Lanes<'a> {
    collected: &'a [Arc<CollectedRows>],
    by_collector: HashMap<u32, u32>,
}

impl DedupEmitter {
    /// An emitter of the key groups that a lane [owns](crate::key::owned).
    pub fn new(stage: Arc<DedupStage>, key_groups: KeyGroups, run_memory_bytes: usize, store: Arc<dyn RunStore>) -> Self {
        Self { stage, key_groups, store, run_memory_bytes }
    }

    /// Ends an epoch: hands the rows that pass to `into`, some thousand at a time, in the order in which each lane collected them. The state's runs are of
    /// [`EmittedTimes`].
    ///
    /// # Errors
    /// A run can't be read or is damaged, the state can't be written, or `into` fails.
    pub fn emit(&mut self, input: DedupInput<'_>, into: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<Deduplicated> {
        let DedupInput { state, new, now } = input;
        let mut writer = RunWriter::in_memory_up_to(self.run_memory_bytes, EmittedTimes.state_schema(), Arc::clone(&self.store));
        let mut marks: Vec<Marks> = new.iter().map(|collected| collected.rows.no_marks()).collect();
        let (passed, duplicates) = self.decide(state, &Lanes::of(new), &mut marks, &mut writer)?;
        for (collected, marks) in new.iter().zip(marks) {
            collected.rows.hand_over(marks, into)?;
        }
        let windows = self.stage.windows;
        let is_kept = |run: &&Arc<Run>| run.last_end().is_some_and(|end| !windows.has_expired(end, now));
        let kept = state.iter().filter(is_kept).map(Arc::clone).collect();
        let added = if writer.is_empty() { None } else { Some(Arc::new(writer.finish()?)) };
        Ok(Deduplicated { kept, added: added.filter(|run| is_kept(&run)), passed, duplicates })
    }

    /// Marks the rows that pass and writes their keys and times. Returns how many pass, and how many are duplicates.
    fn decide(&self, state: &[Arc<Run>], lanes: &Lanes<'_>, marks: &mut [Marks], writer: &mut RunWriter) -> Result<(u64, u64)> {
        let within = self.stage.spec.within;
        let distances: Vec<i64> = within.map_or(vec![0], |within| vec![-within, 0, within]);
        let span = Span { ends: i64::MIN..=i64::MAX, key_groups: self.key_groups.clone() };
        let runs: Vec<Arc<Run>> = lanes.collected.iter().flat_map(|collected| collected.places.iter().map(Arc::clone)).collect();
        let mut merger = Merger::of_places(Arc::clone(&self.stage.place_schema), &runs, &span)?;
        let mut known = Known { state: Neighbours::new(state, &self.key_groups, &distances)?, recent: Recent::default(), within };
        let (mut passed, mut duplicates) = (0, 0);
        let mut rows: Vec<Candidate> = Vec::new();
        loop {
            rows.clear();
            let Some(keys) = merger.next_into(&mut |places, keys, _| lanes.look_up(places, keys, &mut rows))? else { break };
            let firsts = first_rows(&keys, &rows, lanes, &mut known)?;
            passed += firsts.len() as u64;
            duplicates += (rows.len() - firsts.len()) as u64;
            firsts.iter().for_each(|first| marks[first.lane as usize].set(first.row));
            if !firsts.is_empty() {
                writer.push(state_block(&keys, &firsts)?)?;
            }
        }
        Ok((passed, duplicates))
    }
}

impl<'a> Lanes<'a> {
    fn of(collected: &'a [Arc<CollectedRows>]) -> Self {
        let by_collector = collected.iter().enumerate().map(|(lane, collected)| (collected.collector, lane as u32)).collect();
        Self { collected, by_collector }
    }

    /// Adds the rows of a batch of places.
    fn look_up(&self, places: &RecordBatch, keys: &[u32], rows: &mut Vec<Candidate>) -> Result<()> {
        let places = Places::of(places);
        for (at, &key) in keys.iter().enumerate() {
            let lane = self.by_collector.get(&places.collectors[at]);
            let &lane = lane.ok_or_else(|| Error::bug("a row was collected by nobody"))?;
            rows.push(Candidate { key, lane, row: places.rows[at], time: places.times[at], position: places.positions[at] });
        }
        Ok(())
    }

    /// The order of rows of a key: by time, partition, position.
    fn order(&self, one: &Candidate, other: &Candidate) -> Ordering {
        let partition = |of: &Candidate| self.collected[of.lane as usize].partitions.of(of.row);
        let by_partition = || partition(one).cmp(partition(other));
        let place = |of: &Candidate| (of.position, of.lane, of.row);
        one.time.cmp(&other.time).then_with(by_partition).then_with(|| place(one).cmp(&place(other)))
    }
}

/// What has passed before, in this epoch and in others.
struct Known {
    state: Neighbours,
    recent: Recent,
    within: Option<i64>,
}

impl Known {
    /// The times of rows of a key that may be near one of this window.
    fn times(&mut self, place: Place<'_>, times: &mut Vec<i64>) -> Result<()> {
        times.clear();
        self.state.find(place, |block, rows| times.extend(&block.states().column(0).as_primitive::<Int64Type>().values()[rows]))?;
        if let Some(within) = self.within {
            self.recent.move_to(place.end, within);
            times.extend(self.recent.before.get(place.key));
        }
        Ok(())
    }

    fn is_near(&self, time: i64, other: i64) -> bool {
        self.within.is_none_or(|within| time.abs_diff(other) < within.unsigned_abs())
    }

    fn pass(&mut self, key: &[u8], time: i64) {
        if self.within.is_some() {
            self.recent.times.insert(key.to_vec(), time);
        }
    }
}

/// Of the rows of each key the one that passes, by key.
fn first_rows(keys: &MergedKeys, rows: &[Candidate], lanes: &Lanes<'_>, known: &mut Known) -> Result<Vec<Candidate>> {
    let rows = to_places(rows, keys.len(), |row| row.key as usize);
    let (mut firsts, mut times) = (Vec::new(), Vec::new());
    for of_key in rows.chunk_by(|one, next| one.key == next.key) {
        let key = of_key[0].key as usize;
        let place = Place { end: keys.ends[key], key_group: keys.key_groups[key], key: keys.keys.get(key) };
        known.times(place, &mut times)?;
        let is_new = |row: &&Candidate| !times.iter().any(|&other| known.is_near(row.time, other));
        if let Some(&first) = of_key.iter().filter(is_new).min_by(|one, other| lanes.order(one, other)) {
            known.pass(place.key, first.time);
            firsts.push(first);
        }
    }
    Ok(firsts)
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

fn state_block(keys: &MergedKeys, passed: &[Candidate]) -> Result<crate::run::Block> {
    let mut of = MergedKeys::default();
    for passed in passed {
        of.ends.push(keys.ends[passed.key as usize]);
        of.key_groups.push(keys.key_groups[passed.key as usize]);
        of.keys.push(keys.keys.get(passed.key as usize));
    }
    let records = times(passed.iter().map(|passed| passed.time).collect())?;
    block(&of, Grouped { records, groups: None }, Some(false))
}
