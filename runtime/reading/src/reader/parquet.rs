//! Reads one row group of a Parquet file.

pub mod whole;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;
use serde_json::Value;
use wasmill_engine::{Error, OriginalRecord, Payload, Read, Result, SourceBatch, SplitReader, panic_message};

use super::batch::Assembler;
use crate::ReadContext;
use crate::codes::{CHANGED, UNREADABLE};
use crate::content::{Content, Noted, Unreadable};
use crate::damage::damaged;
use crate::identity::Position;
use crate::input::SKIP_TIME;
use crate::kind;
use crate::late::fail_with;
use crate::naming;
use wasmill_connect::LateColumns;
use wasmill_formats::parquet::int96;
use wasmill_formats::{Converted, RowConversion, plain_schema, row_to_json};

/// Rows are decoded in batches of at most this many.
const MAX_ROWS: usize = 65_536;

/// The row groups of a file, each with the bytes that its wanted columns take.
pub fn row_groups(content: &Content, path: &Path, wanted: &Schema) -> Result<Vec<u64>> {
    let metadata = metadata(content, path)?;
    let mask = projection(&metadata, wanted);
    Ok(metadata.metadata().row_groups().iter().map(|group| compressed_size(group, &mask)).collect())
}

/// How many rows each row group has.
pub fn group_rows(content: &Content, path: &Path) -> Result<Vec<u64>> {
    Ok(metadata(content, path)?.metadata().row_groups().iter().map(|group| group.num_rows().unsigned_abs()).collect())
}

/// The columns of a file that are wanted.
fn projection(metadata: &ArrowReaderMetadata, wanted: &Schema) -> ProjectionMask {
    let roots = metadata.schema().fields().iter().enumerate().filter(|(_, field)| wanted.index_of(field.name()).is_ok());
    ProjectionMask::roots(metadata.parquet_schema(), roots.map(|(root, _)| root))
}

/// The bytes that some columns of a row group take in its file.
fn compressed_size(group: &RowGroupMetaData, mask: &ProjectionMask) -> u64 {
    let leaves = (0..group.num_columns()).filter(|&leaf| mask.leaf_included(leaf));
    leaves.map(|leaf| group.column(leaf).compressed_size().unsigned_abs()).sum()
}

/// The columns of a file, in its own types.
pub fn schema(content: &Content, path: &Path) -> Result<SchemaRef> {
    Ok(metadata(content, path)?.schema().clone())
}

fn metadata(content: &Content, path: &Path) -> Result<ArrowReaderMetadata> {
    let inner = content.try_clone().map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?;
    let content = Noted { inner, unreadable: Unreadable::default() };
    guarded(path, || {
        let metadata = ArrowReaderMetadata::load(&content, ArrowReaderOptions::new());
        metadata.and_then(int96::in_micros).map_err(|error| match kind::not_parquet(path, &content.inner) {
            Some(other) if !content.unreadable.is_set() => other,
            _ => failed(path, error, &content.unreadable),
        })
    })
}

/// Damaged bytes can make the library's decoder panic. That is an error of the file like any other one.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        Err(damaged(format!("cannot read {} as parquet: its decoder gave up: {}", path.display(), panic_message(&*panic)), DAMAGED))
    })
}

const DAMAGED: &str = "the file is damaged, still being written, or of another format";

fn failed(path: &Path, error: impl std::error::Error + Send + Sync + 'static, unreadable: &Unreadable) -> Error {
    if unreadable.is_set() {
        return Error::environment(format!("cannot read {}: {error}", path.display())).code(UNREADABLE).caused_by(error);
    }
    damaged(format!("cannot read {} as parquet: {error}", path.display()), DAMAGED)
}

/// Reads one row group from a row on. Its positions are row numbers in the whole file.
pub struct GroupReader {
    path: Arc<str>,
    assembler: Assembler,
    reader: Option<Reader>,
    /// Rows that were read and not returned.
    pending: Option<Rows>,
    conversion: RowConversion,
    /// The number of the group's first row in the file.
    first: u64,
    position: Position,
    bytes_a_row: f64,
    /// Rows of the group that an earlier run has read and that were not passed over yet.
    skip: usize,
    builder: Option<Builder>,
    unreadable: Unreadable,
    context: Arc<ReadContext>,
    /// Columns of the file that were not requested, and whether each is a field within one.
    late: Vec<(String, bool)>,
}

