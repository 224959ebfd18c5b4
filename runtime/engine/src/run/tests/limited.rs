//! Runs that end after a number of source records.

use std::sync::Arc;

use super::doubles::{Keep, MemorySink, Pipeline, ids};
use super::{go, state};

fn limited(lanes: usize, splits: u64, limit: u64, sink: &Arc<MemorySink>) -> Pipeline {
    Pipeline { rows: 1000, splits, lanes, epoch_rows: 70, limit: Some(limit), sink: Arc::clone(sink), ..Pipeline::default() }
}

#[test]
fn a_limited_run_commits_exactly_so_many_records_and_the_next_one_resumes() {
    for (lanes, splits) in [(1, 1), (1, 7), (3, 7)] {
        let (_folder, state) = state();
        let sink = Arc::new(MemorySink::default());
        let mut total = 0;
        for limit in [1, 5, 16, 17, 100, 300] {
            let summary = go(&limited(lanes, splits, limit, &sink), &state).unwrap();
            total += limit as usize;
            assert_eq!(sink.rows().len(), total, "{lanes} lanes, {splits} splits, {limit} records");
            let read: u64 = summary.nodes.iter().filter(|node| node.kind == "source").map(|node| node.counts.rows_in).sum();
            assert_eq!((read, summary.stopped), (limit, false));
        }
        // More than are left: the run ends with its input.
        go(&limited(lanes, splits, 10_000, &sink), &state).unwrap();
        assert_eq!(sink.rows(), ids(0..1000), "each once");
    }
}

#[test]
fn one_lane_reads_from_the_front() {
    let (_folder, state) = state();
    let sink = Arc::new(MemorySink::default());
    go(&limited(1, 1, 25, &sink), &state).unwrap();
    assert_eq!(sink.rows(), ids(0..25));
}

#[test]
fn nothing_may_be_read_and_nothing_is() {
    let (_folder, state) = state();
    let sink = Arc::new(MemorySink::default());
    go(&limited(2, 3, 0, &sink), &state).unwrap();
    assert!(sink.rows().is_empty());
}

#[test]
fn the_share_of_rejects_of_a_few_records_stops_no_run_that_is_limited() {
    let (_folder, state) = state();
    let sink = Arc::new(MemorySink::default());
    let stage = Keep { reject: |id| id % 2 == 1, ..Keep::all() };
    let pipeline = Pipeline { stage: Some(stage), max_reject_share: 0.1, ..limited(1, 1, 10, &sink) };
    go(&pipeline, &state).unwrap();
    assert_eq!(sink.rows(), [0, 2, 4, 6, 8]);
}
