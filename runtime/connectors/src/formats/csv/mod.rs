//! CSV: a header row, one record a line, fields in quotes where they need them (RFC 4180).

mod encode;

pub use encode::{CsvEncoder, CsvWriteOptions};
