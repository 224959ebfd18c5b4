//! Runs a plan for a reader or a program: signals, the display on the way, the sign of life for probes, the table at the end.

mod display;
mod events;
mod facts;
mod heartbeat;
mod signals;
mod summary;

pub use display::Display;
pub use events::Shown;
pub use facts::{Outcome, RunFacts};
pub use heartbeat::{Beat, Bounds, Heartbeat, Phase, Verdict};
pub use signals::stop_on_signals;
pub use summary::summary_table;
