//! What a row costs in an aggregate, in nanoseconds of one core: `cargo run --release -p wasmill-sql --example aggregate_bench [million rows]`.
//!
//! `update` is a call over batches of 8,192 rows whose groups are known, chosen at random among 100 and 100,000. `merge` is the state of one
//! accumulator merged into another, and `finish` its results: both per row of the input. Two million rows by default.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray};
use wasmill_keyed::Aggregate;
use wasmill_sql::{Aggregates, ParsedAggregate};

const BATCH: usize = 8_192;

const CALLS: [&str; 22] = [
    "count(*)",
    "count(a)",
    "sum(a)",
    "sum(n)",
    "sum(f)",
    "sum(d)",
    "avg(a)",
    "min(a)",
    "max(f)",
    "max(t)",
    "max_by(t, a)",
    "stddev(f)",
    "corr(f, g)",
    "sum(a * b)",
    "sum(a) FILTER (WHERE b > 0)",
    "sum(a) / count(*)",
    "count(DISTINCT b)",
    "count(DISTINCT a)",
    "approx_distinct(a)",
    "median(a)",
    "array_agg(t)",
    "mode(b)",
];

/// The time that this thread has been on a core.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts time");
    text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()).expect("a number of nanoseconds")
}

/// Batches: `a` large integers, `b` small ones, `n` with a null in ten, `f` and `g` floats, `d` decimals, `t` texts.
fn batches(rows: usize) -> Vec<RecordBatch> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut batch = |rows: usize| {
        let numbers: Vec<i64> = (0..rows).map(|_| random.i64(-1 << 40..1 << 40)).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("b", Arc::new(numbers.iter().map(|a| Some(a % 100)).collect::<Int64Array>())),
            ("n", Arc::new(numbers.iter().map(|a| (a % 10 != 0).then_some(*a)).collect::<Int64Array>())),
            ("f", Arc::new(numbers.iter().map(|a| Some(*a as f64 / 3.0)).collect::<Float64Array>())),
            ("g", Arc::new(numbers.iter().map(|a| Some((a % 1_000) as f64)).collect::<Float64Array>())),
            ("d", Arc::new(numbers.iter().map(|a| Some(i128::from(*a))).collect::<Decimal128Array>())),
            ("t", Arc::new(numbers.iter().map(|a| Some(format!("https://x/{}", a % 10_000))).collect::<StringArray>())),
            ("a", Arc::new(Int64Array::from(numbers))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    (0..rows).step_by(BATCH).map(|first| batch(BATCH.min(rows - first))).collect()
}

fn measure(call: &str, batches: &[RecordBatch], count: u32) {
    let schema = batches[0].schema();
    let plan = Aggregates::new(&[("v".to_owned(), ParsedAggregate::new(call).unwrap())], &schema).unwrap();
    let mut random = fastrand::Rng::with_seed(9);
    let groups: Vec<Vec<u32>> = batches.iter().map(|batch| (0..batch.num_rows()).map(|_| random.u32(..count)).collect()).collect();
    let batches: Vec<RecordBatch> = batches.iter().map(|batch| batch.project(plan.columns()).unwrap()).collect();
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>() as f64;
    let mut accumulator = plan.open(0).unwrap();
    let start = cpu();
    for (batch, groups) in batches.iter().zip(&groups) {
        assert!(accumulator.update(batch, groups, count).unwrap().is_empty());
    }
    let update = (cpu() - start) / rows;
    let held = accumulator.memory_bytes() as f64 / rows;
    let start = cpu();
    let state = accumulator.take_state().unwrap();
    let of_rows = state.groups.unwrap_or_else(|| (0..count).collect());
    accumulator.merge(&state.records, &of_rows, count).unwrap();
    let merge = (cpu() - start) / rows;
    let start = cpu();
    assert_eq!(accumulator.finish().unwrap().records.num_rows(), count as usize);
    let finish = (cpu() - start) / rows;
    println!("{call:<30}{count:>8} {update:>8.1} {merge:>8.1} {finish:>8.1} {held:>8.1}");
}

fn main() {
    let millions: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let batches = batches(millions * 1_000_000);
    println!("{:<30}{:>8} {:>8} {:>8} {:>8} {:>8}", "call", "groups", "update", "merge", "finish", "B/row");
    for call in CALLS {
        [100, 100_000].into_iter().for_each(|count| measure(call, &batches, count));
    }
}
