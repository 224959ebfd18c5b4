//! Whole runs with sources, stages and sinks in memory.

mod doubles;
mod drained;
mod keyed;
mod limited;
mod liveness;
mod model;
mod opening;
mod repair;
mod retired;
mod starting;
mod turns;
mod waits;

use std::sync::Arc;

use doubles::{Keep, MemorySink, Pipeline, SilentObserver, ids};
use waits::{StopOnDrop, wait_until};

use crate::{Class, LocalState, Mode, StateStore, StopSignal, Summary, run};

type Store = Arc<dyn StateStore>;

fn state() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let state = LocalState::open(folder.path(), "p").unwrap();
    (folder, Arc::new(state))
}

fn go(pipeline: &Pipeline, state: &Store) -> crate::Result<Summary> {
    run(pipeline.plan(), Arc::clone(state), &StopSignal::new(), &SilentObserver)
}

#[test]
fn every_row_ends_once_and_a_second_run_adds_nothing() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 1000, splits: 7, lanes: 3, epoch_rows: 90, ..Pipeline::default() };
    let summary = go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..1000));
    assert!(summary.epochs > 1, "{summary:?}");
    assert!(summary.nodes.iter().all(|node| node.counts.balance()), "{summary:?}");
    let again = go(&pipeline, &state).unwrap();
    assert_eq!((again.epochs, pipeline.sink.rows().len()), (0, 1000));
}

#[test]
fn a_batch_asks_its_source_again_until_all_splits_are_found() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 300, splits: 3, one_by_one: true, ..Pipeline::default() };
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..300));
}

#[test]
fn rejects_filtered_and_added_rows_are_all_accounted_for() {
    let (_folder, state) = state();
    let stage = Keep { reject: |id| id % 10 == 0, filter: |id| id % 10 == 1, twice: |id| id % 10 == 2 };
    let pipeline = Pipeline { rows: 1000, stage: Some(stage), max_reject_share: 0.2, ..Pipeline::default() };
    let summary = go(&pipeline, &state).unwrap();
    let counts = summary.nodes.iter().find(|node| node.kind == "stage").unwrap().counts;
    assert_eq!(
        (counts.rows_in, counts.rows_rejected, counts.rows_filtered, counts.rows_added, counts.rows_out),
        (1000, 100, 100, 100, 900)
    );
    assert_eq!(pipeline.sink.rows().len(), 900);
    assert_eq!(pipeline.dead_letters.texts("record").len(), 100);
    let records = pipeline.dead_letters.texts("record");
    assert!(records.contains(&"10".to_owned()), "the original bytes");
    assert!(records.contains(&r#"{"id":990}"#.to_owned()), "the row, where there are none: {records:?}");
    assert_eq!(pipeline.dead_letters.texts("stage")[0], "keep");
}

#[test]
fn a_commit_that_failed_is_sent_again_without_reading_the_source() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    pipeline.sink.fail_commit_at(3);
    let error = go(&pipeline, &state).unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    let before = pipeline.sink.rows().len();
    assert!(before < 500);
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

#[test]
fn a_commit_that_was_done_but_not_answered_is_not_done_twice() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    pipeline.sink.lose_answer_at(2);
    go(&pipeline, &state).unwrap_err();
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

#[test]
fn a_lost_state_is_noticed_and_reset_or_adopted() {
    let (_folder, old) = state();
    let pipeline = Pipeline { rows: 100, ..Pipeline::default() };
    go(&pipeline, &old).unwrap();
    let (_other, new) = state();
    let error = go(&pipeline, &new).unwrap_err();
    assert!(error.message().contains("state and sink disagree: there is no state"), "{error}");
    crate::reset("p", &pipeline.named_sinks(), &*new).unwrap();
    go(&pipeline, &new).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 200, "reset reads everything again");
    let error = go(&pipeline, &old).unwrap_err();
    assert!(error.message().contains("disagree"), "{error}");
    crate::adopt("p", &pipeline.named_sinks(), &*old).unwrap();
    go(&pipeline, &old).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 200, "adopt resumes from its own progress");
}

#[test]
fn a_process_that_slept_finds_its_epoch_taken() {
    let (folder, state) = state();
    let pipeline = Pipeline { rows: 100, ..Pipeline::default() };
    let sleeper = state.latest().unwrap();
    assert!(sleeper.is_none());
    go(&pipeline, &state).unwrap();
    // The sleeper would have written the claim of a new state, or an epoch that is long over.
    let other = LocalState::open_read_only(folder.path(), "p").unwrap();
    let newest = other.latest().unwrap().unwrap();
    let late = crate::Checkpoint { epoch: newest.epoch, ..newest.clone() };
    assert_eq!(other.put(&late).unwrap(), crate::Put::Taken);
}

