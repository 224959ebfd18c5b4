//! Runs a plan for a person or a program: signals, what is shown on the way, the table at the end.

mod display;
mod events;
mod signals;
mod summary;

pub use display::Display;
pub use events::Shown;
pub use signals::stop_on_signals;
pub use summary::summary_table;
