//! Splits take turns: those that never end are all read, and one that passes over what was read holds nothing up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::doubles::{NumberReader, Pipeline, SilentObserver, ids, schema};
use super::{go, state};
use crate::*;

/// Endless partitions, each of which always has rows.
struct Partitions {
    next: Arc<Vec<AtomicU64>>,
    listed: bool,
    committed: Arc<Mutex<Vec<Progress>>>,
}

impl Source for Partitions {
    fn schema(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn discover(&mut self, _restored: &Progress) -> Result<Discovery> {
        let first = !std::mem::replace(&mut self.listed, true);
        let split = |number: usize| Split { id: format!("{number:02}").into(), position: json!(0) };
        Ok(Discovery { splits: (0..self.next.len()).filter(|_| first).map(split).collect(), complete: false })
    }

    fn is_endless(&self) -> bool {
        true
    }

    fn committed(&mut self, progress: &Progress) {
        self.committed.lock().unwrap().push(progress.clone());
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener(Arc::clone(&self.next)))
    }
}

struct Opener(Arc<Vec<AtomicU64>>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(Partition { number: split.id.parse().unwrap(), next: Arc::clone(&self.0) }))
    }
}

struct Partition {
    number: usize,
    next: Arc<Vec<AtomicU64>>,
}

impl SplitReader for Partition {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let mine = &self.next[self.number];
        // A lane that the scheduler skips for a moment is waited for, but not forever: an unread
        // partition blocks nothing.
        let waited = Instant::now();
        let least = || self.next.iter().map(|next| next.load(Ordering::Relaxed)).min().unwrap_or_default();
        while mine.load(Ordering::Relaxed) > least() + max_rows as u64 && waited.elapsed() < Duration::from_millis(50) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let first = mine.fetch_add(max_rows as u64, Ordering::Relaxed);
        NumberReader::new(first, first + max_rows as u64).read(max_rows)
    }

    fn position(&self) -> Value {
        json!(self.next[self.number].load(Ordering::Relaxed))
    }
}

#[test]
fn every_endless_split_advances_in_every_epoch_however_many_there_are() {
    let (_folder, state) = state();
    let (next, committed) = (Arc::new((0..64).map(|_| AtomicU64::new(0)).collect::<Vec<_>>()), Arc::default());
    let pipeline = Pipeline { lanes: 2, mode: Mode::Stream, epoch_rows: 64 * 16 * 4, ..Pipeline::default() };
    let mut plan = pipeline.plan();
    plan.sources[0].source = Box::new(Partitions { next, listed: false, committed: Arc::clone(&committed) });
    let stop = StopSignal::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, Arc::clone(&state), &stop, &SilentObserver));
        let deadline = Instant::now() + Duration::from_secs(60);
        while committed.lock().unwrap().len() < 5 && !running.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.stop();
        running.join().unwrap().unwrap();
    });
    let epochs = committed.lock().unwrap();
    assert!(epochs.len() >= 5, "{} epochs", epochs.len());
    let at =
        |epoch: &Progress, number: usize| epoch.get(format!("{number:02}").as_str()).map_or(0, |state| state.position.as_u64().unwrap());
    let mut before = Progress::new();
    for (index, epoch) in epochs[..5].iter().enumerate() {
        let stuck: Vec<usize> = (0..64).filter(|number| at(epoch, *number) <= at(&before, *number)).collect();
        assert_eq!(stuck, Vec::<usize>::new(), "partitions that did not advance in epoch {index} of the run");
        before = epoch.clone();
    }
}

/// One split whose reader skips for a while before it returns its rows.
struct Passing {
    times: u64,
    listed: bool,
}

impl Source for Passing {
    fn schema(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let is_done = restored.get("all").is_some_and(|state| state.done);
        let fresh = !std::mem::replace(&mut self.listed, true) && !is_done;
        let splits = fresh.then(|| Split { id: "all".into(), position: json!(0) }).into_iter().collect();
        Ok(Discovery { splits, complete: true })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(PassingOpener(self.times))
    }
}

struct PassingOpener(u64);

impl SplitOpener for PassingOpener {
    fn open(&self, _split: &Split) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(PassingReader { left: self.0, then: NumberReader::new(0, 40) }))
    }
}

struct PassingReader {
    left: u64,
    then: NumberReader,
}

impl SplitReader for PassingReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        if self.left == 0 {
            return self.then.read(max_rows);
        }
        self.left -= 1;
        Ok(Read::Skipping)
    }

    fn position(&self) -> Value {
        self.then.position()
    }
}

fn passing(times: u64) -> (Pipeline, Plan) {
    let pipeline = Pipeline::default();
    let mut plan = pipeline.plan();
    plan.sources[0].source = Box::new(Passing { times, listed: false });
    (pipeline, plan)
}

#[test]
fn a_batch_does_not_end_before_a_reader_that_skips_and_its_lane_does_not_sleep() {
    let (_folder, state) = state();
    let (pipeline, plan) = passing(5_000);
    let begun = Instant::now();
    run(plan, state.clone(), &StopSignal::new(), &SilentObserver).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..40));
    assert!(begun.elapsed() < Duration::from_secs(25), "a lane that sleeps after each step takes 50 s: {:?}", begun.elapsed());
}

#[test]
fn a_stop_does_not_wait_for_a_reader_that_skips() {
    let (_folder, state) = state();
    let (pipeline, plan) = passing(50_000_000);
    let stop = StopSignal::new();
    let summary = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, Arc::clone(&state), &stop, &SilentObserver));
        std::thread::sleep(Duration::from_millis(50));
        stop.stop();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !running.is_finished() {
            assert!(Instant::now() < deadline, "it still runs");
            std::thread::sleep(Duration::from_millis(1));
        }
        running.join().unwrap().unwrap()
    });
    assert!(summary.stopped && pipeline.sink.rows().is_empty(), "{summary:?}");
    // Nothing was read, so the next run reads all of it.
    go(&Pipeline { sink: Arc::clone(&pipeline.sink), ..Pipeline::default() }, &state).unwrap();
    assert_eq!(pipeline.sink.rows().len(), 100);
}
