//! One data file while it is written: Parquet with bounded memory.

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
use super::properties::Indexed;
use super::row_set::RowSet;
use super::staging::{DataOutput, FinishedOutput, Staging};
use super::stats::{Nans, stats_json};
use crate::codes::WRITE;
use wasmill_objects::{UploadEpoch, Uploading};

/// Encoded bytes that a file may hold back before it must end a row group.
const ROW_GROUP_BYTES: usize = 8 << 20;

/// How data files are written. Statistics are kept per row group only, and bounds of texts are
/// short: page indices would take time and space that few readers repay at this size.
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

/// Where a data file will lie, and what its log entry will hold besides its statistics.
pub(crate) struct Destination {
    /// The epoch that it is written for.
    pub epoch: UploadEpoch,
    /// Its name, in the staging folder and at its end.
    pub name: String,
    /// The folder in the table, with a slash at its end; empty for the table itself.
    pub folder: String,
    /// The values of the partition columns.
    pub partition_values: serde_json::Map<String, serde_json::Value>,
}

/// A written file.
pub(crate) struct FinishedFile {
    pub(crate) file: DataFile,
    /// The part of it that is still in flight.
    pub(crate) upload: Option<Uploading>,
}

/// A data file that takes rows.
pub(crate) struct OpenFile {
    writer: ArrowWriter<DataOutput>,
    shown: String,
    schema: SchemaRef,
    destination: Destination,
    indexed: Indexed,
    nans: Nans,
}

impl OpenFile {
    /// Starts a file, with statistics for some of its columns as the table requires.
    pub(crate) fn create(
        staging: &Staging,
        destination: Destination,
        schema: SchemaRef,
        (properties, indexed): (WriterProperties, Indexed),
    ) -> Result<Self> {
        let output = staging.create(destination.epoch, &destination.folder, &destination.name)?;
        let shown = output.shown();
        // The Arrow schema in the footer would not help readers of other languages.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer =
            ArrowWriter::try_new_with_options(output, SchemaRef::clone(&schema), options).map_err(|error| failed(&shown, error))?;
        Ok(Self { writer, shown, schema, destination, indexed, nans: Nans::default() })
    }

    /// Takes rows of the file's schema.
    pub(crate) fn write(&mut self, records: &RecordBatch) -> Result<()> {
        self.nans.watch(records);
        self.writer.write(records).map_err(|error| failed(&self.shown, error))?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the row group: what was held back goes to the file.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| failed(&self.shown, error))
    }

    /// Bytes of memory that are held back.
    pub(crate) fn held_back(&self) -> usize {
        self.writer.memory_size() + self.writer.inner().held_back()
    }

    /// About how large the file would be if it ended now, in bytes.
    pub(crate) fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.destination.name
    }

    /// Ends the file. Its bytes are with the operating system or on their way to the store, not yet durable.
    pub(crate) fn finish(mut self) -> Result<FinishedFile> {
        let metadata = self.writer.finish().map_err(|error| failed(&self.shown, error))?;
        let FinishedOutput { size, upload } = self.writer.inner_mut().finish()?;
        let file = DataFile {
            path: format!("{}{}", self.destination.folder, self.destination.name),
            staged: self.destination.name,
            size,
            rows: metadata.file_metadata().num_rows().unsigned_abs(),
            modified: now_millis(),
            partition_values: self.destination.partition_values,
            stats: stats_json(&self.schema, &metadata, &self.nans, &self.indexed),
            upload: None,
            superseded: RowSet::default(),
        };
        Ok(FinishedFile { file, upload })
    }
}

fn failed(shown: &str, error: ParquetError) -> Error {
    Error::environment(format!("cannot write {shown}: {error}")).code(WRITE).caused_by(error)
}

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
