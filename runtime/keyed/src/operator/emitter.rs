//! Runs into results.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;

use super::{AggregateStage, Emit, Fired, running};
use crate::key::KeyGroups;
use crate::merge::{MergedKeys, Merger, Span, Window};
use crate::run::{Run, RunStore};
use crate::windows::Firing;
use crate::{Accumulator, Error, Grouped, Result};

/// What an emitter gets at the end of an epoch.
#[derive(Clone, Copy)]
pub struct EmitInput<'a> {
    /// The stage's state, from the oldest run to the newest.
    pub state: &'a [Arc<Run>],
    /// The new runs of all lanes, in the order of the lanes.
    pub new: &'a [Arc<Run>],
    /// The watermark at the begin of the epoch, by which its rows were late.
    pub before: i64,
    /// The watermark now.
    pub now: i64,
}

/// What is state after an epoch.
#[derive(Debug, Default)]
pub struct Emitted {
    /// Runs of the input that are state, from the oldest to the newest: the same for every lane.
    pub kept: Vec<Arc<Run>>,
    /// A run that this lane has made, newer than those: complete entries of its own key groups.
    pub added: Option<Arc<Run>>,
    /// How many result rows were emitted.
    pub rows: u64,
}

/// Emits the results of one lane.
pub struct Emitter {
    pub(super) stage: Arc<AggregateStage>,
    pub(super) key_groups: KeyGroups,
    lane: usize,
    /// Kept between epochs; `None` before the first one and after a failure.
    accumulator: Option<Box<dyn Accumulator>>,
    /// Where the runs go that are too large for memory, and when they are.
    pub(super) store: Arc<dyn RunStore>,
    pub(super) run_memory_bytes: usize,
}

impl Emitter {
    /// An emitter of the key groups that a lane [owns](crate::key::owned).
    pub fn new(stage: Arc<AggregateStage>, lane: usize, key_groups: KeyGroups, run_memory_bytes: usize, store: Arc<dyn RunStore>) -> Self {
        Self { stage, key_groups, lane, accumulator: None, store, run_memory_bytes }
    }

    /// Ends an epoch: hands the results to `into`, some thousand rows at a time, by window and within it in the order of key group and key.
    ///
    /// # Errors
    /// A run can't be read or is damaged, `into` fails, or an accumulator does: then the error names the key.
    pub fn emit(&mut self, input: EmitInput<'_>, into: &mut dyn FnMut(Fired) -> Result<()>) -> Result<Emitted> {
        let mut rows = 0;
        let mut counted = |fired: Fired| {
            rows += fired.rows.num_rows() as u64;
            into(fired)
        };
        let mut accumulator = match self.accumulator.take() {
            Some(accumulator) => accumulator,
            None => self.open()?,
        };
        let mut emitted = match self.stage.spec.emit {
            Emit::AtClose => self.close(&mut *accumulator, input, &mut counted)?,
            Emit::EveryEpoch => running::emit(self, &mut *accumulator, input, &mut counted)?,
        };
        self.accumulator = Some(accumulator);
        emitted.rows = rows;
        Ok(emitted)
    }

    fn close(&self, accumulator: &mut dyn Accumulator, input: EmitInput<'_>, into: &mut dyn FnMut(Fired) -> Result<()>) -> Result<Emitted> {
        let windows = self.stage.spec.windows;
        let runs: Vec<Arc<Run>> = input.state.iter().chain(input.new).map(Arc::clone).collect();
        let (kept, added) = (ends(input.state), ends(input.new));
        let mut previous = None;
        for firing in windows.firing(kept, added, input.before, input.now) {
            let window = self.window(firing.end);
            let merger = || Merger::of_window(self.stage.spec.aggregate.state_schema(), window.clone(), &runs);
            // What a window has read is kept until the next one has begun: they often share blocks.
            previous = Some(self.finish_all(accumulator, &merger, firing, into)?);
        }
        drop(previous);
        Ok(Emitted { kept: self.unexpired(&runs, input.now), ..Emitted::default() })
    }

    pub(super) fn window(&self, end: i64) -> Window {
        let ends = self.stage.spec.windows.panes_of(end);
        Window { end, span: Span { ends, key_groups: self.key_groups.clone() } }
    }

