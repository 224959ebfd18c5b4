//! Reads one row group of a Parquet file.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::CastOptions;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use serde_json::Value;
use wasmill_engine::{Error, Payload, Read, Result, SourceBatch, SplitReader};

use super::batch::Assembler;
use crate::files::source::Shared;
use crate::files::source::identity::Position;

/// Rows are decoded in batches of at most this many.
const MOST_ROWS: usize = 65_536;

/// How many row groups a file has.
pub fn row_groups(file: &File, path: &Path) -> Result<u64> {
    Ok(metadata(file, path)?.metadata().num_row_groups() as u64)
}

/// The columns of a file, in its own types.
pub fn schema(file: &File, path: &Path) -> Result<SchemaRef> {
    Ok(metadata(file, path)?.schema().clone())
}

fn metadata(file: &File, path: &Path) -> Result<ArrowReaderMetadata> {
    ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::environment(format!("cannot read {} as parquet: {error}", path.display()))
        .hint("the file is damaged, still being written, or of another format")
        .caused_by(error)
}

/// Reads one row group from a row on. Its positions are row numbers in the whole file.
pub struct GroupReader {
    path: Arc<str>,
    assembler: Assembler,
    reader: Option<ParquetRecordBatchReader>,
    /// Rows that were decoded and not returned.
    decoded: VecDeque<RecordBatch>,
    wanted: SchemaRef,
    /// The number of the group's first row in the file.
    first: u64,
    position: Position,
    bytes_a_row: f64,
    builder: Option<Builder>,
}

/// What makes the reader, once the size of batches is known.
struct Builder {
    file: File,
    metadata: ArrowReaderMetadata,
    group: usize,
    rows: usize,
    mask: ProjectionMask,
}

impl GroupReader {
    /// Opens a row group at a position.
    ///
    /// # Errors
    /// Environment: the file is not Parquet. Configuration: a column is missing or of a type that does not convert.
    pub fn open(shared: &Arc<Shared>, path: &Path, file: File, group: u64, position: Position) -> Result<Self> {
        let metadata = metadata(&file, path)?;
        let name: Arc<str> = path.display().to_string().into();
        let assembler = Assembler::new(shared.name.clone(), name.clone(), shared.schema.clone());
        let wanted = assembler.decoded_schema();
        check_columns(&wanted, metadata.schema()).map_err(|error| error.at(name.to_string()))?;
        let groups = metadata.metadata().row_groups();
        let index = usize::try_from(group).ok().filter(|&index| index < groups.len());
        let Some(index) = index else {
            return Err(Error::environment(format!("{name} has {} row groups and the checkpoint asks for group {group}", groups.len())));
        };
        let first = groups[..index].iter().map(|group| group.num_rows().unsigned_abs()).sum();
        let rows = groups[index].num_rows().unsigned_abs();
        let roots = metadata.schema().fields().iter().enumerate().filter(|(_, field)| wanted.index_of(field.name()).is_ok());
        let roots: Vec<usize> = roots.map(|(root, _)| root).collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let bytes = (0..groups[index].num_columns())
            .filter(|&leaf| mask.leaf_included(leaf))
            .map(|leaf| groups[index].column(leaf).compressed_size());
        let bytes_a_row = bytes.sum::<i64>() as f64 / rows.max(1) as f64;
        let builder = Builder { file, metadata, group: index, rows: usize::try_from(rows).unwrap_or(usize::MAX), mask };
        let decoded = VecDeque::new();
        Ok(Self { path: name, assembler, reader: None, decoded, wanted, first, position, bytes_a_row, builder: Some(builder) })
    }

    fn build(&mut self, max_rows: usize) -> Result<()> {
        let Some(builder) = self.builder.take() else { return Ok(()) };
        let skipped = usize::try_from(self.position.offset).unwrap_or(usize::MAX).min(builder.rows);
        let selection = RowSelection::from(vec![RowSelector::skip(skipped), RowSelector::select(builder.rows - skipped)]);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(builder.file, builder.metadata)
            .with_row_groups(vec![builder.group])
            .with_projection(builder.mask)
            .with_row_selection(selection)
            .with_batch_size(max_rows.min(MOST_ROWS))
            .build();
        self.reader = Some(reader.map_err(|error| failed(Path::new(&*self.path), error))?);
        Ok(())
    }

    /// The rows with the columns and types that are wanted.
    fn convert(&self, read: &RecordBatch) -> Result<RecordBatch> {
        let rows = read.num_rows();
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let column = |field: &Arc<arrow_schema::Field>| -> Result<ArrayRef> {
            let column = match read.column_by_name(field.name()) {
                None => new_null_array(field.data_type(), rows),
                Some(column) if column.data_type() == field.data_type() => column.clone(),
                Some(column) => arrow_cast::cast_with_options(column, field.data_type(), &options).map_err(|error| {
                    Error::environment(format!("{}: column {} does not convert to {}: {error}", self.path, field.name(), field.data_type()))
                        .hint("ask for the type that the file has, and convert in a stage")
                })?,
            };
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::environment(format!("{}: column {} has nulls and may have none", self.path, field.name())));
            }
            Ok(column)
        };
        let columns = self.wanted.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new_with_options(self.wanted.clone(), columns, &RecordBatchOptions::new().with_row_count(Some(rows)))
            .map_err(|error| Error::bug(format!("converted columns do not make a batch: {error}")))
    }
}

/// Before anything is read: every column is there or may be null, and converts.
fn check_columns(wanted: &Schema, there: &Schema) -> Result<()> {
    for field in wanted.fields() {
        let Ok(found) = there.field_with_name(field.name()) else {
            if field.is_nullable() && wanted.fields().iter().any(|field| there.index_of(field.name()).is_ok()) {
                continue;
            }
            let names: Vec<&str> = there.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(Error::configuration(format!("there is no column {:?}; there are {}", field.name(), names.join(", "))));
        };
        if found.data_type() != field.data_type() && !arrow_cast::can_cast_types(found.data_type(), field.data_type()) {
            return Err(Error::configuration(format!(
                "column {} is {} and can't become {}",
                field.name(),
                found.data_type(),
                field.data_type()
            )));
        }
    }
    Ok(())
}

impl SplitReader for GroupReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        self.build(max_rows.max(1))?;
        if self.decoded.is_empty() {
            let Some(reader) = &mut self.reader else { return Ok(Read::End) };
            let read = match reader.next() {
                None => return Ok(Read::End),
                Some(read) => read.map_err(|error| failed(Path::new(&*self.path), error))?,
            };
            let converted = self.convert(&read)?;
            self.decoded.push_back(converted);
        }
        let Some(records) = self.decoded.pop_front() else { return Ok(Read::End) };
        let count = records.num_rows().min(max_rows.max(1));
        if count < records.num_rows() {
            self.decoded.push_front(records.slice(count, records.num_rows() - count));
        }
        let payload = Payload::Rows { first: self.first + self.position.offset, count };
        self.position.offset += count as u64;
        let batch = self.assembler.batch(&records.slice(0, count), payload)?;
        Ok(Read::Batch(SourceBatch { batch, rejects: Vec::new(), bytes: (self.bytes_a_row * count as f64) as u64 }))
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}
