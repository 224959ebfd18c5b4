//! Whole runs with a keyed stage: whatever the lanes, epochs, stops and failures, each window is emitted once and with every row.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::doubles::{Keep, Pipeline, SilentObserver, schema};
use super::waits::{StopOnDrop, wait_until};
use super::{Store, state};
use crate::*;

/// Counts numbers per window of `size`, of which the number is the event time, and per remainder by three. A finished group leaves as the number
/// `window * 1000000 + remainder * 1000 + count`, for numbers are all that the sink of these tests knows.
#[derive(Clone, Copy)]
pub(super) struct CountPerWindow {
    pub size: i64,
    pub delay: u64,
    pub version: u64,
}

type Groups = BTreeMap<(i64, i64), i64>;

impl CountPerWindow {
    pub fn of(size: i64) -> Self {
        Self { size, delay: 0, version: 1 }
    }

    pub fn expected(self, numbers: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut groups = Groups::new();
        numbers.into_iter().for_each(|number| *groups.entry(self.group(number)).or_default() += 1);
        groups.into_iter().map(emitted).collect()
    }

    fn group(self, number: i64) -> (i64, i64) {
        (number.div_euclid(self.size), number.rem_euclid(3))
    }
}

fn emitted(((window, remainder), count): ((i64, i64), i64)) -> i64 {
    window * 1_000_000 + remainder * 1_000 + count
}

impl KeyedStage for CountPerWindow {
    fn output(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn event_time(&self) -> Option<EventTime> {
        let (delay, idle) = (std::time::Duration::from_micros(self.delay), std::time::Duration::from_millis(20));
        Some(EventTime { delay, idle })
    }

    fn fingerprint(&self) -> Value {
        json!({ "size": self.size, "version": self.version })
    }

    fn open(&self, start: KeyedStart) -> Result<Box<dyn KeyedInstance>> {
        let mut held = Groups::new();
        let files: Vec<DepotFile> = start.state.map_or(Ok(Vec::new()), serde_json::from_value).unwrap();
        for file in files {
            let mut text = String::new();
            start.depot.open(&file)?.read_to_string(&mut text).unwrap();
            for (window, remainder, count) in serde_json::from_str::<Vec<(i64, i64, i64)>>(&text).unwrap() {
                if remainder as usize % start.lanes == start.lane {
                    *held.entry((window, remainder)).or_default() += count;
                }
            }
        }
        let KeyedStart { lane, lanes, incarnation, epoch, watermark, depot, .. } = start;
        Ok(Box::new(Counting { stage: *self, lane, lanes, incarnation, epoch, watermark, depot, open: Groups::new(), held }))
    }

    fn next_state(&self, _before: Option<&Value>, changes: Vec<Value>) -> Result<Option<Value>> {
        // Every lane writes all that it holds.
        let files: Vec<Value> = changes.into_iter().flat_map(|change| change.as_array().unwrap().clone()).collect();
        Ok((!files.is_empty()).then_some(Value::Array(files)))
    }

    fn files(&self, state: &Value) -> Result<Vec<DepotFile>> {
        Ok(serde_json::from_value(state.clone()).unwrap())
    }
}

struct Counting {
    stage: CountPerWindow,
    lane: usize,
    lanes: usize,
    incarnation: uuid::Uuid,
    epoch: u64,
    watermark: Watermark,
    depot: std::sync::Arc<dyn Depot>,
    open: Groups,
    held: Groups,
}

impl KeyedInstance for Counting {
    fn collect(&mut self, side: usize, batch: &Batch) -> Result<Collected> {
        assert_eq!(side, 0);
        let (mut collected, numbers) = (Collected::default(), batch.records.column(0).as_primitive::<Int64Type>().values());
        for (row, &number) in (0u32..).zip(numbers) {
            let (window, remainder) = self.stage.group(number);
            if (window + 1) * self.stage.size <= self.watermark.micros() {
                collected.rejects.push(RowReject { row, code: "late".into(), column: None, message: "late".into() });
                continue;
            }
            *self.open.entry((window, remainder)).or_default() += 1;
            collected.latest = collected.latest.max(Some(number));
        }
        Ok(collected)
    }

