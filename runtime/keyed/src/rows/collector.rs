//! Whole rows of one lane, sorted into runs by the place of their key.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, OffsetBuffer};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave_record_batch;

use crate::groups::{Groups, Panes, SortedGroups};
use crate::key::KeyCodec;
use crate::run::{Block, Parts, Run, RunWriter};
use crate::{Error, Result};

/// Rows of a block that is built at once.
const BLOCK_ROWS: usize = 65_536;

/// Keeps the batches of an epoch and knows the group of every row.
pub(crate) struct RowCollector {
    groups: Groups,
    batches: Vec<RecordBatch>,
    batch_bytes: usize,
    /// For each row of all batches: its group, batch and number there.
    rows: Vec<(u32, u32, u32)>,
    scratch: Vec<u32>,
}

impl RowCollector {
    pub fn new(codec: KeyCodec) -> Self {
        Self { groups: Groups::new(codec), batches: Vec::new(), batch_bytes: 0, rows: Vec::new(), scratch: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes() + self.batch_bytes + self.rows.capacity() * size_of::<(u32, u32, u32)>()
    }

    /// Adds rows, which all end up in runs as they are.
    pub fn add(&mut self, rows: RecordBatch, keys: &[ArrayRef], panes: Panes<'_>) -> Result<()> {
        self.groups.intern(keys, rows.num_rows(), panes, &mut self.scratch)?;
        let batch = self.batches.len() as u32;
        self.rows.extend(self.scratch.iter().enumerate().map(|(row, &group)| (group, batch, row as u32)));
        self.batch_bytes += rows.get_array_memory_size();
        self.batches.push(rows);
        Ok(())
    }

    /// Empties it into a run. The rows of a key are in the order of `order`, of the batches' rows.
    pub fn write(
        &mut self,
        ends: &[i64],
        order: impl Fn(&RecordBatch, u32, &RecordBatch, u32) -> Ordering,
        mut into: RunWriter,
    ) -> Result<Run> {
        let batches = std::mem::take(&mut self.batches);
        let mut rows = std::mem::take(&mut self.rows);
        self.batch_bytes = 0;
        let sorted = self.groups.drain(ends);
        let mut rank = vec![0_u32; sorted.numbers.len()];
        for (at, &group) in sorted.numbers.iter().enumerate() {
            rank[group as usize] = at as u32;
        }
        for row in &mut rows {
            row.0 = rank[row.0 as usize];
        }
        rows.sort_unstable_by(|a, b| {
            let by_value = || order(&batches[a.1 as usize], a.2, &batches[b.1 as usize], b.2);
            a.0.cmp(&b.0).then_with(by_value).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        });
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

/// A block of rows that are sorted by the place of their key, which is their first number.
fn block(sorted: &SortedGroups, rows: &[(u32, u32, u32)], batches: &[RecordBatch]) -> Result<Block> {
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

/// Columns of rows with some more behind them.
pub(crate) fn with_columns(rows: &RecordBatch, schema: &SchemaRef, more: Vec<ArrayRef>) -> Result<RecordBatch> {
    let columns = rows.columns().iter().cloned().chain(more).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::bug(format!("rows are not those of the stage: {error}")))
}
