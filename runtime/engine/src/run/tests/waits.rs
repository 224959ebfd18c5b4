//! What tests wait for, each time with a deadline: gates that hold a run up, and the events that it reports.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::{Event, Observer, StopSignal};

/// Waits for something that has to come within 20 seconds.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 20 s in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Blocks commits, or any other caller, until it is opened.
#[derive(Default)]
pub(super) struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    pub fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    /// Waits until a caller is blocked.
    pub fn wait_until_reached(&self) {
        wait_until("somebody waits at the gate", || self.waiting.load(Ordering::SeqCst) > 0);
    }

    pub fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let (closed, timeout) = self.opened.wait_timeout_while(closed, Duration::from_secs(60), |closed| *closed).unwrap();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(closed);
        assert!(!timeout.timed_out(), "the gate was never opened");
    }
}

/// Stops a run when the test that waits for it fails. Otherwise the scope of its thread would wait
/// forever.
pub(super) struct StopOnDrop<'s>(pub &'s StopSignal);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Counts the events of a run.
#[derive(Default)]
pub(super) struct Counting {
    stopping: AtomicBool,
    epochs: AtomicU64,
    progress: AtomicU64,
    /// Epochs that were open or closed and not committed when progress was reported last.
    uncommitted: AtomicU64,
}

impl Counting {
    /// Whether the run has seen its stop signal.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// How many epochs were committed.
    pub fn epochs(&self) -> u64 {
        self.epochs.load(Ordering::SeqCst)
    }

    /// How often progress was reported.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::SeqCst)
    }

    /// Of a run that has ended: whether the epoch that it closed last was empty. Such a one is not committed.
    pub fn ended_with_an_empty_epoch(&self) -> bool {
        self.uncommitted.load(Ordering::SeqCst) == 2
    }
}

impl Observer for Counting {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Stopping => self.stopping.store(true, Ordering::SeqCst),
            Event::EpochCommitted { .. } => drop(self.epochs.fetch_add(1, Ordering::SeqCst)),
            Event::Progress(progress) => {
                self.progress.fetch_add(1, Ordering::SeqCst);
                self.uncommitted.store(progress.epoch - progress.committed_epoch, Ordering::SeqCst);
            }
            Event::Recovered { .. } => {}
        }
    }
}
