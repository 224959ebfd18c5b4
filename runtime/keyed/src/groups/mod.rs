//! The hash table of a lane: it gives each (window end, key) a dense number, in the order of first appearance.
//!
//! A key of one value of 64 bits is its own hash table entry; other keys are compared by their encoded bytes, which lie one after
//! the other in an arena. Rows are looked up in chunks: the first slots of all rows of a chunk are loaded before any is compared, so that
//! the loads of a table which is larger than the caches overlap.

mod sorted;
mod table;

pub use sorted::SortedGroups;
pub(crate) use sorted::{prefix, to_places};

use std::hash::{BuildHasher, RandomState};

use arrow_array::{Array, ArrayRef};
use twox_hash::XxHash3_64;

use self::table::{Slot, Table};
use crate::Result;
use crate::key::{KeyCodec, Keys, words};

/// The most groups that a table holds: numbers are `u32`, and the engine has to spill long before.
pub const MAX_GROUPS: u32 = 1 << 30;

/// Rows that are looked up together.
const CHUNK: usize = 64;

/// Marks the pane of a null in a table of words.
const NULL_BIT: u32 = 1 << 31;

/// The window end (or pane end) of each row, as an index into a list that the caller keeps.
#[derive(Debug, Clone, Copy)]
pub enum Panes<'a> {
    /// All rows have this one.
    One(u32),
    /// One per row.
    Each(&'a [u32]),
}

impl Panes<'_> {
    #[inline]
    fn get(self, row: usize) -> u32 {
        match self {
            Self::One(pane) => pane,
            Self::Each(panes) => panes[row],
        }
    }
}

/// Numbers of groups by (pane, key).
#[derive(Debug)]
pub struct Groups {
    codec: KeyCodec,
    /// Random per process: keys come from outside, and their author could fill one place of the table otherwise. Numbers of groups do not
    /// depend on it.
    seeds: [u64; 2],
    table: Table,
    /// By group.
    panes: Vec<u32>,
    /// By group, where a key is one word.
    key_words: Vec<u64>,
    /// By group, where it is not.
    keys: Keys,
    /// Reused between calls.
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    words: Vec<u64>,
    keys: Keys,
}

impl Groups {
    /// An empty table.
    pub fn new(codec: KeyCodec) -> Self {
        let random = RandomState::new();
        Self {
            codec,
            seeds: [random.hash_one(0), random.hash_one(1) | 1],
            table: Table::default(),
            panes: Vec::new(),
            key_words: Vec::new(),
            keys: Keys::default(),
            scratch: Scratch::default(),
        }
    }

    /// How many groups there are.
    pub fn count(&self) -> u32 {
        self.panes.len() as u32
    }

    /// The bytes that it holds.
    pub fn memory_bytes(&self) -> usize {
        let scratch = self.scratch.words.capacity() * size_of::<u64>() + self.scratch.keys.memory_bytes();
        let groups = self.panes.capacity() * size_of::<u32>() + self.key_words.capacity() * size_of::<u64>();
        self.table.memory_bytes() + groups + self.keys.memory_bytes() + scratch
    }

