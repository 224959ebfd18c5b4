//! An aggregating stage against a naive model: results depend neither on lanes, batches, arrival, spills nor compactions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use support::accumulators::{CountSumMean, Of, Values};
use support::store::MemoryStore;
use wasmill_keyed::key::owned;
use wasmill_keyed::operator::{AggregateSpec, AggregateStage, Collector, Emit, EmitInput, Emitter, Fired, Limits};
use wasmill_keyed::run::{Run, RunWriter, store};
use wasmill_keyed::windows::{BEGINNING, NEVER, Windows};
use wasmill_keyed::{Aggregate, Compaction, compact, pick};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    time: i64,
    user: Option<i64>,
    country: Option<String>,
    value: Option<i64>,
}

/// Rows of an epoch, and by how much the watermark moves at its end.
type Epoch = (Vec<Row>, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    User,
    Country,
    Both,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Count,
    Values(Of),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    keys: Keys,
    work: Work,
    /// Size, every and lateness.
    windows: Option<(i64, i64, i64)>,
    emit: Emit,
}

/// What must not matter.
#[derive(Debug, Clone)]
struct Way {
    lanes: usize,
    batch: usize,
    spill: bool,
    compaction: bool,
    /// Changes the order within epochs and the lanes of rows.
    seed: u64,
}

type Key = (Option<i64>, Option<String>);
/// Results by epoch, window end and key: the rows, in words.
type Results = BTreeMap<(usize, i64, Key), Vec<String>>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("user", DataType::Int64, true),
        Field::new("country", DataType::Utf8, true),
        Field::new("value", DataType::Int64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.time)).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.user).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.country.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.value).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

impl Case {
    fn windows(&self) -> Windows {
        match self.windows {
            None => Windows::none(),
            Some((size, every, lateness)) => Windows::sliding(size, every).unwrap().with_allowed_lateness(lateness),
        }
    }

    fn stage(&self) -> AggregateStage {
        let aggregate: Arc<dyn Aggregate> = match self.work {
            Work::Count => Arc::new(CountSumMean::default()),
            Work::Values(of) => Arc::new(Values::new(of)),
        };
        let keys = match self.keys {
            Keys::None => vec![],
            Keys::User => vec![1],
            Keys::Country => vec![2],
            Keys::Both => vec![2, 1],
        };
        let spec = AggregateSpec { keys, values: vec![3, 2], event_time: Some(0), windows: self.windows(), emit: self.emit, aggregate };
        AggregateStage::new(&schema(), spec).unwrap()
    }

    fn key(&self, row: &Row) -> Key {
        let user = row.user.filter(|_| matches!(self.keys, Keys::User | Keys::Both));
        (user, row.country.clone().filter(|_| matches!(self.keys, Keys::Country | Keys::Both)))
    }
}

/// The stage, run in one way.
fn run(case: &Case, epochs: &[Epoch], way: &Way) -> (Results, usize) {
    let stage = Arc::new(case.stage());
    let files = MemoryStore::default();
    let memory = if way.spill { 0 } else { usize::MAX };
    let limits = Limits { memory_bytes: memory, run_memory_bytes: memory };
    let mut random = fastrand::Rng::with_seed(way.seed);
    let mut collectors: Vec<Collector> =
        (0..way.lanes).map(|lane| Collector::new(Arc::clone(&stage), lane, limits, Arc::new(files.clone())).unwrap()).collect();
    let emitter = |lane| Emitter::new(Arc::clone(&stage), lane, owned(lane, way.lanes), memory, Arc::new(files.clone()));
    let mut emitters: Vec<Emitter> = (0..way.lanes).map(emitter).collect();
    let (mut state, mut results, mut late): (Vec<Arc<Run>>, _, _) = (Vec::new(), Results::new(), 0);
    let mut before = BEGINNING;
    for (number, (rows, step)) in epochs.iter().enumerate() {
        let now = if *step == NEVER { NEVER } else { before.max(-100) + step };
        let mut rows = rows.clone();
        random.shuffle(&mut rows);
        collectors.iter_mut().for_each(|collector| collector.begin(before));
        for rows in rows.chunks(way.batch) {
            let collected = collectors[random.usize(..way.lanes)].collect(&batch(rows)).unwrap();
            assert_eq!(collected.rejects, []);
            assert_eq!(collected.greatest_time, rows.iter().map(|row| row.time).max());
            late += collected.late.len();
        }
        let new: Vec<Arc<Run>> = collectors.iter_mut().flat_map(|collector| collector.seal().unwrap()).collect();
        assert!(!way.spill || new.iter().all(|run| run.file().is_some()));
        let mut next = None;
        for emitter in &mut emitters {
            let mut into = |fired: Fired| {
                add(case, number, fired, &mut results);
                Ok(())
            };
            let emitted = emitter.emit(EmitInput { state: &state, new: &new, before, now }, &mut into).unwrap();
            let next = next.get_or_insert_with(|| emitted.kept.clone());
            assert!(next.iter().zip(&emitted.kept).all(|(one, other)| Arc::ptr_eq(one, other)), "all lanes keep the same");
            next.extend(emitted.added);
        }
        state = next.unwrap_or_default();
        if way.compaction {
            compact_state(&stage, &mut state, &files);
        }
        before = now;
    }
    if epochs.last().is_some_and(|(_, step)| *step == NEVER) {
        assert!(state.is_empty(), "at the end of time all state has expired");
    }
    (results, late)
}

