//! Sources that are renamed, added and removed; states that are repaired without a source.

use std::sync::Arc;

use super::doubles::{Pipeline, ids};
use super::{Store, go, state};
use crate::{Checkpoint, NamedSink, Result, SourceRename, drop_source, rename_source};

const NUMBERS_TO_POSTS: SourceRename<'static> = SourceRename { old: "numbers", new: "posts" };

fn pipeline() -> Pipeline {
    Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() }
}

/// The same pipeline, whose source has another name.
fn renamed(pipeline: &Pipeline) -> Pipeline {
    Pipeline { source: "posts", sink: Arc::clone(&pipeline.sink), dead_letters: Arc::clone(&pipeline.dead_letters), ..self::pipeline() }
}

fn no_sinks() -> Result<Vec<NamedSink>> {
    panic!("nothing is pending: no sink is touched")
}

fn newest(state: &Store) -> Checkpoint {
    state.latest().unwrap().unwrap()
}

#[test]
fn a_renamed_source_is_refused_before_anything_runs_and_resumes_under_its_new_name() {
    let (_folder, state) = state();
    let pipeline = pipeline();
    go(&pipeline, &state).unwrap();
    let renamed = renamed(&pipeline);
    let before = newest(&state);
    let error = go(&renamed, &state).unwrap_err();
    assert!(error.message().contains("`numbers`") && error.message().contains("`posts`"), "{error}");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("rename-source PIPELINE numbers posts") && hint.contains("drop-source PIPELINE numbers"), "{hint}");
    assert_eq!(newest(&state), before, "nothing was touched");
    rename_source("p", NUMBERS_TO_POSTS, no_sinks, &*state).unwrap();
    go(&renamed, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500), "no row twice");
}

#[test]
fn another_source_is_read_when_the_old_one_is_dropped() {
    let (_folder, state) = state();
    let pipeline = pipeline();
    go(&pipeline, &state).unwrap();
    drop_source("p", "numbers", no_sinks, &*state).unwrap();
    go(&renamed(&pipeline), &state).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 1000, "it is another source: all of it is read");
}

#[test]
fn what_is_pending_is_committed_before_a_source_is_renamed() {
    let (_folder, state) = state();
    let pipeline = pipeline();
    pipeline.sink.fail_commit_at(2);
    go(&pipeline, &state).unwrap_err();
    let before = pipeline.sink.rows().len();
    let missing = rename_source("p", NUMBERS_TO_POSTS, || Ok(Vec::new()), &*state).unwrap_err();
    assert!(missing.message().contains("may not be committed to sink `table` yet"), "{missing}");
    rename_source("p", NUMBERS_TO_POSTS, || Ok(pipeline.named_sinks()), &*state).unwrap();
    assert!(pipeline.sink.rows().len() > before);
    go(&renamed(&pipeline), &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

#[test]
fn a_name_that_is_taken_or_unknown_changes_nothing() {
    let (_folder, state) = state();
    go(&pipeline(), &state).unwrap();
    let before = newest(&state);
    let unknown = rename_source("p", SourceRename { old: "number", new: "posts" }, no_sinks, &*state).unwrap_err();
    assert!(unknown.hint_text().unwrap().contains("`numbers`"), "{unknown:?}");
    let taken = rename_source("p", SourceRename { old: "posts", new: "numbers" }, no_sinks, &*state).unwrap_err();
    assert!(taken.message().contains("can't take its name"), "{taken}");
    assert!(drop_source("q", "numbers", no_sinks, &*state).unwrap_err().message().contains("of pipeline `p`"));
    assert_eq!(newest(&state), before);
}

#[test]
fn a_source_that_gave_nothing_is_known_all_the_same() {
    let (_folder, state) = state();
    let empty = Pipeline { splits: 0, source: "silent", ..pipeline() };
    go(&empty, &state).unwrap();
    assert!(newest(&state).sources.contains_key("silent"));
    // It had no progress, so that it may go, and another one may come.
    go(&Pipeline { source: "numbers", ..renamed(&empty) }, &state).unwrap();
    assert_eq!(empty.sink.rows(), ids(0..500));
}

#[test]
fn a_run_that_overwrites_reads_everything_whatever_its_source_is_called() {
    let (_folder, state) = state();
    let pipeline = Pipeline { whole_run: true, ..pipeline() };
    go(&pipeline, &state).unwrap();
    go(&Pipeline { whole_run: true, ..renamed(&pipeline) }, &state).unwrap();
    assert_eq!(pipeline.sink.commits(), 2);
}

#[test]
fn a_reset_forgets_nothing_if_a_sink_is_out_of_reach() {
    let (_folder, state) = state();
    let pipeline = pipeline();
    go(&pipeline, &state).unwrap();
    let before = newest(&state);
    pipeline.sink.be_away(true);
    crate::reset("p", &pipeline.named_sinks(), &*state).unwrap_err();
    assert_eq!(newest(&state), before);
    pipeline.sink.be_away(false);
    crate::reset("p", &pipeline.named_sinks(), &*state).unwrap();
    assert_ne!(newest(&state).incarnation, before.incarnation);
}

#[test]
fn a_process_that_slept_while_its_state_was_reset_finds_its_epoch_taken() {
    let (_folder, state) = state();
    let pipeline = pipeline();
    go(&pipeline, &state).unwrap();
    let sleeper = newest(&state).claim();
    crate::reset("p", &pipeline.named_sinks(), &*state).unwrap();
    assert_eq!(state.put(&sleeper).unwrap(), crate::Put::Taken);
    let first = newest(&state);
    assert!(first.epoch == sleeper.epoch && first.incarnation != sleeper.incarnation && first.sources.is_empty(), "{first:?}");
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 1000, "everything is read again");
}
