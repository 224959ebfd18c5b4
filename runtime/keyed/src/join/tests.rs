//! Joins against nested loops over all rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::TimeUnit;
use proptest::prelude::*;

use super::*;
use crate::key::owned;
use crate::operator::Limits;
use crate::run::tests::MemoryStore;
use crate::run::{Run, RunWriter};
use crate::windows::{BEGINNING, NEVER};
use crate::{Compaction, KeptRows, compact};

/// Time and the two columns of the key.
type Row = (i64, Option<i64>, Option<bool>);
/// Rows of the left and of the right side, and by how much the watermark moves.
type Epoch = (Vec<Row>, Vec<Row>, i64);
/// For each epoch the numbers of the rows of each pair, sorted; and how many rows were late.
type Outcome = (Vec<Vec<(Option<i64>, Option<i64>)>>, usize);

fn schema(side: Side) -> SchemaRef {
    let of = |name: &str, of: DataType, nullable| Field::new(name, of, nullable);
    let time = of("time", DataType::Timestamp(TimeUnit::Microsecond, None), false);
    let (number, text) = (of("number", DataType::Int64, true), of("text", DataType::Utf8, true));
    let id = of("id", DataType::Int64, false);
    Arc::new(Schema::new(match side {
        Side::Left => vec![id, time, number, text],
        Side::Right => vec![text, number, id, time],
    }))
}

fn batch(side: Side, rows: &[(i64, Row)]) -> RecordBatch {
    let id: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>());
    let time: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.1.0)).collect::<TimestampMicrosecondArray>());
    let number: ArrayRef = Arc::new(rows.iter().map(|row| row.1.1).collect::<Int64Array>());
    let text: ArrayRef = Arc::new(rows.iter().map(|row| row.1.2.map(|text| if text { "a" } else { "" })).collect::<StringArray>());
    RecordBatch::try_new(
        schema(side),
        match side {
            Side::Left => vec![id, time, number, text],
            Side::Right => vec![text, number, id, time],
        },
    )
    .unwrap()
}

fn stage(kind: JoinKind, within: Option<i64>) -> JoinStage {
    let left = SideSpec { input: schema(Side::Left), keys: vec![2, 3], event_time: Some(1) };
    let right = SideSpec { input: schema(Side::Right), keys: vec![1, 0], event_time: Some(3) };
    JoinStage::new(kind, within, left, right).unwrap()
}

#[derive(Debug, Clone)]
struct Way {
    lanes: usize,
    batch: usize,
    spill: bool,
    compaction: bool,
    seed: u64,
}

fn watermark(before: i64, step: i64) -> i64 {
    if step == NEVER { NEVER } else { before.max(-100) + step }
}

/// Numbers the rows of one side through all epochs.
fn numbered(epochs: &[Epoch], side: Side) -> Vec<Vec<(i64, Row)>> {
    let mut id = 0..;
    let of = |epoch: &Epoch| if side == Side::Left { epoch.0.clone() } else { epoch.1.clone() };
    epochs.iter().map(|epoch| of(epoch).into_iter().map(|row| (id.next().unwrap(), row)).collect()).collect()
}

