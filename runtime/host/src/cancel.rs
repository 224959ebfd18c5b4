//! Ends a call from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Cancels calls of one [`Instance`](crate::Instance), from any thread.
///
/// A call that is running ends within some milliseconds with [`HostError::Cancelled`](crate::HostError::Cancelled), one that begins later
/// ends at once. That consumes the cancellation: the calls behind it run.
#[derive(Debug, Clone, Default)]
pub struct Canceller {
    cancelled: Arc<AtomicBool>,
}

impl Canceller {
    /// Cancels the call that is running, or the next one.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Takes the cancellation back, once it has ended a call.
    pub(crate) fn consume(&self) {
        self.cancelled.store(false, Ordering::Relaxed);
    }
}

/// What ends a WebAssembly call that is cancelled.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it was cancelled")]
pub(crate) struct Cancelled;
