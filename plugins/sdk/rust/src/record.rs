//! Plugins that are a function of one record: rows as the author's structs instead of columns.

mod answer;
mod input;
mod output;
mod run;

pub use answer::{Answer, Emit};
pub use input::{Cell, InputField, InputRecord};
pub use output::{OutputCell, OutputRecord};
#[doc(hidden)]
pub use run::{plan, process};

/// The configuration of a plugin that takes none.
#[wasmill_plugin::config]
#[derive(Default)]
pub struct NoConfig {}

/// A time in microseconds since 1970-01-01T00:00:00Z, as a field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// A date in days since 1970-01-01, as a field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Days(pub i32);
