//! Cleaning columns of texts: texts that mean null, wrapped texts, cutting and rewriting, without a `String` a row.

mod rules;
mod set;
mod wrapped;

pub use rules::{STANDARD_NULLS, TextRules, shortened};
pub use set::TextSet;
pub use wrapped::{WrappedValues, unwrap_single};
