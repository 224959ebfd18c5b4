//! Rows into groups, and groups into sorted runs.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;

use super::AggregateStage;
use super::ghosts::Ghosts;
use super::panes::{Panes, Sorted};
use crate::groups::{Groups, MAX_GROUPS, Panes as RowPanes, SortedGroups};
use crate::run::{Block, Parts, Run, RunStore, RunWriter};
use crate::windows::{BEGINNING, event_times};
use crate::{Accumulator, Error, Grouped, Result, RowReject};

/// Groups and state rows of a block that is built at once.
const BLOCK_GROUPS: usize = 65_536;
const BLOCK_STATES: usize = 262_144;

/// How much memory a collector takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Beyond these bytes of groups and their accumulator it writes them into a run and begins again.
    pub memory_bytes: usize,
    /// Runs of up to these bytes stay in memory; those that are spilled never do.
    pub run_memory_bytes: usize,
}

/// What became of a batch. Every row is in one of the lists, or filtered, or kept.
#[derive(Debug, Default)]
pub struct Collected {
    /// Rows that came after the last window that takes them, in increasing order.
    pub late: Vec<u32>,
    /// Rows that are refused, in increasing order: those without an event time, and those that the accumulator refuses.
    pub rejects: Vec<RowReject>,
    /// How many rows can be in no result and are not kept: those of a join with a null in their key.
    pub filtered: u64,
    /// The greatest event time of the batch, of late rows too: what the watermark follows.
    pub greatest_time: Option<i64>,
}

/// Collects the rows of one lane.
pub struct Collector {
    stage: Arc<AggregateStage>,
    limits: Limits,
    store: Arc<dyn RunStore>,
    accumulator: Box<dyn Accumulator>,
    groups: Groups,
    ghosts: Ghosts,
    panes: Panes,
    spilled: Vec<Arc<Run>>,
    /// Reused between batches.
    times: Vec<i64>,
    sorted: Sorted,
    row_groups: Vec<u32>,
}

impl Collector {
    /// A collector of a lane, which spills into `store`. The watermark is [`BEGINNING`] until an epoch [begins](Self::begin).
    ///
    /// # Errors
    /// The accumulator can't be opened.
    pub fn new(stage: Arc<AggregateStage>, lane: usize, limits: Limits, store: Arc<dyn RunStore>) -> Result<Self> {
        let accumulator = stage.spec.aggregate.open(lane)?;
        let groups = Groups::new(stage.codec.clone());
        let panes = Panes::new(stage.spec.windows, BEGINNING);
        Ok(Self {
            stage,
            limits,
            store,
            accumulator,
            groups,
            ghosts: Ghosts::default(),
            panes,
            spilled: Vec::new(),
            times: Vec::new(),
            sorted: Sorted::default(),
            row_groups: Vec::new(),
        })
    }

    /// Begins an epoch: rows are late by this watermark until the next one. What was collected has been sealed.
    pub fn begin(&mut self, watermark: i64) {
        self.panes = Panes::new(self.stage.spec.windows, watermark);
    }

    /// The bytes that it holds, without runs.
    pub fn memory_bytes(&self) -> usize {
        let scratch = self.times.capacity() * size_of::<i64>() + self.row_groups.capacity() * size_of::<u32>();
        self.groups.memory_bytes() + self.accumulator.memory_bytes() + self.panes.memory_bytes() + scratch
    }

    /// Takes a batch of the stage's input.
    ///
    /// # Errors
    /// The accumulator fails, or a run can't be spilled.
    pub fn collect(&mut self, records: &RecordBatch) -> Result<Collected> {
        let mut collected = Collected::default();
        if records.num_rows() == 0 {
            return Ok(collected);
        }
        match self.stage.spec.event_time {
            Some(column) if !self.stage.spec.windows.is_none() => self.collect_by_time(records, column, &mut collected)?,
            column => {
                if let Some(column) = column {
                    let nulls = event_times(records.column(column), &mut self.times)?;
                    collected.greatest_time = greatest(&self.times, nulls.as_ref());
                }
                match self.panes.only() {
                    Some(pane) => collected.rejects = self.add(records, Some(pane))?,
                    None => collected.late.extend(0..records.num_rows() as u32),
                }
            }
        }
        if self.memory_bytes() > self.limits.memory_bytes || self.groups.count() > MAX_GROUPS {
            self.spill()?;
        }
        Ok(collected)
    }

    fn collect_by_time(&mut self, records: &RecordBatch, column: usize, collected: &mut Collected) -> Result<()> {
        let nulls = event_times(records.column(column), &mut self.times)?;
        collected.greatest_time = greatest(&self.times, nulls.as_ref());
        self.panes.sort(&self.times, nulls.as_ref(), &mut self.sorted);
        if self.sorted.takes_all() {
            collected.rejects = self.add(records, None)?;
            return Ok(());
        }
        let name = records.schema_ref().field(column).name();
        if !self.sorted.taken.is_empty() {
            let taken = UInt32Array::from(self.sorted.taken.clone());
            let part = take_record_batch(records, &taken).map_err(|error| Error::bug(format!("rows can't be taken: {error}")))?;
            collected.rejects = self.add(&part, None)?;
            for reject in &mut collected.rejects {
                reject.row = self.sorted.taken[reject.row as usize];
            }
        }
        collected.rejects.extend(self.sorted.rejects(name));
        collected.rejects.sort_by_key(|reject| reject.row);
        collected.late = self.sorted.late.clone();
        // A time that lies in no window would move the watermark to the end of time.
        let windows = self.stage.spec.windows;
        collected.greatest_time = match collected.greatest_time.filter(|&time| windows.pane_end(time).is_some()) {
            None => self.greatest_in_range(nulls.as_ref()),
            greatest => greatest,
        };
        Ok(())
    }

