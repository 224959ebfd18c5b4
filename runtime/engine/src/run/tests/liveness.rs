//! A run never hangs: panics end it, and a commit that hangs holds up neither signals nor failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::doubles::{Keep, Pipeline, SilentObserver, ids};
use super::waits::{Counting, StopOnDrop, wait_until};
use super::{go, state};
use crate::run::board::Board;
use crate::run::exchange::Exchange;
use crate::run::lane::{Lane, LaneStart, Report, Shared};
use crate::run::shape::Shape;
use crate::{Checkpoint, Class, Depot, Error, Event, Mode, Observer, Put, StateStore, StopSignal, run};

/// How soon a signal or a failure must take effect, whatever a commit does.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_commit_that_panics_ends_the_run_and_the_next_one_resumes() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    pipeline.sink.panic_commit_at(2);
    let error = go(&pipeline, &state).unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert!(error.message().contains("the commit is on fire"), "{error}");
    assert!(pipeline.sink.rows().len() < 500);
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

struct Panics;

impl Observer for Panics {
    fn on(&self, event: Event<'_>) {
        if let Event::EpochCommitted { epoch, .. } = event {
            panic!("epoch {epoch} is not wanted");
        }
    }
}

#[test]
fn a_coordinator_that_panics_ends_its_lanes_and_the_run() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    let error = run(pipeline.plan(), Arc::clone(&state), &StopSignal::new(), &Panics).unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert!(error.message().contains("the coordinator panicked: epoch 1 is not wanted"), "{error}");
    let pipeline = Pipeline { one_by_one: true, second_look: || panic!("no second listing"), ..pipeline };
    let error = go(&pipeline, &state).unwrap_err();
    assert!(error.message().contains("the coordinator panicked: no second listing"), "{error}");
    let pipeline = Pipeline { one_by_one: false, second_look: || {}, ..pipeline };
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

#[test]
fn a_signal_is_acted_on_and_progress_is_reported_while_a_commit_hangs() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 1 << 40, mode: Mode::Stream, epoch_rows: 50, ..Pipeline::default() };
    let (stop, observer) = (StopSignal::new(), Counting::default());
    pipeline.sink.1.close();
    let summary = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(pipeline.plan(), Arc::clone(&state), &stop, &observer));
        let _stop = StopOnDrop(&stop);
        pipeline.sink.1.wait_until_reached();
        let reported = observer.progress();
        wait_until("progress is reported again and again", || observer.progress() >= reported + 3);
        stop.stop();
        let asked = Instant::now();
        wait_until("the signal is seen", || observer.is_stopping());
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        let reported = observer.progress();
        wait_until("progress is reported to the end", || observer.progress() > reported);
        assert_eq!(observer.epochs(), 0, "the commit still hangs");
        assert!(!running.is_finished(), "the epoch under way is finished first");
        pipeline.sink.1.open();
        running.join().unwrap()
    });
    let summary = summary.unwrap();
    assert_eq!(summary.nodes[0].counts.rows_in, pipeline.sink.rows().len() as u64, "all that was read was committed");
}

#[test]
fn a_failure_is_acted_on_while_a_commit_hangs() {
    let (_folder, state) = state();
    static HANGS: AtomicBool = AtomicBool::new(false);
    let boom = |id| {
        if id == 150 {
            wait_until("the commit hangs", || HANGS.load(Ordering::SeqCst));
            panic!("boom at {id}");
        }
        false
    };
    let stage = Keep { filter: boom, ..Keep::all() };
    let pipeline = Pipeline { rows: 500, splits: 1, lanes: 1, epoch_rows: 100, stage: Some(stage), ..Pipeline::default() };
    pipeline.sink.1.close();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| go(&pipeline, &state));
        pipeline.sink.1.wait_until_reached();
        HANGS.store(true, Ordering::SeqCst);
        let failed = Instant::now();
        let error = running.join().unwrap().unwrap_err();
        assert!(failed.elapsed() < SOON, "{:?}", failed.elapsed());
        assert!(error.message().contains("boom at 150"), "{error}");
    });
    pipeline.sink.1.open();
    // The commit that was left behind and the next run's may meet: either way it is done once.
    let pipeline = Pipeline { stage: Some(Keep::all()), ..pipeline };
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}

#[test]
fn an_idle_lane_reports_it_once() {
    let (shape, _) = Shape::new(Pipeline { lanes: 1, ..Pipeline::default() }.plan());
    let board = Board::new(1, 1, shape.epoch);
    let (sender, reports) = crossbeam_channel::unbounded();
    std::thread::scope(|scope| {
        let (start, shared) =
            (LaneStart { index: 0, incarnation: uuid::Uuid::nil(), epoch: 1 }, Shared { shape: &shape, resume: None, board: &board });
        let lane = Lane::open(start, shared, Exchange::of_lanes(1).remove(0), sender).unwrap();
        let running = scope.spawn(|| lane.run());
        let first = reports.recv_timeout(SOON).unwrap();
        assert!(matches!(first, Report::Idle));
        // It polls for work some ten times meanwhile.
        assert!(reports.recv_timeout(Duration::from_millis(150)).is_err());
        board.abort();
        running.join().unwrap().unwrap();
    });
}

#[test]
fn streams_with_pauses_commit_what_they_read() {
    let (_folder, state) = state();
    let pipeline = Pipeline {
        rows: 2_000,
        splits: 3,
        lanes: 3,
        pauses: Some(Arc::default()),
        every: Duration::from_millis(1),
        mode: Mode::Stream,
        ..Pipeline::default()
    };
    let stop = StopSignal::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(pipeline.plan(), Arc::clone(&state), &stop, &SilentObserver));
        let _stop = StopOnDrop(&stop);
        wait_until("all rows arrive", || pipeline.sink.rows().len() >= 2_000);
        stop.stop();
        running.join().unwrap().unwrap();
    });
    assert_eq!(pipeline.sink.rows(), ids(0..2_000));
}

/// A store whose put of an epoch is done, but fails.
struct FailsHalfway(super::Store, u64);

impl StateStore for FailsHalfway {
    fn latest(&self) -> crate::Result<Option<Checkpoint>> {
        self.0.latest()
    }

    fn put(&self, checkpoint: &Checkpoint) -> crate::Result<Put> {
        let put = self.0.put(checkpoint);
        if checkpoint.epoch == self.1 { Err(Error::environment("the folder can't be synchronised")) } else { put }
    }

    fn note_committed(&self, epoch: u64) {
        self.0.note_committed(epoch);
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        self.0.is_noted_committed(epoch)
    }

    fn newest_epoch(&self) -> crate::Result<Option<u64>> {
        self.0.newest_epoch()
    }

    fn forget_before(&self, first: &Checkpoint) -> crate::Result<()> {
        self.0.forget_before(first)
    }

    fn depot(&self) -> Arc<dyn Depot> {
        self.0.depot()
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

#[test]
fn a_checkpoint_whose_put_fails_halfway_is_no_takeover() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    let halfway = Arc::new(FailsHalfway(Arc::clone(&state), 2));
    let error = run(pipeline.plan(), halfway, &StopSignal::new(), &SilentObserver).unwrap_err();
    assert_eq!(error.message(), "the folder can't be synchronised");
    go(&pipeline, &state).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500), "the next run commits what was noted");
}
