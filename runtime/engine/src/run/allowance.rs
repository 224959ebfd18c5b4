//! How many source records a run may still read.

use parking_lot::Mutex;

/// The record allowance of a run. Without a limit it is never used.
#[derive(Debug, Default)]
pub(crate) struct Allowance(Option<Mutex<Left>>);

#[derive(Debug)]
struct Left {
    records: u64,
    /// Of these, those that lanes are about to read.
    granted: u64,
}

impl Allowance {
    /// This many records; `None` for all.
    pub fn of(limit: Option<u64>) -> Self {
        Self(limit.map(|records| Mutex::new(Left { records, granted: 0 })))
    }

    /// Requests this many records. Fewer are granted where the run is about to end. [`Self::spend`]
    /// reports how many were read.
    pub fn grant(&self, wanted: usize) -> usize {
        let Some(left) = &self.0 else { return wanted };
        let mut left = left.lock();
        let free = usize::try_from(left.records.saturating_sub(left.granted)).unwrap_or(usize::MAX);
        let granted = wanted.min(free);
        left.granted += granted as u64;
        granted
    }

    /// Reports that a lane has read this many of its granted records.
    pub fn spend(&self, granted: usize, read: u64) {
        if let Some(left) = &self.0 {
            let mut left = left.lock();
            left.granted -= granted as u64;
            left.records = left.records.saturating_sub(read);
        }
    }

    /// Whether the run has read all the records that it may.
    pub fn is_spent(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.lock().records == 0)
    }
}
