//! The first rows against a sort of all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};
use top_k::TopK;
use wasmill_plugin::testing;

type Row = (Option<i64>, Option<i64>);

fn sorted(rows: &[Row], k: usize, descending: bool, keep: bool) -> Vec<Value> {
    let mut all: Vec<(i64, Option<i64>)> = rows.iter().filter_map(|(value, along)| Some(((*value)?, *along))).collect();
    // Nulls last.
    all.sort_by_key(|(value, along)| (if descending { -value } else { *value }, along.is_none(), *along));
    let last = all.get(k - 1).map(|(value, _)| *value);
    let kept = all.iter().enumerate().filter(|(place, (value, _))| *place < k || (keep && Some(*value) == last));
    kept.map(|(_, (value, along))| json!({ "value": value, "along": along })).collect()
}

proptest! {
    #[test]
    fn they_are_the_first_of_all_rows(
        rows in proptest::collection::vec((proptest::option::weighted(0.9, -4_i64..4), proptest::option::of(-2_i64..2)), 1..60),
        k in 1_usize..12,
        descending: bool,
        keep: bool,
    ) {
        let config = json!({
            "value": { "name": "value", "type": "int64" },
            "columns": [{ "name": "along", "type": "int64" }],
            "k": k,
            "order": if descending { "desc" } else { "asc" },
            "ties": if keep { "keep" } else { "break" },
        });
        let input: Vec<Value> = rows.iter().map(|(value, along)| json!({ "value": value, "along": along })).collect();
        let found = testing::aggregate::<TopK>(&config, &input, &vec![0; rows.len()]).unwrap();
        prop_assert_eq!(found.rows(), sorted(&rows, k, descending, keep));
    }
}
