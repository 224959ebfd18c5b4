//! JSON: lines of objects, and arrays of objects.
//!
//! # How values become columns
//! A value converts where nothing is lost, also from a text to a number and back; otherwise its record is rejected, with the
//! column, the value and the reason.
//!
//! | column type | JSON number | JSON string | others |
//! |---|---|---|---|
//! | integers | if it is whole, in any notation: `12`, `12.0`, `1.2e1`; `12.5` is `bad-value`, too large is `out-of-range` | as the number that it holds: `"12"`, `"12.0"`, `"1e3"`; `" 12 "`, `"+1"`, `"007"`, `""` are `bad-value` | `wrong-type` |
//! | floats | the nearest float; beyond the largest: `out-of-range` | as the number that it holds; `"NaN"`, `"Infinity"`, `"-Infinity"` | `wrong-type` |
//! | decimals | exactly; digits beyond the scale that are not zero are `bad-value`, beyond the precision `out-of-range` | as the number that it holds | `wrong-type` |
//! | `Boolean` | `wrong-type` | `"true"`, `"false"` | `true`, `false` |
//! | `Utf8` | its text as it is written: `1.50` becomes `"1.50"` | itself | `true` and `false` as text; arrays and objects are `wrong-type` |
//! | `Binary` | `wrong-type` | base64 with padding (RFC 4648 section 4) | `wrong-type` |
//! | `Date32` | `wrong-type` | `"2022-07-07"` | `wrong-type` |
//! | timestamps | a whole number is a count of the column's unit since 1970 | `"2022-07-07T00:18:41"`: `T` or a space, seconds and a fraction may be missing, then nothing, `Z` or an offset; a date alone is its midnight. Without an offset it is UTC; with one, the moment in UTC is kept. More digits than the unit holds are `bad-value` | `wrong-type` |
//! | lists | `wrong-type` | `wrong-type` | an array |
//! | structs | `wrong-type` | `wrong-type` | an object; other keys are skipped, missing ones are null |
//! | maps | `wrong-type` | `wrong-type` | an object; its keys convert as strings; a key that stands twice is `duplicate-key` |
//! | `Null` | `wrong-type` | `wrong-type` | `null` only |
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
