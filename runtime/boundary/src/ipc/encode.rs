//! Writes schema and record batch messages.

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, GenericByteArray, RecordBatch};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_ipc::{FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder};
use arrow_schema::{DataType, Schema};
use flatbuffers::FlatBufferBuilder;
use wasmill_types::TypeName;

/// Buffers begin at multiples of this. Every boundary type but decimals needs it, and it is the
/// least padding that the format allows.
const ALIGNMENT: usize = 8;

pub(super) fn schema(schema: &Schema) -> Vec<u8> {
    // The only error is an alignment that the format doesn't know, and then the default is as good.
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).unwrap_or_default();
    let mut dictionaries = DictionaryTracker::new(false);
    let message = IpcDataGenerator {}.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    let mut bytes = Vec::new();
    frame(&message.ipc_message, &mut bytes);
    bytes
}

/// Writes a table over the content of `bytes`. Every value is copied once and memory is reused.
/// With fresh memory per batch, the kernel's zeroing costs more than the copy.
pub(super) fn table(table: &RecordBatch, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut body = Body::default();
    for (column, field) in table.columns().iter().zip(table.schema_ref().fields()) {
        body.array(column)
            .map_err(|data_type| format!("column `{}`: {} does not cross the boundary", field.name(), TypeName(&data_type)))?;
    }
    let metadata = body.metadata(table.num_rows());
    bytes.clear();
    bytes.reserve(8 + ALIGNMENT + metadata.len() + body.length);
    frame(&metadata, bytes);
    for part in &body.parts {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
    Ok(())
}

/// The beginning of an encapsulated message: continuation marker, length of the padded metadata, metadata. The body follows.
fn frame(metadata: &[u8], bytes: &mut Vec<u8>) {
    let padded = metadata.len().next_multiple_of(ALIGNMENT);
    bytes.extend_from_slice(&[0xff; 4]);
    bytes.extend_from_slice(&(padded as u32).to_le_bytes());
    bytes.extend_from_slice(metadata);
    bytes.resize(bytes.len() + padded - metadata.len(), 0);
}

/// The body of a record batch message: the buffers of all arrays, depth first.
#[derive(Default)]
struct Body {
    nodes: Vec<FieldNode>,
    buffers: Vec<arrow_ipc::Buffer>,
    /// What the buffers hold, without padding.
    parts: Vec<Buffer>,
    /// The bytes of all buffers, with padding.
    length: usize,
}

impl Body {
    /// Adds an array and what is nested in it. The error is a type that does not cross.
    fn array(&mut self, array: &dyn Array) -> Result<(), DataType> {
        let length = array.len();
        if *array.data_type() == DataType::Null {
            self.nodes.push(FieldNode::new(length as i64, length as i64));
            return Ok(());
        }
        self.nodes.push(FieldNode::new(length as i64, array.null_count() as i64));
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        self.buffer(nulls.map_or_else(Buffer::default, |nulls| nulls.inner().sliced()));
        match array.data_type() {
            DataType::Boolean => self.buffer(array.as_boolean().values().sliced()),
            DataType::Utf8 => self.texts(array.as_string::<i32>()),
            DataType::Binary => self.texts(array.as_binary::<i32>()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (first, end) = self.offsets(list.offsets());
                self.array(&list.values().slice(first, end - first))?;
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (first, end) = self.offsets(map.offsets());
                self.array(&map.entries().slice(first, end - first))?;
            }
            DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|child| self.array(child))?,
            other => {
                let width = other.primitive_width().ok_or_else(|| other.clone())?;
                let data = array.to_data();
                self.buffer(data.buffers()[0].slice_with_length(data.offset() * width, length * width));
            }
        }
        Ok(())
    }

    fn texts<T: ByteArrayType<Offset = i32>>(&mut self, texts: &GenericByteArray<T>) {
        let (first, end) = self.offsets(texts.offsets());
        self.buffer(texts.values().slice_with_length(first, end - first));
    }

    /// Adds the offsets of an array, counted from its own first value. Returns where its values
    /// begin and end.
    fn offsets(&mut self, offsets: &OffsetBuffer<i32>) -> (usize, usize) {
        let (first, end) = (offsets[0], offsets[offsets.len() - 1]);
        if first == 0 {
            self.buffer(offsets.inner().inner().clone());
        } else {
            self.buffer(offsets.iter().map(|offset| offset - first).collect::<Vec<i32>>().into());
        }
        (first as usize, end as usize)
    }

    fn buffer(&mut self, part: Buffer) {
        self.buffers.push(arrow_ipc::Buffer::new(self.length as i64, part.len() as i64));
        self.length += part.len().next_multiple_of(ALIGNMENT);
        self.parts.push(part);
    }

    /// The message that describes the body, as a flatbuffer.
    fn metadata(&self, rows: usize) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let buffers = builder.create_vector(&self.buffers);
        let nodes = builder.create_vector(&self.nodes);
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(rows as i64);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        let batch = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(self.length as i64);
        message.add_header(batch);
        let message = message.finish();
        builder.finish(message, None);
        builder.finished_data().to_vec()
    }
}
