//! Table maintenance alongside its writers: its history, compaction of small files, and removal of
//! obsolete files.

mod actions;
mod history;
mod optimize;
mod plan;
mod vacuum;

pub use history::{HistoryEntry, history};
pub use optimize::{OptimizeOptions, Optimized, optimize};
pub use vacuum::{LEAST_KEEP, VacuumOptions, Vacuumed, vacuum};
