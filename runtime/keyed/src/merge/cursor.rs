//! A position in one run that moves forward only.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::Result;
use crate::key::KeyGroups;
use crate::run::{Block, Place, Run};

/// The part of a run that a cursor visits: windows that end in a range, and in each of them some key groups.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub ends: RangeInclusive<i64>,
    pub key_groups: KeyGroups,
}

/// Visits the entries of a run within a span, in order. Blocks are read when they are reached, one at a time.
pub(crate) struct Cursor {
    run: Arc<Run>,
    span: Span,
    /// `None` behind the last entry.
    block: Option<Arc<Block>>,
    /// The block of the last entry, at the end: the next window often begins in it, and needs not read it again.
    last: Option<Arc<Block>>,
    /// The number of the block.
    number: usize,
    entry: usize,
    /// The entries of the block before this one are of the same window and of the key groups of the span.
    limit: usize,
}

impl Cursor {
    /// At the first entry of the span. Nothing is read of a run that has no window in it.
    pub fn new(run: Arc<Run>, span: Span) -> Result<Self> {
        let mut cursor = Self { run, span, block: None, last: None, number: 0, entry: 0, limit: 0 };
        let windows = cursor.run.windows();
        let first = windows.partition_point(|window| window.end < *cursor.span.ends.start());
        let Some(end) = windows.get(first).map(|window| window.end) else { return Ok(cursor) };
        let groups = &cursor.span.key_groups;
        if cursor.span.ends.contains(&end) && !groups.is_empty() && cursor.run.has_groups(groups) {
            let start = Place { end, key_group: groups.start as u8, key: &[] };
            cursor.number = cursor.run.block_for(start);
            cursor.load()?;
            cursor.move_to(start)?;
        }
        Ok(cursor)
    }

    /// The place of the entry here; `None` at the end.
    #[inline]
    pub fn place(&self) -> Option<Place<'_>> {
        self.block.as_ref().map(|block| block.place(self.entry))
    }

    /// The block and the entry here; `None` at the end.
    #[inline]
    pub fn here(&self) -> Option<(&Arc<Block>, usize)> {
        self.block.as_ref().map(|block| (block, self.entry))
    }

    /// Moves behind this entry.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        self.entry += 1;
        if self.entry < self.limit { Ok(()) } else { self.settle() }
    }

    /// Moves to the first entry at or behind a place, if that is not behind already.
    pub fn seek(&mut self, place: Place<'_>) -> Result<()> {
        match self.place() {
            Some(here) if here < place => self.move_to(place),
            _ => Ok(()),
        }
    }

    fn load(&mut self) -> Result<()> {
        self.block = if self.number < self.run.blocks() { Some(self.run.block(self.number)?) } else { None };
        (self.entry, self.limit) = (0, 0);
        Ok(())
    }

    /// Moves to the first entry at or behind a place, which does not lie before this one, and on into the span.
    fn move_to(&mut self, place: Place<'_>) -> Result<()> {
        self.find(place)?;
        self.settle()
    }

    fn find(&mut self, place: Place<'_>) -> Result<()> {
        let number = self.run.block_for(place);
        if number > self.number {
            self.number = number;
            self.load()?;
        }
        while let Some(block) = &self.block {
            self.entry = block.lower_bound(self.entry, place);
            if self.entry < block.len() {
                break;
            }
            self.number += 1;
            self.load()?;
        }
        Ok(())
    }

    /// Moves on to the next entry of the span, if this is none, and finds out how far its stretch goes.
    fn settle(&mut self) -> Result<()> {
        let groups = self.span.key_groups.clone();
        while let Some(block) = &self.block {
            if self.entry >= block.len() {
                self.number += 1;
                self.load()?;
                continue;
            }
            let (end, group) = (block.ends()[self.entry], u16::from(block.key_groups()[self.entry]));
            if end > *self.span.ends.end() {
                self.last = self.block.take();
                return Ok(());
            }
            let next = if groups.contains(&group) {
                self.limit = match u8::try_from(groups.end) {
                    Ok(behind) => block.lower_bound(self.entry, Place { end, key_group: behind, key: &[] }),
                    // To the end of the window.
                    Err(_) => match end.checked_add(1) {
                        Some(end) => block.lower_bound(self.entry, Place { end, key_group: 0, key: &[] }),
                        None => block.len(),
                    },
                };
                return Ok(());
            } else if group < groups.start {
                Some(end)
            } else {
                end.checked_add(1)
            };
            match next {
                Some(end) => self.find(Place { end, key_group: groups.start as u8, key: &[] })?,
                None => self.last = self.block.take(),
            }
        }
        Ok(())
    }
}