fn run(kind: JoinKind, within: Option<i64>, epochs: &[Epoch], way: &Way) -> Outcome {
    let stage = Arc::new(stage(kind, within));
    let files = MemoryStore::default();
    let memory = if way.spill { 0 } else { usize::MAX };
    let limits = Limits { memory_bytes: memory, run_memory_bytes: memory };
    let mut random = fastrand::Rng::with_seed(way.seed);
    let sides = [Side::Left, Side::Right];
    let collector = |side| (0..way.lanes).map(|_| JoinCollector::new(Arc::clone(&stage), side, limits, Arc::new(files.clone()))).collect();
    let mut collectors: [Vec<JoinCollector>; 2] = sides.map(collector);
    let mut state: [Vec<Arc<Run>>; 2] = Default::default();
    let all = sides.map(|side| numbered(epochs, side));
    let (mut outcome, mut before): (Outcome, i64) = ((Vec::new(), 0), BEGINNING);
    for (number, epoch) in epochs.iter().enumerate() {
        let now = watermark(before, epoch.2);
        let mut new: [Vec<Arc<Run>>; 2] = Default::default();
        for (index, side) in sides.into_iter().enumerate() {
            collectors[index].iter_mut().for_each(|collector| collector.begin(before));
            let mut rows = all[index][number].clone();
            random.shuffle(&mut rows);
            for rows in rows.chunks(way.batch) {
                let collected = collectors[index][random.usize(..way.lanes)].collect(&batch(side, rows)).unwrap();
                assert!(collected.rejects.is_empty());
                outcome.1 += collected.late.len();
            }
            new[index] = collectors[index].iter_mut().flat_map(|collector| collector.seal().unwrap()).collect();
        }
        let (mut pairs, mut next) = (Vec::new(), None);
        for lane in 0..way.lanes {
            let mut emitter = JoinEmitter::new(Arc::clone(&stage), owned(lane, way.lanes));
            let mut into = |rows: RecordBatch| {
                assert_eq!(&rows.schema(), stage.output_schema());
                let id = |column: usize, row: usize| {
                    let ids = rows.column(column).as_primitive::<Int64Type>();
                    ids.is_valid(row).then(|| ids.value(row))
                };
                pairs.extend((0..rows.num_rows()).map(|row| (id(0, row), id(6, row))));
                Ok(())
            };
            let (left, right) = (SideRuns { state: &state[0], new: &new[0] }, SideRuns { state: &state[1], new: &new[1] });
            let joined = emitter.emit(JoinInput { left, right, before, now }, &mut into).unwrap();
            next = Some([joined.left, joined.right]);
        }
        pairs.sort_unstable();
        outcome.0.push(pairs);
        state = next.unwrap();
        for (runs, side) in state.iter_mut().zip(sides).filter(|(runs, _)| way.compaction && runs.len() > 1) {
            let schema = stage.row_schema(side);
            let what = Compaction { key_groups: 0..256, first_end: BEGINNING };
            let compacted =
                compact(&KeptRows::new(Arc::clone(schema)), 0, &runs[..2], &what, RunWriter::in_memory(Arc::clone(schema))).unwrap();
            runs.splice(..2, [Arc::new(compacted)]);
        }
        before = now;
    }
    assert!(before != NEVER || state.iter().all(Vec::is_empty), "at the end of time all state has expired");
    outcome
}

