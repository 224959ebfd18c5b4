//! Maps and sets whose order depends on nothing but what is done with them.
//!
//! The order of `std::collections::HashMap` depends on how many maps an instance has created
//! before. That means on earlier batches, and so on how rows were cut into batches. Where such an
//! order reaches a row, a batch and a stream over the same rows differ. These are the same types
//! with fixed keys: two maps with the same insertions iterate in the same order, in every batch,
//! instance and run.
//!
//! ```
//! use wasmill_plugin::collections::{HashMap, HashSet};
//!
//! let mut counts: HashMap<&str, u32> = HashMap::default();
//! *counts.entry("art").or_default() += 1;
//! let words: HashSet<&str> = "a b a".split(' ').collect();
//! assert_eq!((counts["art"], words.len()), (1, 2));
//! ```
//!
//! `HashMap::new()` and `HashMap::from([…])` exist only for the standard library's hasher: write `HashMap::default()` and `collect()`.
//! Where the order itself matters, a `BTreeMap` is in the order of its keys.

/// Hashes with the same keys always. Such a hash protects from no one who chooses the keys, whichever it is; so it is a quick one, also on the 32 bits of
/// WebAssembly.
pub type FixedHasher = foldhash::fast::FixedState;

/// A [`std::collections::HashMap`] whose order does not depend on earlier batches.
pub type HashMap<K, V> = std::collections::HashMap<K, V, FixedHasher>;

/// A [`std::collections::HashSet`] whose order does not depend on earlier batches.
pub type HashSet<T> = std::collections::HashSet<T, FixedHasher>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_depend_on_what_was_made_before() {
        let order = || (0..100).map(|key| (key, ())).collect::<HashMap<u32, ()>>().into_keys().collect::<Vec<_>>();
        let set = || (0..100).collect::<HashSet<u32>>().into_iter().collect::<Vec<_>>();
        let (first, first_set) = (order(), set());
        assert!((0..20).all(|_| order() == first && set() == first_set));
        assert_eq!(first, first_set);
    }
}
