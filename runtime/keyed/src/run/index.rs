//! Where the entries of a run lie.

use super::Block;

/// The place of an entry: runs are sorted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// The end of its window or pane, in microseconds since 1970.
    pub end: i64,
    /// The key group of its key.
    pub key_group: u8,
    /// The encoded key.
    pub key: &'a [u8],
}

/// How many entries a window has in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowEntries {
    /// The end of the window or pane.
    pub end: i64,
    /// Its entries.
    pub entries: u64,
}

/// What is known of a run without reading a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub entries: u64,
    pub rows: u64,
    pub windows: Vec<WindowEntries>,
    pub blocks: Vec<BlockIndex>,
    /// The place of the last entry; without a meaning where there are no blocks.
    pub last: OwnedPlace,
    /// The least and the greatest key group.
    pub key_groups: Option<(u8, u8)>,
}

/// What is known of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BlockIndex {
    pub first: OwnedPlace,
    pub entries: u32,
    pub rows: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OwnedPlace {
    pub end: i64,
    pub key_group: u8,
    pub key: Box<[u8]>,
}

impl OwnedPlace {
    pub fn of(place: Place<'_>) -> Self {
        Self { end: place.end, key_group: place.key_group, key: place.key.into() }
    }

    pub fn get(&self) -> Place<'_> {
        Place { end: self.end, key_group: self.key_group, key: &self.key }
    }
}

impl Index {
    /// Adds a block behind the others; it has entries.
    pub fn add(&mut self, block: &Block) {
        let entries = block.len();
        self.entries += entries as u64;
        self.rows += block.states().num_rows() as u64;
        for &end in block.ends() {
            match self.windows.last_mut() {
                Some(last) if last.end == end => last.entries += 1,
                _ => self.windows.push(WindowEntries { end, entries: 1 }),
            }
        }
        for &group in block.key_groups() {
            let (least, greatest) = self.key_groups.unwrap_or((group, group));
            self.key_groups = Some((least.min(group), greatest.max(group)));
        }
        self.last = OwnedPlace::of(block.place(entries - 1));
        let first = OwnedPlace::of(block.place(0));
        self.blocks.push(BlockIndex { first, entries: entries as u32, rows: block.states().num_rows() as u32 });
    }

    pub fn memory_bytes(&self) -> usize {
        let keys: usize = self.blocks.iter().map(|block| block.first.key.len()).sum();
        keys + self.blocks.capacity() * size_of::<BlockIndex>() + self.windows.capacity() * size_of::<WindowEntries>()
    }

    /// The first block that can hold an entry at or behind a place: entries of one place may lie on both sides of a block's begin.
    pub fn block_for(&self, place: Place<'_>) -> usize {
        self.blocks.partition_point(|block| block.first.get() < place).saturating_sub(1)
    }
}
