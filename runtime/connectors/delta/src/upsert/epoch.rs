//! The rows of an epoch as its prepared commit has them: their keys, and the files without the rows that later ones supersede.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::schema::{DataType as DeltaType, PrimitiveType, SchemaRef as DeltaSchemaRef, StructType};
use delta_kernel::{KernelError, KernelResult};
use wasmill_engine::{Error, Result};
use wasmill_formats::with_types;

use super::keys::{Keys, RowPlace};
use super::ranges::KeyRanges;
use super::rewrite::{Rewriter, Target, kept, publish};
use crate::codes::KEY;
use crate::log::TableLog;
use crate::prepared::{DataFile, Prepared};
use crate::properties::Indexed;
use crate::row_set::RowSet;
use crate::rows::NewFile;
use crate::schema::TableSchema;
use crate::staging::Staging;

/// The rows of an epoch.
pub(super) struct EpochRows {
    pub(super) keys: Keys,
    pub(super) ranges: KeyRanges,
    /// The files to add, at their place.
    pub(super) files: Vec<DataFile>,
    /// Files of the prepared commit in whose place others are added.
    pub(super) left_out: Vec<DataFile>,
    /// The rows that the pipeline wrote.
    pub(super) source: u64,
    /// Those of them that are the last ones of their keys.
    pub(super) written: u64,
}

impl EpochRows {
    /// Reads the keys of published files, and rewrites those that hold superseded rows.
    pub(super) fn read(log: &TableLog, staging: &Staging, rewriter: &Rewriter<'_>, prepared: &Prepared, indexed: &Indexed) -> Result<Self> {
        let schema = TableSchema::read(&prepared.schema, &prepared.partition_by)?;
        let columns = KeyColumns::new(&schema, &prepared.key)?;
        let (mut keys, mut ranges) = (Keys::new(&columns.schema)?, columns.ranges(&prepared.partition_by));
        let mut superseded: Vec<RowSet> = prepared.files.iter().map(|file| file.superseded.clone()).collect();
        for (number, file) in prepared.files.iter().enumerate() {
            let (mut rows, mut first) = (NewFile::open(log, file, &columns.read)?, 0);
            while let Some(batch) = rows.next_batch()? {
                let places = (first..first + batch.num_rows() as u32)
                    .map(|row| (!file.superseded.contains(row)).then_some(RowPlace { file: number as u32, row }));
                first += batch.num_rows() as u32;
                let batch = columns.of(&batch, file)?;
                ranges.add(batch.columns());
                for RowPlace { file, row } in keys.add(batch.columns(), places)? {
                    superseded[file as usize].insert(row);
                }
            }
        }
        ranges.finish();
        let (mut files, mut left_out, mut rewritten) = (Vec::new(), Vec::new(), Vec::new());
        for (file, superseded) in prepared.files.iter().zip(&superseded) {
            match superseded.is_empty() {
                true => files.push(file.clone()),
                false => {
                    rewritten.extend(without(log, staging, rewriter, file, superseded, (&schema, indexed))?);
                    left_out.push(file.clone());
                }
            }
        }
        publish(staging, &mut rewritten)?;
        files.extend(rewritten);
        let source = prepared.files.iter().map(|file| file.rows).sum();
        let written = files.iter().map(|file| file.rows).sum();
        Ok(Self { keys, ranges, files, left_out, source, written })
    }
}

/// A file of the epoch without some of its rows; none if no row is left.
fn without(
    log: &TableLog,
    staging: &Staging,
    rewriter: &Rewriter<'_>,
    file: &DataFile,
    superseded: &RowSet,
    (schema, indexed): (&TableSchema, &Indexed),
) -> Result<Option<DataFile>> {
    if superseded.len() == file.rows {
        return Ok(None);
    }
    let file_schema = schema.file_schema();
    let names: Vec<&String> = file_schema.fields().iter().map(|field| field.name()).collect();
    let columns = schema.delta.project(&names).map_err(unreadable)?;
    let folder = file.path.rfind('/').map_or("", |end| &file.path[..=end]).to_owned();
    let target = Target { schema: file_schema, folder, partition_values: file.partition_values.clone(), indexed: indexed.clone() };
    let (mut rows, mut first) = (NewFile::open(log, file, &columns)?, 0);
    rewriter.write(staging, target, || {
        let Some(batch) = rows.next_batch()? else { return Ok(None) };
        let keep = (first..first + batch.num_rows() as u32).map(|row| !superseded.contains(row)).collect();
        first += batch.num_rows() as u32;
        kept(&batch, keep).map(Some)
    })
}

/// The columns of a key, some of which partitions name and the others lie in files.
struct KeyColumns {
    /// All of them, in the order of the key.
    schema: Arc<Schema>,
    kinds: Vec<(String, PrimitiveType)>,
    /// What is read of files.
    read: DeltaSchemaRef,
}

impl KeyColumns {
    fn new(table: &TableSchema, key: &[String]) -> Result<Self> {
        let columns = table.delta.project(key).map_err(unreadable)?;
        let schema: Schema = columns.as_ref().try_into_arrow().map_err(|error| Error::bug(format!("the key is no schema: {error}")))?;
        let kinds = columns.fields().map(|field| match field.data_type() {
            DeltaType::Primitive(kind) => Ok((field.name().clone(), kind.clone())),
            other => Err(Error::bug(format!("the key's column {} is {other}", field.name()))),
        });
        let kinds = kinds.collect::<Result<Vec<_>>>()?;
        let read = readable(&table.delta, key, &table.partition_by).map_err(unreadable)?;
        Ok(Self { schema: Arc::new(schema), kinds, read })
    }

    fn ranges(&self, partition_by: &[String]) -> KeyRanges {
        KeyRanges::new(self.kinds.iter().cloned(), partition_by)
    }

    /// The key's columns of rows of a file.
    fn of(&self, batch: &RecordBatch, file: &DataFile) -> Result<RecordBatch> {
        let column = |(name, kind): &(String, PrimitiveType)| -> Result<ArrayRef> {
            let Some(value) = file.partition_values.get(name) else {
                return batch
                    .column_by_name(name)
                    .map(Arc::clone)
                    .ok_or_else(|| Error::bug(format!("the key's column {name} was not read")));
            };
            let scalar = kind.parse_scalar(value.as_str().unwrap_or_default());
            scalar.and_then(|scalar| scalar.to_array(batch.num_rows())).map_err(unreadable)
        };
        let columns = self.kinds.iter().map(column).collect::<Result<Vec<_>>>()?;
        let fields: Vec<_> = self
            .schema
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
            .collect();
        let records = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| Error::environment(format!("{} lacks values of the key: {error}", file.path)).code(KEY))?;
        with_types(&records, &self.schema)
    }
}

/// The columns of a key that data files hold. Where partitions name all of them it is any other column, which counts the rows.
fn readable(table: &StructType, key: &[String], partition_by: &[String]) -> KernelResult<DeltaSchemaRef> {
    let in_files = |name: &&String| !partition_by.contains(name);
    let mut names: Vec<&String> = key.iter().filter(in_files).collect();
    if names.is_empty() {
        names.extend(table.fields().map(|field| field.name()).find(in_files));
    }
    table.project(&names)
}

fn unreadable(error: KernelError) -> Error {
    Error::environment(format!("the key of the prepared commit can't be read: {error}")).code(KEY)
}
