//! What an instance holds in its groups, as the host can give it to the next instance: a snapshot of the state, and what came after it.

use arrow_array::RecordBatch;
use wasmill_boundary::sizes::range_bytes;

use super::Grouped;

/// The most bytes that are kept after a snapshot, unless the snapshot itself is larger.
const KEPT_BYTES: usize = 16 << 20;

/// Below this, what came after a snapshot is rather replayed than taken into a snapshot.
const REPLAYED_BYTES: usize = 64 << 10;

/// What a kept batch takes besides its values, and each of its columns.
const BATCH_BYTES: usize = 256;
const COLUMN_BYTES: usize = 128;

/// A call that the instance has taken.
#[derive(Debug)]
pub(crate) enum Taken {
    Rows {
        /// What crossed.
        table: RecordBatch,
        groups: Vec<u32>,
        count: u32,
        /// The rows that the plugin rejected.
        rejected: Vec<u32>,
    },
    States {
        table: RecordBatch,
        groups: Vec<u32>,
        count: u32,
    },
}

impl Taken {
    fn bytes(&self) -> usize {
        let (Self::Rows { table, groups, .. } | Self::States { table, groups, .. }) = self;
        let values = |column: &arrow_array::ArrayRef| {
            usize::try_from(range_bytes(column.as_ref(), 0, column.len())).unwrap_or(usize::MAX).saturating_add(COLUMN_BYTES)
        };
        let values = table.columns().iter().map(values).fold(BATCH_BYTES, usize::saturating_add);
        values.saturating_add(groups.len() * size_of::<u32>())
    }
}

/// All that the groups were made of; or, while only states were merged and they became too many, no longer.
#[derive(Debug, Default)]
pub(crate) struct History {
    taken: Vec<Taken>,
    bytes: usize,
    /// Those of them that are the snapshot's.
    snapshot_bytes: usize,
    forgotten: bool,
}

impl History {
    /// The calls that make the groups again, in their order; `None`: they were too many to be kept.
    pub fn calls(&self) -> Option<&[Taken]> {
        (!self.forgotten).then_some(&self.taken)
    }

    /// What it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, taken: Taken) {
        if self.forgotten {
            return;
        }
        self.bytes = self.bytes.saturating_add(taken.bytes());
        self.taken.push(taken);
    }

    /// Begins with a snapshot of the state.
    pub fn begin_with(&mut self, state: Grouped, count: u32) {
        let Grouped { records: table, groups } = state;
        *self = Self::default();
        self.push(Taken::States { table, groups: groups.unwrap_or_else(|| (0..count).collect()), count });
        self.snapshot_bytes = self.bytes;
    }

    /// Whether more has come after the snapshot than is to be kept. The bound grows with the state, so that the cost of snapshots stays in
    /// proportion to the rows.
    pub fn is_long(&self) -> bool {
        self.after_snapshot() > KEPT_BYTES.max(self.snapshot_bytes)
    }

    /// Whether a snapshot costs less than replaying what came after the last one.
    pub fn is_worth_a_snapshot(&self) -> bool {
        self.after_snapshot() > REPLAYED_BYTES.max(self.snapshot_bytes)
    }

    fn after_snapshot(&self) -> usize {
        self.bytes.saturating_sub(self.snapshot_bytes)
    }

    /// Drops states that were merged, where nothing else has come: no row is blamed for a fault in them, so nothing is replayed. Whether it
    /// did.
    pub fn forget_states(&mut self) -> bool {
        let only_states = self.taken.iter().all(|taken| matches!(taken, Taken::States { .. }));
        if only_states {
            *self = Self { forgotten: true, ..Self::default() };
        }
        only_states
    }
}
