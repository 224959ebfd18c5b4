//! One data file while it is written: Parquet into a staging folder, with bounded memory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use wasmill_engine::{Error, Result};

use super::config::DeltaCompression;
use super::prepared::DataFile;
use super::stats::stats_json;

/// Encoded bytes that a file may hold back before it must end a row group.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// How data files are written. Statistics are kept by row group only, and bounds of texts are short: page indices would cost
/// time and space that few readers repay at this size. Columns whose values repeat little fall back from their dictionary by themselves.
pub(crate) fn writer_properties(compression: DeltaCompression) -> WriterProperties {
    let compression = match compression {
        DeltaCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
        DeltaCompression::Snappy => Compression::SNAPPY,
        DeltaCompression::None => Compression::UNCOMPRESSED,
    };
    WriterProperties::builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(32))
        .set_created_by(concat!("wasmill version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Where a data file will lie, and what the log will say of it beside its statistics.
pub(crate) struct Destination {
    /// Its name, in the staging folder and at its end.
    pub name: String,
    /// The folder in the table, with a slash at its end; empty for the table itself.
    pub folder: String,
    /// The values of the partition columns.
    pub partition_values: serde_json::Map<String, serde_json::Value>,
}

/// A data file that takes rows.
pub(crate) struct OpenFile {
    writer: ArrowWriter<File>,
    staged: PathBuf,
    schema: SchemaRef,
    destination: Destination,
}

impl OpenFile {
    /// Begins a file in the staging folder.
    pub(crate) fn create(staging: &Path, destination: Destination, schema: SchemaRef, properties: WriterProperties) -> Result<Self> {
        let staged = staging.join(&destination.name);
        let file = File::create_new(&staged).map_err(|error| Error::io(format!("create {}", staged.display()), error))?;
        // The Arrow schema in the footer would make readers of other languages none the wiser.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, SchemaRef::clone(&schema), options).map_err(|error| failed(&staged, error))?;
        Ok(Self { writer, staged, schema, destination })
    }

    /// Takes rows of the file's schema.
    pub(crate) fn write(&mut self, records: &RecordBatch) -> Result<()> {
        self.writer.write(records).map_err(|error| failed(&self.staged, error))?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the row group: what was held back goes to the file.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| failed(&self.staged, error))
    }

    /// Bytes of memory that are held back.
    pub(crate) fn held_back(&self) -> usize {
        self.writer.memory_size()
    }

    /// About how large the file would be if it ended now, in bytes.
    pub(crate) fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Where it is staged.
    pub(crate) fn staged(&self) -> &Path {
        &self.staged
    }

    /// Ends the file. Its bytes are with the operating system, not yet durable.
    pub(crate) fn finish(mut self) -> Result<DataFile> {
        let metadata = self.writer.finish().map_err(|error| failed(&self.staged, error))?;
        let size = self.writer.inner().metadata().map_err(|error| Error::io(format!("size {}", self.staged.display()), error))?.len();
        Ok(DataFile {
            path: format!("{}{}", self.destination.folder, self.destination.name),
            staged: self.destination.name,
            size,
            rows: metadata.file_metadata().num_rows().unsigned_abs(),
            modified: now_millis(),
            partition_values: self.destination.partition_values,
            stats: stats_json(&self.schema, &metadata),
        })
    }
}

fn failed(path: &Path, error: ParquetError) -> Error {
    Error::environment(format!("cannot write {}: {error}", path.display())).caused_by(error)
}

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
