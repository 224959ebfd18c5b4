//! Batches out as bytes: one writer for every format, with or without compression.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use flate2::write::GzEncoder;
use wasmill_error::{Error, Result};

use super::{Compression, Format, csv, json, parquet, plain_schema, to_plain};
use crate::codes::{COMPRESSED_TWICE, NOT_WRITTEN};

/// Writes batches of one schema as one file.
///
/// Dropping it without `finish` leaves an incomplete file behind in the output.
pub trait RecordWriter<W>: Send {
    /// Writes rows. All batches have the schema that the writer was created for.
    fn write(&mut self, records: &RecordBatch) -> Result<()>;

    /// Roughly the bytes that are held in memory and not yet written to the output.
    fn buffered_bytes(&self) -> usize;

    /// Completes the file and returns the output, flushed.
    fn finish(self: Box<Self>) -> Result<W>;
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Compression of the whole file; must be none for Parquet, which compresses inside.
    pub compression: Compression,
    /// For CSV.
    pub csv: csv::CsvWriteOptions,
    /// For Parquet.
    pub parquet: parquet::ParquetWriteOptions,
}

/// Opens a writer of `format` on `output`.
///
/// An empty file is whole too: no lines, `[]`, a header row, a footer.
///
/// # Errors
/// A configuration error names a column whose type the format can't hold; environment errors come from the output.
pub fn record_writer<W: Write + Send + 'static>(
    format: Format,
    schema: &SchemaRef,
    output: W,
    options: &WriteOptions,
) -> Result<Box<dyn RecordWriter<W>>> {
    let schema = plain_schema(schema)?;
    if format == Format::Parquet {
        if options.compression != Compression::None {
            return Err(Error::configuration("parquet files are compressed inside")
                .code(COMPRESSED_TWICE)
                .hint("leave `compression` out for parquet"));
        }
        return Ok(Box::new(parquet::ParquetFileWriter::new(output, schema, &options.parquet)?));
    }
    let encoder: Box<dyn TextEncoder> = match format {
        Format::Csv => Box::new(csv::CsvEncoder::new(&schema, options.csv.clone())),
        Format::Json => Box::new(json::JsonEncoder::array()),
        _ => Box::new(json::JsonEncoder::lines()),
    };
    text_writer(encoder, output, options.compression)
}

/// Opens a writer that writes an encoder's text to `output`.
///
/// # Errors
/// Environment errors come from the output.
pub fn text_writer<W: Write + Send + 'static>(
    encoder: Box<dyn TextEncoder>,
    output: W,
    compression: Compression,
) -> Result<Box<dyn RecordWriter<W>>> {
    let mut writer = TextWriter { output: Output::new(output, compression)?, encoder, text: Vec::new() };
    writer.encoder.begin(&mut writer.text);
    Ok(Box::new(writer))
}

/// Turns rows into text. The rows have the types of the short list.
pub trait TextEncoder: Send {
    /// Appends what precedes the first row.
    fn begin(&mut self, text: &mut Vec<u8>);
    /// Appends rows.
    fn rows(&mut self, records: &RecordBatch, text: &mut Vec<u8>) -> Result<()>;
    /// Appends what follows the last row.
    fn end(&mut self, text: &mut Vec<u8>);
}

/// Rows per slice. Encoding in slices keeps the text buffer small for batches of any size.
const ROWS_PER_SLICE: usize = 4096;

struct TextWriter<W: Write> {
    output: Output<W>,
    encoder: Box<dyn TextEncoder>,
    text: Vec<u8>,
}

impl<W: Write> TextWriter<W> {
    fn drain(&mut self) -> Result<()> {
        self.output.write_all(&self.text).map_err(|error| Error::io("write rows", error).or_code(NOT_WRITTEN))?;
        self.text.clear();
        Ok(())
    }
}

impl<W: Write + Send> RecordWriter<W> for TextWriter<W> {
    fn write(&mut self, records: &RecordBatch) -> Result<()> {
        let records = to_plain(records)?;
        let mut start = 0;
        while start < records.num_rows() {
            let length = ROWS_PER_SLICE.min(records.num_rows() - start);
            self.encoder.rows(&records.slice(start, length), &mut self.text)?;
            self.drain()?;
            start += length;
        }
        Ok(())
    }

    fn buffered_bytes(&self) -> usize {
        self.text.capacity()
    }

    fn finish(mut self: Box<Self>) -> Result<W> {
        self.encoder.end(&mut self.text);
        self.drain()?;
        self.output.finish().map_err(|error| Error::io("complete the file", error).or_code(NOT_WRITTEN))
    }
}

/// An output behind its compression.
enum Output<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Output<W> {
    fn new(output: W, compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(output),
            Compression::Gzip => Self::Gzip(GzEncoder::new(output, flate2::Compression::new(4))),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(output, 1).map_err(|error| Error::io("start zstd compression", error))?),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(output) => output.write_all(bytes),
            Self::Gzip(output) => output.write_all(bytes),
            Self::Zstd(output) => output.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<W> {
        let mut output = match self {
            Self::Plain(output) => output,
            Self::Gzip(output) => output.finish()?,
            Self::Zstd(output) => output.finish()?,
        };
        output.flush()?;
        Ok(output)
    }
}
