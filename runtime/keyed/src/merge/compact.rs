//! Compaction: several runs become one, so that a merge has few of them.

use std::ops::Range;
use std::sync::Arc;

use super::{Merger, Span, block};
use crate::key::KeyGroups;
use crate::run::{Run, RunWriter};
use crate::{Aggregate, Result};

/// The least number of runs that are compacted together.
const FANOUT: usize = 4;

/// What of some runs a compaction keeps.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// The key groups that it is about, all 256 for a run that replaces the others.
    pub key_groups: KeyGroups,
    /// Windows and panes that end before are left out: they have expired.
    pub first_end: i64,
}

/// Merges runs, which come from the oldest to the newest and follow one another in the state, into one that stands for them. The runs are only read.
///
/// # Errors
/// A run can't be read or is damaged, the accumulator fails, or the new run can't be written.
pub fn compact(aggregate: &dyn Aggregate, lane: usize, runs: &[Arc<Run>], what: &Compaction, mut into: RunWriter) -> Result<Run> {
    let span = Span { ends: what.first_end..=i64::MAX, key_groups: what.key_groups.clone() };
    let mut merger = Merger::of_places(aggregate.state_schema(), runs, &span)?;
    let mut accumulator = aggregate.open(lane)?;
    while let Some(keys) = merger.next(&mut *accumulator)? {
        into.push(block(&keys, accumulator.take_state()?, None)?)?;
    }
    into.finish()
}

/// Which runs to compact, by their sizes from the oldest to the newest; `None`: none.
///
/// The rule is size-tiered: going from the newest run to the oldest, a stretch of runs grows by the next older run while that is not larger than the whole
/// stretch so far. The first stretch of at least four runs is compacted. So a byte is rewritten only together with at least as many bytes as
/// its run had. In the long run that is about log₂ of the state's size over an epoch's, and the number of runs stays within a small multiple
/// of that.
pub fn pick(sizes: &[u64]) -> Option<Range<usize>> {
    (1..=sizes.len()).rev().find_map(|end| {
        let mut total = 0_u64;
        let mut start = end;
        while start > 0 && (start == end || sizes[start - 1] <= total) {
            start -= 1;
            total = total.saturating_add(sizes[start]);
        }
        (end - start >= FANOUT).then_some(start..end)
    })
}
