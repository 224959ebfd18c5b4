//! The rows of a table at one version, file by file, as the Delta kernel sees them: deletion
//! vectors are applied, partition columns and columns that a file lacks are filled in, and mapped
//! columns have their own names.

mod decoder;
mod listing;
mod new_file;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::scan::Scan;
use delta_kernel::scan::ScanMetadata;
use delta_kernel::scan::state::{ScanFile, transform_to_logical};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::{EngineData, FileMeta, KernelError, KernelResult};
use serde_json::{Map, Value, json};
use wasmill_engine::{Error, Result};

pub(super) use self::decoder::DataFiles;
use self::decoder::Decoder;
use self::listing::Listed;
pub(crate) use self::new_file::NewFile;
use super::log::{KernelEngine, TableLog};
use crate::codes::{DAMAGED, FILE_GONE, UNREADABLE};
use wasmill_formats::with_types;

/// A table at one version, of which some columns are read.
pub(crate) struct TableRows {
    engine: Arc<KernelEngine>,
    data_files: DataFiles,
    scan: Scan,
    schema: SchemaRef,
    shown: String,
    id: u64,
}

/// A data file of a table, as one [`TableRows`] lists it: how its rows become the table's depends on the columns that are read.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    file: ScanFile,
    /// Its deletion vector as the log has it.
    deletion_vector: Option<Value>,
    of: u64,
}

impl TableFile {
    /// Its path as the table's log has it: relative to the table and escaped as a URI, or an address.
    pub(crate) fn path(&self) -> &str {
        &self.file.path
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.file.size.unsigned_abs()
    }

    /// How many rows it has, deleted ones included, if the log records it.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.file.stats.as_ref().map(|stats| stats.num_records)
    }

    /// Whether some of its rows are deleted by a vector in another file.
    pub(crate) fn has_deletions(&self) -> bool {
        self.file.dv_info.has_vector()
    }

    /// The values of its partition columns; one that is null is not there.
    pub(crate) fn partition_values(&self) -> &HashMap<String, String> {
        &self.file.partition_values
    }

    /// When it was written, milliseconds since 1970.
    pub(crate) fn modified(&self) -> i64 {
        self.file.modification_time
    }

    /// What distinguishes it from every other file of the table, at any version: its path and its deletion vector.
    pub(crate) fn id(&self) -> String {
        let vector = self.deletion_vector.as_ref().map(Value::to_string).unwrap_or_default();
        format!("{} {vector}", self.file.path)
    }

    /// The action that removes it from a table with these partition columns, at this moment.
    pub(crate) fn removal(&self, partition_by: &[String], now_millis: i64, data_change: bool) -> Value {
        // A null has an entry of its own in the log, and none in the kernel's map.
        let value = |column: &String| self.file.partition_values.get(column).map_or(Value::Null, |value| value.as_str().into());
        let values: Map<String, Value> = partition_by.iter().map(|column| (column.clone(), value(column))).collect();
        let mut remove = json!({
            "path": self.file.path, "deletionTimestamp": now_millis, "dataChange": data_change,
            "extendedFileMetadata": true, "partitionValues": values, "size": self.file.size,
        });
        if let Some(vector) = &self.deletion_vector {
            remove["deletionVector"] = vector.clone();
        }
        json!({ "remove": remove })
    }
}

/// Some rows of a file.
pub(crate) struct FileChunk {
    /// The number of the first one in its file.
    pub first: u64,
    /// All of them, deleted ones included, in the table's columns.
    pub records: RecordBatch,
    /// Those that are not deleted; `None` means all.
    pub keep: Option<Vec<u32>>,
}

impl TableRows {
    /// A version of a table, the latest without one. Of all columns, or of the named ones, in that
    /// order.
    ///
    /// # Errors
    /// Environment: there is no such table, version or column, or it can't be read.
    pub(crate) fn open(log: &TableLog, version: Option<u64>, columns: Option<&[String]>) -> Result<Self> {
        Self::of(log, log.snapshot(version)?, columns)
    }

