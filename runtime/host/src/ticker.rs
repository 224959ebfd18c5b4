//! The clock behind deadlines: a thread that ticks the engine's epoch while calls are under way, and sleeps otherwise.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use wasmtime::Engine;

/// The length of a tick. Deadlines are counted in ticks, so a call is never cut short by a machine that stalls.
const TICK: Duration = Duration::from_millis(1);

/// Owns the ticking thread, which ends when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    engine: Engine,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: usize,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Ticker {
    pub fn new(engine: Engine) -> Self {
        Self { shared: Arc::default(), engine, thread: Mutex::new(None) }
    }

    /// Keeps the clock ticking until the guard is dropped. The first call starts the thread.
    pub fn run(&self) -> std::io::Result<Running<'_>> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let (shared, engine) = (Arc::clone(&self.shared), self.engine.clone());
            *thread = Some(std::thread::Builder::new().name("wasmill-ticker".to_owned()).spawn(move || tick(&shared, &engine))?);
        }
        drop(thread);
        let mut state = self.shared.state();
        state.calls += 1;
        if state.calls == 1 {
            self.shared.changed.notify_one();
        }
        Ok(Running { shared: &self.shared })
    }

    /// How many ticks a duration lasts, rounded up; at least two, because the first may come at once.
    pub fn ticks(duration: Duration) -> u64 {
        let ticks = duration.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1).max(2)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A panicked thread has no result that a drop could pass on.
            let _ = thread.join();
        }
    }
}

fn tick(shared: &Shared, engine: &Engine) {
    loop {
        let mut state = shared.state();
        while state.calls == 0 && !state.stopped {
            shared.changed.wait(&mut state);
        }
        if state.stopped {
            return;
        }
        drop(state);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}

/// The clock ticks until this is dropped.
pub(crate) struct Running<'a> {
    shared: &'a Shared,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.calls = state.calls.saturating_sub(1);
    }
}
