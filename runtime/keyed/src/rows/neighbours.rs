//! Finds the entries of a key in its own window and in those beside it.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;
use crate::key::KeyGroups;
use crate::merge::{Cursor, Span};
use crate::run::{Block, Place, Run};

/// Cursors over some runs. Places are asked for in increasing order.
pub(crate) struct Neighbours {
    /// How far the window of a cursor's entries is from the one that is asked for.
    cursors: Vec<(i64, Cursor)>,
}

impl Neighbours {
    /// Looks at windows that end by `distances` later or earlier.
    pub fn new(runs: &[Arc<Run>], key_groups: &KeyGroups, distances: &[i64]) -> Result<Self> {
        let span = Span { ends: i64::MIN..=i64::MAX, key_groups: key_groups.clone() };
        let pairs = distances.iter().flat_map(|&distance| runs.iter().map(move |run| (distance, run)));
        let cursors = pairs.map(|(distance, run)| Ok((distance, Cursor::new(Arc::clone(run), span.clone())?)));
        Ok(Self { cursors: cursors.collect::<Result<_>>()? })
    }

    /// Calls `found` with the block and the rows of each entry of a key.
    pub fn find(&mut self, place: Place<'_>, mut found: impl FnMut(&Arc<Block>, Range<usize>)) -> Result<()> {
        for (distance, cursor) in &mut self.cursors {
            let Some(end) = place.end.checked_add(*distance) else { continue };
            let beside = Place { end, ..place };
            cursor.seek(beside)?;
            while let Some((block, entry)) = cursor.here().filter(|(block, entry)| block.place(*entry) == beside) {
                found(block, block.rows(entry));
                cursor.advance()?;
            }
        }
        Ok(())
    }
}
