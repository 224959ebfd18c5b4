//! Apache Parquet: how it is written. It is read by `files::source`, for its row groups are a matter of files,
//! and by `delta`.

mod dictionary;
mod encode;
pub mod int96;

pub use dictionary::{LEAST_VALUES, fit_dictionaries};
pub use encode::{ParquetFileWriter, ParquetWriteOptions, writer_properties};
