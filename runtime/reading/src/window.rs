//! The part of a file that is in memory: what was read and not yet returned.

use bytes::Bytes;
use wasmill_engine::Result;

use super::input::Input;

/// Bytes of a file from a place on. They are shared with the batches that were cut out of them, for the dead letters.
#[derive(Default)]
pub struct Window {
    /// The bytes; records are cut out from `start` on.
    pub data: Bytes,
    /// Where the unread bytes begin.
    pub start: usize,
    /// The place of `data[0]` in the file.
    pub base: u64,
    /// Whether the file had no more bytes when it was read last.
    pub at_end: bool,
}

impl Window {
    /// A window at an offset.
    pub fn at(offset: u64) -> Self {
        Self { base: offset, ..Self::default() }
    }

    /// How many bytes are in memory and unread.
    pub fn unread(&self) -> usize {
        self.data.len() - self.start
    }

    /// The place of the next unread byte in the file.
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Reads until `wanted` bytes are unread, or the file has no more.
    pub fn fill(&mut self, input: &mut Input, wanted: usize) -> Result<()> {
        let old = std::mem::take(&mut self.data);
        let mut buffer = if old.is_unique() {
            // No other owner holds the old bytes any more. Their memory is reused, which saves the
            // kernel from clearing new pages.
            let mut buffer = Vec::from(old);
            buffer.copy_within(self.start.., 0);
            buffer.truncate(buffer.len() - self.start);
            buffer
        } else {
            let mut buffer = Vec::with_capacity(wanted.max(old.len() - self.start));
            buffer.extend_from_slice(&old[self.start..]);
            buffer
        };
        self.base += self.start as u64;
        self.start = 0;
        let missing = wanted.saturating_sub(buffer.len());
        let appended = input.append(&mut buffer, missing);
        self.data = Bytes::from(buffer);
        self.at_end = appended?;
        Ok(())
    }

    /// Frees the memory of an idle window.
    pub fn shrink(&mut self) {
        self.base += self.start as u64;
        self.data = Bytes::copy_from_slice(&self.data[self.start..]);
        self.start = 0;
    }
}
