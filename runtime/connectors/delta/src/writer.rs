//! The writer of one lane for one epoch: rows into staged data files, one per partition until it has its target size.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::convert::{Converted, convert};
use super::data_file::{Destination, FinishedFile, OpenFile};
use super::key::{self, Keyed};
use super::moves::Moves;
use super::prepared::{DataFile, Part};
use super::properties::Indexed;
use super::schema::{TableSchema, holds_date64};
use super::staging::Staging;
use wasmill_connect::prepared;
use wasmill_connect::staged::StagedMark;
use wasmill_formats::parquet::{LEAST_VALUES, fit_dictionaries};
use wasmill_formats::to_plain;
use wasmill_lake::{Gather, PartitionFiles};
use wasmill_lake::{Key, Partitioner, Split};
use wasmill_objects::{UploadEpoch, Uploading};

/// The most memory that a lane's files hold back together, in bytes. The largest ends its row group
/// when this is exceeded.
const MAX_HELD_BACK_BYTES: usize = 48 << 20;

/// Writes the rows of one lane.
pub(crate) struct DeltaWriter {
    schema: Arc<TableSchema>,
    /// Where the columns of an upsert's key are; none without one.
    key: Vec<usize>,
    gather: Gather<Key>,
    files: DataFiles,
}

/// How data files are written.
pub(crate) struct Writing {
    /// Parquet's options.
    pub properties: WriterProperties,
    /// The columns that get statistics.
    pub indexed: Indexed,
    /// The size in bytes at which a file is ended.
    pub target_file_bytes: u64,
    /// The epoch that this process has claimed.
    pub claim: Option<u64>,
    /// The columns of an upsert's key; none without one.
    pub key: Vec<String>,
}

/// The data files of one lane.
struct DataFiles {
    schema: SchemaRef,
    writing: Writing,
    /// Whether the first rows have decided which columns get dictionaries.
    is_fitted: bool,
    partitioner: Partitioner,
    context: WriterContext,
    staging: Staging,
    /// Which rows an upsert leaves out because others of the lane come later, where a partition's order does not tell.
    moves: Option<Moves>,
    created: u32,
    open: HashMap<Key, Numbered<OpenFile>>,
    done: Vec<Numbered<FinishedFile>>,
}

/// A file of a lane.
struct Numbered<F> {
    number: u32,
    /// The rows that were written so far.
    rows: u32,
    file: F,
}

impl DeltaWriter {
    /// A writer of files that are staged there.
    pub(crate) fn new(schema: Arc<TableSchema>, writing: Writing, context: WriterContext, staging: Staging) -> Result<Self> {
        let moves = Moves::new(&schema, &writing.key)?;
        let rows = moves.as_ref().map_or(&schema.arrow, Moves::schema);
        let partitioner = Partitioner::new(rows, &schema.partition_by, staging.limits())?;
        let gather = Gather::new(staging.max_open_files(), staging.folder());
        let key = writing.key.iter().filter_map(|column| schema.arrow.index_of(column).ok()).collect();
        let (created, open, done) = (0, HashMap::new(), Vec::new());
        let (schema_of_files, is_fitted) = (schema.file_schema(), false);
        let files = DataFiles { schema: schema_of_files, writing, is_fitted, partitioner, context, staging, moves, created, open, done };
        Ok(Self { schema, key, gather, files })
    }
}

impl DataFiles {
    fn create(&mut self, key: &Key) -> Result<Numbered<OpenFile>> {
        let mark = StagedMark::new(&self.context, self.writing.claim);
        let name = format!("part-{}{mark}.parquet", self.staging.mark());
        let (folder, partition_values) = (self.partitioner.folder(key), self.partitioner.values(key));
        let epoch = UploadEpoch { claim: self.writing.claim, ..UploadEpoch::of_writer(&self.context) };
        let destination = Destination { epoch, name, folder, partition_values };
        let how = (self.writing.properties.clone(), self.writing.indexed.clone());
        let file = OpenFile::create(&self.staging, destination, Arc::clone(&self.schema), how)?;
        self.created += 1;
        Ok(Numbered { number: self.created, rows: 0, file })
    }

    /// Fits the options of files to the first rows that are enough to judge by.
    fn fit(&mut self, records: &RecordBatch) {
        if !self.is_fitted && records.num_rows() >= LEAST_VALUES {
            self.writing.properties = fit_dictionaries(self.writing.properties.clone(), records);
            self.is_fitted = true;
        }
    }

