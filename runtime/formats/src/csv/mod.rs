//! CSV: a header row, one record per line, fields in quotes where they need them (RFC 4180).
//!
//! A field becomes a value as a JSON string does (`docs/conversions.md` has the table). Fields of
//! columns that are lists, structs, maps or `json` hold JSON. An unquoted field that is one of the
//! null texts is null. A quoted one is null too, except in columns of text and binary, where quotes
//! distinguish an empty value from a missing one. Columns that a file does not have are null.

mod decode;
mod encode;

pub use decode::{CsvDecoder, CsvOptions, fields};
pub use encode::{CsvEncoder, CsvWriteOptions};
