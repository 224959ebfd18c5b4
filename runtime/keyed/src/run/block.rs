//! A block: the unit in which entries are kept, read and merged.

use arrow_array::{Array, BinaryArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, OffsetBuffer, ScalarBuffer};

use super::Place;
use super::size::value_bytes;

/// Some entries of a run, in columns.
#[derive(Debug, Clone)]
pub struct Block {
    ends: ScalarBuffer<i64>,
    key_groups: ScalarBuffer<u8>,
    keys: BinaryArray,
    complete: BooleanBuffer,
    /// Where the state rows of each entry begin, and the end of the last one.
    offsets: OffsetBuffer<i32>,
    states: RecordBatch,
}

/// The columns of a block, of equal lengths; there is one more offset.
pub(crate) struct Parts {
    pub ends: ScalarBuffer<i64>,
    pub key_groups: ScalarBuffer<u8>,
    pub keys: BinaryArray,
    pub complete: BooleanBuffer,
    /// Begin at 0 and end with the number of states.
    pub offsets: OffsetBuffer<i32>,
    pub states: RecordBatch,
}

impl Block {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { ends, key_groups, keys, complete, offsets, states } = parts;
        debug_assert!(ends.len() == keys.len() && ends.len() == key_groups.len() && ends.len() == complete.len());
        debug_assert!(offsets.len() == ends.len() + 1 && offsets.first() == Some(&0));
        debug_assert_eq!(offsets.last().map(|&last| last as usize), Some(states.num_rows()));
        Self { ends, key_groups, keys, complete, offsets, states }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The window end of each entry.
    pub fn ends(&self) -> &[i64] {
        &self.ends
    }

    /// The key group of each entry.
    pub fn key_groups(&self) -> &[u8] {
        &self.key_groups
    }

    /// The encoded key of each entry.
    pub fn keys(&self) -> &BinaryArray {
        &self.keys
    }

    /// Whether each entry is its key's whole state.
    pub fn complete(&self) -> &BooleanBuffer {
        &self.complete
    }

    /// The state rows of all entries, in order.
    pub fn states(&self) -> &RecordBatch {
        &self.states
    }

    /// Which of the [states](Self::states) are those of an entry.
    #[inline]
    pub fn rows(&self, entry: usize) -> std::ops::Range<usize> {
        self.offsets[entry] as usize..self.offsets[entry + 1] as usize
    }

    pub(crate) fn offsets(&self) -> &OffsetBuffer<i32> {
        &self.offsets
    }

    /// The place of an entry.
    #[inline]
    pub fn place(&self, entry: usize) -> Place<'_> {
        Place { end: self.ends[entry], key_group: self.key_groups[entry], key: self.keys.value(entry) }
    }

    /// The first entry, from `from` on, at or behind a place.
    pub(crate) fn lower_bound(&self, from: usize, place: Place<'_>) -> usize {
        // Seeks mostly go a short way: doubling steps first.
        let (mut low, mut step) = (from, 1);
        while low + step < self.len() && self.place(low + step) < place {
            low += step;
            step *= 2;
        }
        let mut high = self.len().min(low + step);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(middle) < place { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Some of the entries, without a copy of keys and states.
    pub(crate) fn slice(&self, from: usize, count: usize) -> Self {
        let rows = self.offsets[from] as usize..self.offsets[from + count] as usize;
        self.part(from, count, rows)
    }

    /// One entry cut into two of the same place, between two of its rows.
    pub(crate) fn cut(&self, entry: usize, at: usize) -> [Self; 2] {
        let rows = self.rows(entry);
        [self.part(entry, 1, rows.start..rows.start + at), self.part(entry, 1, rows.start + at..rows.end)]
    }

    fn part(&self, from: usize, count: usize, rows: std::ops::Range<usize>) -> Self {
        let offset = |at: usize| (self.offsets[at].clamp(rows.start as i32, rows.end as i32)) - rows.start as i32;
        let offsets: Vec<i32> = (from..=from + count).map(offset).collect();
        Self {
            ends: self.ends.slice(from, count),
            key_groups: self.key_groups.slice(from, count),
            keys: self.keys.slice(from, count),
            complete: self.complete.slice(from, count),
            offsets: OffsetBuffer::new(offsets.into()),
            states: self.states.slice(rows.start, rows.len()),
        }
    }

    /// The bytes that its columns hold, of shared memory too.
    pub fn memory_bytes(&self) -> usize {
        let states: usize = self.states.columns().iter().map(|column| column.get_array_memory_size()).sum();
        let per_entry = size_of::<i64>() + size_of::<u8>() + size_of::<i32>() + 1;
        states + self.keys.get_array_memory_size() + self.len() * per_entry
    }

    /// The bytes of its entries alone, as they are written.
    pub(crate) fn content_bytes(&self) -> usize {
        let states: usize = self.states.columns().iter().map(|column| value_bytes(column)).sum();
        states + value_bytes(&self.keys) + self.len() * (size_of::<i64>() + size_of::<u8>() + size_of::<i32>() + 1)
    }
}
