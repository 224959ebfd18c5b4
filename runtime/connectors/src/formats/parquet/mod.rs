//! Apache Parquet.

mod encode;

pub use encode::{ParquetFileWriter, ParquetWriteOptions, writer_properties};
