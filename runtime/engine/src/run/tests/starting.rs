//! A start while another process is still at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::doubles::{MemorySink, Pipeline, SilentObserver, ids};
use super::{Store, go, state};
use crate::*;

/// A sink into which another process commits what the state has noted, right after this one has
/// read its token.
struct Meanwhile {
    sink: Arc<MemorySink>,
    store: Store,
    is_done: AtomicBool,
}

impl Sink for Meanwhile {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        let found = self.sink.committed(pipeline, sink)?;
        if !self.is_done.swap(true, Ordering::SeqCst) {
            let checkpoint = self.store.latest()?.unwrap();
            self.sink.commit(&checkpoint.token(sink), checkpoint.sinks[sink].prepared.as_ref().unwrap())?;
            self.store.note_committed(checkpoint.epoch);
            assert!(self.store.is_noted_committed(checkpoint.epoch));
        }
        Ok(found)
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        self.sink.writer(context)
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        self.sink.prepare(token, parts)
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        self.sink.commit(token, prepared)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        self.sink.adopt(token)
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.sink.clean_up(claim)
    }
}

/// The numbers of the epochs that a run commits.
#[derive(Default)]
struct Numbers(std::sync::Mutex<Vec<u64>>);

impl Observer for Numbers {
    fn on(&self, event: Event<'_>) {
        if let Event::EpochCommitted { epoch, .. } = event {
            self.0.lock().unwrap().push(epoch);
        }
    }
}

#[test]
fn the_first_epoch_is_1_and_each_later_start_takes_one_number() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 300, epoch_rows: 100, lanes: 1, splits: 1, ..Pipeline::default() };
    let numbers = Numbers::default();
    run(pipeline.plan(), Arc::clone(&state), &StopSignal::new(), &numbers).unwrap();
    let newest = state.latest().unwrap().unwrap().epoch;
    assert_eq!(*numbers.0.lock().unwrap(), (1..=newest).collect::<Vec<_>>());
    let more = Pipeline { rows: 400, splits: 2, ..pipeline };
    let numbers = Numbers::default();
    run(more.plan(), Arc::clone(&state), &StopSignal::new(), &numbers).unwrap();
    assert_eq!(numbers.0.lock().unwrap().first(), Some(&(newest + 2)), "the claim of the second start has {}", newest + 1);
}

#[test]
fn a_commit_that_another_process_ends_meanwhile_is_no_disagreement() {
    let (_folder, state) = state();
    let pipeline = Pipeline { rows: 500, epoch_rows: 100, ..Pipeline::default() };
    pipeline.sink.fail_commit_at(2);
    go(&pipeline, &state).unwrap_err();
    let mut plan = pipeline.plan();
    plan.sinks[0].sink = Arc::new(Meanwhile { sink: Arc::clone(&pipeline.sink), store: Arc::clone(&state), is_done: false.into() });
    run(plan, Arc::clone(&state), &StopSignal::new(), &SilentObserver).unwrap();
    assert_eq!(pipeline.sink.rows(), ids(0..500));
}