/// Builds the reader, once the size of batches is known.
struct Builder {
    content: Content,
    metadata: ArrowReaderMetadata,
    group: usize,
    mask: ProjectionMask,
    /// The same file with its 96-bit times in nanoseconds, and the columns that hold some.
    nanos: Option<(ArrowReaderMetadata, ProjectionMask)>,
}

struct Reader {
    rows: ParquetRecordBatchReader,
    /// Reads the columns with 96-bit times a second time, batch by batch.
    nanos: Option<ParquetRecordBatchReader>,
}

/// Some rows, and those of their columns that were read twice.
struct Rows {
    rows: RecordBatch,
    nanos: Option<RecordBatch>,
}

impl Rows {
    fn slice(&self, offset: usize, length: usize) -> Self {
        Self { rows: self.rows.slice(offset, length), nanos: self.nanos.as_ref().map(|nanos| nanos.slice(offset, length)) }
    }
}

impl Builder {
    fn build(self, unreadable: &Unreadable, batch_rows: usize) -> Result<Reader, parquet::errors::ParquetError> {
        let open = |inner: Content, metadata: ArrowReaderMetadata, mask: ProjectionMask| {
            let content = Noted { inner, unreadable: unreadable.clone() };
            ParquetRecordBatchReaderBuilder::new_with_metadata(content, metadata)
                .with_row_groups(vec![self.group])
                .with_projection(mask)
                .with_batch_size(batch_rows)
                .build()
        };
        let nanos = match self.nanos {
            Some((metadata, mask)) => Some(open(self.content.try_clone()?, metadata, mask)?),
            None => None,
        };
        Ok(Reader { rows: open(self.content, self.metadata, self.mask)?, nanos })
    }
}

impl GroupReader {
    /// Opens a row group at a position.
    ///
    /// # Errors
    /// Environment: the file is not Parquet. Configuration: a column is missing or of a type that is not supported.
    pub fn open(context: &Arc<ReadContext>, path: &Path, content: Content, group: u64, position: Position) -> Result<Self> {
        let metadata = metadata(&content, path)?;
        let name: Arc<str> = naming::name_of(path).into();
        let assembler = Assembler::new(context.name.clone(), name.clone(), context.schema.clone());
        let assembler = assembler.with_folders(path, Some(&|name: &str| metadata.schema().index_of(name).is_ok()))?;
        let wanted = assembler.decoded_schema();
        let nanos = int96::in_nanos(&metadata, &wanted).map_err(|error| failed(path, error, &Unreadable::default()))?;
        let twice = nanos.as_ref().map_or_else(|| Arc::new(Schema::empty()), |(_, _, twice)| Arc::clone(twice));
        let conversion = RowConversion::reading_twice(metadata.schema(), &wanted, &twice).map_err(|error| error.at(name.to_string()))?;
        let late = context.late.of(&context.schema, metadata.schema().fields().iter().map(|field| field.name().as_str()));
        if context.late.mode == LateColumns::Fail && !late.is_empty() {
            let fields = plain_schema(metadata.schema())?;
            let new = fields.fields().iter().filter(|field| late.contains(field.name()));
            fail_with(&context.name, path, new.map(|field| field.as_ref().clone().with_nullable(true)).collect())?;
        }
        let fields = context.late.fields_of(&context.schema, metadata.schema());
        let folders = super::late_folders(context, path, &|name| metadata.schema().index_of(name).is_ok())?;
        let late = late.into_iter().chain(folders).map(|name| (name, false)).chain(fields.into_iter().map(|name| (name, true))).collect();
        let groups = metadata.metadata().row_groups();
        let index = usize::try_from(group).ok().filter(|&index| index < groups.len());
        let Some(index) = index else {
            return Err(
                Error::environment(format!("{name} has {} row groups and the checkpoint needs group {group}", groups.len())).code(CHANGED)
            );
        };
        let first = groups[..index].iter().map(|group| group.num_rows().unsigned_abs()).sum();
        let rows = groups[index].num_rows().unsigned_abs();
        let mask = projection(&metadata, &wanted);
        let bytes_a_row = compressed_size(&groups[index], &mask) as f64 / rows.max(1) as f64;
        let skip = usize::try_from(position.offset.min(rows)).unwrap_or(usize::MAX);
        let nanos = nanos.map(|(metadata, mask, _)| (metadata, mask));
        let builder = Some(Builder { content, metadata, group: index, mask, nanos });
        Ok(Self {
            path: name,
            assembler,
            reader: None,
            pending: None,
            conversion,
            first,
            position,
            bytes_a_row,
            skip,
            builder,
            unreadable: Unreadable::default(),
            context: Arc::clone(context),
            late,
        })
    }

