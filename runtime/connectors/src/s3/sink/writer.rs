//! The writer of one lane for one epoch: rows into objects that are uploaded while they grow.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::{Pending, PreparedObject, S3SinkConfig, owner};
use crate::delta::{Key, Partitioner};
use crate::durable::escape;
use crate::formats::{RecordWriter, WriteOptions, record_writer};
use crate::prepared;
use crate::s3::{Bucket, ObjectWriter, S3Uri, Uploading};

/// The most objects that a lane has open at once: each fills a part in memory. One more ends the one that has waited longest for a row.
const MAX_OPEN_OBJECTS: usize = 12;

/// The encoder of a sink's objects.
pub(super) fn encoder<W: Write + Send + 'static>(config: &S3SinkConfig, schema: &SchemaRef, output: W) -> Result<Box<dyn RecordWriter<W>>> {
    let options = WriteOptions { compression: config.compression, ..WriteOptions::default() };
    record_writer(config.format.format(), schema, output, &options)
}

/// Writes the rows of one lane.
pub(super) struct S3Writer {
    config: S3SinkConfig,
    partitioner: Partitioner,
    object_schema: SchemaRef,
    context: WriterContext,
    bucket: Arc<Bucket>,
    place: S3Uri,
    pending: Pending,
    open: HashMap<Key, Open>,
    done: Vec<(PreparedObject, Uploading)>,
    /// Counts objects, for their names.
    sequence: u32,
    /// Counts writes, to find the object that has waited longest.
    clock: u64,
}

struct Open {
    path: String,
    rows: u64,
    used: u64,
    written: Arc<AtomicU64>,
    writer: Box<dyn RecordWriter<Counted>>,
}

impl S3Writer {
    pub(super) fn new(
        config: S3SinkConfig,
        schema: SchemaRef,
        context: WriterContext,
        (bucket, place, pending): (Arc<Bucket>, S3Uri, Pending),
    ) -> Result<Self> {
        let partitioner = Partitioner::new(&schema, &config.partition_by)?;
        let object_schema = config.object_schema(&schema);
        let (open, done) = (HashMap::new(), Vec::new());
        Ok(Self { config, partitioner, object_schema, context, bucket, place, pending, open, done, sequence: 0, clock: 0 })
    }

    /// An object's name says whose rows it holds: no other sink, lane, epoch or life of the pipeline has it.
    fn create(&mut self, key: &Key) -> Result<Open> {
        let WriterContext { pipeline, sink, incarnation, epoch, lane, .. } = &self.context;
        let life = &incarnation.simple().to_string()[24..];
        let (owner, extension) = (owner(pipeline, sink), self.config.extension());
        let name = format!("{}-{epoch:010}-{lane}-{}-{owner}-{life}{extension}", escape(sink), self.sequence);
        self.sequence += 1;
        let path = format!("{}{name}", self.partitioner.folder(key));
        let written = Arc::new(AtomicU64::new(0));
        let output = Counted { object: ObjectWriter::create(&self.bucket, self.place.below(&path)), written: Arc::clone(&written) };
        let writer = encoder(&self.config, &self.object_schema, output)?;
        Ok(Open { path, rows: 0, used: 0, written, writer })
    }

    fn write_partition(&mut self, key: Key, records: &RecordBatch) -> Result<()> {
        self.clock += 1;
        if !self.open.contains_key(&key) {
            if self.open.len() >= MAX_OPEN_OBJECTS {
                let idle = self.open.iter().min_by_key(|(_, open)| open.used).map(|(key, _)| key.clone());
                idle.map_or(Ok(()), |key| self.finish(&key))?;
            }
            let open = self.create(&key)?;
            self.open.insert(key.clone(), open);
        }
        let Some(open) = self.open.get_mut(&key) else { return Ok(()) };
        open.writer.write(records).map_err(|error| error.at(open.path.clone()))?;
        open.rows += records.num_rows() as u64;
        open.used = self.clock;
        let size = open.written.load(Ordering::Relaxed) + open.writer.buffered_bytes() as u64;
        if size >= self.config.target_file_size.as_u64() { self.finish(&key) } else { Ok(()) }
    }

    fn finish(&mut self, key: &Key) -> Result<()> {
        let Some(open) = self.open.remove(key) else { return Ok(()) };
        let mut output = open.writer.finish().map_err(|error| error.at(open.path.clone()))?;
        let uploading = output.object.finish()?;
        let object = PreparedObject { path: open.path, size: output.object.size(), rows: open.rows, upload: None };
        self.done.push((object, uploading));
        Ok(())
    }
}

impl SinkWriter for S3Writer {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        if records.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.config.partition_by.is_empty() {
            return self.write_partition(Key::new(), records).map(|()| Vec::new());
        }
        let (partitions, rejects) = self.partitioner.split(records)?;
        for rows in partitions {
            self.write_partition(rows.key, &rows.records)?;
        }
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        let mut keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.finish(&key)?;
        }
        let (objects, uploading): (Vec<PreparedObject>, Vec<Uploading>) = std::mem::take(&mut self.done).into_iter().unzip();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.extend(uploading.into_iter().map(|uploading| (uploading.key().to_owned(), uploading)));
        drop(pending);
        prepared::write(&objects)
    }
}

impl Drop for S3Writer {
    /// What was not prepared will never be committed. Best effort: the next start aborts what stays. Open objects give themselves up.
    fn drop(&mut self) {
        std::mem::take(&mut self.done).into_iter().for_each(|(_, uploading)| uploading.abort());
    }
}

/// An object that keeps count of what goes into it.
pub(super) struct Counted {
    object: ObjectWriter,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.object.write(bytes)?;
        self.written.fetch_add(taken as u64, Ordering::Relaxed);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}
