//! Watermarks: how far the event time of a keyed stage has come, from the splits that feed it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::keyed::{EventTime, Watermark};
use crate::{Mode, SplitId};

/// A split, and the index of its source.
pub(crate) type SplitKey = (usize, SplitId);

/// A split that a lane has open.
pub(crate) struct OpenSplit {
    pub key: SplitKey,
    /// Since when it has had nothing, if it has nothing.
    pub idle_since: Option<Instant>,
}

/// The greatest event time that each split of a lane has brought to one keyed stage.
#[derive(Default)]
pub(crate) struct SplitTimes(HashMap<SplitKey, SplitTime>);

#[derive(Clone, Copy)]
struct SplitTime {
    latest: i64,
    /// It has brought rows in the epoch that is open.
    is_fresh: bool,
}

/// What one lane knows of the event time of a stage at the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneClock {
    /// A split may bring rows of any time: it waits to be opened, or has brought none yet.
    Holds,
    /// The least of its splits, in microseconds.
    At(i64),
    /// It has no split that counts.
    Silent,
}

impl SplitTimes {
    /// A split has brought rows up to this time, in microseconds.
    pub fn add(&mut self, split: &SplitKey, latest: i64) {
        let time = match self.0.get_mut(split) {
            Some(time) => time,
            None => self.0.entry((split.0, Arc::clone(&split.1))).or_insert(SplitTime { latest, is_fresh: true }),
        };
        *time = SplitTime { latest: latest.max(time.latest), is_fresh: true };
    }

    /// What the lane knows at the end of an epoch, from the splits of the stage's sources that it has open. One that is idle counts if it has brought
    /// rows in this epoch. Those that have ended are forgotten.
    pub fn clock(&mut self, open: &[OpenSplit], feeds: impl Fn(usize) -> bool, policy: EventTime) -> LaneClock {
        self.0.retain(|key, _| open.iter().any(|open| open.key == *key));
        let mut clock = LaneClock::Silent;
        for open in open.iter().filter(|open| feeds(open.key.0)) {
            let is_live = open.idle_since.is_none_or(|since| since.elapsed() < policy.idle);
            let time = self.0.get_mut(&open.key).map(|time| (time.latest, std::mem::take(&mut time.is_fresh)));
            let known = match time {
                Some((latest, is_fresh)) if is_fresh || is_live => LaneClock::At(latest),
                None if is_live => LaneClock::Holds,
                _ => LaneClock::Silent,
            };
            clock = clock.and(known);
        }
        clock
    }
}

impl LaneClock {
    /// What two lanes know together.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds, _) | (_, Self::Holds) => Self::Holds,
            (Self::At(one), Self::At(another)) => Self::At(one.min(another)),
            (Self::Silent, known) | (known, Self::Silent) => known,
        }
    }
}

/// How far a stage's watermark comes at the end of an epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advance {
    pub mode: Mode,
    /// All sources have ended.
    pub at_end: bool,
    /// The stage's own rule; `None`: it has no event time.
    pub policy: Option<EventTime>,
    /// The least watermark of the keyed stages that feed it; `None`: none does.
    pub inputs: Option<Watermark>,
    /// What the lanes know of the splits that feed it.
    pub clock: LaneClock,
}

