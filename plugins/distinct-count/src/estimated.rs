//! Estimated counts: a HyperLogLog sketch for each group.

use std::sync::Arc;

use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use typed_column::Numbers;
use wasmill_plugin::arrow::array::builder::BinaryBuilder;
use wasmill_plugin::prelude::*;

use crate::hashed::Hashed;

/// The sketches of all groups.
///
/// Every sketch is a union, so that rows and other sketches can be added to it. Its registers, and so its estimate, don't depend on the order
/// of what is added.
pub(crate) struct Estimated {
    /// The number of registers is 2 to the power of it.
    precision: u8,
    /// `None`: the group has no values.
    groups: Vec<Option<HllUnion>>,
}

impl Estimated {
    pub fn new(precision: u8) -> Self {
        Self { precision, groups: Vec::new() }
    }

    pub fn grow(&mut self, count: usize) {
        self.groups.resize_with(self.groups.len().max(count), || None);
    }

    pub fn add(&mut self, values: &Numbers, groups: &Groups<'_>) -> Result<(), Refusal> {
        let hashed = Hashed::of(values.values())?;
        for (row, group) in groups.of_rows().enumerate().filter(|(row, _)| values.counts(*row)) {
            let sketch = self.sketch(group)?;
            hashed.with_bytes(row, |bytes| sketch.update_value(raw_bytes::from_slice(bytes)));
        }
        Ok(())
    }

    pub fn merge(&mut self, group: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let other = HllSketch::deserialize(bytes).map_err(|error| Refusal::new(format!("the state is no HyperLogLog sketch: {error}")))?;
        if other.lg_config_k() != self.precision {
            let message = format!("the state has the precision {}, and the configuration has {}", other.lg_config_k(), self.precision);
            return Err(Refusal::new(message).at_config("/precision"));
        }
        self.sketch(group)?.update(&other);
        Ok(())
    }

    /// A row for each group that has values.
    pub fn take_state(&mut self) -> GroupedRows {
        let (mut groups, mut sketches) = (Vec::new(), BinaryBuilder::new());
        for (group, sketch) in std::mem::take(&mut self.groups).into_iter().enumerate() {
            if let Some(sketch) = sketch {
                groups.push(group as u32);
                sketches.append_value(sketch.to_sketch(HllType::Hll8).serialize());
            }
        }
        GroupedRows::of(groups, vec![Arc::new(sketches.finish())])
    }

    pub fn counts(&mut self) -> Int64Array {
        // The other estimator of the library depends on the order of the rows.
        let estimate = |sketch: &Option<HllUnion>| sketch.as_ref().map_or(0, |sketch| sketch.composite_estimate().round() as i64);
        std::mem::take(&mut self.groups).iter().map(|sketch| Some(estimate(sketch))).collect()
    }

    fn sketch(&mut self, group: usize) -> Result<&mut HllUnion, Refusal> {
        let own = &mut self.groups[group];
        match own {
            Some(sketch) => Ok(sketch),
            None => {
                let sketch = HllUnion::new(self.precision).map_err(|error| Refusal::new(error.to_string()).at_config("/precision"))?;
                Ok(own.insert(sketch))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: &[u32]) -> HllUnion {
        let mut sketch = HllUnion::new(10).unwrap();
        values.iter().for_each(|value| sketch.update_value(raw_bytes::from_slice(&value.to_le_bytes())));
        sketch
    }

    #[test]
    fn no_cut_order_or_merge_changes_an_estimate() {
        let mut random = fastrand::Rng::with_seed(7);
        for count in [1, 7, 9, 40, 90, 100, 300, 2_000, 30_000] {
            let mut values: Vec<u32> = (0..count).map(|_| random.u32(..count * 2)).collect();
            let expected = sketch(&values).composite_estimate();
            for _ in 0..10 {
                random.shuffle(&mut values);
                let mut merged = Estimated::new(10);
                merged.grow(1);
                let mut rest = values.as_slice();
                while !rest.is_empty() {
                    let (part, more) = rest.split_at(random.usize(1..=rest.len()));
                    merged.merge(0, &sketch(part).to_sketch(HllType::Hll8).serialize()).unwrap();
                    rest = more;
                }
                let found = merged.groups[0].as_ref().unwrap().composite_estimate();
                assert_eq!(found.to_bits(), expected.to_bits(), "{count} values: {found} {expected}");
            }
        }
    }

    /// Stored states are merged with those of later releases: the format and the hash must stay.
    const STATE_OF_THREE: [u8; 20] = [2, 1, 7, 10, 3, 8, 3, 8, 187, 56, 85, 5, 14, 147, 207, 6, 87, 37, 62, 9];

    #[test]
    fn a_state_is_the_same_in_every_release() {
        let state = sketch(&[1, 2, 3]).to_sketch(HllType::Hll8).serialize();
        assert_eq!(state, STATE_OF_THREE);
    }

    #[test]
    fn what_is_no_sketch_is_refused() {
        let mut estimated = Estimated::new(12);
        estimated.grow(1);
        assert!(estimated.merge(0, b"no sketch").is_err());
        let other = sketch(&[1]).to_sketch(HllType::Hll8).serialize();
        assert!(estimated.merge(0, &other).unwrap_err().message().contains("precision 10"));
    }
}
