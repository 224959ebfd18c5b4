//! Which rows of a table are played back, and how long to wait in between: a pure function of the seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::random::{Random, Stream};

/// One step: a row of each table is sent, and then there is a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The number of the row, from 0.
    pub row: u64,
    /// How long to wait after it.
    pub pause: Duration,
}

/// Steps without end. The same seed, count and pauses give the same steps in every run and on every
/// machine.
#[derive(Debug, Clone)]
pub struct Steps {
    seed: u64,
    count: u64,
    pauses: RangeInclusive<Duration>,
    number: u64,
}

impl Steps {
    /// Rows with numbers below `count`, which is more than 0; pauses between the two, all equally likely.
    pub fn new(seed: u64, count: u64, pauses: RangeInclusive<Duration>) -> Self {
        Self { seed, count, pauses, number: 0 }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let mut random = Random::new(self.seed, Stream::Steps, self.number);
        self.number += 1;
        let row = random.below(usize::try_from(self.count).unwrap_or(usize::MAX)) as u64;
        let (least, most) = (*self.pauses.start(), *self.pauses.end());
        let pause = least + most.saturating_sub(least).mul_f64(random.unit());
        Some(Step { row, pause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_steps() {
        let pauses = Duration::ZERO..=Duration::from_secs(2);
        let take = |seed| Steps::new(seed, 11_000, pauses.clone()).take(1_000).collect::<Vec<_>>();
        assert_eq!(take(100), take(100));
        assert_ne!(take(100), take(101));
        assert!(take(100).iter().all(|step| step.row < 11_000 && pauses.contains(&step.pause)));
        // Every part of the table comes up, and pauses of every length.
        let rows = take(100);
        assert!((0..10).all(|tenth| rows.iter().any(|step| step.row / 1_100 == tenth)));
        assert!(
            rows.iter().any(|step| step.pause < Duration::from_millis(200))
                && rows.iter().any(|step| step.pause > Duration::from_millis(1_800))
        );
    }

    #[test]
    fn the_rows_of_a_seed_stay_the_same_in_later_versions() {
        let rows: Vec<u64> = Steps::new(100, 11_000, Duration::ZERO..=Duration::ZERO).take(5).map(|step| step.row).collect();
        assert_eq!(rows, [642, 10252, 153, 3394, 8442]);
    }
}
