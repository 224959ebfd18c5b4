//! The values of one group, each with how often it is there.

use wasmill_plugin::prelude::*;

/// The bits of the mantissa of a double that are stored.
const MANTISSA_BITS: u32 = 52;

/// Below so many values that came one by one, they are not sorted before they are asked for.
const FEW: usize = 32;

/// The values of one group. All are finite, and none is -0.0.
///
/// A list that is sorted when it has doubled is smaller than a hash table of the values, and filled quicker.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// Values with how often each came. The first ones are different and in their order, the others as they came.
    counted: Vec<(f64, i64)>,
    /// How many those first ones are.
    sorted: usize,
    total: i64,
}

impl Values {
    /// Adds a finite value.
    ///
    /// # Errors
    /// There are more values than can be counted.
    pub fn add(&mut self, value: f64, times: i64) -> Result<(), Refusal> {
        let total = self.total.checked_add(times).ok_or_else(|| Refusal::new("a key has more than 2^63 values, which no count holds"))?;
        self.total = total;
        self.counted.push((value + 0.0, times));
        if self.counted.len() - self.sorted > self.sorted.max(FEW) {
            self.sort();
        }
        Ok(())
    }

    /// Brings all values into their order, each once.
    fn sort(&mut self) {
        // Stable, because that sort takes parts that are in order as they are: states are.
        self.counted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        self.counted.dedup_by(|(value, times), (kept, kept_times)| {
            let is_same = value == kept;
            if is_same {
                // No more than the total, which was counted.
                *kept_times += *times;
            }
            is_same
        });
        self.sorted = self.counted.len();
    }

    /// The values in their order.
    pub fn into_sorted(mut self) -> Vec<(f64, i64)> {
        self.sort();
        self.counted
    }
}

/// Values in their order, each with the number of values up to it.
#[derive(Debug)]
pub(crate) struct Ranked {
    values: Vec<f64>,
    up_to: Vec<i64>,
}

impl Ranked {
    pub fn new(values: Values) -> Self {
        let (mut sorted, mut up_to, mut total) = (Vec::new(), Vec::new(), 0);
        for (value, count) in values.into_sorted() {
            total += count;
            sorted.push(value);
            up_to.push(total);
        }
        Self { values: sorted, up_to }
    }

    /// The quantile by linear interpolation between ranks: type 7 of Hyndman and Fan (1996), `percentile_cont` of SQL. `None`: no values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = *self.up_to.last()? - 1;
        let rank = last as f64 * q;
        // Beyond 2^53 values a rank is itself rounded, and could be the one after the last.
        let below = (rank.floor() as i64).min(last);
        let (low, high) = (self.at(below)?, self.at(below.saturating_add(1)));
        Some(high.map_or(low, |high| between(low, high, rank - below as f64)))
    }

    /// The value of a rank, from 0.
    fn at(&self, rank: i64) -> Option<f64> {
        self.values.get(self.up_to.partition_point(|up_to| *up_to <= rank)).copied()
    }
}

/// What lies between two values. It is never beyond them, and never infinite.
fn between(low: f64, high: f64, part: f64) -> f64 {
    let distance = high - low;
    let value = if distance.is_finite() { low + part * distance } else { low * (1.0 - part) + high * part };
    value.clamp(low, high)
}

/// The number of so many significant bits that is nearest to a finite value; of two the greater in size.
pub(crate) fn rounded(value: f64, significant_bits: u32) -> f64 {
    // The first bit is not stored.
    let dropped = MANTISSA_BITS + 1 - significant_bits;
    let mask = !((1_u64 << dropped) - 1);
    let bits = value.to_bits();
    // A carry out of the mantissa raises the exponent, which is right: the bits of doubles are in the order of their sizes.
    let nearest = f64::from_bits((bits + (1_u64 << (dropped - 1))) & mask);
    if nearest.is_finite() { nearest } else { f64::from_bits(bits & mask) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_integers_and_extremes_are_rounded_as_they_should() {
        for exact in [0.0, 1.0, -1.0, 255.0, 256.0, -0.5, 1e3 / 8.0, f64::MIN_POSITIVE] {
            assert_eq!(rounded(exact, 8), exact);
        }
        assert_eq!((rounded(257.0, 8), rounded(-259.0, 8), rounded(1023.0, 8)), (258.0, -260.0, 1024.0));
        assert!(rounded(f64::MAX, 2).is_finite() && rounded(f64::MIN, 24).is_finite());
        assert_eq!(rounded(5e-324, 8), 0.0);
    }

    proptest! {
        #[test]
        fn rounding_is_within_its_error_and_keeps_the_order(
            one in proptest::num::f64::NORMAL, other in proptest::num::f64::NORMAL, bits in 2_u32..=24,
        ) {
            let error = (rounded(one, bits) / one - 1.0).abs();
            prop_assert!(error <= (0.5_f64).powi(bits as i32) * 1.000_001 || one.abs() > 1e308, "{one} {bits}: {error}");
            prop_assert_eq!(rounded(rounded(one, bits), bits), rounded(one, bits));
            if one <= other {
                prop_assert!(rounded(one, bits) <= rounded(other, bits));
            }
        }

        #[test]
        fn quantiles_are_those_of_a_sorted_list(values in proptest::collection::vec(-20_i32..20, 1..40), q in 0.0..=1.0) {
            let mut counted = Values::default();
            values.iter().for_each(|value| counted.add(f64::from(*value), 1).unwrap());
            let mut sorted = values;
            sorted.sort_unstable();
            let rank: f64 = (sorted.len() - 1) as f64 * q;
            let (low, high) = (f64::from(sorted[rank.floor() as usize]), f64::from(sorted[rank.ceil() as usize]));
            let expected = low + (high - low) * rank.fract();
            let found = Ranked::new(counted).quantile(q).unwrap();
            prop_assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn values_that_come_again_and_again_are_held_once() {
        let mut values = Values::default();
        (0..10_000).for_each(|number| values.add(f64::from(number % 7) - 3.0, 2).unwrap());
        assert!(values.counted.capacity() < 256, "{}", values.counted.capacity());
        let sorted = values.into_sorted();
        assert_eq!(sorted.iter().map(|(value, _)| *value).collect::<Vec<_>>(), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(sorted.iter().map(|(_, times)| times).sum::<i64>(), 20_000);
    }

    #[test]
    fn nothing_between_two_values_is_beyond_them() {
        assert_eq!(between(f64::MIN, f64::MAX, 0.5), 0.0);
        assert_eq!(between(0.1, 0.1, 0.7), 0.1);
        assert_eq!(between(1.0, 1.0 + f64::EPSILON, 1.0), 1.0 + f64::EPSILON);
    }

    #[test]
    fn too_many_values_to_count_are_refused() {
        let mut values = Values::default();
        values.add(1.0, i64::MAX).unwrap();
        assert!(values.add(2.0, 1).is_err());
        assert_eq!(Ranked::new(values).quantile(1.0), Some(1.0));
    }
}
