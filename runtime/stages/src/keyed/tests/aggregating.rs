//! Groups over windows, running results, and damage of their files.

use std::collections::BTreeMap;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use serde_json::{Value, json};
use wasmill_engine::{Batch, KeyedStage, KeyedStart, LocalDepot, Result, Watermark};
use wasmill_keyed::codes::RUN_DAMAGED;
use wasmill_keyed::operator::{AggregateSpec, Emit, Limits};
use wasmill_keyed::windows::Windows;
use wasmill_keyed::{Accumulator, Aggregate, Grouped};

use super::{Arc, Lanes, Row, input, row, rows};
use crate::keyed::{Aggregating, KeyedOptions, WINDOW_END, Work};

/// Counts rows and sums their number.
struct CountAndSum;

#[derive(Default)]
struct Sums(Vec<(i64, i64)>);

fn numbers(names: [&str; 2]) -> SchemaRef {
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Int64, false)).to_vec()))
}

impl Aggregate for CountAndSum {
    fn state_schema(&self) -> SchemaRef {
        numbers(["count", "sum"])
    }

    fn output_schema(&self) -> SchemaRef {
        numbers(["posts", "total"])
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sums::default()))
    }
}

impl Sums {
    fn take(&mut self, names: [&str; 2]) -> Grouped {
        let sums = std::mem::take(&mut self.0);
        let column = |part: fn(&(i64, i64)) -> i64| Arc::new(Int64Array::from_iter_values(sums.iter().map(part))) as arrow_array::ArrayRef;
        let columns = vec![column(|sums| sums.0), column(|sums| sums.1)];
        Grouped { records: arrow_array::RecordBatch::try_new(numbers(names), columns).unwrap(), groups: None }
    }
}

impl Accumulator for Sums {
    fn update(&mut self, rows: &arrow_array::RecordBatch, groups: &[u32], count: u32) -> Result<Vec<wasmill_keyed::RowReject>> {
        self.0.resize(count as usize, (0, 0));
        let values = rows.column(0).as_primitive::<Int64Type>();
        for (value, &group) in values.values().iter().zip(groups) {
            self.0[group as usize].0 += 1;
            self.0[group as usize].1 += value;
        }
        Ok(Vec::new())
    }

    fn merge(&mut self, states: &arrow_array::RecordBatch, groups: &[u32], count: u32) -> Result<()> {
        self.0.resize(count as usize, (0, 0));
        let [counts, sums] = [0, 1].map(|column| states.column(column).as_primitive::<Int64Type>().clone());
        for (row, &group) in groups.iter().enumerate() {
            self.0[group as usize].0 += counts.value(row);
            self.0[group as usize].1 += sums.value(row);
        }
        Ok(())
    }

    fn take_state(&mut self) -> Result<Grouped> {
        Ok(self.take(["count", "sum"]))
    }

    fn finish(&mut self) -> Result<Grouped> {
        Ok(self.take(["posts", "total"]))
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * 16
    }
}

/// A result: the end of its window (0 without windows), its key, count and sum.
type Found = (i64, String, i64, i64);

fn stage(windows: Windows, emit: Emit, memory_bytes: usize) -> Aggregating {
    let event_time = (!windows.is_none()).then_some(1);
    let spec = AggregateSpec { keys: vec![0], values: vec![2], event_time, windows, emit, aggregate: Arc::new(CountAndSum) };
    let limits = Limits { memory_bytes, run_memory_bytes: memory_bytes };
    let options = KeyedOptions { name: "popular".into(), event_time: None, limits };
    Aggregating::new(&input(), spec, &Work(json!("count and sum")), options).unwrap()
}

fn read(batch: &Batch, into: &mut Vec<Found>) {
    let records = &batch.records;
    let number = |name: &str, row| records.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row);
    let keys = records.column(0).as_string::<i32>();
    for row in 0..records.num_rows() {
        let end = records.column_by_name(WINDOW_END).map_or(0, |ends| ends.as_primitive::<TimestampMicrosecondType>().value(row));
        into.push((end, keys.value(row).to_owned(), number("posts", row), number("total", row)));
        assert_eq!(&*batch.lineage.partition(row), format!("key={}", keys.value(row)), "a dead letter names the key");
        assert_eq!(batch.lineage.original(row), None);
    }
}

/// The results of an epoch, sorted.
fn epoch(lanes: &mut Lanes<'_>, batches: &[Vec<Row>], watermark: Watermark) -> Vec<Found> {
    let mut found = Vec::new();
    lanes.epoch(batches, watermark).iter().for_each(|batch| read(batch, &mut found));
    found.sort();
    found
}

