//! The resources a plugin may use, and what happens when it exceeds them.

use std::time::Duration;

use wasmill_boundary::DEFAULT_ANSWER_BYTES;

/// Bounds on one plugin instance and on each call into it. Every bound has a default and is always on.
///
/// ```
/// use std::time::Duration;
/// use wasmill_host::Limits;
///
/// let limits = Limits::default().with_call(Duration::from_millis(500)).with_memory_bytes(64 << 20);
/// assert_eq!(limits.renew_bytes(), 32 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest that one call may take, initialisation included. Default: 2 s.
    pub call: Duration,
    /// The shortest deadline of a call when, after a breach, fewer rows than before are retried. A
    /// record that misses it alone is retried once with the whole time of a call before it is
    /// blamed. Default: 20 ms.
    pub call_floor: Duration,
    /// The most linear memory that an instance may hold, in bytes, over all its memories. Default: 256 MiB.
    pub memory_bytes: u64,
    /// The linear memory, in bytes, past which an instance is replaced by a fresh one before its next call. That is no fault: memory
    /// never shrinks, and some languages' runtimes leak. Default: half of `memory_bytes`.
    pub renew_bytes: Option<u64>,
    /// The most table elements that an instance may hold, over all its tables. Default: 100,000.
    pub table_elements: u64,
    /// The most bytes that one call may hand to the host, and the most that the host builds from one answer, over all of its ports:
    /// columns that it decodes, and values that it copies for the rows that leave. A plugin that repeats a long row a million times is
    /// stopped before the rows are made. The parts of a batch that had to be split may have four times that. Default: 128 MiB.
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
            renew_bytes: None,
            table_elements: 100_000,
            output_bytes: DEFAULT_ANSWER_BYTES,
            output_rows: 4_000_000,
            log_bytes: 64 << 10,
        }
    }
}

macro_rules! setters {
    ($($name:ident $field:ident: $type:ty;)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $name(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl Limits {
    setters! {
        with_call call: Duration;
        with_call_floor call_floor: Duration;
        with_memory_bytes memory_bytes: u64;
        with_table_elements table_elements: u64;
        with_output_bytes output_bytes: u64;
        with_output_rows output_rows: u32;
        with_log_bytes log_bytes: usize;
    }

    /// Sets [`renew_bytes`](Self::renew_bytes).
    #[must_use]
    pub fn with_renew_bytes(mut self, renew_bytes: u64) -> Self {
        self.renew_bytes = Some(renew_bytes);
        self
    }

    /// The linear memory past which an instance is replaced.
    pub fn renew_bytes(&self) -> u64 {
        self.renew_bytes.unwrap_or(self.memory_bytes / 2)
    }
}

/// What happens to the record that a plugin fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFault {
    /// The batch is split until the guilty record is alone. That record is rejected and the rest is
    /// processed.
    #[default]
    Reject,
    /// The first fault is an error.
    Stop,
}

/// How many faults one instance may have before a fault is an error. A batch that failed as a whole although none of its records fails
/// alone counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultBudget {
    /// The most faults that count at any one time. Default: 100.
    pub faults: u32,
    /// For how many rows a fault counts at least. Default: 100,000.
    pub rows: u64,
    /// For how long a fault counts at least: until both `rows` rows and this time have passed. Default: 60 s.
    pub period: Duration,
}

impl Default for FaultBudget {
    fn default() -> Self {
        Self { faults: 100, rows: 100_000, period: Duration::from_secs(60) }
    }
}

impl FaultBudget {
    /// So many faults within the default numbers of rows and seconds.
    pub fn new(faults: u32) -> Self {
        Self { faults, ..Self::default() }
    }

    setters! {
        with_rows rows: u64;
        with_period period: Duration;
    }
}