    /// The same for an open version.
    pub(crate) fn of(log: &TableLog, snapshot: SnapshotRef, columns: Option<&[String]>) -> Result<Self> {
        let failed = |error: KernelError| log.failed("read", error);
        let wanted = columns.map(|columns| snapshot.schema().project(columns)).transpose().map_err(failed)?;
        let scan = snapshot.scan_builder().with_schema_opt(wanted).build().map_err(failed)?;
        let schema: Schema = scan.logical_schema().as_ref().try_into_arrow().map_err(|error| log.failed("read", error))?;
        // A field's metadata is not used for rows.
        let plain = |field: &Arc<arrow_schema::Field>| field.as_ref().clone().with_metadata(HashMap::new());
        let schema = Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()));
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { engine: log.engine(), data_files: log.data_files(), scan, schema, shown: log.shown(), id })
    }

    /// The version.
    pub(crate) fn version(&self) -> u64 {
        self.scan.snapshot().version()
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All files of the version, in the order of their paths.
    pub(crate) fn files(&self) -> Result<Vec<TableFile>> {
        self.files_where(|_, _| true)
    }

    /// Those files of the version that are wanted, by their statistics in the log's form, in the order of their paths.
    pub(crate) fn files_where(&self, is_wanted: impl FnMut(&TableFile, Option<&str>) -> bool) -> Result<Vec<TableFile>> {
        let listed = self.scan.scan_metadata(self.engine.as_ref()).map_err(|error| self.failed("list the files of", error))?;
        self.collect(listed, is_wanted)
    }

    /// Those of these paths that the version before did not have. Reads one entry of the log, unless the version is a checkpoint.
    pub(crate) fn added(&self, paths: &BTreeSet<String>) -> Result<Vec<TableFile>> {
        let failed = |error| self.failed("list the files of", error);
        let before = self.version().saturating_sub(1);
        let listed = match self.version() {
            0 => self.scan.scan_metadata(self.engine.as_ref()).map(|listed| Box::new(listed) as Box<dyn Iterator<Item = _>>),
            _ => self.scan.scan_metadata_from(self.engine.as_ref(), before, Vec::new(), None).map(|listed| listed as Box<_>),
        };
        self.collect(listed.map_err(failed)?, |file, _| paths.contains(file.path()))
    }

    fn collect(
        &self,
        listed: impl Iterator<Item = KernelResult<ScanMetadata>>,
        mut is_wanted: impl FnMut(&TableFile, Option<&str>) -> bool,
    ) -> Result<Vec<TableFile>> {
        let mut files: Vec<TableFile> = Vec::new();
        for batch in listed {
            let listed = batch.and_then(listing::read).map_err(|error| self.failed("list the files of", error))?;
            for Listed { file, stats, deletion_vector } in listed {
                let file = TableFile { file, deletion_vector, of: self.id };
                if is_wanted(&file, stats.as_deref()) {
                    files.push(file);
                }
            }
        }
        files.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(files)
    }

    /// Opens a file of this version.
    pub(crate) fn open_file(self: &Arc<Self>, file: &TableFile) -> Result<FileRows> {
        if file.of != self.id {
            return Err(Error::bug(format!("{} was listed for other columns than those that are read", file.path())));
        }
        let failed = |error| self.file_failed(file.path(), error);
        let root = self.scan.table_root();
        let location = root.join(&file.file.path).map_err(|error| {
            Error::environment(format!("the Delta table {} names a file by an invalid address: {error}", self.shown)).code(DAMAGED)
        })?;
        let selected = file.file.dv_info.get_selection_vector(self.engine.as_ref(), root).map_err(failed)?;
        let meta = FileMeta { last_modified: file.file.modification_time, size: file.size(), location };
        let batches = self.data_files.open(meta, Arc::clone(self.scan.physical_schema())).map_err(failed)?;
        Ok(FileRows { table: Arc::clone(self), file: file.clone(), batches, selected, next: 0 })
    }

    /// Calls for all rows of the version, batch by batch, until the callee stops it.
    pub(crate) fn each(self: &Arc<Self>, mut take: impl FnMut(RecordBatch) -> Result<bool>) -> Result<()> {
        for file in self.files()? {
            let mut rows = self.open_file(&file)?;
            while let Some(chunk) = rows.next_chunk()? {
                if !take(chunk.kept()?)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: KernelError) -> Error {
        Error::environment(format!("cannot {what} the Delta table {} at version {}: {error}", self.shown, self.version())).code(UNREADABLE)
    }

    fn file_failed(&self, path: &str, error: KernelError) -> Error {
        let (table, version) = (&self.shown, self.version());
        match is_gone(&error) {
            true => Error::environment(format!("{path} of the Delta table {table} is gone, and version {version} needs it"))
                .code(FILE_GONE)
                .hint("a vacuum removed it; let it keep files for longer than a reader needs, and start over with a later version"),
            false => Error::environment(format!("cannot read {path} of the Delta table {table}: {error}")).code(UNREADABLE),
        }
    }

    fn logical(&self, physical: Box<dyn EngineData>, file: &ScanFile) -> KernelResult<RecordBatch> {
        let (scan, transform) = (&self.scan, file.transform.clone());
        let logical =
            transform_to_logical(self.engine.as_ref(), physical, scan.physical_schema(), scan.logical_schema().as_ref(), transform);
        logical.try_into_record_batch()
    }
}

/// Whether something is missing, however deep the cause lies.
fn is_gone(error: &KernelError) -> bool {
    match error {
        KernelError::FileNotFound(_) => true,
        other => {
            let words = other.to_string();
            words.contains("not found") || words.contains("NotFound") || words.contains("No such file")
        }
    }
}

/// The rows of a file, in their order.
pub(crate) struct FileRows {
    table: Arc<TableRows>,
    file: TableFile,
    batches: Decoder,
    /// For each row whether it is there; rows behind its end are.
    selected: Option<Vec<bool>>,
    next: u64,
}

impl FileRows {
    /// The next rows; none at the end.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<FileChunk>> {
        let failed = |error| self.table.file_failed(self.file.path(), error);
        let Some(physical) = self.batches.next() else { return self.end().map(|()| None) };
        let records = physical.and_then(|physical| self.table.logical(physical, &self.file.file)).map_err(failed)?;
        // The kernel leaves the inside of nested columns as the file calls it: the items of a list `item` or `element`.
        let records = with_types(&records, &self.table.schema).map_err(|error| {
            let (path, table) = (self.file.path(), &self.table.shown);
            Error::environment(format!("{path} of the Delta table {table} does not have the table's columns: {error}")).code(DAMAGED)
        })?;
        let first = self.next;
        self.next += records.num_rows() as u64;
        let keep = self.selected.as_ref().and_then(|selected| {
            let is_there = |row: &u32| selected.get((first + u64::from(*row)) as usize).copied().unwrap_or(true);
            let keep: Vec<u32> = (0..records.num_rows() as u32).filter(is_there).collect();
            (keep.len() < records.num_rows()).then_some(keep)
        });
        Ok(Some(FileChunk { first, records, keep }))
    }

    /// The file has ended, with as many rows as the log records, if it does.
    fn end(&self) -> Result<()> {
        match self.file.rows() {
            Some(rows) if rows != self.next => {
                let (path, table, found) = (self.file.path(), &self.table.shown, self.next);
                Err(Error::environment(format!("{path} of the Delta table {table} ends after {found} rows, and the log records {rows}"))
                    .code(DAMAGED)
                    .hint("the file is damaged, or its writer counted wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl FileChunk {
    /// The first rows up to this count, and the rest.
    pub(crate) fn split(self, rows: usize) -> (Self, Self) {
        let rest = self.records.num_rows() - rows;
        let (front, back) = (self.records.slice(0, rows), self.records.slice(rows, rest));
        let (mut front_keep, mut back_keep) = (None, None);
        if let Some(keep) = self.keep {
            let at = keep.partition_point(|row| (*row as usize) < rows);
            back_keep = Some(keep[at..].iter().map(|row| row - rows as u32).collect());
            front_keep = Some(keep[..at].to_vec());
        }
        let behind = self.first + rows as u64;
        (Self { first: self.first, records: front, keep: front_keep }, Self { first: behind, records: back, keep: back_keep })
    }

    /// The rows that are not deleted.
    pub(crate) fn kept(self) -> Result<RecordBatch> {
        let Some(keep) = self.keep else { return Ok(self.records) };
        let mut mask = vec![false; self.records.num_rows()];
        for row in keep {
            mask[row as usize] = true;
        }
        filter_record_batch(&self.records, &BooleanArray::from(mask))
            .map_err(|error| Error::bug(format!("rows can't be filtered: {error}")))
    }
}