    fn greatest_in_range(&self, nulls: Option<&arrow_buffer::NullBuffer>) -> Option<i64> {
        let windows = self.stage.spec.windows;
        let there = |&(row, time): &(usize, &i64)| nulls.is_none_or(|nulls| nulls.is_valid(row)) && windows.pane_end(*time).is_some();
        self.times.iter().enumerate().filter(there).map(|(_, &time)| time).max()
    }

    /// Adds rows, all of one pane or by the panes that were sorted.
    fn add(&mut self, records: &RecordBatch, pane: Option<u32>) -> Result<Vec<RowReject>> {
        let spec = &self.stage.spec;
        let rows = records.num_rows();
        let keys: Vec<ArrayRef> = spec.keys.iter().map(|&column| Arc::clone(records.column(column))).collect();
        let panes = match pane {
            Some(pane) => RowPanes::One(pane),
            None => one_pane(&self.sorted.panes),
        };
        let before = self.groups.count();
        self.groups.intern(&keys, rows, panes, &mut self.row_groups)?;
        let values = project(records, &spec.values)?;
        let count = self.groups.count();
        let rejects = self.accumulator.update(&values, &self.row_groups, count)?;
        self.ghosts.learn(&self.row_groups, before..count, &rejects)?;
        Ok(rejects)
    }

    /// Writes what was collected so far into a file.
    fn spill(&mut self) -> Result<()> {
        let schema = self.stage.spec.aggregate.state_schema();
        let writer = RunWriter::in_file(schema, &*self.store)?;
        let run = self.write(writer)?;
        self.spilled.extend(run);
        Ok(())
    }

    /// Ends the epoch: everything that was collected, as runs. The collector is empty then.
    ///
    /// # Errors
    /// The accumulator fails, or a run can't be written.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        if self.groups.count() > 0 {
            let schema = self.stage.spec.aggregate.state_schema();
            let writer = RunWriter::in_memory_up_to(self.limits.run_memory_bytes, schema, Arc::clone(&self.store));
            let run = self.write(writer)?;
            self.spilled.extend(run);
        }
        self.begin(self.panes.watermark());
        Ok(std::mem::take(&mut self.spilled))
    }

    /// Empties groups and accumulator into a run; `None` if there is nothing.
    fn write(&mut self, mut writer: RunWriter) -> Result<Option<Arc<Run>>> {
        let count = self.groups.count() as usize;
        let states = self.accumulator.take_state()?;
        let offsets = states.offsets(count)?;
        let sorted = self.groups.drain(self.panes.ends());
        let mut from = 0;
        while from < count {
            let mut rows = 0;
            let size = sorted.numbers[from..].iter().take(BLOCK_GROUPS).take_while(|&&group| {
                let fits = rows < BLOCK_STATES;
                rows += offsets[group as usize + 1] - offsets[group as usize];
                fits
            });
            let to = from + size.count();
            writer.push(sorted_block(&sorted, from..to, &states, &offsets, &self.ghosts)?)?;
            from = to;
        }
        self.ghosts.clear();
        if writer.is_empty() {
            return Ok(None);
        }
        writer.finish().map(|run| Some(Arc::new(run)))
    }
}

/// Some groups in the order of runs, with their states.
fn sorted_block(
    sorted: &SortedGroups,
    part: std::ops::Range<usize>,
    states: &Grouped,
    offsets: &[usize],
    ghosts: &Ghosts,
) -> Result<Block> {
    let all: Vec<usize> = match ghosts.is_empty() {
        true => part.collect(),
        false => part.filter(|&at| !ghosts.contains(sorted.numbers[at])).collect(),
    };
    let rows_of = |at: usize| {
        let group = sorted.numbers[at] as usize;
        offsets[group]..offsets[group + 1]
    };
    let too_large = |_| Error::environment("the state of a keyed stage has more than 2³² rows; give it less memory");
    let rows = all.iter().flat_map(|&at| rows_of(at)).map(u32::try_from).collect::<Result<Vec<u32>, _>>().map_err(too_large)?;
    let records = take_record_batch(&states.records, &UInt32Array::from(rows));
    Ok(Block::new(Parts {
        ends: all.iter().map(|&at| sorted.ends[at]).collect(),
        key_groups: all.iter().map(|&at| sorted.key_groups[at]).collect(),
        keys: BinaryArray::from_iter_values(all.iter().map(|&at| sorted.keys.get(at))),
        complete: BooleanBuffer::new_unset(all.len()),
        offsets: OffsetBuffer::from_lengths(all.iter().map(|&at| rows_of(at).len())),
        states: records.map_err(|error| Error::bug(format!("states can't be sorted: {error}")))?,
    }))
}

/// Rows of one pane are looked up with less work.
fn one_pane(panes: &[u32]) -> RowPanes<'_> {
    match panes {
        [first, rest @ ..] if rest.iter().all(|pane| pane == first) => RowPanes::One(*first),
        _ => RowPanes::Each(panes),
    }
}

fn greatest(times: &[i64], nulls: Option<&arrow_buffer::NullBuffer>) -> Option<i64> {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => times.iter().copied().max(),
        Some(nulls) => nulls.valid_indices().map(|row| times[row]).max(),
    }
}

fn project(records: &RecordBatch, columns: &[usize]) -> Result<RecordBatch> {
    let schema: SchemaRef = Arc::new(records.schema_ref().project(columns).map_err(|error| Error::bug(error.to_string()))?);
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    let columns = columns.iter().map(|&column| Arc::clone(records.column(column))).collect();
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| Error::bug(error.to_string()))
}
