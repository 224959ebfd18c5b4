//! Rows of one lane, sorted into runs by the place of their key.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt32Array};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;

use crate::groups::{Groups, Panes as RowPanes, SortedGroups, to_places};
use crate::key::KeyCodec;
use crate::operator::{Collected, Limits, Panes, Sorted};
use crate::run::{Block, Parts, Run, RunStore, RunWriter};
use crate::windows::{BEGINNING, Windows, event_times};
use crate::{Error, Result};

/// Rows of a block that is built at once.
const BLOCK_ROWS: usize = 65_536;

/// What a collector of rows does with them.
pub(crate) struct RowPlan {
    pub codec: KeyCodec,
    /// The columns of its runs.
    pub schema: SchemaRef,
    pub windows: Windows,
    pub limits: Limits,
    /// Where it spills.
    pub store: Arc<dyn RunStore>,
}

/// Keeps the rows of an epoch, whole or some columns, by key and pane, and spills them as runs.
pub(crate) struct RowCollector {
    plan: RowPlan,
    groups: Groups,
    batches: Vec<RecordBatch>,
    batch_bytes: usize,
    /// Each row of all batches, with its group in place of the place.
    rows: Vec<RowOf>,
    scratch: Vec<u32>,
    panes: Panes,
    spilled: Vec<Arc<Run>>,
    /// The event times of the batch that was sorted last.
    times: Vec<i64>,
    /// What becomes of its rows.
    pub sorted: Sorted,
}

impl RowCollector {
    pub fn new(plan: RowPlan) -> Self {
        Self {
            groups: Groups::new(plan.codec.clone()),
            panes: Panes::new(plan.windows, BEGINNING),
            batches: Vec::new(),
            batch_bytes: 0,
            rows: Vec::new(),
            scratch: Vec::new(),
            spilled: Vec::new(),
            times: Vec::new(),
            sorted: Sorted::default(),
            plan,
        }
    }

    /// Begins an epoch: rows are late by this watermark until the next one.
    pub fn begin(&mut self, watermark: i64) {
        self.panes = Panes::new(self.plan.windows, watermark);
    }

