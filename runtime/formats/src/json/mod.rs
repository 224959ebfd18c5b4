//! JSON: lines of objects, and arrays of objects.
//!
//! # How values become columns
//! A value converts where nothing is lost, also from a text to a number and back. Otherwise its
//! record is rejected, with the column, the value and the reason. `docs/conversions.md` has the
//! table, which every source follows.
//!
//! `null` and a missing key are null, or `null-value` where the column may not be null. Of equal
//! keys in an object the last counts. Keys without a column are skipped, but their values must be
//! JSON. A record that is not JSON is `malformed-json`; bare `NaN`, comments and unpaired
//! surrogates in a kept value are not JSON. A record that is not UTF-8 is `invalid-utf8`, one
//! nested deeper than 128 is `too-deep`, and one with more than four million nested values is
//! `too-long`.

mod cursor;
mod decode;
mod encode;
mod scan;
mod watch;

pub use cursor::MAX_DEPTH;
pub use decode::JsonDecoder;
pub(super) use decode::decode_cell;
pub use encode::{Cells, JsonEncoder, row_to_json};
