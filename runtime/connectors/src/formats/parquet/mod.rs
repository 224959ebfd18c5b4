//! Apache Parquet: how it is written. It is read by `files::source`, for its row groups are a matter of files.

mod encode;

pub use encode::{ParquetFileWriter, ParquetWriteOptions, writer_properties};