fn compact_state(stage: &AggregateStage, state: &mut Vec<Arc<Run>>, files: &MemoryStore) {
    let aggregate = &*stage.spec().aggregate;
    // More eager than the rule: two runs are enough here.
    let part = pick(&state.iter().map(|run| run.size_bytes()).collect::<Vec<_>>()).or((state.len() > 1).then_some(0..2));
    if let Some(part) = part {
        let what = Compaction { key_groups: 0..256, first_end: BEGINNING };
        let into = RunWriter::in_memory(aggregate.state_schema());
        let compacted = Arc::new(compact(aggregate, 0, &state[part.clone()], &what, into).unwrap());
        state.splice(part, [store(&compacted, files).unwrap()]);
    }
}

/// Adds what a lane emitted. No window and key may come twice in an epoch, except for more rows of the same batch.
fn add(case: &Case, epoch: usize, fired: Fired, results: &mut Results) {
    let mut here = Results::new();
    for row in 0..fired.rows.num_rows() {
        let user = |column: &ArrayRef| column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row));
        let country = |column: &ArrayRef| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned());
        let key = match case.keys {
            Keys::None => (None, None),
            Keys::User => (user(&fired.keys[0]), None),
            Keys::Country => (None, country(&fired.keys[0])),
            Keys::Both => (user(&fired.keys[1]), country(&fired.keys[0])),
        };
        let words = fired.rows.columns().iter().map(|column| word(column, row)).collect::<Vec<_>>().join(" ");
        here.entry((epoch, fired.end, key)).or_default().push(words);
    }
    for (key, rows) in here {
        assert_eq!(results.insert(key, rows), None, "a key was emitted twice");
    }
}

fn word(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        _ if column.is_null(row) => "null".to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
        _ => column.as_string::<i32>().value(row).to_owned(),
    }
}

/// The same by keeping all rows, and going through all of them for every window: no panes, no states, no merges.
fn naive(case: &Case, epochs: &[Epoch]) -> (Results, usize) {
    let (mut history, mut results, mut late): (Vec<Row>, _, _) = (Vec::new(), Results::new(), 0);
    let mut before = BEGINNING;
    // The windows that hold a time, and whether each takes rows at a watermark.
    let windows = |time: i64| -> Vec<i64> {
        match case.windows {
            None => vec![NEVER],
            Some((size, every, _)) => (time + 1..=time + size).filter(|end| end.rem_euclid(every) == 0).collect(),
        }
    };
    let lateness = case.windows.map_or(0, |windows| windows.2);
    let takes = |end: i64, watermark: i64| end.saturating_add(lateness) > watermark;
    for (number, (rows, step)) in epochs.iter().enumerate() {
        let now = if *step == NEVER { NEVER } else { before.max(-100) + step };
        let (taken, dropped): (Vec<Row>, Vec<Row>) =
            rows.iter().cloned().partition(|row| windows(row.time).iter().any(|&end| takes(end, before)));
        late += dropped.len();
        history.extend(taken.iter().cloned());
        let mut due: BTreeSet<(i64, Key)> = BTreeSet::new();
        match case.emit {
            Emit::EveryEpoch => {
                let touched = taken.iter().flat_map(|row| windows(row.time).into_iter().map(|end| (end, case.key(row))));
                due.extend(touched.filter(|(end, _)| takes(*end, before)));
            }
            Emit::AtClose => {
                let again: BTreeSet<i64> =
                    taken.iter().flat_map(|row| windows(row.time)).filter(|&end| end <= before && takes(end, before)).collect();
                let fires = |end: i64| before < end && end <= now || again.contains(&end);
                due.extend(
                    history.iter().flat_map(|row| windows(row.time).into_iter().filter(|&end| fires(end)).map(|end| (end, case.key(row)))),
                );
            }
        }
        for (end, key) in due {
            let of: Vec<&Row> = history.iter().filter(|row| case.key(row) == key && windows(row.time).contains(&end)).collect();
            let rows = result(case.work, &of);
            if !rows.is_empty() {
                results.insert((number, end, key), rows);
            }
        }
        before = now;
    }
    (results, late)
}

