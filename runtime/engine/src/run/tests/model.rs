//! Two whole processes over one store in memory, in any interleaving of their calls: at each moment
//! one of them owns the pipeline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::doubles::{Keep, Pipeline, ids};
use super::waits::{Counting, StopOnDrop, wait_until};
use crate::{Checkpoint, Class, Depot, Mode, Put, Result, StateStore, StopSignal, run};

const PROCESSES: usize = 2;

/// A store and the order in which processes get at it.
struct World {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    checkpoints: BTreeMap<u64, Checkpoint>,
    noted: BTreeSet<u64>,
    puts: Vec<Attempt>,
    /// The next process in turn; when it is empty, any process.
    turns: VecDeque<usize>,
    ended: [bool; PROCESSES + 1],
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    process: usize,
    epoch: u64,
    put: Put,
}

impl World {
    fn new(turns: Vec<usize>) -> Arc<Self> {
        let inner = Inner {
            checkpoints: BTreeMap::new(),
            noted: BTreeSet::new(),
            puts: Vec::new(),
            turns: turns.into(),
            ended: [false; PROCESSES + 1],
        };
        Arc::new(Self { inner: Mutex::new(inner), changed: Condvar::new() })
    }

    /// Waits until it is the process's turn, and takes it.
    fn turn(&self, process: usize) -> MutexGuard<'_, Inner> {
        let is_others = |inner: &mut Inner| {
            while inner.turns.front().is_some_and(|next| inner.ended[*next]) {
                inner.turns.pop_front();
            }
            inner.turns.front().is_some_and(|next| *next != process)
        };
        let inner = self.inner.lock().unwrap();
        let (mut inner, waited) = self.changed.wait_timeout_while(inner, Duration::from_secs(60), is_others).unwrap();
        assert!(!waited.timed_out(), "a process neither ended nor took its turn");
        inner.turns.pop_front();
        self.changed.notify_all();
        inner
    }

    fn end(&self, process: usize) {
        self.inner.lock().unwrap().ended[process] = true;
        self.changed.notify_all();
    }
}

/// The store as one process sees it.
struct Store {
    world: Arc<World>,
    process: usize,
}

impl StateStore for Store {
    fn latest(&self) -> Result<Option<Checkpoint>> {
        Ok(self.world.turn(self.process).checkpoints.values().next_back().cloned())
    }

    fn put(&self, checkpoint: &Checkpoint) -> Result<Put> {
        let mut inner = self.world.turn(self.process);
        let is_newest = inner.checkpoints.keys().next_back().is_none_or(|newest| *newest < checkpoint.epoch);
        let put = if is_newest { Put::Done } else { Put::Taken };
        inner.puts.push(Attempt { process: self.process, epoch: checkpoint.epoch, put });
        if is_newest {
            inner.checkpoints.insert(checkpoint.epoch, checkpoint.clone());
        }
        Ok(put)
    }

    fn note_committed(&self, epoch: u64) {
        self.world.turn(self.process).noted.insert(epoch);
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        self.world.turn(self.process).noted.contains(&epoch)
    }

    fn newest_epoch(&self) -> Result<Option<u64>> {
        unreachable!("no process of the model resets")
    }

    fn forget_before(&self, _first: &Checkpoint) -> Result<()> {
        unreachable!("no process of the model resets")
    }