fn model<'r>(rows: impl IntoIterator<Item = &'r Row>, window: Option<(i64, i64)>) -> Vec<Found> {
    let mut groups: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
    for row in rows {
        let ends: Vec<i64> = match window {
            None => vec![0],
            // Every window that holds the time, found by trying all of them.
            Some((size, every)) => (-400..400).map(|number| number * every).filter(|end| (end - size..*end).contains(&row.time)).collect(),
        };
        for end in ends {
            let group = groups.entry((end, row.key.clone())).or_default();
            *group = (group.0 + 1, group.1 + row.number);
        }
    }
    groups.into_iter().map(|((end, key), (count, sum))| (end, key, count, sum)).collect()
}

#[test]
fn windows_fire_when_the_watermark_passes_them_and_late_rows_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(Windows::tumbling(10).unwrap(), Emit::AtClose, 1 << 20);
    assert_eq!(
        stage.output().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["key", "window_start", "window_end", "posts", "total"]
    );
    let mut lanes = Lanes::start(&stage, folder.path(), 2);
    assert_eq!(epoch(&mut lanes, &[vec![row("a", 1, 5), row("b", 12, 1)], vec![row("a", 9, 6)]], Watermark::at(9)), []);
    assert_eq!(epoch(&mut lanes, &[vec![row("a", 3, 7)]], Watermark::at(10)), [(10, "a".into(), 3, 18)]);
    assert_eq!(epoch(&mut lanes, &[vec![row("a", 9, 100), row("b", 13, 2)]], Watermark::at(10)), []);
    assert_eq!(lanes.late, 1);
    lanes.restart(1);
    assert_eq!(epoch(&mut lanes, &[], Watermark::END), [(20, "b".into(), 2, 3)]);
    assert_eq!(lanes.files(), []);
}

#[test]
fn results_so_far_are_emitted_every_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(Windows::none(), Emit::EveryEpoch, 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 3);
    assert_eq!(epoch(&mut lanes, &[vec![row("a", 0, 1), row("b", 0, 2)]], Watermark::NONE), [(0, "a".into(), 1, 1), (0, "b".into(), 1, 2)]);
    lanes.restart(2);
    assert_eq!(epoch(&mut lanes, &[vec![row("a", 0, 10)], vec![row("a", 0, 20)]], Watermark::NONE), [(0, "a".into(), 3, 31)]);
}

#[test]
fn running_results_go_on_behind_an_end() {
    for windows in [Windows::none(), Windows::tumbling(10).unwrap()] {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(windows, Emit::EveryEpoch, 1 << 20);
        let mut lanes = Lanes::start(&stage, folder.path(), 3);
        let end = windows.size().unwrap_or(0);
        assert_eq!(epoch(&mut lanes, &[vec![row("a", 0, 1)]], Watermark::END), [(end, "a".into(), 1, 1)]);
        assert_eq!(lanes.closed, None);
        lanes.resume_behind_the_end(2);
        assert_eq!(epoch(&mut lanes, &[vec![row("a", 0, 10)]], Watermark::END), [(end, "a".into(), 2, 11)]);
        assert_eq!(lanes.late, 0);
    }
}

#[test]
fn what_comes_behind_an_end_for_a_window_that_was_emitted_is_late() {
    let windows = [
        (Windows::tumbling(10).unwrap(), 20),
        (Windows::tumbling(10).unwrap().with_allowed_lateness(5), 25),
        (Windows::sliding(20, 10).unwrap(), 30),
        (Windows::sliding(25, 10).unwrap(), 40),
    ];
    for (windows, closed) in windows {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(windows, Emit::AtClose, 1 << 20);
        let mut lanes = Lanes::start(&stage, folder.path(), 2);
        epoch(&mut lanes, &[vec![row("a", 3, 1)]], Watermark::at(5));
        let ends: Vec<i64> = epoch(&mut lanes, &[vec![row("b", 17, 1)]], Watermark::END).iter().map(|found| found.0).collect();
        assert_eq!(lanes.closed, Some(closed), "{windows:?}");
        lanes.resume_behind_the_end(1);
        let rows: Vec<Row> = (0..60).map(|time| row("a", time, 1)).collect();
        let again: Vec<i64> = epoch(&mut lanes, &[rows], Watermark::END).iter().map(|found| found.0).collect();
        assert!(
            lanes.late > 0 && !again.is_empty() && again.iter().all(|end| !ends.contains(end)),
            "{windows:?}: {again:?} after {ends:?}"
        );
    }
}

