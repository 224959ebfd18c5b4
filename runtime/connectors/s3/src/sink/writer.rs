//! The writer of one lane for one epoch in Hive's folders.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::objects::{MAX_OPEN_OBJECTS, Objects};
use super::{Destination, S3SinkConfig, owner};
use wasmill_connect::durable::escape;
use wasmill_connect::staged::StagedMark;
use wasmill_formats::{RecordWriter, WriteOptions, record_writer, to_plain};
use wasmill_lake::{Gather, PartitionFiles};
use wasmill_lake::{Key, Limits, Partitioner, Split};
use wasmill_objects::longest_folder;

/// The encoder of a sink's objects.
pub(super) fn encoder<W: Write + Send + 'static>(config: &S3SinkConfig, schema: &SchemaRef, output: W) -> Result<Box<dyn RecordWriter<W>>> {
    let options = WriteOptions { compression: config.compression, ..WriteOptions::default() };
    record_writer(config.format.format(), schema, output, &options)
}

/// Writes the rows of one lane.
pub(super) struct S3Writer {
    gather: Gather<Key>,
    objects: HiveObjects,
}

/// The objects of one lane, a folder for each partition.
struct HiveObjects {
    config: S3SinkConfig,
    partitioner: Partitioner,
    context: WriterContext,
    /// The epoch that this process has claimed.
    claim: Option<u64>,
    objects: Objects<Key>,
}

/// The longest end of an object's key, in bytes, behind the name of its sink.
const LONGEST_NAME: usize = 200;

impl S3Writer {
    pub(super) fn new(
        config: S3SinkConfig,
        schema: &SchemaRef,
        (context, claim): (WriterContext, Option<u64>),
        destination: Destination,
    ) -> Result<Self> {
        let path = longest_folder(&destination.place, escape(&context.sink).len() + LONGEST_NAME);
        let partitioner = Partitioner::new(
            schema,
            &config.partition_by,
            Limits { name: destination.notes.bucket().longest_name(), path, place: "this store" },
        )?;
        let (object_schema, encoding) = (config.object_schema(schema), config.clone());
        let encode = Box::new(move |output| encoder(&encoding, &object_schema, output));
        let objects = Objects::new(destination, encode, config.target_file_size.as_u64());
        Ok(Self { gather: Gather::new(MAX_OPEN_OBJECTS, None), objects: HiveObjects { config, partitioner, context, claim, objects } })
    }
}

impl PartitionFiles<Key> for HiveObjects {
    fn is_open(&self, key: &Key) -> bool {
        self.objects.is_open(key)
    }

    fn open_files(&self) -> usize {
        self.objects.open_objects()
    }

    /// No object ever has the key of another one, so a process that writes the same epoch
    /// concurrently can't touch it.
    fn write(&mut self, key: &Key, records: &RecordBatch) -> Result<()> {
        let path = || {
            let (mark, extension) = (StagedMark::new(&self.context, self.claim), self.config.extension());
            let (sink, owner) = (escape(&self.context.sink), owner(&self.context.pipeline, &self.context.sink));
            format!("{}{sink}-{owner}-{mark}{extension}", self.partitioner.folder(key))
        };
        self.objects.write(key, records, path)
    }

    fn finish(&mut self, key: &Key) -> Result<()> {
        self.objects.finish(key)
    }
}

impl SinkWriter for S3Writer {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        if records.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.objects.config.partition_by.is_empty() {
            return self.objects.write(&Key::new(), records).map(|()| Vec::new());
        }
        let Split { records, partitions, rejects } = self.objects.partitioner.split(&to_plain(records)?)?;
        self.gather.write(records, partitions, &mut self.objects)?;
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        self.gather.finish(&mut self.objects)?;
        self.objects.objects.prepare()
    }
}
