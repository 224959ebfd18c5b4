//! Counts against sets, and estimates against their error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use distinct_count::DistinctCount;
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmill_plugin::testing;

/// The standard error of an estimate from 2^precision registers (Flajolet et al. 2007), as a part of the count.
fn standard_error(precision: u8) -> f64 {
    1.04 / f64::from(1_u32 << precision).sqrt()
}

/// The counts of the first groups, which have the rows `group, group + groups, …`.
fn counts(config: &Value, values: &[Value], groups: u32) -> Vec<i64> {
    let rows: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
    let of_rows: Vec<u32> = (0..rows.len() as u32).map(|row| row % groups).collect();
    let found = testing::aggregate::<DistinctCount>(config, &rows, &of_rows).unwrap();
    found.rows().iter().map(|row| row["distinct_count"].as_i64().unwrap()).collect()
}

#[test]
fn estimates_are_within_their_error() {
    const GROUPS: u32 = 40;
    for (precision, distinct) in [(10, 400), (10, 2_000), (12, 1_500), (14, 1_000)] {
        let config = json!({ "approximate": true, "precision": precision });
        let values: Vec<Value> = (0..GROUPS * distinct).map(|value| json!(format!("user-{value}"))).collect();
        let errors: Vec<f64> = counts(&config, &values, GROUPS).iter().map(|count| *count as f64 / f64::from(distinct) - 1.0).collect();
        let mean_square = errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64;
        let worst = errors.iter().fold(0.0_f64, |worst, error| worst.max(error.abs()));
        let bound = standard_error(precision);
        assert!(mean_square.sqrt() < 1.3 * bound, "precision {precision}, {distinct} values: {} > {bound}", mean_square.sqrt());
        assert!(worst < 4.0 * bound, "precision {precision}, {distinct} values: {worst} > 4 * {bound}");
    }
}

proptest! {
    #[test]
    fn exact_counts_are_the_sizes_of_sets(values in proptest::collection::vec(proptest::option::of(-9_i64..9), 1..80)) {
        let config = json!({ "value": { "name": "value", "type": "int64" } });
        let distinct: BTreeSet<i64> = values.iter().flatten().copied().collect();
        let values: Vec<Value> = values.iter().map(|value| json!(value)).collect();
        prop_assert_eq!(counts(&config, &values, 1), vec![distinct.len() as i64]);
    }

    /// Up to some values an estimate is a list of their hashes.
    #[test]
    fn estimates_of_few_values_are_exact(values in proptest::collection::vec(".{0,6}", 1..30)) {
        let distinct: BTreeSet<&String> = values.iter().collect();
        let values: Vec<Value> = values.iter().map(|value| json!(value)).collect();
        prop_assert_eq!(counts(&json!({ "approximate": true }), &values, 1), vec![distinct.len() as i64]);
    }
}
