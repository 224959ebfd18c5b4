//! Reads Parquet by row groups.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use wasmill_engine::{Error, Result};

/// How many row groups a file has.
pub fn row_groups(file: &File, path: &Path) -> Result<u64> {
    Ok(metadata(file, path)?.metadata().num_row_groups() as u64)
}

fn metadata(file: &File, path: &Path) -> Result<ArrowReaderMetadata> {
    ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: parquet::errors::ParquetError) -> Error {
    Error::environment(format!("cannot read {} as parquet: {error}", path.display()))
        .hint("the file is damaged, still being written, or of another format")
        .caused_by(error)
}
