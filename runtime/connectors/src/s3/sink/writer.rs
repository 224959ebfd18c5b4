//! The writer of one lane for one epoch in Hive's folders.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::objects::Objects;
use super::{Destination, S3SinkConfig, owner};
use crate::delta::{Key, Partitioner};
use crate::durable::escape;
use crate::formats::{RecordWriter, WriteOptions, record_writer};

/// The encoder of a sink's objects.
pub(super) fn encoder<W: Write + Send + 'static>(config: &S3SinkConfig, schema: &SchemaRef, output: W) -> Result<Box<dyn RecordWriter<W>>> {
    let options = WriteOptions { compression: config.compression, ..WriteOptions::default() };
    record_writer(config.format.format(), schema, output, &options)
}

/// Writes the rows of one lane.
pub(super) struct S3Writer {
    config: S3SinkConfig,
    partitioner: Partitioner,
    context: WriterContext,
    objects: Objects<Key>,
    /// Counts objects, for their names.
    sequence: u32,
}

impl S3Writer {
    pub(super) fn new(config: S3SinkConfig, schema: &SchemaRef, context: WriterContext, destination: Destination) -> Result<Self> {
        let partitioner = Partitioner::new(schema, &config.partition_by)?;
        let (object_schema, encoding) = (config.object_schema(schema), config.clone());
        let encode = Box::new(move |output| encoder(&encoding, &object_schema, output));
        let objects = Objects::new(destination, encode, config.target_file_size.as_u64());
        Ok(Self { config, partitioner, context, objects, sequence: 0 })
    }

    /// An object's name says whose rows it holds: no other sink, lane, epoch or life of the pipeline has it.
    fn write_partition(&mut self, key: &Key, records: &RecordBatch) -> Result<()> {
        let path = || {
            let WriterContext { pipeline, sink, incarnation, epoch, lane, .. } = &self.context;
            let life = &incarnation.simple().to_string()[24..];
            let (owner, extension) = (owner(pipeline, sink), self.config.extension());
            let name = format!("{}-{epoch:010}-{lane}-{}-{owner}-{life}{extension}", escape(sink), self.sequence);
            self.sequence += 1;
            format!("{}{name}", self.partitioner.folder(key))
        };
        self.objects.write(key, records, path)
    }
}

impl SinkWriter for S3Writer {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        if records.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.config.partition_by.is_empty() {
            return self.write_partition(&Key::new(), records).map(|()| Vec::new());
        }
        let (partitions, rejects) = self.partitioner.split(records)?;
        for rows in partitions {
            self.write_partition(&rows.key, &rows.records)?;
        }
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        self.objects.prepare()
    }
}
