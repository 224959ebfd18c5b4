//! How long bytes are on their way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The way through a proxy; a fast one, at first.
#[derive(Default)]
pub struct Way {
    delay_micros: AtomicU64,
    /// None: 0.
    bytes_a_second: AtomicU64,
    passed: AtomicU64,
    held: Mutex<bool>,
    let_go: Condvar,
    /// When the bytes before are through.
    free: Mutex<Option<Instant>>,
}

impl Way {
    pub fn delay(&self, time: Duration) {
        self.delay_micros.store(time.as_micros() as u64, Ordering::SeqCst);
    }

    pub fn throttle(&self, bytes_a_second: u64) {
        self.bytes_a_second.store(bytes_a_second, Ordering::SeqCst);
    }

    pub fn hold(&self, hold: bool) {
        *self.held.lock().unwrap() = hold;
        self.let_go.notify_all();
    }

    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Waits as long as so many bytes take.
    pub fn go(&self, bytes: usize) {
        self.passed.fetch_add(bytes as u64, Ordering::SeqCst);
        drop(self.let_go.wait_while(self.held.lock().unwrap(), |held| *held).unwrap());
        let mut until = Instant::now() + Duration::from_micros(self.delay_micros.load(Ordering::SeqCst));
        if let Some(micros) = (bytes as u64 * 1_000_000).checked_div(self.bytes_a_second.load(Ordering::SeqCst)) {
            let mut free = self.free.lock().unwrap();
            let begin = free.map_or(Instant::now(), |free| free.max(Instant::now()));
            let end = begin + Duration::from_micros(micros);
            *free = Some(end);
            until = until.max(end);
        }
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
    }
}
