//! Groups that have a number and no row: the accumulator refused all of theirs.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::{Error, Result, RowReject};

/// Groups that are left out when the others are sealed. Empty nearly always.
#[derive(Debug, Default)]
pub(super) struct Ghosts(BTreeSet<u32>);

impl Ghosts {
    /// Learns which rows of a batch were refused. `new` are the groups that the batch was the first to name.
    ///
    /// # Errors
    /// Bug: the accumulator has broken its contract.
    pub fn learn(&mut self, groups: &[u32], new: Range<u32>, rejects: &[RowReject]) -> Result<()> {
        if rejects.is_empty() && self.0.is_empty() {
            return Ok(());
        }
        let in_order = rejects.is_sorted_by(|one, next| one.row < next.row);
        if !in_order || rejects.last().is_some_and(|last| last.row as usize >= groups.len()) {
            return Err(Error::bug("an accumulator has broken its contract: it refused rows out of order or that it did not get"));
        }
        if !rejects.is_empty() {
            self.0.extend(new);
        }
        let mut rejects = rejects.iter().peekable();
        for (row, group) in groups.iter().enumerate() {
            if rejects.next_if(|reject| reject.row as usize == row).is_none() {
                self.0.remove(group);
            }
        }
        Ok(())
    }

    pub fn contains(&self, group: u32) -> bool {
        self.0.contains(&group)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}
