//! Writes a table as one `RecordBatch` message, into an allocation of exactly its size.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::bit_util;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_data::ArrayData;
use arrow_ipc::{FieldNode, Message, MessageArgs, MessageHeader, MetadataVersion, RecordBatch, RecordBatchArgs};
use arrow_schema::DataType;
use flatbuffers::FlatBufferBuilder;

use super::padded;
use super::schema::frame;
use crate::Refusal;

/// Writes columns of `rows` rows each.
///
/// # Errors
/// Refuses a column whose type does not cross the boundary.
pub(crate) fn encode_table(columns: &[ArrayRef], rows: usize) -> Result<Vec<u8>, Refusal> {
    let mut parts = Parts::default();
    for column in columns {
        parts.column(&column.to_data())?;
    }
    let mut builder = FlatBufferBuilder::with_capacity(64 + 16 * (parts.nodes.len() + parts.buffers.len()));
    let (nodes, buffers) = (builder.create_vector(&parts.nodes), builder.create_vector(&parts.locations));
    let args =
        RecordBatchArgs { length: rows as i64, nodes: Some(nodes), buffers: Some(buffers), compression: None, variadicBufferCounts: None };
    let header = RecordBatch::create(&mut builder, &args).as_union_value();
    let message = Message::create(
        &mut builder,
        &MessageArgs {
            version: MetadataVersion::V5,
            header_type: MessageHeader::RecordBatch,
            header: Some(header),
            bodyLength: parts.body_length as i64,
            custom_metadata: None,
        },
    );
    builder.finish(message, None);
    let mut bytes = frame(builder.finished_data(), parts.body_length);
    for buffer in &parts.buffers {
        bytes.extend_from_slice(buffer);
        bytes.resize(padded(bytes.len()), 0);
    }
    Ok(bytes)
}

/// A table taken apart: nodes and buffers in the order in which IPC flattens nested columns.
#[derive(Default)]
struct Parts {
    nodes: Vec<FieldNode>,
    locations: Vec<arrow_ipc::Buffer>,
    buffers: Vec<Buffer>,
    body_length: usize,
}

impl Parts {
    fn column(&mut self, data: &ArrayData) -> Result<(), Refusal> {
        let (start, length) = (data.offset(), data.len());
        let nulls = if matches!(data.data_type(), DataType::Null) { length } else { data.null_count() };
        self.nodes.push(FieldNode::new(length as i64, nulls as i64));
        if matches!(data.data_type(), DataType::Null) {
            return Ok(());
        }
        match data.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => self.push(bits(nulls.buffer(), nulls.offset(), length)),
            None => self.push(Buffer::default()),
        }
        match data.data_type() {
            DataType::Boolean => self.push(bits(&data.buffers()[0], start, length)),
            DataType::Utf8 | DataType::Binary => {
                let (offsets, values) = self.offsets(data);
                self.push(offsets);
                self.push(data.buffers()[1].slice_with_length(values.start, values.len()));
            }
            DataType::List(_) | DataType::Map(_, _) => {
                let (offsets, values) = self.offsets(data);
                self.push(offsets);
                self.column(&data.child_data()[0].slice(values.start, values.len()))?;
            }
            DataType::Struct(_) => {
                for child in data.child_data() {
                    // Slicing a struct slices its children too; one that was assembled manually may
                    // hold longer ones.
                    let fits = child.len() == length;
                    self.column(&if fits { child.clone() } else { child.slice(start, length) })?;
                }
            }
            other => {
                let width = other.primitive_width().ok_or_else(|| {
                    Refusal::new(format!(
                        "a computed column has the type {other}, which does not cross the boundary; see the contract's list"
                    ))
                })?;
                self.push(data.buffers()[0].slice_with_length(start * width, length * width));
            }
        }
        Ok(())
    }

    fn push(&mut self, buffer: Buffer) {
        self.locations.push(arrow_ipc::Buffer::new(self.body_length as i64, buffer.len() as i64));
        self.body_length += padded(buffer.len());
        self.buffers.push(buffer);
    }

    /// The offsets of a text, binary, list or map column, starting at 0, and the range of values that they span.
    fn offsets(&self, data: &ArrayData) -> (Buffer, std::ops::Range<usize>) {
        if data.is_empty() {
            return (Buffer::from_slice_ref([0_i32]), 0..0);
        }
        let offsets = &data.buffer::<i32>(0)[..=data.len()];
        let (first, last) = (offsets[0], offsets[data.len()]);
        let values = first as usize..last as usize;
        if first == 0 {
            let buffer = &data.buffers()[0];
            return (buffer.slice_with_length(data.offset() * size_of::<i32>(), size_of_val(offsets)), values);
        }
        (offsets.iter().map(|offset| offset - first).collect::<Vec<i32>>().into(), values)
    }
}

/// A bitmap that starts at bit 0 of its first byte.
fn bits(buffer: &Buffer, offset: usize, length: usize) -> Buffer {
    if offset.is_multiple_of(8) {
        return buffer.slice_with_length(offset / 8, bit_util::ceil(length, 8));
    }
    let mut aligned = MutableBuffer::new_null(length);
    arrow_buffer::bit_mask::set_bits(aligned.as_slice_mut(), buffer.as_slice(), 0, offset, length);
    aligned.into()
}
