//! A split that takes long to open, or to skip what was already read, delays its own lane and
//! neither commits nor signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::doubles::{NumberReader, Pipeline, ids, schema};
use super::state;
use super::waits::{Counting, Gate, StopOnDrop, wait_until};
use crate::*;

/// How soon a signal has to be acted on.
const SOON: Duration = Duration::from_secs(1);

/// A split that ends without a row once it is opened and skipped.
#[derive(Default)]
struct Slow {
    is_shown: AtomicBool,
    /// Where it is opened.
    opening: Gate,
    /// Its reader has something to pass over.
    skips: AtomicBool,
    skipped: AtomicU64,
    /// How often splits of the source were listed.
    looks: AtomicU64,
}

/// Endless numbers in one split, and the slow one besides as soon as it is revealed.
struct Beside {
    slow: Arc<Slow>,
    is_found: bool,
}

impl Source for Beside {
    fn schema(&self) -> arrow_schema::SchemaRef {
        schema()
    }

    fn discover(&mut self, _restored: &Progress) -> Result<Discovery> {
        let split = |id: &str| Split { id: id.into(), position: json!(0) };
        let mut splits = Vec::new();
        splits.extend((self.slow.looks.fetch_add(1, Ordering::SeqCst) == 0).then(|| split("numbers")));
        if self.slow.is_shown.load(Ordering::SeqCst) && !std::mem::replace(&mut self.is_found, true) {
            splits.push(split("slow"));
        }
        Ok(Discovery { splits, complete: false })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener(Arc::clone(&self.slow)))
    }
}

struct Opener(Arc<Slow>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        if &*split.id == "numbers" {
            return Ok(Box::new(NumberReader::with_pauses(0, 1 << 40)));
        }
        self.0.opening.pass();
        Ok(Box::new(SlowReader(Arc::clone(&self.0))))
    }
}

struct SlowReader(Arc<Slow>);

impl SplitReader for SlowReader {
    fn read(&mut self, _max_rows: usize) -> Result<Read> {
        if !self.0.skips.load(Ordering::SeqCst) {
            return Ok(Read::End);
        }
        self.0.skipped.fetch_add(1, Ordering::SeqCst);
        Ok(Read::Skipping)
    }

    fn position(&self) -> Value {
        json!(0)
    }
}

/// A stream of two lanes, each of which gets one of the splits.
fn stream(slow: &Arc<Slow>) -> (Pipeline, Plan) {
    // Time ends its epochs: one that rows end would, while a commit hangs, leave the lanes nothing to do but to wait for it.
    let every = Duration::from_millis(1);
    let pipeline = Pipeline { lanes: 2, mode: Mode::Stream, every, epoch_rows: 1 << 40, ..Pipeline::default() };
    let mut plan = pipeline.plan();
    plan.sources[0].source = Box::new(Beside { slow: Arc::clone(slow), is_found: false });
    (pipeline, plan)
}

fn check(pipeline: &Pipeline, summary: &Summary) {
    let rows = pipeline.sink.rows();
    assert_eq!(rows, ids(0..rows.len() as i64));
    assert_eq!(summary.nodes[0].counts.rows_in, rows.len() as u64, "all that was read was committed");
}

/// An epoch needs a part of every lane, so that the open epoch waits for the one that opens. The one before it does not, nor does anything else.
#[test]
fn while_a_split_is_opened_a_closed_epoch_is_committed_and_splits_signals_and_progress_are_seen() {
    let (_folder, state) = state();
    let slow = Arc::new(Slow::default());
    let (pipeline, plan) = stream(&slow);
    let (stop, observer) = (StopSignal::new(), Counting::default());
    pipeline.sink.1.close();
    slow.opening.close();
    let summary = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, Arc::clone(&state), &stop, &observer));
        let _stop = StopOnDrop(&stop);
        pipeline.sink.1.wait_until_reached();
        slow.is_shown.store(true, Ordering::SeqCst);
        slow.opening.wait_until_reached();
        assert_eq!(observer.epochs(), 0);
        pipeline.sink.1.open();
        wait_until("the closed epoch is committed", || observer.epochs() > 0);
        let (looks, reported) = (slow.looks.load(Ordering::SeqCst), observer.progress());
        wait_until("splits are looked for", || slow.looks.load(Ordering::SeqCst) > looks);
        wait_until("progress is reported", || observer.progress() > reported);
        stop.stop();
        let asked = Instant::now();
        wait_until("the signal is seen", || observer.is_stopping());
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        assert!(!running.is_finished(), "the split is still being opened");
        slow.opening.open();
        running.join().unwrap()
    });
    check(&pipeline, &summary.unwrap());
}

#[test]
fn epochs_are_committed_while_another_lane_only_skips() {
    let (_folder, state) = state();
    let slow = Arc::new(Slow { is_shown: true.into(), skips: true.into(), ..Slow::default() });
    let (pipeline, plan) = stream(&slow);
    let (stop, observer) = (StopSignal::new(), Counting::default());
    let skipped = || slow.skipped.load(Ordering::SeqCst);
    let summary = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(plan, Arc::clone(&state), &stop, &observer));
        let _stop = StopOnDrop(&stop);
        wait_until("the other lane skips", || skipped() > 0);
        let before = observer.epochs();
        wait_until("epochs are committed meanwhile", || observer.epochs() >= before + 5);
        let so_far = skipped();
        wait_until("it still skips", || skipped() > so_far);
        stop.stop();
        let asked = Instant::now();
        wait_until("the signal is acted on", || running.is_finished());
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        running.join().unwrap()
    });
    check(&pipeline, &summary.unwrap());
}