    /// Writes the group of each of `rows` rows over what `groups` held. `panes` are below 2³¹ and one per row, and so are the columns' rows.
    ///
    /// # Errors
    /// Bug: the columns are not those of the codec.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize, panes: Panes<'_>, groups: &mut Vec<u32>) -> Result<()> {
        groups.clear();
        groups.reserve(rows);
        let mut scratch = std::mem::take(&mut self.scratch);
        if let (true, [column]) = (self.codec.is_word(), columns) {
            self.codec.check(columns)?;
            words(column, &mut scratch.words);
            self.intern_words(column, &mut scratch.words, panes, groups);
        } else {
            self.codec.encode(columns, rows, &mut scratch.keys)?;
            self.intern_keys(&scratch.keys, panes, groups);
        }
        self.scratch = scratch;
        Ok(())
    }

    fn intern_words(&mut self, column: &ArrayRef, values: &mut [u64], panes: Panes<'_>, groups: &mut Vec<u32>) {
        match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => self.intern_values(values, |row| panes.get(row), groups),
            Some(nulls) => {
                for (value, valid) in values.iter_mut().zip(nulls) {
                    *value = if valid { *value } else { 0 };
                }
                self.intern_values(values, |row| panes.get(row) | if nulls.is_null(row) { NULL_BIT } else { 0 }, groups);
            }
        }
    }

    #[inline]
    fn intern_values(&mut self, values: &[u64], pane: impl Fn(usize) -> u32, groups: &mut Vec<u32>) {
        let seeds = self.seeds;
        for (index, chunk) in values.chunks(CHUNK).enumerate() {
            let first = index * CHUNK;
            self.table.reserve(chunk.len(), |slot| hash_word(seeds, slot.tag, slot.pane));
            let mut found = [(0, Slot::EMPTY); CHUNK];
            for (row, (&value, found)) in chunk.iter().zip(&mut found).enumerate() {
                *found = self.table.first(hash_word(seeds, value, pane(first + row)));
            }
            for (row, (&value, &(at, slot))) in chunk.iter().zip(&found).enumerate() {
                let pane = pane(first + row);
                if slot.is(value, pane) {
                    groups.push(slot.group);
                    continue;
                }
                let (panes, words) = (&mut self.panes, &mut self.key_words);
                groups.push(self.table.find_or_insert(
                    at,
                    (value, pane),
                    |_| true,
                    || {
                        panes.push(pane);
                        words.push(value);
                        panes.len() as u32 - 1
                    },
                ));
            }
        }
    }

    fn intern_keys(&mut self, keys: &Keys, panes: Panes<'_>, groups: &mut Vec<u32>) {
        let seed = self.seeds[0];
        for first in (0..keys.len()).step_by(CHUNK) {
            let rows = first..keys.len().min(first + CHUNK);
            self.table.reserve(rows.len(), |slot| slot.tag ^ spread(slot.pane));
            let mut found = [(0, 0, Slot::EMPTY); CHUNK];
            for (row, found) in rows.clone().zip(&mut found) {
                let hash = XxHash3_64::oneshot_with_seed(seed, keys.get(row));
                let (at, slot) = self.table.first(hash ^ spread(panes.get(row)));
                *found = (hash, at, slot);
            }
            // Where the keys lie that may be equal: loaded before any is compared, as the slots are.
            let mut likely = [(0, 0); CHUNK];
            for (row, (&(hash, _, slot), likely)) in rows.clone().zip(found.iter().zip(&mut likely)) {
                if slot.is(hash, panes.get(row)) {
                    *likely = self.keys.range(slot.group as usize);
                }
            }
            for (row, (&(hash, at, slot), &(from, to))) in rows.zip(found.iter().zip(&likely)) {
                let (pane, key) = (panes.get(row), keys.get(row));
                if slot.is(hash, pane) && self.keys.slice(from, to) == key {
                    groups.push(slot.group);
                    continue;
                }
                // Both closures need the keys: a flag marks the one that inserts.
                let mut is_new = false;
                let (next, known) = (self.panes.len() as u32, &self.keys);
                let group = self.table.find_or_insert(
                    at,
                    (hash, pane),
                    |group| known.get(group as usize) == key,
                    || {
                        is_new = true;
                        next
                    },
                );
                if is_new {
                    self.panes.push(pane);
                    self.keys.push(key);
                }
                groups.push(group);
            }
        }
    }

    /// Removes all groups and returns them sorted by (end, key group, key), where `ends` are the ends of the panes. The memory is given back.
    pub fn drain(&mut self, ends: &[i64]) -> SortedGroups {
        self.table = Table::default();
        self.scratch = Scratch::default();
        let panes = std::mem::take(&mut self.panes);
        if self.codec.is_word() {
            sorted::of_words(&panes, &std::mem::take(&mut self.key_words), ends)
        } else {
            sorted::of_keys(&panes, &std::mem::take(&mut self.keys), ends)
        }
    }
}

#[inline]
fn hash_word(seeds: [u64; 2], word: u64, pane: u32) -> u64 {
    let product = u128::from(word ^ seeds[0] ^ spread(pane)) * u128::from(seeds[1]);
    (product >> 64) as u64 ^ product as u64
}

/// A few bits of a pane all over a hash.
#[inline]
fn spread(pane: u32) -> u64 {
    u64::from(pane).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests;
