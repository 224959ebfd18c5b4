//! Whole rows in the order in which they came, apart from what is decided about them by key.

use std::sync::Arc;

use arrow_array::{BinaryArray, BooleanArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, OffsetBuffer};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use crate::key::key_group;
use crate::run::{Block, Parts, Run, RunStore, RunWriter};
use crate::windows::NEVER;
use crate::{Error, Result};

/// Rows that are handed over without waiting for more.
const ENOUGH_ROWS: usize = 4_096;

/// The key of all entries: rows are found by their number.
const KEY: &[u8] = &[];

/// Rows in the order in which they came, in memory or in a file without a name.
#[derive(Debug)]
pub(crate) struct RowsInOrder(Run);

/// Writes [`RowsInOrder`].
pub(crate) struct RowsWriter {
    schema: SchemaRef,
    writer: RunWriter,
    rows: u64,
}

impl RowsWriter {
    pub fn new(schema: SchemaRef) -> Self {
        Self { writer: RunWriter::in_memory(Arc::clone(&schema)), schema, rows: 0 }
    }

    /// The bytes that it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.writer.memory_bytes()
    }

    /// Adds rows of the schema behind all others. Returns the number of the first.
    pub fn push(&mut self, rows: RecordBatch) -> Result<u64> {
        let first = self.rows;
        if rows.num_rows() > 0 {
            self.rows += rows.num_rows() as u64;
            let offsets = OffsetBuffer::from_lengths([rows.num_rows()]);
            self.writer.push(Block::new(Parts {
                ends: vec![NEVER].into(),
                key_groups: vec![key_group(KEY)].into(),
                keys: BinaryArray::from_iter_values([KEY]),
                complete: BooleanBuffer::new_unset(1),
                offsets,
                states: rows,
            }))?;
        }
        Ok(first)
    }

    /// Moves what it holds into a file, and writes what comes there, too.
    pub fn move_to_file(&mut self, store: &dyn RunStore) -> Result<()> {
        self.writer.move_to_file(store)
    }

    /// All rows; it has none then.
    pub fn finish(&mut self) -> Result<RowsInOrder> {
        let written = std::mem::replace(self, Self::new(Arc::clone(&self.schema)));
        written.writer.finish().map(RowsInOrder)
    }
}

/// Which rows of [`RowsInOrder`] are meant.
pub(crate) struct Marks(BooleanBufferBuilder);

impl Marks {
    #[inline]
    pub fn set(&mut self, row: u64) {
        self.0.set_bit(row as usize, true);
    }
}

impl RowsInOrder {
    /// Marks for these rows, of which none is set.
    pub fn no_marks(&self) -> Marks {
        let mut marks = BooleanBufferBuilder::new(0);
        marks.append_n(self.0.rows() as usize, false);
        Marks(marks)
    }

    /// Hands the marked rows to `into`, some thousand at a time. Blocks without any are not read.
    pub fn hand_over(&self, marks: Marks, into: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let marks = marks.0.build();
        let mut few = Vec::new();
        let mut first = 0;
        for (number, rows) in self.0.rows_of_blocks().enumerate() {
            let marked = marks.slice(first, rows);
            first += rows;
            let count = marked.count_set_bits();
            if count == 0 {
                continue;
            }
            let block = self.0.block(number)?;
            let rows = match count == rows {
                true => block.states().clone(),
                false => filter_record_batch(block.states(), &BooleanArray::new(marked, None))
                    .map_err(|error| Error::bug(format!("rows can't be picked: {error}")))?,
            };
            few.push(rows);
            if few.iter().map(RecordBatch::num_rows).sum::<usize>() >= ENOUGH_ROWS {
                into(self.joined(&mut few)?)?;
            }
        }
        if few.is_empty() { Ok(()) } else { into(self.joined(&mut few)?) }
    }

    fn joined(&self, few: &mut Vec<RecordBatch>) -> Result<RecordBatch> {
        let few = std::mem::take(few);
        match few.as_slice() {
            [one] => Ok(one.clone()),
            _ => concat_batches(self.0.state_schema(), &few).map_err(|error| Error::bug(format!("rows can't be joined: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::run::tests::MemoryStore;

    /// Rows that are their own numbers.
    fn rows(numbers: std::ops::Range<u64>) -> RecordBatch {
        let values: Int64Array = numbers.clone().map(|number| Some(number as i64)).collect();
        let texts: StringArray = numbers.map(|number| (number % 3 > 0).then(|| "x".repeat((number % 90) as usize))).collect();
        RecordBatch::try_from_iter_with_nullable([("number", Arc::new(values) as _, false), ("text", Arc::new(texts) as _, true)]).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn marked_rows_come_whole_and_in_order(
            lengths in prop::collection::vec(prop_oneof![0..20_u64, 4_000..9_000_u64], 0..6),
            to_file_behind in prop::option::of(0..6_usize),
            share in prop_oneof![Just(0), Just(1), Just(50), Just(100)],
            seed in any::<u64>(),
        ) {
            let store = MemoryStore::default();
            let mut writer = RowsWriter::new(rows(0..0).schema());
            let mut count = 0;
            for (number, length) in lengths.into_iter().enumerate() {
                prop_assert_eq!(writer.push(rows(count..count + length)).unwrap(), count);
                count += length;
                if to_file_behind == Some(number) {
                    writer.move_to_file(&store).unwrap();
                    prop_assert_eq!(writer.memory_bytes(), 0);
                }
            }
            let written = writer.finish().unwrap();
            let mut random = fastrand::Rng::with_seed(seed);
            let wanted: Vec<u64> = (0..count).filter(|_| random.u8(0..100) < share).collect();
            let mut marks = written.no_marks();
            wanted.iter().for_each(|&row| marks.set(row));
            let mut found = Vec::new();
            written.hand_over(marks, &mut |batch| {
                let numbers: Vec<u64> = batch.column(0).as_primitive::<Int64Type>().values().iter().map(|&number| number as u64).collect();
                for (at, &number) in numbers.iter().enumerate() {
                    assert_eq!(batch.slice(at, 1), rows(number..number + 1));
                }
                found.extend(numbers);
                Ok(())
            }).unwrap();
            prop_assert_eq!(found, wanted);
        }
    }
}