impl Advance {
    /// The next watermark: never below the one before. That of a batch stays back until all sources have ended.
    pub fn from(self, before: Watermark) -> Watermark {
        if self.at_end {
            return Watermark::END;
        }
        let Some(policy) = self.policy.filter(|_| self.mode == Mode::Stream) else { return before };
        let delay = i64::try_from(policy.delay.as_micros()).unwrap_or(i64::MAX);
        let behind = |time: i64| Watermark::at(time.saturating_sub(delay));
        let inputs = self.inputs.filter(|inputs| *inputs != Watermark::END).map(|inputs| behind(inputs.micros()));
        let next = match (self.clock, inputs) {
            (LaneClock::Holds, _) | (LaneClock::Silent, None) => before,
            (LaneClock::At(time), None) => behind(time),
            (LaneClock::At(time), Some(inputs)) => behind(time).min(inputs),
            (LaneClock::Silent, Some(inputs)) => inputs,
        };
        next.max(before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: EventTime = EventTime { delay: Duration::from_micros(10), idle: Duration::from_secs(60) };

    fn open(source: usize, id: &str, idle_since: Option<Instant>) -> OpenSplit {
        OpenSplit { key: (source, id.into()), idle_since }
    }

    fn stream(clock: LaneClock, inputs: Option<i64>) -> Advance {
        Advance { mode: Mode::Stream, at_end: false, policy: Some(POLICY), inputs: inputs.map(Watermark::at), clock }
    }

    #[test]
    fn the_least_of_the_open_splits_that_feed_a_stage_counts() {
        let mut times = SplitTimes::default();
        for (source, id, latest) in [(0, "a", 50), (0, "a", 40), (0, "b", 70), (1, "c", 1), (0, "ended", 2)] {
            times.add(&(source, id.into()), latest);
        }
        let splits = [open(0, "a", None), open(0, "b", None), open(1, "c", None)];
        assert_eq!(times.clock(&splits, |source| source == 0, POLICY), LaneClock::At(50));
        assert_eq!(times.clock(&splits[1..], |source| source == 0, POLICY), LaneClock::At(70), "a has ended");
        assert_eq!(times.clock(&splits[2..], |source| source == 0, POLICY), LaneClock::Silent);
    }

    #[test]
    fn a_split_that_has_brought_nothing_holds_until_it_is_idle() {
        let mut times = SplitTimes::default();
        times.add(&(0, "a".into()), 50);
        let now = Instant::now();
        assert_eq!(times.clock(&[open(0, "a", None), open(0, "b", Some(now))], |_| true, POLICY), LaneClock::Holds);
        let policy = EventTime { idle: Duration::ZERO, ..POLICY };
        assert_eq!(times.clock(&[open(0, "a", None), open(0, "b", Some(now))], |_| true, policy), LaneClock::At(50));
        assert_eq!(times.clock(&[open(0, "a", Some(now))], |_| true, policy), LaneClock::Silent);
        times.add(&(0, "a".into()), 60);
        assert_eq!(times.clock(&[open(0, "a", Some(now))], |_| true, policy), LaneClock::At(60), "it has brought something since");
        assert_eq!(times.clock(&[open(0, "a", Some(now))], |_| true, policy), LaneClock::Silent);
    }

    #[test]
    fn a_watermark_is_behind_the_least_by_the_delay_and_never_decreases() {
        assert_eq!(stream(LaneClock::At(50), None).from(Watermark::NONE), Watermark::at(40));
        assert_eq!(stream(LaneClock::At(50), None).from(Watermark::at(45)), Watermark::at(45));
        assert_eq!(stream(LaneClock::At(50), Some(30)).from(Watermark::NONE), Watermark::at(20));
        assert_eq!(stream(LaneClock::At(20), Some(30)).from(Watermark::NONE), Watermark::at(10));
        assert_eq!(stream(LaneClock::Silent, Some(30)).from(Watermark::NONE), Watermark::at(20));
        assert_eq!(stream(LaneClock::Holds, Some(30)).from(Watermark::at(3)), Watermark::at(3));
        assert_eq!(stream(LaneClock::Silent, None).from(Watermark::at(3)), Watermark::at(3), "nothing is known of what is idle");
        assert_eq!(stream(LaneClock::At(i64::MIN + 5), None).from(Watermark::NONE), Watermark::NONE);
    }

    #[test]
    fn the_watermark_of_a_batch_and_of_a_stage_without_event_time_waits_for_the_end() {
        let batch = Advance { mode: Mode::Batch, ..stream(LaneClock::At(50), Some(7)) };
        assert_eq!(batch.from(Watermark::NONE), Watermark::NONE);
        let timeless = Advance { policy: None, ..stream(LaneClock::At(50), None) };
        assert_eq!(timeless.from(Watermark::NONE), Watermark::NONE);
        for advance in [batch, timeless, stream(LaneClock::Holds, None)] {
            assert_eq!(Advance { at_end: true, ..advance }.from(Watermark::at(3)), Watermark::END);
        }
    }

    #[test]
    fn lanes_know_together_what_each_knows() {
        let (holds, silent) = (LaneClock::Holds, LaneClock::Silent);
        assert_eq!(LaneClock::At(3).and(silent).and(LaneClock::At(2)), LaneClock::At(2));
        assert_eq!(LaneClock::At(3).and(holds).and(silent), holds);
        assert_eq!(silent.and(silent), silent);
    }
}
