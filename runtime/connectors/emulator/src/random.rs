//! Repeatable randomness: the same seed, stream and row number give the same values on every machine and in every run.

/// A SplitMix64 sequence. It starts with a hash of its purpose, so any row can be generated without
/// those before it.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

/// Independent sequences for one and the same row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    /// Whether a row number repeats an earlier one.
    Repeats = 1,
    /// What is wrong with a row on the wire.
    Transport = 2,
    /// The texts and numbers of a pin.
    Pin = 3,
    /// The texts and numbers of a geo row.
    Geo = 4,
    /// The texts and numbers of a user row.
    User = 5,
    /// Name and followers of a poster.
    Poster = 6,
    /// Which row a step plays back, and how long it waits.
    Steps = 7,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Random {
    pub(super) fn new(seed: u64, stream: Stream, number: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)) ^ mix(number.wrapping_mul(GOLDEN).wrapping_add(stream as u64))))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from 0 to `bound - 1`; 0 if the bound is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number from 0 up to, but not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this share of the calls.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Any of the items; all are equally likely. `items` must not be empty.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    /// An index below `bound` that favours small ones: the first tenth comes up in half of the calls, as with names and countries.
    pub(super) fn skewed(&mut self, bound: usize) -> usize {
        let unit = self.unit();
        ((unit * unit * unit * bound as f64) as usize).min(bound.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_seed_stream_and_number_only() {
        let first = |seed, stream, number| Random::new(seed, stream, number).next();
        assert_eq!(first(1, Stream::Pin, 2), first(1, Stream::Pin, 2));
        let all = [first(1, Stream::Pin, 2), first(2, Stream::Pin, 2), first(1, Stream::Geo, 2), first(1, Stream::Pin, 3)];
        for (index, value) in all.iter().enumerate() {
            assert!(!all[..index].contains(value), "{all:?}");
        }
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut random = Random::new(7, Stream::Pin, 0);
        let mut counts = [0_u32; 10];
        (0..100_000).for_each(|_| counts[random.below(10)] += 1);
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }

    #[test]
    fn skewed_favours_the_front_and_reaches_the_end() {
        let mut random = Random::new(7, Stream::Pin, 0);
        let drawn: Vec<usize> = (0..10_000).map(|_| random.skewed(100)).collect();
        let front = drawn.iter().filter(|&&index| index < 10).count();
        assert!((4_000..5_500).contains(&front), "{front}");
        assert_eq!(drawn.iter().max(), Some(&99));
    }
}