    fn seal(&mut self) -> Result<Sealed> {
        Ok(std::sync::Arc::new(std::mem::take(&mut self.open)))
    }

    fn emit(&mut self, sealed: Vec<Sealed>, watermark: Watermark, deliver: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Emission> {
        assert_eq!(sealed.len(), self.lanes);
        for sealed in &sealed {
            let groups = (&**sealed as &dyn Any).downcast_ref::<Groups>().unwrap();
            for (group, count) in groups.iter().filter(|((_, remainder), _)| *remainder as usize % self.lanes == self.lane) {
                *self.held.entry(*group).or_default() += count;
            }
        }
        assert!(watermark >= self.watermark);
        self.watermark = watermark;
        let last = self.held.keys().map(|(window, _)| (window + 1) * self.stage.size).max();
        let closed = last.filter(|_| watermark == Watermark::END);
        let fires = |window: i64| (window + 1) * self.stage.size <= watermark.micros();
        let fired: Vec<i64> = self.held.extract_if(.., |(window, _), _| fires(*window)).map(emitted).collect();
        if !fired.is_empty() {
            let payload = Payload::Rows { first: 0, count: fired.len() };
            let chunk = SourceChunk { source: "counts".into(), partition: "counts".into(), payload };
            let records = RecordBatch::try_new(schema(), vec![std::sync::Arc::new(Int64Array::from(fired))]).unwrap();
            deliver(Batch { records, lineage: Lineage::of_source(std::sync::Arc::new(chunk)) })?;
        }
        let key = DepotKey { folder: STATE_FOLDER, incarnation: self.incarnation, epoch: self.epoch, kind: "counts" };
        self.epoch += 1;
        if self.held.is_empty() {
            return Ok(Emission { change: Some(json!([])), closed, ..Emission::default() });
        }
        let mut file = self.depot.create(&key)?;
        let held: Vec<(i64, i64, i64)> = self.held.iter().map(|((window, remainder), count)| (*window, *remainder, *count)).collect();
        file.write_all(serde_json::to_string(&held).unwrap().as_bytes()).unwrap();
        Ok(Emission { change: Some(json!([file.finish()?])), ..Emission::default() })
    }
}

pub(super) fn keyed(stage: CountPerWindow) -> Pipeline {
    Pipeline { keyed: Some(stage), rows: 1000, splits: 7, lanes: 3, epoch_rows: 90, ..Pipeline::default() }
}

pub(super) fn go(pipeline: &Pipeline, state: &Store) -> Result<Summary> {
    run(pipeline.plan(), std::sync::Arc::clone(state), &StopSignal::new(), &SilentObserver)
}

/// Files of stages in the depot, and those that the newest checkpoint names.
fn files(state: &Store) -> (Vec<String>, Vec<String>) {
    let newest = state.latest().unwrap().unwrap();
    let named = newest.stages.values().filter_map(|stage| stage.state.clone()).flat_map(|state| {
        let files: Vec<DepotFile> = serde_json::from_value(state).unwrap();
        files.into_iter().map(|file| file.name)
    });
    (state.depot().list(STATE_FOLDER).unwrap(), named.collect())
}

#[test]
fn a_batch_emits_every_group_at_its_end_and_keeps_nothing() {
    let (_folder, state) = state();
    let pipeline = keyed(CountPerWindow::of(100));
    let summary = go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), pipeline.keyed.unwrap().expected(0..1000));
    assert!(summary.epochs > 1 && summary.nodes.iter().all(|node| node.counts.balance()), "{summary:?}");
    let counts = summary.nodes.iter().find(|node| node.kind == "stage").unwrap().counts;
    assert_eq!((counts.rows_in, counts.rows_aggregated, counts.rows_added, counts.rows_out), (1000, 1000, 30, 30));
    assert_eq!(files(&state).1, Vec::<String>::new());
    assert!(state.latest().unwrap().unwrap().stages.values().all(|stage| stage.watermark.is_none()), "more may come the next time");
    let more = Pipeline { rows: 1300, sink: std::sync::Arc::clone(&pipeline.sink), splits: 1, ..keyed(CountPerWindow::of(100)) };
    assert_eq!(go(&more, &super::state().1).unwrap_err().class(), Class::Environment, "a sink of another state");
}

