//! Sorted runs: what lanes hand over, what is spilled, and what a stage's state consists of.
//!
//! A [`Run`] is immutable. It holds *entries*, sorted by their [`Place`]: window end, key group, encoded key. An entry is a key with any number of state
//! rows; one that is *complete* is its key's whole state, and nothing in older runs counts beside it. A key with very many rows is cut into
//! several entries in a row, which belong together.
//!
//! # The file, version 1
//!
//! All numbers are little-endian; checksums are XXH3-64.
//!
//! | part | bytes |
//! |---|---|
//! | header | the magic `wm-run\r\n`, the version as `u32`, four zeros |
//! | blocks | one after the other, each a Zstandard frame (level 1) of one encapsulated Arrow IPC message, a record batch |
//! | footer | see below |
//! | trailer | the footer's length as `u64`, its checksum as `u64`, the version as `u32`, four zeros, the magic |
//!
//! A block has one row per entry: `end: int64`, `key_group: uint8`, `key: binary`, `complete: bool`, `state: list<struct<...>>` with the columns of the state.
//! It has at most [`BLOCK_ROWS`] entries and state rows and [`BLOCK_BYTES`] bytes before compression, unless a single row is larger.
//!
//! The footer holds, in this order: the state's columns in words (`u32` length, UTF-8); the version of the key encoding (`u8`); the numbers of entries and
//! of state rows (`u64` each); the first and the last key group (`u8` each); the number of window ends (`u32`) and for each the end (`i64`) and its
//! entries (`u64`); the number of blocks (`u32`) and for each offset (`u64`), length (`u32`), length before compression (`u32`), checksum (`u64`),
//! entries (`u32`), state rows (`u32`) and the place of its first entry; where there are blocks, the place of the last entry. A place is the end
//! (`i64`), the key group (`u8`), and the key (`u32` length, bytes).
//!
//! The footer's checksum covers, by way of the blocks' checksums, the whole file: [`Run::checksum`] is what a checkpoint notes, so that a file that holds
//! another run is found when it is opened. The schema is never parsed:
//! a reader knows which columns it expects, and compares their words.

mod block;
mod columns;
mod file;
mod footer;
mod index;
mod message;
mod size;
mod types;
mod writer;

use std::sync::Arc;

use arrow_schema::SchemaRef;

pub use block::Block;
pub use file::{BytesFile, LocalFile, RunFile, RunFileWriter, RunStore};
pub use index::{Place, WindowEntries};
pub use types::check_state_schema;
pub use writer::{RunWriter, store};

pub(crate) use block::Parts;
pub(crate) use index::Index;

use crate::Result;
use crate::key::KeyGroups;

/// The most entries and the most state rows of a block in a file.
pub const BLOCK_ROWS: usize = 4_096;

/// The most bytes of a block in a file before compression, where it has more than one row.
pub const BLOCK_BYTES: usize = 256 * 1024;

/// Immutable entries, sorted by their place. Shared by lanes through an `Arc`.
#[derive(Debug)]
pub struct Run {
    state_schema: SchemaRef,
    index: Index,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Vec<Arc<Block>>),
    File(file::Reader),
}

impl Run {
    /// Opens a file and verifies its header, footer and trailer; each block is verified when it is read. `checksum` is the [`Run::checksum`] that was noted
    /// when the run was written; with `None`, any run is taken.
    ///
    /// # Errors
    /// Environment: it can't be read, is damaged, holds another run, or other columns than `state_schema`. The error names the file and the offset.
    pub fn open(file: Arc<dyn RunFile>, state_schema: SchemaRef, checksum: Option<u64>) -> Result<Self> {
        let (reader, index) = file::Reader::open(file, &state_schema, checksum)?;
        Ok(Self { state_schema, index, content: Content::File(reader) })
    }

    /// What a file holds, by its footer: entries by window end. Its columns may be any. `checksum` is as in [`Run::open`].
    ///
    /// # Errors
    /// Environment: it can't be read, is damaged, or holds another run.
    pub fn windows_of(file: &dyn RunFile, checksum: Option<u64>) -> Result<Vec<WindowEntries>> {
        file::index_of(file, checksum).map(|index| index.windows)
    }

    /// The columns of the state.
    pub fn state_schema(&self) -> &SchemaRef {
        &self.state_schema
    }

    /// How many entries it has.
    pub fn entries(&self) -> u64 {
        self.index.entries
    }

    /// How many state rows it has.
    pub fn rows(&self) -> u64 {
        self.index.rows
    }

    /// The window ends, increasing, and how many entries each has.
    pub fn windows(&self) -> &[WindowEntries] {
        &self.index.windows
    }

    /// The greatest window end; `None` of a run without entries. When that has expired, all of the run has.
    pub fn last_end(&self) -> Option<i64> {
        self.index.windows.last().map(|window| window.end)
    }

    /// The file that holds it; `None` for a run in memory.
    pub fn file(&self) -> Option<&Arc<dyn RunFile>> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(reader) => Some(reader.file()),
        }
    }

    /// The checksum of a file's footer, which stands for the whole file; `None` for a run in memory.
    pub fn checksum(&self) -> Option<u64> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(reader) => Some(reader.checksum()),
        }
    }

    /// The bytes that it holds in memory: its entries, or what is known of a file.
    pub fn memory_bytes(&self) -> usize {
        let content = match &self.content {
            Content::Memory(blocks) => blocks.iter().map(|block| block.memory_bytes()).sum(),
            Content::File(reader) => reader.memory_bytes(),
        };
        self.index.memory_bytes() + content
    }

    /// How large it is where it lies: bytes in memory, or the length of the file.
    pub fn size_bytes(&self) -> u64 {
        match &self.content {
            Content::Memory(_) => self.memory_bytes() as u64,
            Content::File(reader) => reader.file().bytes(),
        }
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.index.blocks.len()
    }

    /// How many rows each block has.
    pub(crate) fn rows_of_blocks(&self) -> impl Iterator<Item = usize> + '_ {
        self.index.blocks.iter().map(|block| block.rows as usize)
    }

    /// A block. That of a file is read, verified and decoded, unless somebody holds it still.
    ///
    /// # Errors
    /// Environment: it can't be read or is damaged.
    ///
    /// # Panics
    /// There is no such block.
    pub fn block(&self, index: usize) -> Result<Arc<Block>> {
        match &self.content {
            Content::Memory(blocks) => Ok(Arc::clone(&blocks[index])),
            Content::File(reader) => reader.block(index, &self.index, &self.state_schema),
        }
    }

    /// Whether all entries are of these key groups.
    pub fn is_within(&self, groups: &KeyGroups) -> bool {
        self.index.key_groups.is_none_or(|(least, greatest)| groups.start <= least.into() && u16::from(greatest) < groups.end)
    }

    /// Whether there may be entries of these key groups.
    pub(crate) fn has_groups(&self, groups: &KeyGroups) -> bool {
        self.index.key_groups.is_some_and(|(least, greatest)| groups.start <= greatest.into() && u16::from(least) < groups.end)
    }

    /// The first block that can hold an entry at or behind a place.
    pub(crate) fn block_for(&self, place: Place<'_>) -> usize {
        self.index.block_for(place)
    }
}

#[cfg(test)]
pub(crate) mod tests;