#[test]
fn too_many_rejects_stop_the_pipeline_and_only_dead_letters_are_committed() {
    let (_folder, state) = state();
    let stage = Keep { reject: |id| id % 2 == 0, ..Keep::all() };
    let pipeline = Pipeline { rows: 1000, lanes: 1, stage: Some(stage), max_reject_share: 0.4, ..Pipeline::default() };
    let error = go(&pipeline, &state).unwrap_err();
    assert_eq!(error.class(), Class::TooManyRejects);
    assert!(error.to_string().contains("stage keep: 50.0 % of its rows were rejected"), "{error}");
    let [reason] = error.details() else { panic!("one reason: {:?}", error.details()) };
    assert!(reason.starts_with("500 rejected as odd:\n  not this one at 0 of numbers: 0\n"), "{reason}");
    assert_eq!(reason.lines().count(), 4, "three rejects are shown: {reason}");
    assert!(pipeline.sink.rows().is_empty());
    assert_eq!(pipeline.dead_letters.texts("record").len(), 500);
    // The records were not consumed: once such a share is accepted, all of them arrive.
    let pipeline = Pipeline { max_reject_share: 0.5, ..pipeline };
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 500);
}

#[test]
fn a_small_batch_is_judged_at_its_end() {
    let (_folder, state) = state();
    let stage = Keep { reject: |_| true, ..Keep::all() };
    let pipeline = Pipeline { rows: 72, stage: Some(stage), max_reject_share: 0.1, ..Pipeline::default() };
    let error = go(&pipeline, &state).unwrap_err();
    assert!(error.to_string().contains("stage keep: 100.0 % of its rows were rejected"), "{error}");
    assert_eq!(pipeline.dead_letters.texts("record").len(), 72);
}

#[test]
fn without_dead_letters_the_first_reject_stops_the_pipeline() {
    let (_folder, state) = state();
    let stage = Keep { reject: |id| id == 77, ..Keep::all() };
    let pipeline = Pipeline { rows: 100, stage: Some(stage), without_dead_letters: true, ..Pipeline::default() };
    let error = go(&pipeline, &state).unwrap_err();
    assert!(error.to_string().contains("stage keep: a record was rejected (odd): not this one; it is at 77 of numbers"), "{error}");
}

#[test]
fn a_stage_that_panics_is_a_bug_and_commits_nothing() {
    let (_folder, state) = state();
    let stage = Keep { filter: |id| if id == 50 { panic!("boom at {id}") } else { false }, ..Keep::all() };
    let pipeline = Pipeline { rows: 100, stage: Some(stage), ..Pipeline::default() };
    let error = go(&pipeline, &state).unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert!(error.message().contains("boom at 50"), "{error}");
    assert!(pipeline.sink.rows().is_empty());
}

#[test]
fn a_stopped_stream_finishes_its_epoch_and_resumes_later() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: u64::MAX, mode: Mode::Stream, epoch_rows: 50, ..Pipeline::default() };
    let stop = StopSignal::new();
    let summary = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(pipeline.plan(), Arc::clone(&state), &stop, &SilentObserver));
        let _stop = StopOnDrop(&stop);
        wait_until("200 rows arrive", || pipeline.sink.rows().len() >= 200);
        stop.stop();
        running.join().unwrap()
    })
    .unwrap();
    assert!(summary.stopped);
    let first = pipeline.sink.rows();
    assert!(first.len() >= 200);
    assert_eq!(summary.nodes[0].counts.rows_in, first.len() as u64, "all that was read was committed");
    let rest = Pipeline { rows: first.len() as u64 + 100, sink: Arc::clone(&pipeline.sink), ..Pipeline::default() };
    go(&rest, &state).unwrap();
    assert_eq!(rest.sink.rows().len(), rest.sink.distinct(), "no row twice");
}

#[test]
fn an_overwriting_run_reads_everything_and_commits_once() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 300, epoch_rows: 10, whole_run: true, ..Pipeline::default() };
    for _ in 0..2 {
        let summary = go(&pipeline, &state).unwrap();
        assert_eq!(summary.epochs, 1);
    }
    assert_eq!(pipeline.sink.rows().len(), 600, "the test sink appends, so that both commits are seen");
    let empty = Pipeline { rows: 0, whole_run: true, sink: Arc::new(MemorySink::default()), ..Pipeline::default() };
    let (_other, fresh) = self::state();
    go(&empty, &fresh).unwrap();
    assert_eq!(empty.sink.commits(), 1, "nothing to write is written too");
}

#[test]
fn splits_are_read_on_from_where_a_crash_left_them() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 1000, splits: 3, lanes: 2, epoch_rows: 64, ..Pipeline::default() };
    for epoch in [2, 5, 9] {
        pipeline.sink.fail_commit_at(epoch);
        let _ = go(&pipeline, &state);
        pipeline.dead_letters.lose_answer_at(epoch + 1);
        let _ = go(&pipeline, &state);
    }
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..1000));
}
