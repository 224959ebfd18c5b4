//! Posts that go on arriving beside a test.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sends posts on and on, from a thread of its own.
pub struct Flow {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flow {
    /// Sends so many posts at a time, with a pause after each time: a rate, not a synchronisation.
    pub fn start(posts: u64, pause: Duration, mut send: impl FnMut(Range<u64>) + Send + 'static) -> Self {
        let (sent, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let from = count.load(Ordering::Relaxed);
                send(from..from + posts);
                count.store(from + posts, Ordering::Relaxed);
                std::thread::park_timeout(pause);
            }
        });
        Self { sent, stop, thread }
    }

    /// Ends it. Answers how many posts there are.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}