    /// The bytes that it holds, without runs.
    pub fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes() + self.batch_bytes + self.rows.capacity() * size_of::<RowOf>() + self.panes.memory_bytes()
    }

    /// Sorts the rows of a batch by what becomes of them. Where there is a column of event time, rows without one are refused, and those are late, too, for
    /// whose time and the watermark `is_late` holds.
    pub fn sort(&mut self, records: &RecordBatch, event_time: Option<usize>, is_late: impl Fn(i64, i64) -> bool) -> Result<Collected> {
        let mut collected = Collected::default();
        match event_time {
            None => {
                self.times.clear();
                self.times.resize(records.num_rows(), 0);
                self.panes.sort(&self.times, None, &mut self.sorted);
            }
            Some(column) => {
                let nulls = event_times(records.column(column), &mut self.times)?;
                self.panes.sort(&self.times, nulls.as_ref(), &mut self.sorted);
                let watermark = self.panes.watermark();
                self.sorted.also_late(|row| is_late(self.times[row as usize], watermark));
                collected.rejects = self.sorted.rejects(records.schema_ref().field(column).name());
                let counted = self.sorted.taken.iter().chain(&self.sorted.late);
                collected.greatest_time = counted.map(|&row| self.times[row as usize]).max();
            }
        }
        collected.late = self.sorted.late.clone();
        Ok(collected)
    }

    /// The rows of the sorted batch that are taken.
    pub fn taken(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let Sorted { taken, .. } = &self.sorted;
        if taken.len() == records.num_rows() {
            return Ok(records.clone());
        }
        take_record_batch(records, &UInt32Array::from(taken.clone())).map_err(|error| Error::bug(format!("rows can't be taken: {error}")))
    }

    /// The event times of the rows that are taken.
    pub fn times(&self) -> ArrayRef {
        let times: Int64Array = self.sorted.taken.iter().map(|&row| Some(self.times[row as usize])).collect();
        Arc::new(times)
    }

    /// Adds rows that were [taken](Self::taken): what their keys are, and the columns that are kept of them. Spills beyond the memory bound.
    pub fn add(&mut self, keys: &[ArrayRef], columns: Vec<ArrayRef>) -> Result<()> {
        let Sorted { taken, panes, .. } = &self.sorted;
        if !taken.is_empty() {
            self.groups.intern(keys, taken.len(), RowPanes::Each(panes), &mut self.scratch)?;
            let rows = RecordBatch::try_new(Arc::clone(&self.plan.schema), columns)
                .map_err(|error| Error::bug(format!("rows are not those of the stage: {error}")))?;
            let batch = self.batches.len() as u32;
            self.rows.extend(self.scratch.iter().enumerate().map(|(row, &group)| (group, batch, row as u32)));
            self.batch_bytes += rows.get_array_memory_size();
            self.batches.push(rows);
        }
        if self.memory_bytes() > self.plan.limits.memory_bytes { self.spill_to_file() } else { Ok(()) }
    }

    /// Writes what it holds into a run in a file.
    pub fn spill_to_file(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let writer = RunWriter::in_file(Arc::clone(&self.plan.schema), &*self.plan.store)?;
        self.spill(writer)
    }

    /// Ends the epoch: everything that was collected, as runs.
    pub fn seal(&mut self) -> Result<Vec<Arc<Run>>> {
        let RowPlan { schema, limits, store, .. } = &self.plan;
        let writer = RunWriter::in_memory_up_to(limits.run_memory_bytes, Arc::clone(schema), Arc::clone(store));
        self.spill(writer)?;
        self.begin(self.panes.watermark());
        Ok(std::mem::take(&mut self.spilled))
    }

    fn spill(&mut self, writer: RunWriter) -> Result<()> {
        if !self.rows.is_empty() {
            let run = self.write(writer)?;
            self.spilled.push(Arc::new(run));
        }
        Ok(())
    }

    /// Empties it into a run. The rows of a key are in the order in which they came.
    fn write(&mut self, mut into: RunWriter) -> Result<Run> {
        let batches = std::mem::take(&mut self.batches);
        let mut rows = std::mem::take(&mut self.rows);
        self.batch_bytes = 0;
        let sorted = self.groups.drain(self.panes.ends());
        let mut rank = vec![0_u32; sorted.numbers.len()];
        for (at, &group) in sorted.numbers.iter().enumerate() {
            rank[group as usize] = at as u32;
        }
        for row in &mut rows {
            row.0 = rank[row.0 as usize];
        }
        let rows = to_places(&rows, sorted.numbers.len(), |row| row.0 as usize);
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            // Up to the end of a key behind so many rows.
            let least = rest.len().min(BLOCK_ROWS);
            let last = rest[least - 1].0;
            let count = least + rest[least..].iter().take_while(|row| row.0 == last).count();
            let (part, behind) = rest.split_at(count);
            into.push(block(&sorted, part, &batches)?)?;
            rest = behind;
        }
        into.finish()
    }
}

/// A row: the place of its key, its batch and its number there.
type RowOf = (u32, u32, u32);

/// A block of rows that are sorted by the place of their key, which is their first number.
fn block(sorted: &SortedGroups, rows: &[RowOf], batches: &[RecordBatch]) -> Result<Block> {
    let references: Vec<&RecordBatch> = batches.iter().collect();
    let indices: Vec<(usize, usize)> = rows.iter().map(|&(_, batch, row)| (batch as usize, row as usize)).collect();
    let states = interleave_record_batch(&references, &indices).map_err(|error| Error::bug(format!("rows can't be sorted: {error}")))?;
    let keys = || rows.chunk_by(|one, next| one.0 == next.0).map(|of_key| of_key[0].0 as usize);
    let count = keys().count();
    Ok(Block::new(Parts {
        ends: keys().map(|at| sorted.ends[at]).collect(),
        key_groups: keys().map(|at| sorted.key_groups[at]).collect(),
        keys: BinaryArray::from_iter_values(keys().map(|at| sorted.keys.get(at))),
        complete: BooleanBuffer::new_unset(count),
        offsets: OffsetBuffer::from_lengths(rows.chunk_by(|one, next| one.0 == next.0).map(<[_]>::len)),
        states,
    }))
}
