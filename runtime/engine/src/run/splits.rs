//! The splits that wait and which lane gets which.

use std::collections::VecDeque;

use crate::Split;

/// A split, and the index of its source.
#[derive(Debug)]
pub(crate) struct SourceSplit {
    pub source: usize,
    pub split: Split,
}

/// The splits of a run that no lane has taken. Plain state, which a [`Board`](super::board::Board) shares.
pub(crate) struct Splits {
    /// Bounded splits: a lane takes the next one when it has room for it.
    queue: VecDeque<SourceSplit>,
    lanes: Vec<LaneSplits>,
    open: usize,
    /// No source will ever have another split.
    complete: bool,
}

/// What one lane has.
#[derive(Default)]
struct LaneSplits {
    /// Splits that never end and were dealt out to this lane, which opens them at once.
    dealt: VecDeque<SourceSplit>,
    /// How many of those it has been dealt, less those that ended all the same.
    endless: usize,
    /// How many readers it had open when it last requested a split.
    readers: usize,
    /// It has no reader and found nothing to take.
    is_idle: bool,
}

impl Splits {
    pub fn new(lanes: usize) -> Self {
        Self { queue: VecDeque::new(), lanes: (0..lanes).map(|_| LaneSplits::default()).collect(), open: 0, complete: false }
    }

    /// Queues splits. Endless splits are dealt out to the lanes that have the fewest of them. With
    /// `complete`, no other split will ever come.
    pub fn offer(&mut self, splits: impl IntoIterator<Item = SourceSplit>, is_endless: impl Fn(usize) -> bool, complete: bool) {
        for split in splits {
            match self.lanes.iter_mut().min_by_key(|lane| lane.endless) {
                Some(fewest) if is_endless(split.source) => {
                    fewest.endless += 1;
                    fewest.dealt.push_back(split);
                }
                _ => self.queue.push_back(split),
            }
        }
        self.complete = complete;
    }

    /// Takes a split for a lane that has this many readers open: one that it was dealt, or the next
    /// one of the queue if it has `room`. A lane that has more readers than another one leaves the
    /// queue to that one. If none is taken, the lane counts as idle if it has no reader open.
    pub fn take(&mut self, lane: usize, readers: usize, room: bool) -> Option<SourceSplit> {
        self.lanes[lane].readers = readers;
        let mut taken = self.lanes[lane].dealt.pop_front();
        if taken.is_none() && room && self.has_fewest_readers(lane) {
            taken = self.queue.pop_front();
        }
        if taken.is_some() {
            self.open += 1;
            self.lanes[lane].readers += 1;
        }
        self.lanes[lane].is_idle = taken.is_none() && readers == 0;
        taken
    }

    /// Whether a lane with room would get one.
    pub fn wait_for(&self, lane: usize) -> bool {
        !self.lanes[lane].dealt.is_empty() || (!self.queue.is_empty() && self.has_fewest_readers(lane))
    }

    fn has_fewest_readers(&self, lane: usize) -> bool {
        self.lanes.iter().all(|other| self.lanes[lane].readers <= other.readers)
    }

    /// A lane has reached the end of a split. One that was dealt leaves room for another, such as
    /// the children of a shard.
    pub fn finish(&mut self, lane: usize, was_dealt: bool) {
        self.open -= 1;
        self.lanes[lane].endless -= usize::from(was_dealt);
    }

    /// Whether all splits have been found.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether everything that will ever come has been read.
    pub fn is_exhausted(&self) -> bool {
        self.complete && self.waiting() == 0 && self.lanes.iter().all(|lane| lane.is_idle)
    }

    /// How many no lane has taken.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.lanes.iter().map(|lane| lane.dealt.len()).sum::<usize>()
    }

    /// How many lanes have open.
    pub fn open(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(id: &str) -> SourceSplit {
        SourceSplit { source: 0, split: Split { id: id.into(), position: serde_json::Value::Null } }
    }

    #[test]
    fn splits_spread_over_the_lanes() {
        let mut splits = Splits::new(2);
        splits.offer(["a", "b", "c"].map(split), |_| false, false);
        assert!(splits.take(0, 0, true).is_some());
        assert!(splits.take(0, 1, true).is_none(), "the other lane has none yet");
        assert!(!splits.wait_for(0) && splits.wait_for(1));
        assert!(splits.take(1, 0, true).is_some());
        assert!(splits.take(0, 1, true).is_some());
    }

    #[test]
    fn a_lane_opens_all_endless_splits_that_it_is_dealt_whatever_it_reads_and_whatever_waits() {
        let mut splits = Splits::new(2);
        splits.offer([split("file")], |_| false, false);
        splits.offer(["a", "b", "c", "d"].map(split), |_| true, false);
        let ids = |splits: &mut Splits, lane: usize, from: usize| {
            let taken: Vec<_> = (from..).map_while(|readers| splits.take(lane, readers, false)).collect();
            taken.iter().map(|taken| taken.split.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(splits.waiting(), 5, "all of them wait");
        assert_eq!(ids(&mut splits, 0, 3), ["a", "c"]);
        assert_eq!(ids(&mut splits, 1, 0), ["b", "d"]);
        assert_eq!((splits.waiting(), splits.open()), (1, 4));
        splits.finish(1, true);
        splits.offer(["e", "f"].map(split), |_| true, false);
        assert_eq!(ids(&mut splits, 1, 1), ["e"], "it had one less");
        assert_eq!(ids(&mut splits, 0, 5), ["f"]);
    }

    #[test]
    fn a_run_is_exhausted_when_every_lane_found_nothing() {
        let mut splits = Splits::new(2);
        splits.offer([split("a")], |_| false, true);
        assert!(splits.is_complete());
        assert!(splits.take(0, 0, true).is_some());
        assert!(splits.take(1, 0, true).is_none());
        assert!(!splits.is_exhausted());
        assert!(splits.take(0, 1, true).is_none());
        assert!(!splits.is_exhausted(), "lane 0 is still reading");
        splits.finish(0, false);
        assert!(splits.take(0, 0, true).is_none());
        assert!(splits.is_exhausted());
    }
}
