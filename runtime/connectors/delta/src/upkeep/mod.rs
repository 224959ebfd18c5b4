//! What keeps a table in shape beside those who write to it: its history, compaction of small files, removal of files that nobody needs.

mod actions;
mod history;
mod optimize;
mod plan;
mod vacuum;

pub use history::{HistoryEntry, history};
pub use optimize::{OptimizeOptions, Optimized, optimize};
pub use vacuum::{LEAST_KEEP, VacuumOptions, Vacuumed, vacuum};