fn result(work: Work, rows: &[&Row]) -> Vec<String> {
    let mut values: Vec<i64> = rows.iter().filter_map(|row| row.value).collect();
    values.sort_unstable();
    let or_null = |value: Option<&i64>| value.map_or("null".to_owned(), |value| value.to_string());
    match work {
        Work::Count => {
            // The accumulator reads the values of nulls, which the batch has as 0.
            let sum: i64 = values.iter().sum();
            vec![format!("{} {sum} {:?}", rows.len(), sum as f64 / rows.len() as f64)]
        }
        Work::Values(Of::Median) => vec![or_null(values.get(values.len().saturating_sub(1) / 2))],
        Work::Values(Of::MinMax) => vec![format!("{} {}", or_null(values.first()), or_null(values.last()))],
        Work::Values(Of::Distinct) => values.iter().collect::<BTreeSet<_>>().iter().map(|value| value.to_string()).collect(),
        Work::Values(Of::Texts) => {
            let mut texts: Vec<&str> = rows.iter().filter_map(|row| row.country.as_deref()).collect();
            texts.sort_unstable();
            vec![texts.join("+")]
        }
    }
}

fn row() -> impl Strategy<Value = Row> {
    let country =
        prop::option::weighted(0.9, prop_oneof![Just("de"), Just(""), Just("f\0r"), Just("a country with a long name"), Just("fr")]);
    (-60..120i64, prop::option::weighted(0.9, -3..4i64), country, prop::option::weighted(0.9, -20..20i64))
        .prop_map(|(time, user, country, value)| Row { time, user, country: country.map(str::to_owned), value })
}

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let epochs = prop::collection::vec((prop::collection::vec(row(), 0..25), 0..60i64), 1..8);
    (epochs, any::<bool>()).prop_map(|(mut epochs, ends)| {
        if let (true, Some(last)) = (ends, epochs.last_mut()) {
            last.1 = NEVER;
        }
        epochs
    })
}

fn case() -> impl Strategy<Value = Case> {
    let keys = prop_oneof![Just(Keys::None), Just(Keys::User), Just(Keys::Country), Just(Keys::Both)];
    let of = prop_oneof![Just(Of::Median), Just(Of::MinMax), Just(Of::Distinct), Just(Of::Texts)];
    let work = prop_oneof![Just(Work::Count), of.prop_map(Work::Values)];
    let sizes = (1..50i64).prop_flat_map(|size| (Just(size), prop_oneof![Just(size), 1..=size], 0..40i64));
    let emit = prop_oneof![Just(Emit::AtClose), Just(Emit::EveryEpoch)];
    (keys, work, prop::option::weighted(0.8, sizes), emit).prop_map(|(keys, work, windows, emit)| Case { keys, work, windows, emit })
}

fn way() -> impl Strategy<Value = Way> {
    let batch = prop_oneof![Just(1_usize), Just(7), Just(1_000)];
    (1..=4usize, batch, any::<bool>(), any::<bool>(), any::<u64>()).prop_map(|(lanes, batch, spill, compaction, seed)| Way {
        lanes,
        batch,
        spill,
        compaction,
        seed,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_way_gives_what_the_model_gives(case in case(), epochs in epochs(), ways in prop::collection::vec(way(), 3)) {
        let expected = naive(&case, &epochs);
        for way in ways {
            prop_assert_eq!(&run(&case, &epochs, &way), &expected, "{:?}", way);
        }
    }
}

/// The epochs of a stage in a hurry: what the model above would take minutes for is compared between ways.
#[test]
fn many_keys_and_rows_give_the_same_in_every_way() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut epoch = |least: i64| -> Vec<Row> {
        let mut row = || Row {
            time: least + random.i64(0..2_000),
            user: Some(random.i64(0..3_000)),
            country: Some(format!("c{}", random.u8(..))),
            value: Some(random.i64(-1_000..1_000)),
        };
        (0..20_000).map(|_| row()).collect()
    };
    let epochs = vec![(epoch(0), 1_000), (epoch(0), 700), (epoch(0), NEVER)];
    for (windows, emit) in
        [(Some((500, 500, 100)), Emit::AtClose), (Some((600, 400, 0)), Emit::AtClose), (Some((1_000, 500, 0)), Emit::EveryEpoch)]
    {
        let case = Case { keys: Keys::Both, work: Work::Count, windows, emit };
        let way = Way { lanes: 1, batch: 1_000, spill: false, compaction: false, seed: 1 };
        let (results, late) = run(&case, &epochs, &way);
        assert!(results.len() > 20_000 && late > 1_000, "{} results, {late} late rows", results.len());
        assert!((results, late) == run(&case, &epochs, &Way { lanes: 3, batch: 4_000, spill: true, compaction: true, seed: 2 }));
    }
}
