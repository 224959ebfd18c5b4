//! The most frequent values against a count of all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use mode::Mode;
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmill_plugin::testing;

fn counted(values: &[Option<i64>], k: usize, keep: bool) -> Vec<Value> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for value in values.iter().flatten() {
        *counts.entry(*value).or_default() += 1;
    }
    let mut all: Vec<(i64, i64)> = counts.into_iter().collect();
    // A stable sort: values of one count stay in their order.
    all.sort_by_key(|(_, count)| -count);
    let last = all.get(k - 1).map_or(0, |(_, count)| *count);
    let kept = all.iter().enumerate().filter(|(place, (_, count))| *place < k || (keep && *count == last));
    kept.map(|(_, (value, count))| json!({ "value": value, "count": count })).collect()
}

proptest! {
    #[test]
    fn they_are_the_first_of_all_by_count(
        values in proptest::collection::vec(proptest::option::weighted(0.9, -4_i64..4), 1..60),
        k in 1_usize..6,
        keep: bool,
    ) {
        let config = json!({ "value": { "name": "value", "type": "int64" }, "k": k, "ties": if keep { "keep" } else { "break" } });
        let rows: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
        let found = testing::aggregate::<Mode>(&config, &rows, &vec![0; rows.len()]).unwrap();
        prop_assert_eq!(found.rows(), counted(&values, k, keep));
    }
}
