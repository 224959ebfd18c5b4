//! Sorted merges of runs: for each key its states from the oldest run to the newest, into an accumulator.
//!
//! A [`Merger`] goes through the entries of several runs in the order of their places. The states of some thousand keys become the groups of an
//! accumulator, and travel as slices of the blocks that they lie in: what a key costs is a comparison or two, not a call. A key's states older than its newest
//! *complete* entry are skipped.

mod compact;
mod cursor;
mod feed;
mod heap;
mod merger;

pub use compact::{Compaction, compact, pick};
pub(crate) use cursor::{Cursor, Span};
pub(crate) use merger::{MergedKeys, Merger, Window};

use arrow_array::BinaryArray;
use arrow_buffer::{BooleanBuffer, OffsetBuffer};

use crate::run::{Block, Parts};
use crate::{Error, Grouped, Result};

/// The groups that an accumulator gets before it is emptied again.
pub(crate) const BATCH_GROUPS: usize = 8_192;

impl Grouped {
    /// Where the rows of each of `count` groups begin, and the end of the last one.
    ///
    /// # Errors
    /// Bug: the accumulator has broken its contract.
    pub(crate) fn offsets(&self, count: usize) -> Result<Vec<usize>> {
        let rows = self.records.num_rows();
        let broken = |what: String| Error::bug(format!("an accumulator has broken its contract: {what}"));
        let Some(groups) = &self.groups else {
            return match rows == count {
                true => Ok((0..=count).collect()),
                false => Err(broken(format!("it returned {rows} rows for {count} groups, one each"))),
            };
        };
        if groups.len() != rows {
            return Err(broken(format!("it returned {rows} rows and the groups of {}", groups.len())));
        }
        if !groups.is_sorted() || groups.last().is_some_and(|&last| last as usize >= count) {
            return Err(broken(format!("its rows are not in the order of {count} groups")));
        }
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        let mut row = 0;
        for group in 0..count {
            while row < rows && groups[row] as usize == group {
                row += 1;
            }
            offsets.push(row);
        }
        Ok(offsets)
    }
}

/// The block of merged keys and their state.
pub(crate) fn block(keys: &MergedKeys, states: Grouped, complete: Option<bool>) -> Result<Block> {
    let count = keys.len();
    let offsets = states.offsets(count)?;
    let too_large = || Error::environment("the state of some thousand keys has more than 2³¹ rows or bytes of keys");
    let offsets: Vec<i32> = offsets.into_iter().map(i32::try_from).collect::<Result<_, _>>().map_err(|_| too_large())?;
    if keys.keys.total_bytes() > i32::MAX as usize {
        return Err(too_large());
    }
    let complete = match complete {
        Some(complete) => std::iter::repeat_n(complete, count).collect::<BooleanBuffer>(),
        None => keys.complete.iter().copied().collect(),
    };
    Ok(Block::new(Parts {
        ends: keys.ends.clone().into(),
        key_groups: keys.key_groups.clone().into(),
        keys: BinaryArray::from_iter_values(keys.keys.iter()),
        complete,
        offsets: OffsetBuffer::new(offsets.into()),
        states: states.records,
    }))
}

#[cfg(test)]
mod tests;
