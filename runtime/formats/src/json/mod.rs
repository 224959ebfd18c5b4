//! JSON: lines of objects, and arrays of objects.
//!
//! # How values become columns
//! A value converts where nothing is lost, also from a text to a number and back; otherwise its record is rejected, with the
//! column, the value and the reason. `docs/conversions.md` has the table, which every source follows.
//!
//! `null` and a missing key are null, or `null-value` where the column may have none. Of equal keys in an object the last counts. Keys
//! without a column are skipped, but their values must be JSON. A record that is not JSON is `malformed-json` (bare `NaN` is not JSON, nor
//! are comments, nor half of a surrogate pair in a value that is kept), one that is not UTF-8 `invalid-utf8`, one that is nested
//! deeper than 128 `too-deep`, one with more than four million nested values `too-long`.

mod cursor;
mod decode;
mod encode;
mod scan;
mod watch;

pub use cursor::MAX_DEPTH;
pub use decode::JsonDecoder;
pub(super) use decode::decode_cell;
pub use encode::{Cells, JsonEncoder, row_to_json};