#[test]
fn an_overwriting_batch_emits_once_and_leaves_no_state() {
    let (_folder, state) = state();
    let pipeline = Pipeline { whole_run: true, ..keyed(CountPerWindow::of(100)) };
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), pipeline.keyed.unwrap().expected(0..1000));
    assert!(state.latest().unwrap().unwrap().stages.is_empty());
}

#[test]
fn what_one_keyed_stage_emits_another_collects_in_the_same_epoch() {
    let (_folder, state) = state();
    let (first, second) = (CountPerWindow::of(100), CountPerWindow::of(3_000_000));
    let pipeline = keyed(first);
    let mut plan = pipeline.plan();
    let work = StageWork::Keyed { stage: std::sync::Arc::new(second), sides: vec![vec![Input::Stage(0, 0)]] };
    plan.stages.push(StageNode { name: "again".into(), work, plugin: None, max_reject_share: 1.0 });
    plan.sinks[0].inputs = vec![Input::Stage(1, 0)];
    run(plan, state, &StopSignal::new(), &SilentObserver).unwrap();
    assert_eq!(pipeline.sink.rows(), second.expected(first.expected(0..1000)));
}

#[test]
fn a_batch_that_was_stopped_is_continued_by_other_numbers_of_lanes() {
    let (_folder, state) = state();
    let stage = CountPerWindow::of(250);
    let first = keyed(stage);
    for lanes in [3, 1, 4] {
        let pipeline = Pipeline { lanes, sink: std::sync::Arc::clone(&first.sink), ..keyed(stage) };
        let stop = StopSignal::new();
        let summary = run(pipeline.plan(), std::sync::Arc::clone(&state), &stop, &StopWhen { epochs: 1.into(), stop: &stop }).unwrap();
        assert!(summary.stopped && first.sink.rows().is_empty(), "{lanes} lanes: {summary:?}");
        assert!(!files(&state).1.is_empty());
    }
    let last = Pipeline { lanes: 2, sink: std::sync::Arc::clone(&first.sink), ..keyed(stage) };
    last.sink.lose_answer_at(0);
    go(&last, &state).unwrap_err();
    go(&last, &state).unwrap();
    assert_eq!(last.sink.rows(), stage.expected(0..1000), "the commit whose answer was lost was not done twice");
}

#[test]
fn a_stream_fires_windows_as_its_watermark_passes_and_the_rest_when_it_is_read_again() {
    let (_folder, state) = state();
    let stage = CountPerWindow::of(100);
    let pipeline = Pipeline { rows: 1000, splits: 1, mode: Mode::Stream, lanes: 2, epoch_rows: 50, ..keyed(stage) };
    let stop = StopSignal::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(pipeline.plan(), std::sync::Arc::clone(&state), &stop, &SilentObserver));
        let _stop = StopOnDrop(&stop);
        wait_until("the first windows fire", || pipeline.sink.rows().len() >= 15);
        wait_until("nearly all is read", || running.is_finished() || read_up(&state) >= 950);
        stop.stop();
        running.join().unwrap()
    })
    .unwrap();
    let expected = stage.expected(0..1000);
    let fired = pipeline.sink.rows();
    assert_eq!(fired, expected[..fired.len()], "whole windows, each once");
    assert!(fired.len() < expected.len(), "the last window waits for rows that may come");
    assert_eq!(pipeline.dead_letters.texts("code"), Vec::<String>::new());
    let newest = state.latest().unwrap().unwrap();
    assert_eq!(newest.stages["counts"].watermark, Some(read_up(&state) as i64 - 1), "that of the last number that was committed");
    let rest = Pipeline { lanes: 3, sink: std::sync::Arc::clone(&pipeline.sink), rows: 1000, splits: 1, ..keyed(stage) };
    go(&rest, &state).unwrap();
    assert_eq!(rest.sink.rows(), expected);
}

pub(super) fn read_up(state: &Store) -> u64 {
    let newest = state.latest().unwrap();
    let position = |progress: &SplitState| progress.position["next"].as_u64().unwrap_or(0);
    newest.map_or(0, |newest| newest.sources["numbers"].values().map(position).sum())
}