    fn depot(&self) -> Arc<dyn Depot> {
        unreachable!("the sinks of the model keep no files")
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// What occurred in schedules: a test in which one of these never occurs proves nothing about it.
#[derive(Debug, Default)]
struct Occurred {
    /// Processes that had claimed the pipeline and then found that another one had taken it over.
    takeovers: u64,
    /// Processes whose last epoch was empty.
    empty_epochs: u64,
    /// Reads that had nothing, though there was more to come.
    pauses: u64,
}

/// Numbers have no gaps. From a process's claim on, only that process puts, until another one
/// claims. Returns the processes that claimed.
fn check(puts: &[Attempt]) -> Result<BTreeSet<usize>, TestCaseError> {
    let (mut next, mut owner, mut claimed) = (0, None, BTreeSet::new());
    for attempt in puts.iter().filter(|attempt| attempt.put == Put::Done) {
        prop_assert_eq!(attempt.epoch, next, "a gap: {:?}", puts);
        next += 1;
        // The first that a process puts is its claim.
        if claimed.insert(attempt.process) {
            owner = Some(attempt.process);
        }
        prop_assert_eq!(owner, Some(attempt.process), "it put after another's claim: {:?}", puts);
    }
    Ok(claimed)
}

/// Runs one process to its end; whether the last epoch of one that ended well was empty.
fn process(pipeline: &Pipeline, (world, process): (&Arc<World>, usize), stop: &StopSignal) -> Result<bool> {
    let (store, observer) = (Arc::new(Store { world: Arc::clone(world), process }), Counting::default());
    let ended = run(pipeline.plan(), store, stop, &observer);
    world.end(process);
    ended.map(|_| observer.ended_with_an_empty_epoch())
}

const ROWS: u64 = 300;

/// Two processes whose requests to the store come in this order. A stream is stopped once all rows have arrived.
fn schedule(pipeline: &Pipeline, turns: Vec<usize>) -> Result<Occurred, TestCaseError> {
    let (world, stop) = (World::new(turns), StopSignal::new());
    let ended = std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        let processes: Vec<_> = (0..PROCESSES)
            .map(|id| {
                let (world, stop) = (&world, &stop);
                scope.spawn(move || process(pipeline, (world, id), stop))
            })
            .collect();
        if pipeline.mode == Mode::Stream {
            let all_ended = || processes.iter().all(|process| process.is_finished());
            wait_until("all rows arrive", || pipeline.sink.rows().len() >= ROWS as usize || all_ended());
            stop.stop();
        }
        processes.into_iter().map(|process| process.join().unwrap()).collect::<Vec<_>>()
    });
    let claimed = check(&world.inner.lock().unwrap().puts)?;
    let mut occurred = Occurred::default();
    for (process, ended) in ended.into_iter().enumerate() {
        match ended {
            Ok(is_empty) => occurred.empty_epochs += u64::from(is_empty),
            Err(error) => {
                prop_assert_eq!(error.class(), Class::Environment);
                let text = error.to_string();
                prop_assert!(text.contains("taken over") || text.contains("fenced"), "{}", text);
                occurred.takeovers += u64::from(claimed.contains(&process));
            }
        }
    }
    // A batch over the same sinks reads the rest.
    let (sink, dead_letters) = (Arc::clone(&pipeline.sink), Arc::clone(&pipeline.dead_letters));
    let rest = Pipeline { rows: ROWS, splits: pipeline.splits, sink, dead_letters, ..Pipeline::default() };
    process(&rest, (&world, PROCESSES), &StopSignal::new()).unwrap();
    prop_assert_eq!(pipeline.sink.rows(), ids(0..ROWS as i64));
    Ok(occurred)
}

/// Schedules of batches and of streams, in which everything has to occur that could mislead a process.
#[test]
fn one_process_at_a_time_owns_the_pipeline() {
    let all = Mutex::new(Occurred::default());
    let turns = prop::collection::vec(0..PROCESSES, 0..60);
    let mode = prop_oneof![Just(Mode::Batch), Just(Mode::Stream)];
    let schedules = (turns, mode, (1usize..4, 1u64..6), any::<bool>(), 0u64..3, 1u64..40);
    let config = ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&schedules, |(turns, mode, (lanes, splits), pauses, every_millis, epoch_rows)| {
        // A slow lane is still in an epoch that another one has closed, and adds rows to it.
        let slow = |id| {
            if id % 32 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            false
        };
        let pauses = pauses.then(|| Arc::new(AtomicU64::new(0)));
        let pipeline = Pipeline {
            rows: ROWS,
            splits,
            lanes,
            mode,
            pauses: pauses.clone(),
            every: Duration::from_millis(every_millis),
            epoch_rows,
            stage: Some(Keep { filter: slow, ..Keep::all() }),
            ..Pipeline::default()
        };
        let occurred = schedule(&pipeline, turns)?;
        let mut all = all.lock().unwrap();
        all.takeovers += occurred.takeovers;
        all.empty_epochs += occurred.empty_epochs;
        all.pauses += pauses.map_or(0, |pauses| pauses.load(Ordering::Relaxed));
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
    let Occurred { takeovers, empty_epochs, pauses } = all.into_inner().unwrap();
    println!("{takeovers} takeovers, {empty_epochs} empty epochs, {pauses} pauses");
    assert!(takeovers > 0 && empty_epochs > 0 && pauses > 0, "{takeovers} takeovers, {empty_epochs} empty epochs, {pauses} pauses");
}
