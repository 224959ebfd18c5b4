//! JSON: lines of objects, and arrays of objects.

mod encode;

pub use encode::{Cells, JsonEncoder, row_to_json};