#[test]
fn a_file_of_the_state_that_is_damaged_gone_or_cut_short_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(Windows::none(), Emit::AtClose, 1 << 20);
    let mut lanes = Lanes::start(&stage, folder.path(), 1);
    epoch(&mut lanes, &[(0..500).map(|number| row(&format!("key {number}"), 0, number)).collect()], Watermark::NONE);
    let [file] = &lanes.files()[..] else { panic!("one file") };
    let path = folder.path().join(&file.name);
    let whole = std::fs::read(&path).unwrap();
    let opens = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let (incarnation, state, depot) = (lanes.incarnation, lanes.state.clone(), Arc::<LocalDepot>::clone(&lanes.depot));
        let start = KeyedStart { lane: 0, lanes: 1, incarnation, epoch: 2, state, watermark: Watermark::NONE, depot };
        let mut instance = stage.open(start)?;
        let sealed = instance.seal()?;
        instance.emit(vec![sealed], Watermark::END, &mut |_| Ok(())).map(drop)
    };
    opens(&whole).unwrap();
    let cut = opens(&whole[..whole.len() - 1]).unwrap_err();
    assert_eq!(cut.kind(), Some(RUN_DAMAGED), "{cut}");
    assert!(cut.details().concat().contains("is damaged: it has"), "{cut}");
    for at in [3, 40, whole.len() / 2, whole.len() - 30] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        let error = opens(&flipped).unwrap_err();
        assert_eq!(error.class(), wasmill_engine::Class::Environment, "byte {at}: {error}");
    }
    std::fs::remove_file(&path).unwrap();
    let start = KeyedStart {
        lane: 0,
        lanes: 1,
        incarnation: lanes.incarnation,
        epoch: 2,
        state: lanes.state.clone(),
        watermark: Watermark::NONE,
        depot: Arc::<LocalDepot>::clone(&lanes.depot),
    };
    let gone = stage.open(start).map(drop).unwrap_err();
    assert_eq!(gone.kind(), Some(RUN_DAMAGED), "{gone}");
    assert!(gone.message().contains("is gone"), "{gone}");
}

#[test]
fn columns_of_one_name_are_refused() {
    let spec = AggregateSpec {
        keys: vec![0],
        values: vec![2],
        event_time: None,
        windows: Windows::none(),
        emit: Emit::AtClose,
        aggregate: Arc::new(CountAndSum),
    };
    let input = Schema::new(vec![
        Arc::new(Field::new("posts", DataType::Utf8, true)),
        Arc::clone(&input().fields()[1]),
        Arc::clone(&input().fields()[2]),
    ]);
    let limits = Limits { memory_bytes: 1 << 20, run_memory_bytes: 1 << 20 };
    let options = KeyedOptions { name: "popular".into(), event_time: None, limits };
    let error = Aggregating::new(&input, spec, &Work(Value::Null), options).map(|_| ()).unwrap_err();
    assert!(error.message().contains("two columns of the results are called `posts`"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_row_counts_once_whatever_lanes_epochs_restarts_and_spills(
        batches in rows(),
        window in prop_oneof![Just(None), Just(Some((30, 30))), Just(Some((30, 20))), Just(Some((25, 5)))],
        cuts in prop::collection::vec((1usize..5, 1usize..6, any::<bool>()), 1..9),
        spills in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let windows = window.map_or(Windows::none(), |(size, every)| Windows::sliding(size, every).unwrap());
        let stage = stage(windows, Emit::AtClose, if spills { 1 } else { 1 << 20 });
        let mut lanes = Lanes::start(&stage, folder.path(), cuts[0].0);
        let (mut rest, mut found) = (&batches[..], Vec::new());
        for (count, take, restarts) in cuts.iter().cycle().take(20) {
            let (now, later) = rest.split_at((*take).min(rest.len()));
            rest = later;
            // Nothing is late: the watermark stays before everything.
            found.extend(epoch(&mut lanes, now, Watermark::at(-1_000)));
            if *restarts {
                lanes.restart(*count);
            }
        }
        found.extend(epoch(&mut lanes, rest, Watermark::END));
        found.sort();
        prop_assert_eq!(found, model(batches.iter().flatten(), window));
        prop_assert_eq!(lanes.files(), []);
        prop_assert_eq!(lanes.late, 0);
    }

    #[test]
    fn running_results_end_in_what_a_batch_computes(
        batches in rows(),
        lanes in prop::collection::vec(1usize..5, 1..5),
        spills in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(Windows::none(), Emit::EveryEpoch, if spills { 1 } else { 1 << 20 });
        let mut process = Lanes::start(&stage, folder.path(), lanes[0]);
        let mut latest: BTreeMap<String, Found> = BTreeMap::new();
        for (index, rows) in batches.iter().enumerate() {
            let found = epoch(&mut process, std::slice::from_ref(rows), Watermark::NONE);
            let keys: Vec<&String> = found.iter().map(|(_, key, ..)| key).collect();
            let mut touched: Vec<&String> = rows.iter().map(|row| &row.key).collect();
            touched.sort();
            touched.dedup();
            prop_assert_eq!(keys, touched, "the keys that got rows, each once");
            latest.extend(found.iter().map(|found| (found.1.clone(), found.clone())));
            process.restart(lanes[index % lanes.len()]);
        }
        prop_assert_eq!(latest.into_values().collect::<Vec<_>>(), model(batches.iter().flatten(), None));
    }
}
