//! Two whole processes over one store in memory, in any interleaving of what they ask of it: at each moment one of them owns the pipeline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use proptest::prelude::*;

use super::doubles::{Keep, Pipeline, SilentObserver, ids};
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
    /// Whose turn it is; when it is empty, anybody's.
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

/// Numbers have no gaps, and from a process's claim on only that process puts, until another one claims.
fn check(puts: &[Attempt]) -> Result<(), TestCaseError> {
    let (mut newest, mut owner, mut claimed) = (0, None, BTreeSet::new());
    for attempt in puts.iter().filter(|attempt| attempt.put == Put::Done) {
        prop_assert_eq!(attempt.epoch, newest + 1, "a gap: {:?}", puts);
        newest = attempt.epoch;
        // The first that a process puts is its claim.
        if claimed.insert(attempt.process) {
            owner = Some(attempt.process);
        }
        prop_assert_eq!(owner, Some(attempt.process), "it put after another's claim: {:?}", puts);
    }
    Ok(())
}

fn process(pipeline: &Pipeline, world: &Arc<World>, process: usize) -> Result<()> {
    let store = Arc::new(Store { world: Arc::clone(world), process });
    let ended = run(pipeline.plan(), store, &StopSignal::new(), &SilentObserver);
    world.end(process);
    ended.map(drop)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn one_process_at_a_time_owns_the_pipeline(
        turns in prop::collection::vec(0..PROCESSES, 0..60),
        (lanes, splits) in (1usize..4, 1u64..6),
        pauses: bool,
        every_millis in 0u64..3,
        epoch_rows in 1u64..40,
    ) {
        let world = World::new(turns);
        let every = Duration::from_millis(every_millis);
        // A lane that is slow is still in an epoch that another one has closed, and adds rows to it.
        let slow = |id| {
            if id % 32 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            false
        };
        let stage = Some(Keep { filter: slow, ..Keep::all() });
        let pipeline = Pipeline { rows: 300, splits, lanes, pauses, every, epoch_rows, stage, mode: Mode::Batch, ..Pipeline::default() };
        let ended = std::thread::scope(|scope| {
            let processes: Vec<_> = (0..PROCESSES).map(|id| {
                let (pipeline, world) = (&pipeline, &world);
                scope.spawn(move || process(pipeline, world, id))
            }).collect();
            processes.into_iter().map(|process| process.join().unwrap()).collect::<Vec<_>>()
        });
        for error in ended.into_iter().filter_map(Result::err) {
            prop_assert_eq!(error.class(), Class::Environment);
            let text = error.to_string();
            prop_assert!(text.contains("taken over") || text.contains("fenced"), "{}", text);
        }
        check(&world.inner.lock().unwrap().puts)?;
        process(&pipeline, &world, PROCESSES).unwrap();
        prop_assert_eq!(pipeline.sink.rows(), ids(0..300));
    }
}
