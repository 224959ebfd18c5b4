//! Writes Parquet: zstd inside, row groups of a bounded size.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use wasmill_error::{Error, Result};

use super::fit_dictionaries;
use crate::codes::{NOT_WRITTEN, ZSTD_LEVEL};
use crate::{RecordWriter, to_plain};

/// How Parquet is written.
#[derive(Debug, Clone)]
pub struct ParquetWriteOptions {
    /// The zstd level, 1 to 22.
    pub zstd_level: i32,
    /// The most rows of a row group.
    pub row_group_rows: usize,
    /// The most bytes that a row group may have when encoded: what a writer holds in memory.
    pub row_group_bytes: usize,
}

impl Default for ParquetWriteOptions {
    fn default() -> Self {
        Self { zstd_level: 1, row_group_rows: 1 << 20, row_group_bytes: 32 << 20 }
    }
}

/// The settings of a Parquet writer: zstd, bounded row groups, page statistics left out (chunk statistics do for skipping files).
///
/// # Errors
/// The zstd level is out of range.
pub fn writer_properties(options: &ParquetWriteOptions) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(options.zstd_level).map_err(|error| {
        Error::configuration(format!("zstd level {}: {error}", options.zstd_level)).code(ZSTD_LEVEL).hint("use a level from 1 to 22")
    })?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(options.row_group_bytes.max(1 << 16)))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("wasmill ", env!("CARGO_PKG_VERSION")).to_owned())
        .build())
}

/// One Parquet file on its way out.
pub struct ParquetFileWriter<W: Write + Send>(State<W>);

enum State<W: Write + Send> {
    /// No rows yet: they decide which columns get dictionaries.
    New(Begin<W>),
    Open(ArrowWriter<W>),
    /// It could not be started.
    Broken,
}

/// What a file is started with.
struct Begin<W> {
    output: W,
    schema: SchemaRef,
    properties: WriterProperties,
}

impl<W: Write + Send> Begin<W> {
    fn open(self) -> Result<ArrowWriter<W>> {
        ArrowWriter::try_new(self.output, self.schema, Some(self.properties)).map_err(|error| failed("begin", error))
    }
}

impl<W: Write + Send> ParquetFileWriter<W> {
    /// Opens a file of `schema`, whose types must be on the short list ([`plain_schema`](crate::plain_schema)).
    pub fn new(output: W, schema: SchemaRef, options: &ParquetWriteOptions) -> Result<Self> {
        Ok(Self(State::New(Begin { output, schema, properties: writer_properties(options)? })))
    }

    /// The writer, created for these first rows if it is new.
    fn begun(&mut self, first: &RecordBatch) -> Result<&mut ArrowWriter<W>> {
        self.0 = match std::mem::replace(&mut self.0, State::Broken) {
            State::New(begin) => {
                let properties = fit_dictionaries(begin.properties, first);
                State::Open(Begin { properties, ..begin }.open()?)
            }
            other => other,
        };
        match &mut self.0 {
            State::Open(writer) => Ok(writer),
            State::New(_) | State::Broken => Err(Error::bug("rows for a parquet file that could not be started")),
        }
    }
}

impl<W: Write + Send> RecordWriter<W> for ParquetFileWriter<W> {
    fn write(&mut self, records: &RecordBatch) -> Result<()> {
        let plain = to_plain(records)?;
        self.begun(&plain)?.write(&plain).map_err(|error| failed("write rows to", error))
    }

    fn buffered_bytes(&self) -> usize {
        match &self.0 {
            State::Open(writer) => writer.memory_size(),
            State::New(_) | State::Broken => 0,
        }
    }

    fn finish(self: Box<Self>) -> Result<W> {
        let writer = match self.0 {
            State::New(begin) => begin.open()?,
            State::Open(writer) => writer,
            State::Broken => return Err(Error::bug("the end of a parquet file that could not be started")),
        };
        // `into_inner` writes the footer.
        let mut output = writer.into_inner().map_err(|error| failed("complete", error))?;
        output.flush().map_err(|error| Error::io("complete a parquet file", error).or_code(NOT_WRITTEN))?;
        Ok(output)
    }
}

fn failed(what: &str, error: parquet::errors::ParquetError) -> Error {
    Error::environment(format!("cannot {what} a parquet file: {error}")).code(NOT_WRITTEN).caused_by(error)
}
