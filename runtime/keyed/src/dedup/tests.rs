//! Duplicates against a model that keeps every row for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::key::owned;
use crate::operator::Limits;
use crate::run::tests::MemoryStore;
use crate::run::{Run, RunWriter};
use crate::windows::{BEGINNING, NEVER};
use crate::{Aggregate, Compaction, compact};

/// Time, key, number of the partition; the position is its place in the list of all rows, so that every row is known by it.
type Row = (i64, Option<i64>, u8);
type Epoch = (Vec<Row>, i64);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("key", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]))
}

fn batch(rows: &[(u64, Row)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0 as i64)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1.0)).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.1.1).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(format!("row {}", row.0))).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

#[derive(Debug, Clone)]
struct Way {
    lanes: usize,
    batch: usize,
    spill: bool,
    compaction: bool,
    seed: u64,
}

/// The ids of the rows that went on in each epoch, sorted; how many were duplicates, and how many late.
type Outcome = (Vec<Vec<i64>>, u64, u64);

fn numbered(epochs: &[Epoch]) -> Vec<(Vec<(u64, Row)>, i64)> {
    let mut id = 0..;
    epochs.iter().map(|(rows, step)| (rows.iter().map(|row| (id.next().unwrap(), *row)).collect(), *step)).collect()
}

fn watermark(before: i64, step: i64) -> i64 {
    if step == NEVER { NEVER } else { before.max(-100) + step }
}

fn run(within: Option<i64>, epochs: &[Epoch], way: &Way) -> Outcome {
    let spec = DedupSpec { keys: vec![2], event_time: Some(1), within };
    let stage = Arc::new(DedupStage::new(schema(), spec).unwrap());
    let files = MemoryStore::default();
    let memory = if way.spill { 0 } else { usize::MAX };
    let limits = Limits { memory_bytes: memory, run_memory_bytes: memory };
    let mut random = fastrand::Rng::with_seed(way.seed);
    let collector = |_| DedupCollector::new(Arc::clone(&stage), limits, Arc::new(files.clone()));
    let mut collectors: Vec<DedupCollector> = (0..way.lanes).map(collector).collect();
    let (mut state, mut outcome, mut before): (Vec<Arc<Run>>, Outcome, i64) = (Vec::new(), (Vec::new(), 0, 0), BEGINNING);
    for (rows, step) in numbered(epochs) {
        let now = watermark(before, step);
        collectors.iter_mut().for_each(|collector| collector.begin(before));
        for partition in 0..3 {
            let mut rows: Vec<(u64, Row)> = rows.iter().copied().filter(|row| row.1.2 == partition).collect();
            random.shuffle(&mut rows);
            for rows in rows.chunks(way.batch) {
                let positions: Vec<u64> = rows.iter().map(|row| row.0).collect();
                let origin = Origin { partition: &format!("p{partition}"), positions: &positions };
                let collected = collectors[random.usize(..way.lanes)].collect(&batch(rows), origin).unwrap();
                assert!(collected.rejects.is_empty());
                assert_eq!(collected.greatest_time, rows.iter().map(|row| row.1.0).max());
                outcome.2 += collected.late.len() as u64;
            }
        }
        let new: Vec<Arc<CollectedRows>> = collectors.iter_mut().map(|collector| Arc::new(collector.seal().unwrap())).collect();
        let (mut ids, mut next) = (Vec::new(), None);
        for lane in 0..way.lanes {
            let mut emitter = DedupEmitter::new(Arc::clone(&stage), owned(lane, way.lanes), memory, Arc::new(files.clone()));
            let mut into = |rows: RecordBatch| {
                assert_eq!(rows.schema(), schema());
                let (id, texts) = (rows.column(0).as_primitive::<Int64Type>(), rows.column(3).as_string::<i32>());
                assert!((0..rows.num_rows()).all(|row| texts.value(row) == format!("row {}", id.value(row))), "rows stay whole");
                ids.extend(id.values().iter().copied());
                Ok(())
            };
            let done = emitter.emit(DedupInput { state: &state, new: &new, now }, &mut into).unwrap();
            outcome.1 += done.duplicates;
            next.get_or_insert(done.kept).extend(done.added);
        }
        ids.sort_unstable();
        outcome.0.push(ids);
        state = next.unwrap_or_default();
        if way.compaction && state.len() > 1 {
            let what = Compaction { key_groups: 0..256, first_end: BEGINNING };
            let into = RunWriter::in_memory(EmittedTimes.state_schema());
            let compacted = compact(&EmittedTimes, 0, &state[..2], &what, into).unwrap();
            state.splice(..2, [Arc::new(compacted)]);
        }
        before = now;
    }
    outcome
}

