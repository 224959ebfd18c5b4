//! The watermark of a stage: no row before it is expected any more.

use super::{BEGINNING, NEVER};

/// What is known of the event times of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitTime {
    /// Not opened yet, or without a time so far: its rows may have any time.
    Waiting,
    /// Is being read; the greatest event time so far.
    Read(i64),
    /// Has had no rows for a while: nobody waits for it.
    Idle,
    /// Has been read to its end.
    Ended,
}

/// Computes the watermark of a stage. Every lane does so from the same times, and gets the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    delay: i64,
    current: i64,
}

impl Watermark {
    /// A watermark that stays `delay` microseconds behind the times of the rows, and begins with what a checkpoint noted ([`BEGINNING`] in a new state).
    pub fn new(delay: i64, noted: i64) -> Self {
        Self { delay: delay.max(0), current: noted }
    }

    /// The watermark now.
    pub fn current(&self) -> i64 {
        self.current
    }

    /// Moves it by what is known of all splits, and returns it. It never falls.
    ///
    /// It is the least time of the splits that are neither idle nor ended, minus the delay. While one waits it stays where it is, and also while all that
    /// have not ended are idle. When all have ended and `no_more` will come (sources list no further splits), it is [`NEVER`].
    pub fn advance(&mut self, splits: impl IntoIterator<Item = SplitTime>, no_more: bool) -> i64 {
        let mut least: Option<i64> = None;
        let mut all_ended = true;
        for split in splits {
            match split {
                SplitTime::Waiting => return self.current,
                SplitTime::Read(time) => least = Some(least.map_or(time, |least| least.min(time))),
                SplitTime::Idle | SplitTime::Ended => {}
            }
            all_ended &= split == SplitTime::Ended;
        }
        let reached = match least {
            Some(time) => time.saturating_sub(self.delay),
            None if all_ended && no_more => NEVER,
            None => BEGINNING,
        };
        self.current = self.current.max(reached);
        self.current
    }

    /// Moves it to the least of the watermarks of the stages before this one, for a stage that reads no source. `None` of them: it stays.
    pub fn follow(&mut self, inputs: impl IntoIterator<Item = i64>) -> i64 {
        if let Some(least) = inputs.into_iter().min() {
            let behind = if least == NEVER { NEVER } else { least.saturating_sub(self.delay) };
            self.current = self.current.max(behind);
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split() -> impl Strategy<Value = SplitTime> {
        prop_oneof![Just(SplitTime::Waiting), (-50..50i64).prop_map(SplitTime::Read), Just(SplitTime::Idle), Just(SplitTime::Ended)]
    }

    /// The rule, by its words: filters and minima.
    fn model(splits: &[SplitTime], no_more: bool, delay: i64, current: i64) -> i64 {
        if splits.contains(&SplitTime::Waiting) {
            return current;
        }
        if no_more && splits.iter().all(|split| *split == SplitTime::Ended) {
            return i64::MAX;
        }
        let times = splits.iter().filter_map(|split| if let SplitTime::Read(time) = split { Some(*time) } else { None });
        times.min().map_or(current, |least| current.max(least - delay))
    }

    proptest! {
        #[test]
        fn is_the_least_of_what_is_read_and_never_falls(
            steps in prop::collection::vec((prop::collection::vec(split(), 0..4), any::<bool>()), 1..20),
            delay in 0..30i64,
        ) {
            let mut watermark = Watermark::new(delay, BEGINNING);
            let mut expected = BEGINNING;
            for (splits, no_more) in steps {
                let before = watermark.current();
                expected = model(&splits, no_more, delay, expected);
                prop_assert_eq!(watermark.advance(splits, no_more), expected);
                prop_assert!(watermark.current() >= before);
            }
        }
    }

    #[test]
    fn follows_the_slowest_stage_before() {
        let mut watermark = Watermark::new(5, BEGINNING);
        assert_eq!(watermark.follow([]), BEGINNING);
        assert_eq!(watermark.follow([30, 20]), 15);
        assert_eq!(watermark.follow([10, NEVER]), 15);
        assert_eq!(watermark.follow([NEVER, NEVER]), NEVER);
    }
}