    fn build(&mut self, max_rows: usize) -> Result<()> {
        let Some(builder) = self.builder.take() else { return Ok(()) };
        let reader = builder.build(&self.unreadable, max_rows.min(MAX_ROWS));
        self.reader = Some(reader.map_err(|error| failed(Path::new(&*self.path), error, &self.unreadable))?);
        Ok(())
    }

    /// Skips rows that an earlier run has read, for a moment; returns true once none are left. They
    /// are decoded, because the reader's own way of skipping takes all of a large group in one
    /// call.
    fn pass_over(&mut self) -> Result<bool> {
        let begun = Instant::now();
        while self.skip > 0 {
            if begun.elapsed() >= SKIP_TIME {
                return Ok(false);
            }
            let Some(rows) = self.next_rows(self.skip)? else { break };
            self.skip -= rows.rows.num_rows();
        }
        Ok(true)
    }

    /// The next rows of the group, at most `max_rows`.
    fn next_rows(&mut self, max_rows: usize) -> Result<Option<Rows>> {
        let rows = match (self.pending.take(), &mut self.reader) {
            (Some(rows), _) => rows,
            (None, Some(reader)) => {
                let both = (reader.rows.next().transpose(), reader.nanos.as_mut().and_then(Iterator::next).transpose());
                let failed = |error| failed(Path::new(&*self.path), error, &self.unreadable);
                let (Some(rows), nanos) = (both.0.map_err(failed)?, both.1.map_err(failed)?) else { return Ok(None) };
                Rows { rows, nanos }
            }
            (None, None) => return Ok(None),
        };
        let count = rows.rows.num_rows().min(max_rows);
        if count < rows.rows.num_rows() {
            self.pending = Some(rows.slice(count, rows.rows.num_rows() - count));
        }
        Ok(Some(rows.slice(0, count)))
    }
}

impl GroupReader {
    /// The number of the next row in the group.
    pub fn row(&self) -> u64 {
        self.position.offset
    }
}

/// How many bytes there are.
pub fn length(content: &Content) -> u64 {
    parquet::file::reader::Length::len(content)
}

impl SplitReader for GroupReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let path = Arc::clone(&self.path);
        guarded(Path::new(&*path), || self.read_rows(max_rows.max(1)))
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}

impl GroupReader {
    fn read_rows(&mut self, max_rows: usize) -> Result<Read> {
        self.build(max_rows)?;
        if !self.pass_over()? {
            return Ok(Read::Skipping);
        }
        let Some(Rows { rows, nanos }) = self.next_rows(max_rows)? else { return Ok(Read::End) };
        let Converted { records, keep, bad } = self.conversion.convert_twice(&rows, nanos.as_ref())?;
        let (first, count) = (self.first + self.position.offset, rows.num_rows());
        self.position.offset += count as u64;
        // Rejected rows count too: the dead letters hold only the columns that were read.
        let records_read = count as u64;
        let late = &self.context.late;
        self.late.iter().for_each(|(name, is_nested)| late.count(Path::new(&*self.path), name, *is_nested, records_read));
        let rejects = bad.into_iter().map(|(row, bad)| {
            let json = row_to_json(&rows, row as usize)?;
            Ok(self.assembler.reject(self.context.late.explained(bad), first + u64::from(row), OriginalRecord::Json(json)))
        });
        let rejects = rejects.collect::<Result<_>>()?;
        let batch = self.assembler.batch(&records, Payload::Rows { first, count }, keep.as_deref())?;
        Ok(Read::Batch(SourceBatch { batch, rejects, bytes: (self.bytes_a_row * count as f64) as u64 }))
    }
}