    /// Merges and finishes all keys of a window. Returns the merger, which holds the last blocks that it read.
    pub(super) fn finish_all(
        &self,
        accumulator: &mut dyn Accumulator,
        merger: &dyn Fn() -> Result<Merger>,
        firing: Firing,
        into: &mut dyn FnMut(Fired) -> Result<()>,
    ) -> Result<Merger> {
        let mut merging = merger()?;
        loop {
            let merged = merging.next(accumulator).map_err(|error| self.blame(error, merger, merging.failed()))?;
            let Some(keys) = merged else { return Ok(merging) };
            let results = accumulator.finish().map_err(|error| self.blame(error, merger, &keys))?;
            let all = 0..keys.len();
            let offsets = results.offsets(keys.len())?;
            if let Some(fired) = self.fired(&keys, &results, &offsets, all, firing)? {
                into(fired)?;
            }
        }
    }

    fn open(&self) -> Result<Box<dyn Accumulator>> {
        self.stage.spec.aggregate.open(self.lane)
    }

    /// Names the key that an accumulator failed at. The keys of the batch are merged again, one at a time, with a new accumulator; where none
    /// fails alone, the error names where the batch begins and ends.
    pub(super) fn blame(&self, error: Error, merger: &dyn Fn() -> Result<Merger>, keys: &MergedKeys) -> Error {
        match self.first_failing(merger, keys) {
            Some((error, key)) => error.at(format!("the key {}", self.stage.codec.in_words(&key))),
            None => error.detail(self.range(keys)),
        }
    }

    fn first_failing(&self, merger: &dyn Fn() -> Result<Merger>, keys: &MergedKeys) -> Option<(Error, Vec<u8>)> {
        let mut merger = merger().ok()?.one_by_one();
        let last = (keys.len() > 0).then(|| keys.keys.get(keys.len() - 1))?;
        loop {
            let mut accumulator = self.open().ok()?;
            let key = match merger.next(&mut *accumulator) {
                Err(error) if merger.failed().len() == 1 => return Some((error, merger.failed().keys.get(0).to_vec())),
                Err(_) | Ok(None) => return None,
                Ok(Some(key)) => key,
            };
            let words = key.keys.get(0);
            if let Err(error) = accumulator.finish() {
                return Some((error, words.to_vec()));
            }
            if words == last && key.ends == keys.ends[keys.len() - 1..] {
                return None;
            }
        }
    }

    /// The results of some of the keys, which are of one window; `None` if those have none.
    pub(super) fn fired(
        &self,
        keys: &MergedKeys,
        results: &Grouped,
        offsets: &[usize],
        part: Range<usize>,
        firing: Firing,
    ) -> Result<Option<Fired>> {
        let rows = offsets[part.start]..offsets[part.end];
        if rows.is_empty() {
            return Ok(None);
        }
        let columns = self.stage.codec.decode(part.clone().map(|key| keys.keys.get(key)))?;
        let columns = match &results.groups {
            None => columns,
            Some(groups) => {
                let of_rows: UInt32Array = groups[rows.clone()].iter().map(|group| group - part.start as u32).collect();
                let repeat = |column: &ArrayRef| {
                    take(column, &of_rows, None).map_err(|error| Error::bug(format!("keys can't be repeated: {error}")))
                };
                columns.iter().map(repeat).collect::<Result<_>>()?
            }
        };
        let records = results.records.slice(rows.start, rows.len());
        Ok(Some(Fired { end: firing.end, again: firing.again, keys: columns, rows: records }))
    }

    /// Runs of which something has not expired yet.
    pub(super) fn unexpired(&self, runs: &[Arc<Run>], watermark: i64) -> Vec<Arc<Run>> {
        let windows = self.stage.spec.windows;
        let is_kept = |run: &&Arc<Run>| run.last_end().is_some_and(|end| !windows.has_expired(end, watermark));
        runs.iter().filter(is_kept).map(Arc::clone).collect()
    }

    /// The keys that an accumulator held when it failed, for people.
    pub(super) fn range(&self, keys: &MergedKeys) -> String {
        let word = |index: usize| self.stage.codec.in_words(keys.keys.get(index));
        match keys.len() {
            0 => "no key".to_owned(),
            1 => format!("the key: {}", word(0)),
            count => format!("{count} keys, from {} to {}", word(0), word(count - 1)),
        }
    }
}

/// The window ends of some runs, with repetitions.
pub(super) fn ends(runs: &[Arc<Run>]) -> impl Iterator<Item = i64> {
    runs.iter().flat_map(|run| run.windows()).map(|window| window.end)
}
