//! Drained streams: epochs and watermarks of a stream, and an end at which every window closes.

use std::sync::Arc;

use proptest::prelude::*;

use super::doubles::Pipeline;
use super::keyed::{CountPerWindow, StopWhen, go, keyed, read_up};
use super::state;
use crate::*;

fn drained(stage: CountPerWindow) -> Pipeline {
    Pipeline { mode: Mode::Stream, drains: true, ..keyed(stage) }
}

#[test]
fn a_drained_stream_emits_as_its_watermark_passes_and_the_rest_at_its_end() {
    let (_folder, state) = state();
    let stage = CountPerWindow::of(100);
    // One split, in order: all windows but the last one can close before the end.
    let pipeline = Pipeline { splits: 1, lanes: 2, epoch_rows: 50, ..drained(stage) };
    let summary = go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), stage.expected(0..1000));
    assert!(!summary.stopped && summary.epochs > 5 && summary.nodes.iter().all(|node| node.counts.balance()), "{summary:?}");
    assert!(pipeline.sink.commits() > 5, "windows closed before the end: {} commits", pipeline.sink.commits());
    assert_eq!(pipeline.dead_letters.texts("code"), Vec::<String>::new());
    let held = state.latest().unwrap().unwrap().stages["counts"].clone();
    assert_eq!((held.watermark, held.state), (Some(1000), None), "what was emitted takes no more rows");
}

#[test]
fn splits_that_wait_or_are_not_listed_yet_hold_the_watermark_back() {
    for one_by_one in [false, true] {
        let (_folder, state) = state();
        let stage = CountPerWindow::of(100);
        // The numbers of later splits are greater, so that what is read first is not the least.
        let pipeline = Pipeline { splits: 20, lanes: 1, epoch_rows: 30, one_by_one, pauses: Some(Arc::default()), ..drained(stage) };
        go(&pipeline, &state).unwrap();
        assert_eq!(pipeline.sink.rows(), stage.expected(0..1000));
        assert_eq!(pipeline.dead_letters.texts("code"), Vec::<String>::new());
    }
}

#[test]
fn one_that_is_stopped_closes_nothing_early_and_the_next_goes_on() {
    let (_folder, state) = state();
    let stage = CountPerWindow::of(100);
    let first = Pipeline { splits: 1, epoch_rows: 50, ..drained(stage) };
    for lanes in [3, 1, 4] {
        let pipeline = Pipeline { lanes, splits: 1, epoch_rows: 50, sink: Arc::clone(&first.sink), ..drained(stage) };
        let stop = StopSignal::new();
        let summary = run(pipeline.plan(), Arc::clone(&state), &stop, &StopWhen { epochs: 2.into(), stop: &stop }).unwrap();
        assert!(summary.stopped, "{lanes} lanes: {summary:?}");
        // The watermark is the last number, and a window of a hundred numbers has three groups.
        let closed = (read_up(&state) - 1) / 100 * 3;
        assert_eq!(first.sink.rows(), stage.expected(0..1000)[..closed as usize], "whole windows, each once, and none before its time");
    }
    go(&Pipeline { lanes: 2, splits: 1, sink: Arc::clone(&first.sink), ..drained(stage) }, &state).unwrap();
    assert_eq!(first.sink.rows(), stage.expected(0..1000));
}

#[test]
fn what_comes_behind_the_end_for_a_result_that_was_emitted_is_late() {
    let (_folder, state) = state();
    let stage = CountPerWindow::of(100);
    let first = Pipeline { rows: 950, splits: 1, ..drained(stage) };
    go(&first, &state).unwrap();
    assert_eq!(first.sink.rows(), stage.expected(0..950), "the last window is half full");
    // Nothing new: nothing is emitted.
    let again = |rows| Pipeline { rows, splits: 1, sink: Arc::clone(&first.sink), ..drained(stage) };
    let commits = first.sink.commits();
    go(&again(950), &state).unwrap();
    assert_eq!(first.sink.commits(), commits);
    let more = again(1200);
    go(&more, &state).unwrap();
    let expected: Vec<i64> = [stage.expected(0..950), stage.expected(1000..1200)].concat();
    assert_eq!(more.sink.rows(), expected, "no window twice");
    assert_eq!(more.dead_letters.texts("code").len(), 50, "the rest of the half window");
}

#[test]
fn a_small_drained_stream_is_judged_at_its_end() {
    let (_folder, state) = state();
    let stage = super::doubles::Keep { reject: |_| true, ..super::doubles::Keep::all() };
    let pipeline = Pipeline { rows: 72, stage: Some(stage), keyed: None, max_reject_share: 0.1, ..drained(CountPerWindow::of(100)) };
    let error = go(&pipeline, &state).unwrap_err();
    assert!(error.to_string().contains("stage keep: 100.0 % of its rows were rejected"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_drained_stream_gives_what_a_batch_gives_over_stops_failures_and_lanes(
        rows in 1u64..400,
        splits in 1u64..6,
        size in 1i64..500,
        epoch_rows in 10u64..120,
        lanes in proptest::collection::vec(1usize..5, 1..5),
    ) {
        let (_folder, state) = state();
        let stage = CountPerWindow::of(size);
        let first = drained(stage);
        let of = |lanes| Pipeline { rows, splits, lanes, epoch_rows, sink: Arc::clone(&first.sink), ..drained(stage) };
        for (index, lanes) in lanes.iter().enumerate() {
            let stop = StopSignal::new();
            if index % 2 == 1 {
                first.sink.lose_answer_at(0);
            }
            let ended = run(of(*lanes).plan(), Arc::clone(&state), &stop, &StopWhen { epochs: 1.into(), stop: &stop });
            prop_assert!(ended.is_ok() || index > 0, "{ended:?}");
        }
        // An answer that no commit has lost yet fails one more run.
        let ended = go(&of(2), &state).or_else(|_| go(&of(2), &state));
        prop_assert!(ended.is_ok(), "{ended:?}");
        prop_assert_eq!(first.sink.rows(), stage.expected(0..rows as i64));
    }

    #[test]
    fn a_drained_stream_that_overwrites_is_one_epoch(rows in 0u64..300, splits in 1u64..6, lanes in 1usize..5) {
        let (_folder, state) = state();
        let stage = CountPerWindow::of(70);
        let pipeline = Pipeline { rows, splits, lanes, epoch_rows: 10, whole_run: true, ..drained(stage) };
        prop_assert_eq!(go(&pipeline, &state).unwrap().epochs, 1);
        prop_assert_eq!(pipeline.sink.rows(), stage.expected(0..rows as i64));
        prop_assert!(state.latest().unwrap().unwrap().stages.is_empty());
    }
}
