//! CSV: a header row, one record a line, fields in quotes where they need them (RFC 4180).
//!
//! A field becomes a value as a JSON string does (`docs/conversions.md` has the table); fields of columns that are lists, structs, maps or
//! `json` hold JSON. A field without quotes that is one of the texts that mean null is null; in quotes it is null too, except in columns of
//! text and binary, where quotes tell what is empty from what is not there. Columns that a file does not have are null.

mod decode;
mod encode;

pub use decode::{CsvDecoder, CsvOptions, fields};
pub use encode::{CsvEncoder, CsvWriteOptions};
