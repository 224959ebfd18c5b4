//! What a row costs in a keyed stage, in nanoseconds of one core: `cargo run --release -p wasmill-keyed --example keyed_bench [million rows]`.
//!
//! For each kind and number of keys: `encode` is the keys as bytes; `intern` their groups (with the encoding, where the table needs it); `update` the
//! accumulator; `collect` all of it as a stage does it, in batches of 8,192 rows; `seal` the sorted run; `emit` the merge and the results. Epochs
//! have two million rows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use support::accumulators::CountSumMean;
use support::store::MemoryStore;
use wasmill_keyed::groups::{Groups, Panes};
use wasmill_keyed::key::Keys;
use wasmill_keyed::operator::{AggregateSpec, AggregateStage, Collector, Emit, EmitInput, Emitter, Limits};
use wasmill_keyed::windows::{BEGINNING, NEVER, Windows};
use wasmill_keyed::{Accumulator, Aggregate};

const BATCH: usize = 8_192;
const EPOCH: usize = 2_000_000;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Int64,
    Text,
    IntAndText,
}

/// The time that this thread has been on a core.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts time");
    text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse().ok()).expect("a number of nanoseconds")
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("user", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Int64, true),
    ]))
}

/// One epoch of rows: keys at random, an hour of times, mostly increasing.
fn batches(keys: u64) -> Vec<RecordBatch> {
    let mut random = fastrand::Rng::with_seed(11);
    (0..EPOCH)
        .step_by(BATCH)
        .map(|first| {
            let rows = BATCH.min(EPOCH - first);
            let users: Vec<i64> = (0..rows).map(|_| random.u64(..keys).wrapping_mul(0x9e37_79b9) as i64).collect();
            let times: TimestampMicrosecondArray =
                (0..rows).map(|row| Some(((first + row) * 1_800 + random.usize(..5_000_000)) as i64)).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(times),
                Arc::new(Int64Array::from(users.clone())),
                Arc::new(users.iter().map(|user| Some(format!("user-{user}"))).collect::<StringArray>()),
                Arc::new((0..rows).map(|_| Some(random.i64(0..1_000))).collect::<Int64Array>()),
            ];
            RecordBatch::try_new(schema(), columns).unwrap()
        })
        .collect()
}

fn key_columns(kind: Kind) -> Vec<usize> {
    match kind {
        Kind::Int64 => vec![1],
        Kind::Text => vec![2],
        Kind::IntAndText => vec![1, 2],
    }
}

fn stage(kind: Kind, windows: Windows) -> Arc<AggregateStage> {
    let aggregate = Arc::new(CountSumMean::default());
    let spec = AggregateSpec { keys: key_columns(kind), values: vec![3], event_time: Some(0), windows, emit: Emit::AtClose, aggregate };
    Arc::new(AggregateStage::new(&schema(), spec).unwrap())
}

fn measure(kind: Kind, keys: u64, minutes: Option<i64>, epochs: usize) {
    let windows = minutes.map_or(Windows::none(), |minutes| Windows::tumbling(minutes * 60_000_000).unwrap());
    let stage = stage(kind, windows);
    let batches = batches(keys);
    let columns = |batch: &RecordBatch| key_columns(kind).iter().map(|&column| Arc::clone(batch.column(column))).collect::<Vec<_>>();
    let rows = (epochs * EPOCH) as f64;
    let [mut encode, mut intern, mut update, mut collect, mut seal, mut emit] = [0.0; 6];
    let (mut bytes, mut results, mut groups_now) = (0, 0, 0);
    for _ in 0..epochs {
        let mut encoded = Keys::default();
        let start = cpu();
        for batch in &batches {
            stage.codec().encode(&columns(batch), batch.num_rows(), &mut encoded).unwrap();
        }
        encode += cpu() - start;

        let mut table = Groups::new(stage.codec().clone());
        let mut of: Vec<Vec<u32>> = batches.iter().map(|_| Vec::with_capacity(BATCH)).collect();
        let start = cpu();
        for (batch, of) in batches.iter().zip(&mut of) {
            table.intern(&columns(batch), batch.num_rows(), Panes::One(0), of).unwrap();
        }
        intern += cpu() - start;
        bytes = table.memory_bytes();

        let mut accumulator: Box<dyn Accumulator> = CountSumMean::default().open(0).unwrap();
        let start = cpu();
        for (batch, of) in batches.iter().zip(&of) {
            accumulator.update(&batch.project(&[3]).unwrap(), of, table.count()).unwrap();
        }
        update += cpu() - start;
        drop((table, accumulator, of));

        let store = Arc::new(MemoryStore::default());
        let limits = Limits { memory_bytes: usize::MAX, run_memory_bytes: usize::MAX };
        let mut collector = Collector::new(Arc::clone(&stage), 0, limits, store.clone()).unwrap();
        let start = cpu();
        for batch in &batches {
            collector.collect(batch).unwrap();
        }
        collect += cpu() - start;
        let start = cpu();
        let new = collector.seal().unwrap();
        seal += cpu() - start;
        groups_now = new[0].entries();

        let mut emitter = Emitter::new(Arc::clone(&stage), 0, 0..256, usize::MAX, store);
        let start = cpu();
        let input = EmitInput { state: &[], new: &new, before: BEGINNING, now: NEVER };
        results = emitter.emit(input, &mut |_| Ok(())).unwrap().rows;
        emit += cpu() - start;
    }
    assert_eq!(results, groups_now);
    let [encode, intern, update, collect, seal, emit] = [encode, intern, update, collect, seal, emit].map(|time| time / rows);
    // The table that was measured alone knows no windows.
    let (window, bytes_per_group) = match minutes {
        Some(minutes) => (format!("{minutes}m"), "-".to_owned()),
        None => ("-".to_owned(), (bytes / groups_now.max(1) as usize).to_string()),
    };
    let (kind, total) = (format!("{kind:?}"), collect + seal + emit);
    println!(
        "{kind:<11}{keys:>9}{window:>5}{groups_now:>10} {encode:>7.1} {intern:>7.1} {update:>7.1} {collect:>8.1} {seal:>7.1} {emit:>7.1} {total:>8.1} \
         {bytes_per_group:>8}"
    );
}

fn main() {
    let millions: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10);
    let epochs = (millions * 1_000_000).div_ceil(EPOCH);
    println!(
        "{:<11}{:>9}{:>5}{:>10} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>8} {:>8}",
        "key", "keys", "win", "groups", "encode", "intern", "update", "collect", "seal", "emit", "total", "B/group"
    );
    for kind in [Kind::Int64, Kind::Text, Kind::IntAndText] {
        for keys in [100, 100_000, 1_000_000] {
            measure(kind, keys, None, epochs);
        }
    }
    for keys in [100, 10_000, 100_000] {
        measure(Kind::Int64, keys, Some(5), epochs);
    }
    measure(Kind::Text, 10_000, Some(5), epochs);
}