/// The rule by its words, over all rows that ever went on.
fn naive(within: Option<i64>, epochs: &[Epoch]) -> Outcome {
    let mut gone: BTreeMap<Option<i64>, Vec<i64>> = BTreeMap::new();
    let (mut outcome, mut before): (Outcome, i64) = ((Vec::new(), 0, 0), BEGINNING);
    for (mut rows, step) in numbered(epochs) {
        rows.sort_by_key(|&(id, (time, _, partition))| (time, partition, id));
        let mut ids = Vec::new();
        for (id, (time, key, _)) in rows {
            let gone = gone.entry(key).or_default();
            if within.is_some_and(|within| time + within <= before) || within.is_none() && before == NEVER {
                outcome.2 += 1;
            } else if gone.iter().any(|other| within.is_none_or(|within| (time - other).abs() < within)) {
                outcome.1 += 1;
            } else {
                gone.push(time);
                ids.push(id as i64);
            }
        }
        ids.sort_unstable();
        outcome.0.push(ids);
        before = watermark(before, step);
    }
    outcome
}

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let row = (-60..150i64, prop::option::weighted(0.9, 0..4i64), 0..3u8);
    let epochs = prop::collection::vec((prop::collection::vec(row, 0..25), 0..60i64), 1..8);
    (epochs, any::<bool>()).prop_map(|(mut epochs, ends)| {
        if let (true, Some(last)) = (ends, epochs.last_mut()) {
            last.1 = NEVER;
        }
        epochs
    })
}

fn way() -> impl Strategy<Value = Way> {
    (1..=4usize, prop_oneof![Just(1_usize), Just(7), Just(1_000)], any::<bool>(), any::<bool>(), any::<u64>())
        .prop_map(|(lanes, batch, spill, compaction, seed)| Way { lanes, batch, spill, compaction, seed })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_way_lets_the_same_rows_through(
        within in prop::option::weighted(0.8, 1..40i64),
        epochs in epochs(),
        ways in prop::collection::vec(way(), 2),
    ) {
        let expected = naive(within, &epochs);
        for way in ways {
            prop_assert_eq!(&run(within, &epochs, &way), &expected, "{:?}", way);
        }
    }
}

#[test]
fn rows_without_a_time_are_refused_where_time_counts() {
    let stage = Arc::new(DedupStage::new(schema(), DedupSpec { keys: vec![2], event_time: Some(1), within: Some(5) }).unwrap());
    let limits = Limits { memory_bytes: usize::MAX, run_memory_bytes: usize::MAX };
    let mut collector = DedupCollector::new(stage, limits, Arc::new(MemoryStore::default()));
    let rows = batch(&[(0, (3, None, 0)), (1, (4, None, 0))]);
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![None, Some(i64::MAX)]));
    let columns = vec![rows.column(0).clone(), times, rows.column(2).clone(), rows.column(3).clone()];
    let rows = RecordBatch::try_new(schema(), columns).unwrap();
    let collected = collector.collect(&rows, Origin { partition: "p", positions: &[0, 1] }).unwrap();
    let codes: Vec<&str> = collected.rejects.iter().map(|reject| reject.code.as_str()).collect();
    assert_eq!((codes, collected.greatest_time), (vec!["no-event-time", "event-time-out-of-range"], None));
    assert!(collector.collect(&rows, Origin { partition: "p", positions: &[0] }).is_err());
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let kind = |spec: DedupSpec| DedupStage::new(schema(), spec).err().and_then(|error| error.kind().map(|code| code.name));
    assert_eq!(kind(DedupSpec { keys: vec![2], event_time: None, within: Some(5) }), Some("keyed/event-time-type"));
    assert_eq!(kind(DedupSpec { keys: vec![2], event_time: Some(3), within: None }), Some("keyed/event-time-type"));
    assert_eq!(kind(DedupSpec { keys: vec![2], event_time: Some(1), within: Some(0) }), Some("keyed/window"));
}