    fn bound_memory(&mut self) -> Result<()> {
        if self.open.len() < 2 {
            // A single file bounds itself by the size of its row groups.
            return Ok(());
        }
        while self.open.values().map(|open| open.file.held_back()).sum::<usize>() > MAX_HELD_BACK_BYTES {
            let files = self.open.values_mut().map(|open| &mut open.file);
            let Some(file) = files.max_by_key(|file| file.held_back()) else { return Ok(()) };
            let before = file.held_back();
            file.flush()?;
            if file.held_back() >= before {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl PartitionFiles<Key> for DataFiles {
    fn is_open(&self, key: &Key) -> bool {
        self.open.contains_key(key)
    }

    fn open_files(&self) -> usize {
        self.open.len()
    }

    fn write(&mut self, key: &Key, records: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(key) {
            let file = self.create(key)?;
            self.open.insert(key.clone(), file);
        }
        let Some(Numbered { number, rows, file }) = self.open.get_mut(key) else { return Ok(()) };
        match &mut self.moves {
            Some(moves) => file.write(&moves.place(key, records, *number, *rows)?)?,
            None => file.write(records)?,
        }
        *rows += records.num_rows() as u32;
        if file.size() >= self.writing.target_file_bytes {
            self.finish(key)?;
        }
        self.bound_memory()
    }

    fn finish(&mut self, key: &Key) -> Result<()> {
        if let Some(Numbered { number, rows, file }) = self.open.remove(key) {
            self.done.push(Numbered { number, rows, file: file.finish()? });
        }
        Ok(())
    }
}

impl SinkWriter for DeltaWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        // Milliseconds become microseconds by a cast that notices what does not fit.
        let plain = holds_date64(records.schema_ref().fields()).then(|| to_plain(records)).transpose()?;
        let Keyed { records: keyed, mut rejects } = key::without_nulls(plain.as_ref().unwrap_or(records), &self.key)?;
        let Converted { records: converted, rejects: unfit } = convert(&keyed, &self.schema.arrow)?;
        merge(&mut rejects, unfit, records.num_rows());
        self.files.fit(&converted);
        if self.schema.partition_by.is_empty() {
            if converted.num_rows() > 0 {
                self.files.write(&Key::new(), &converted)?;
            }
            return Ok(rejects);
        }
        let numbered = self.files.moves.as_mut().map(|moves| moves.number(&converted)).transpose()?;
        let Split { records: rows, partitions, rejects: homeless } =
            self.files.partitioner.split(numbered.as_ref().unwrap_or(&converted))?;
        self.gather.write(rows, partitions, &mut self.files)?;
        merge(&mut rejects, homeless, records.num_rows());
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        self.gather.finish(&mut self.files)?;
        let mut keys: Vec<Key> = self.files.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.files.finish(&key)?;
        }
        let (mut files, mut uploading) = (Vec::new(), Vec::new());
        for Numbered { number, file: FinishedFile { file, upload }, .. } in std::mem::take(&mut self.files.done) {
            let superseded = self.files.moves.as_mut().map(|moves| moves.of_file(number)).unwrap_or_default();
            files.push(DataFile { superseded, ..file });
            uploading.extend(upload);
        }
        self.files.staging.keep(uploading);
        prepared::write(&Part { lane: self.files.context.lane, files })
    }
}

/// Adds rejects whose rows are counted among those that the first rejects left.
fn merge(rejects: &mut Vec<RowReject>, later: Vec<RowReject>, rows: usize) {
    if later.is_empty() {
        return;
    }
    if !rejects.is_empty() {
        let gone: Vec<u32> = rejects.iter().map(|reject| reject.row).collect();
        let kept: Vec<u32> = (0..rows as u32).filter(|row| gone.binary_search(row).is_err()).collect();
        let moved = later.into_iter().map(|reject| RowReject { row: kept[reject.row as usize], ..reject });
        rejects.extend(moved);
        rejects.sort_by_key(|reject| reject.row);
    } else {
        rejects.extend(later);
    }
}

impl Drop for DataFiles {
    /// What was not prepared will never be committed. Best effort: the next start removes what stays.
    fn drop(&mut self) {
        let open = self.open.drain().map(|(_, open)| open.file.name().to_owned());
        let done: Vec<FinishedFile> = std::mem::take(&mut self.done).into_iter().map(|done| done.file).collect();
        if let Staging::Folder(staging) = &self.staging {
            open.chain(done.iter().map(|done| done.file.staged.clone())).for_each(|name| staging.discard(&name));
            return;
        }
        // Open objects give themselves up when they go.
        open.for_each(drop);
        done.into_iter().filter_map(|done| done.upload).for_each(Uploading::abort);
    }
}
