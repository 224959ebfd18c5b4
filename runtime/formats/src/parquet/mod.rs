//! How Apache Parquet is written. It is read by `files::source`, whose splits are row groups, and
//! by `delta`.

mod dictionary;
mod encode;
pub mod int96;

pub use dictionary::{LEAST_VALUES, fit_dictionaries};
pub use encode::{ParquetFileWriter, ParquetWriteOptions, writer_properties};
