//! CSV: a header row, one record a line, fields in quotes where they need them (RFC 4180).
//!
//! A field becomes a value as a JSON string does (see [`json`](crate::formats::json)); fields of columns that are lists, structs or maps
//! hold JSON. A field without quotes that is one of the texts that mean null is null; in columns that are not text it is null in quotes
//! too. Columns that a file does not have are null.

mod decode;
mod encode;

pub use decode::{CsvDecoder, CsvOptions, fields};
pub use encode::{CsvEncoder, CsvWriteOptions};