fn naive(kind: JoinKind, within: Option<i64>, epochs: &[Epoch]) -> Outcome {
    let (mut outcome, mut before): (Outcome, i64) = ((Vec::new(), 0), BEGINNING);
    let [left, right] = [Side::Left, Side::Right].map(|side| numbered(epochs, side));
    let mut all_left: Vec<(usize, i64, Row)> = Vec::new();
    let mut all_right = all_left.clone();
    for (number, epoch) in epochs.iter().enumerate() {
        let now = watermark(before, epoch.2);
        let is_late = |row: &Row| if within.is_some() { row.0 < before } else { before == NEVER };
        for (rows, all) in [(&left[number], &mut all_left), (&right[number], &mut all_right)] {
            for (id, row) in rows {
                if is_late(row) {
                    // Rows with a null key, which are dropped in an inner join, are late first.
                    outcome.1 += 1;
                } else {
                    all.push((number, *id, *row));
                }
            }
        }
        let matches = |a: &Row, b: &Row| {
            let keys = a.1.is_some() && a.2.is_some() && (a.1, a.2) == (b.1, b.2);
            keys && within.is_none_or(|within| (a.0 - b.0).abs() <= within)
        };
        let mut pairs = Vec::new();
        for (of_left, left_id, left) in &all_left {
            for (of_right, right_id, right) in &all_right {
                if *of_left.max(of_right) == number && matches(left, right) {
                    pairs.push((Some(*left_id), Some(*right_id)));
                }
            }
        }
        let is_over = |row: &Row, watermark: i64| within.map_or(watermark == NEVER, |within| row.0 + within < watermark);
        let leaves = |row: &Row| is_over(row, now) && !is_over(row, before);
        if kind != JoinKind::Inner {
            let alone = all_left.iter().filter(|(_, _, row)| leaves(row) && !all_right.iter().any(|(_, _, other)| matches(row, other)));
            pairs.extend(alone.map(|(_, id, _)| (Some(*id), None)));
        }
        if kind == JoinKind::Full {
            let alone = all_right.iter().filter(|(_, _, row)| leaves(row) && !all_left.iter().any(|(_, _, other)| matches(row, other)));
            pairs.extend(alone.map(|(_, id, _)| (None, Some(*id))));
        }
        pairs.sort_unstable();
        outcome.0.push(pairs);
        before = now;
    }
    outcome
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (-60..150i64, prop::option::weighted(0.9, 0..3i64), prop::option::weighted(0.9, any::<bool>()));
    prop::collection::vec(row, 0..20)
}

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    (prop::collection::vec((rows(), rows(), 0..60i64), 1..7), any::<bool>()).prop_map(|(mut epochs, ends)| {
        if let (true, Some(last)) = (ends, epochs.last_mut()) {
            last.2 = NEVER;
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
    fn every_way_gives_the_pairs_of_nested_loops(
        kind in prop_oneof![Just(JoinKind::Inner), Just(JoinKind::Left), Just(JoinKind::Full)],
        within in prop::option::weighted(0.8, 1..50i64),
        epochs in epochs(),
        ways in prop::collection::vec(way(), 2),
    ) {
        let expected = naive(kind, within, &epochs);
        for way in ways {
            prop_assert_eq!(&run(kind, within, &epochs, &way), &expected, "{:?}", way);
        }
    }
}

#[test]
fn keys_with_many_rows_come_in_batches() {
    let rows = |count: usize| -> Vec<Row> { (0..count).map(|_| (0, Some(1), Some(true))).collect() };
    let epochs = vec![(rows(150), rows(100), 0), (rows(20), rows(0), NEVER)];
    let way = Way { lanes: 1, batch: 64, spill: false, compaction: true, seed: 1 };
    let (pairs, _) = run(JoinKind::Full, Some(10), &epochs, &way);
    assert_eq!(pairs.iter().map(Vec::len).collect::<Vec<_>>(), [15_000, 2_000]);
    assert_eq!((pairs, 0), naive(JoinKind::Full, Some(10), &epochs));
}

#[test]
fn rows_with_a_null_key_are_kept_where_they_leave_alone() {
    let limits = Limits { memory_bytes: usize::MAX, run_memory_bytes: usize::MAX };
    for (kind, filtered) in [(JoinKind::Inner, [2, 2]), (JoinKind::Left, [0, 2]), (JoinKind::Full, [0, 0])] {
        let stage = Arc::new(stage(kind, None));
        for (side, filtered) in [Side::Left, Side::Right].into_iter().zip(filtered) {
            let mut collector = JoinCollector::new(Arc::clone(&stage), side, limits, Arc::new(MemoryStore::default()));
            let rows = [(0, (0, None, Some(true))), (1, (0, Some(1), None)), (2, (0, Some(1), Some(true)))];
            let collected = collector.collect(&batch(side, &rows)).unwrap();
            assert_eq!(collected.filtered, filtered, "{kind:?} {side:?}");
            assert_eq!(collector.seal().unwrap()[0].rows(), 3 - filtered);
        }
    }
}

#[test]
fn plans_that_cannot_work_are_refused() {
    let side = |keys: Vec<usize>, event_time| SideSpec { input: schema(Side::Left), keys, event_time };
    let kind = |within, left, right| {
        JoinStage::new(JoinKind::Left, within, left, right).err().and_then(|error| error.kind().map(|code| code.name))
    };
    assert_eq!(kind(None, side(vec![2], None), side(vec![3], None)), Some("keyed/key-type"));
    assert_eq!(kind(None, side(vec![2], None), side(vec![2, 3], None)), Some("keyed/key-type"));
    assert_eq!(kind(None, side(vec![], None), side(vec![], None)), Some("keyed/key-type"));
    assert_eq!(kind(Some(5), side(vec![2], Some(1)), side(vec![2], None)), Some("keyed/event-time-type"));
    assert_eq!(kind(Some(0), side(vec![2], Some(1)), side(vec![2], Some(1))), Some("keyed/window"));
    assert_eq!(kind(None, side(vec![2], None), side(vec![2], None)), None);
    let nullable = |kind| stage(kind, None).output_schema().fields().iter().map(|field| field.is_nullable()).collect::<Vec<_>>();
    assert_eq!(nullable(JoinKind::Left), [false, false, true, true, true, true, true, true]);
    assert_eq!(nullable(JoinKind::Inner), [false, false, true, true, true, true, false, false]);
}
