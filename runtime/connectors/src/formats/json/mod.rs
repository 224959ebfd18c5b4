//! JSON: lines of objects, and arrays of objects.

mod cursor;
mod decode;
mod encode;
mod scan;

pub use cursor::MAX_DEPTH;
pub use decode::JsonDecoder;
pub use encode::{Cells, JsonEncoder, row_to_json};
