//! The writer of one lane for one epoch: rows into staged data files, a bounded number of them open at once.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::convert::convert;
use super::data_file::{Destination, OpenFile};
use super::partition::{Key, Partitioner};
use super::prepared::{DataFile, Part};
use super::schema::TableSchema;
use super::staging::Staging;
use crate::prepared;
use crate::s3::{UploadEpoch, Uploading};

/// The most memory that a lane's files hold back together, in bytes. The largest ends its row group when this is passed.
const MAX_HELD_BACK_BYTES: usize = 48 << 20;

/// Writes the rows of one lane.
pub(crate) struct DeltaWriter {
    schema: Arc<TableSchema>,
    file_schema: SchemaRef,
    properties: WriterProperties,
    partitioner: Partitioner,
    context: WriterContext,
    staging: Staging,
    target_file_bytes: u64,
    open: HashMap<Key, Slot>,
    done: Vec<Done>,
    clock: u64,
}

/// A file that is written, and what of it is still on its way.
type Done = (DataFile, Option<Uploading>);

struct Slot {
    file: OpenFile,
    /// When it last took a row, by the writer's own clock.
    used: u64,
}

impl DeltaWriter {
    /// A writer of files that are staged there.
    pub(crate) fn new(
        schema: Arc<TableSchema>,
        properties: WriterProperties,
        context: WriterContext,
        staging: Staging,
        target_file_bytes: u64,
    ) -> Result<Self> {
        let partitioner = Partitioner::new(&schema.arrow, &schema.partition_by)?;
        let file_schema = schema.file_schema();
        let (open, done) = (HashMap::new(), Vec::new());
        Ok(Self { schema, file_schema, properties, partitioner, context, staging, target_file_bytes, open, done, clock: 0 })
    }

    fn write_partition(&mut self, key: Key, records: &RecordBatch) -> Result<()> {
        self.clock += 1;
        if !self.open.contains_key(&key) {
            self.make_room()?;
            let file = self.create(&key)?;
            self.open.insert(key.clone(), Slot { file, used: 0 });
        }
        let Some(slot) = self.open.get_mut(&key) else { return Ok(()) };
        slot.used = self.clock;
        slot.file.write(records)?;
        if slot.file.size() >= self.target_file_bytes {
            self.finish(&key)?;
        }
        self.bound_memory()
    }

    fn create(&self, key: &Key) -> Result<OpenFile> {
        let WriterContext { incarnation, epoch, lane, .. } = &self.context;
        let name = format!("part-{epoch:010}-{lane}-{}{}.parquet", self.staging.mark(), Uuid::new_v4());
        let (folder, partition_values) = (self.partitioner.folder(key), self.partitioner.values(key));
        let epoch = UploadEpoch { incarnation: *incarnation, epoch: *epoch };
        let destination = Destination { epoch, name, folder, partition_values };
        OpenFile::create(&self.staging, destination, Arc::clone(&self.file_schema), self.properties.clone())
    }

    /// One more than the most files that may be open ends the file that has waited longest for a row.
    fn make_room(&mut self) -> Result<()> {
        if self.open.len() < self.staging.max_open_files() {
            return Ok(());
        }
        let idle = self.open.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
        idle.map_or(Ok(()), |key| self.finish(&key))
    }

    fn finish(&mut self, key: &Key) -> Result<()> {
        if let Some(slot) = self.open.remove(key) {
            self.done.push(slot.file.finish()?);
        }
        Ok(())
    }

    fn bound_memory(&mut self) -> Result<()> {
        if self.open.len() < 2 {
            // A single file bounds itself by the size of its row groups.
            return Ok(());
        }
        while self.open.values().map(|slot| slot.file.held_back()).sum::<usize>() > MAX_HELD_BACK_BYTES {
            let Some(slot) = self.open.values_mut().max_by_key(|slot| slot.file.held_back()) else { return Ok(()) };
            let before = slot.file.held_back();
            slot.file.flush()?;
            if slot.file.held_back() >= before {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl SinkWriter for DeltaWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let (converted, mut rejects) = convert(records, &self.schema.arrow)?;
        if self.schema.partition_by.is_empty() {
            if converted.num_rows() > 0 {
                self.write_partition(Key::new(), &converted)?;
            }
            return Ok(rejects);
        }
        let (partitions, homeless) = self.partitioner.split(&converted)?;
        for rows in partitions {
            self.write_partition(rows.key, &rows.records)?;
        }
        if !homeless.is_empty() {
            merge(&mut rejects, homeless, records.num_rows());
        }
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        let mut keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.finish(&key)?;
        }
        let (files, uploading): (Vec<DataFile>, Vec<Option<Uploading>>) = std::mem::take(&mut self.done).into_iter().unzip();
        self.staging.keep(uploading.into_iter().flatten().collect());
        prepared::write(&Part { files })
    }
}

/// Adds rejects whose rows are counted among those that the first rejects left.
fn merge(rejects: &mut Vec<RowReject>, later: Vec<RowReject>, rows: usize) {
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

impl Drop for DeltaWriter {
    /// What was not prepared will never be committed. Best effort: the next start removes what stays.
    fn drop(&mut self) {
        let open = self.open.drain().map(|(_, slot)| slot.file.name().to_owned());
        let done: Vec<Done> = std::mem::take(&mut self.done);
        if let Staging::Folder(staging) = &self.staging {
            open.chain(done.iter().map(|(file, _)| file.staged.clone())).for_each(|name| staging.discard(&name));
            return;
        }
        // Open objects give themselves up when they go.
        open.for_each(drop);
        done.into_iter().filter_map(|(_, uploading)| uploading).for_each(Uploading::abort);
    }
}
