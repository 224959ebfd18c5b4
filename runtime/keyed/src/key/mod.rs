//! Keys as bytes: a memory-comparable encoding of the key columns, and the key group that a key belongs to.
//!
//! # The encoding, version 1
//!
//! Comparing two encoded keys byte by byte compares the keys column by column, with nulls first. It is part of the state of pipelines: a change needs
//! a new [`VERSION`]. The columns follow one another without anything between them; each is
//!
//! | column | bytes |
//! |---|---|
//! | a null of any type | `00` |
//! | `bool` | `01`, then `00` for false or `01` for true |
//! | signed integers of any width, dates, timestamps, times, durations | `01`, then the value as a 64-bit integer with its sign bit flipped, big-endian |
//! | unsigned integers of any width | `01`, then the value as a 64-bit integer, big-endian |
//! | decimals of up to 38 digits | `01`, then the unscaled value as a 128-bit integer with its sign bit flipped, big-endian |
//! | decimals of up to 76 digits | `01`, then the unscaled value as a 256-bit integer with its sign bit flipped, big-endian |
//! | text (UTF-8), binary | `01`, then the bytes with each `00` written as `00 FF`, then `00 00` |
//!
//! Times keep the unit of their type: `timestamp(ms)` counts milliseconds since 1970 in UTC, so that nothing is rounded and nothing overflows. The key
//! of a stage without key columns is empty.
//!
//! Floats are refused: `-0.0`, `0.0` and the many NaNs have no equality that all of SQL, Arrow and hardware agree on.

mod codec;
mod decode;
mod encode;
mod group;
mod words;

pub use codec::KeyCodec;
pub use group::{KEY_GROUPS, KeyGroups, key_group, owned, owner};
pub(crate) use words::words;

/// The version of the encoding.
pub const VERSION: u8 = 1;

/// Begins a column that is null.
pub(crate) const NULL: u8 = 0;
/// Begins a column that is not null.
pub(crate) const VALUE: u8 = 1;
/// Follows a zero byte within a text.
const ESCAPED: u8 = 0xff;

/// Encoded keys, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Where each key begins, and the end of the last one.
    offsets: Vec<usize>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl Keys {
    /// None yet, with room for some.
    pub fn with_capacity(keys: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(keys + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(bytes), offsets }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of key `index`.
    ///
    /// # Panics
    /// There is no such key.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index]..self.offsets[index + 1]]
    }

    /// Where a key begins and ends among all bytes.
    #[inline]
    pub(crate) fn range(&self, index: usize) -> (usize, usize) {
        (self.offsets[index], self.offsets[index + 1])
    }

    /// The bytes of a [range](Self::range).
    #[inline]
    pub(crate) fn slice(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[from..to]
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offsets.windows(2).map(|ends| &self.bytes[ends[0]..ends[1]])
    }

    /// The length of all keys together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a key.
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.offsets.push(self.bytes.len());
    }

    /// Removes all keys and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.offsets.truncate(1);
    }

    /// The bytes that it holds.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.offsets.capacity() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests;