#[test]
fn a_state_of_other_work_is_refused_before_anything_runs_until_it_is_given_up() {
    let (_folder, state) = state();
    let pipeline = keyed(CountPerWindow::of(250));
    let stop = StopSignal::new();
    run(pipeline.plan(), std::sync::Arc::clone(&state), &stop, &StopWhen { epochs: 1.into(), stop: &stop }).unwrap();
    let before = state.latest().unwrap();
    let sink = || std::sync::Arc::clone(&pipeline.sink);
    let other = Pipeline { sink: sink(), ..keyed(CountPerWindow { version: 2, ..CountPerWindow::of(250) }) };
    let error = go(&other, &state).unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    assert!(error.to_string().contains("the state of stage `counts` can't be used: version was 1 and is 2"), "{error}");
    let without = Pipeline { sink: sink(), keyed: None, ..keyed(CountPerWindow::of(250)) };
    assert!(go(&without, &state).unwrap_err().to_string().contains("has no such keyed stage any more"));
    assert_eq!(state.latest().unwrap(), before, "nothing was claimed");
    assert!(drop_stage("p", "count", || Ok(Vec::new()), &*state).unwrap_err().to_string().contains("stage `count`"));
    drop_stage("p", "counts", || Ok(pipeline.named_sinks()), &*state).unwrap();
    let summary = go(&other, &state).unwrap();
    let counted: i64 = other.sink.rows().iter().map(|row| row % 1_000).sum();
    let read = summary.nodes.iter().find(|node| node.kind == "source").unwrap().counts.rows_in;
    assert_eq!(counted, read as i64, "what was held is lost, as was asked for");
}

#[test]
fn files_that_no_checkpoint_names_are_removed() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 5_000, epoch_rows: 60, ..keyed(CountPerWindow::of(100_000)) };
    let stop = StopSignal::new();
    run(pipeline.plan(), std::sync::Arc::clone(&state), &stop, &StopWhen { epochs: 20.into(), stop: &stop }).unwrap();
    let (there, named) = files(&state);
    assert!(!named.is_empty() && named.iter().all(|name| there.contains(name)), "{named:?}");
    assert!(there.len() <= 3 * 6, "files of the last checkpoints: {there:?}");
    go(&Pipeline { rows: 5_000, ..pipeline }, &state).unwrap();
    assert_eq!(files(&state).1, Vec::<String>::new());
}

/// Stops a run after so many epochs.
pub(super) struct StopWhen<'s> {
    pub epochs: std::sync::atomic::AtomicU64,
    pub stop: &'s StopSignal,
}

impl Observer for StopWhen<'_> {
    fn on(&self, event: Event<'_>) {
        if matches!(event, Event::EpochCommitted { .. }) && self.epochs.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            self.stop.stop();
        }
    }
}

#[test]
fn a_lane_that_fails_does_not_leave_others_waiting_for_it() {
    let (_folder, state) = state();
    let stage = Keep { filter: |id| if id == 500 { panic!("boom at {id}") } else { false }, ..Keep::all() };
    let pipeline = Pipeline { stage: Some(stage), ..keyed(CountPerWindow::of(100)) };
    let error = go(&pipeline, &state).unwrap_err();
    assert!(error.message().contains("boom at 500"), "{error}");
    assert!(pipeline.sink.rows().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn results_depend_on_neither_lanes_nor_splits_nor_epochs(
        (lanes, splits, epoch_rows) in (1usize..5, 1u64..9, 1u64..300),
        (rows, size, stops) in (0u64..700, 1i64..400, 0usize..3),
        whole_run in any::<bool>(),
    ) {
        let (_folder, state) = state();
        let stage = CountPerWindow::of(size);
        let pipeline = Pipeline { rows, splits, lanes, epoch_rows, whole_run, ..keyed(stage) };
        // Results come at the end: a run that was stopped before has none. One that came to its end is the last.
        for _ in 0..stops {
            let stop = StopSignal::new();
            run(pipeline.plan(), std::sync::Arc::clone(&state), &stop, &StopWhen { epochs: 1.into(), stop: &stop }).unwrap();
            if !pipeline.sink.rows().is_empty() {
                break;
            }
        }
        if pipeline.sink.rows().is_empty() {
            go(&pipeline, &state).unwrap();
        }
        prop_assert_eq!(pipeline.sink.rows(), stage.expected(0..rows as i64));
    }
}
