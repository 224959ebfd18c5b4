//! The resources a plugin may use, and what happens when it exceeds them.

use std::time::Duration;

use wasmill_boundary::DEFAULT_ANSWER_BYTES;

/// Bounds on one plugin instance and on each call into it. Every bound has a default and is always on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest that one call may take, initialisation included. Default: 2 s.
    pub call: Duration,
    /// The shortest deadline of a call when, after a breach, fewer rows than before are retried. A
    /// record that misses it alone is retried once with the whole time of a call before it is
    /// blamed. Default: 20 ms.
    pub call_floor: Duration,
    /// The most linear memory that an instance may hold, in bytes, over all its memories. Default: 256 MiB.
    pub memory_bytes: u64,
    /// The most table elements that an instance may hold, over all its tables. Default: 100,000.
    pub table_elements: u64,
    /// The most bytes that one call may return to the host, and the most that the host builds from
    /// one answer, over all its ports: columns that it reads from JSON, and values that it copies
    /// for the rows that leave. A plugin that repeats a long row a million times is stopped before
    /// the rows are built. The parts of a batch that had to be split may have four times that.
    /// Default: 128 MiB.
    pub output_bytes: u64,
    /// The most rows that one call may send out by one port. Default: 4 million.
    pub output_rows: u32,
    /// The most log bytes kept per call, with 64 for each line besides its text; further lines are
    /// counted and dropped. Default: 64 KiB.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(2),
            call_floor: Duration::from_millis(20),
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            output_bytes: DEFAULT_ANSWER_BYTES,
            output_rows: 4_000_000,
            log_bytes: 64 << 10,
        }
    }
}

/// What happens to the record that a plugin fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The batch is split until the guilty record is alone. That record is rejected and the rest is
    /// processed.
    #[default]
    Reject,
    /// The first fault is an error.
    Stop,
}

/// How faults during `process` are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPolicy {
    /// What happens to the guilty record.
    pub on_fault: OnFault,
    /// How many guilty records one instance may meet before a fault is an error. A batch that failed as a whole although none of its
    /// records fails alone counts as one. A fault counts until `window_rows` rows and `window` have both passed. Default: 100.
    pub max_faults: u32,
    /// For how many rows a fault counts at least. Default: 100,000.
    pub window_rows: u64,
    /// For how long a fault counts at least. Default: 60 s.
    pub window: Duration,
}

impl Default for FaultPolicy {
    fn default() -> Self {
        Self { on_fault: OnFault::Reject, max_faults: 100, window_rows: 100_000, window: Duration::from_secs(60) }
    }
}
