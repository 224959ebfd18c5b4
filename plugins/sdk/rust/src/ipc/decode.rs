//! Reads a table from a `RecordBatch` message without copying it: the columns are views into the message's own bytes.

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_ipc::root_as_message;
use arrow_schema::{DataType, Fields};

use super::schema::{malformed, split};
use crate::Refusal;

/// Reads the columns of a table and its number of rows.
///
/// The host validated what it sends (lengths, offsets, UTF-8) when it built it, so values are not
/// validated again; the structure of the message is.
///
/// # Errors
/// Refuses a message whose structure does not fit `fields`.
pub(crate) fn decode_table(bytes: Vec<u8>, fields: &Fields) -> Result<(Vec<ArrayRef>, usize), Refusal> {
    let bytes = Buffer::from_vec(bytes);
    let (metadata, body_start) = split(&bytes)?;
    let message = root_as_message(metadata).map_err(|error| malformed(&error.to_string()))?;
    let header = message.header_as_record_batch().ok_or_else(|| malformed("it is not a record batch message"))?;
    if header.compression().is_some() {
        return Err(malformed("it is compressed"));
    }
    let nodes = header.nodes().ok_or_else(|| malformed("it has no field nodes"))?;
    let buffers = header.buffers().ok_or_else(|| malformed("it has no buffers"))?;
    let rows = usize::try_from(header.length()).map_err(|_| malformed("its number of rows is negative"))?;
    let mut reader = Reader { body: bytes.slice(body_start), nodes: nodes.iter(), buffers: buffers.iter() };
    let columns = fields
        .iter()
        .map(|field| {
            let data = reader.column(field.data_type())?;
            if data.len() == rows { Ok(make_array(data)) } else { Err(malformed("a column has another length than the table")) }
        })
        .collect::<Result<_, _>>()?;
    Ok((columns, rows))
}

/// Walks over field nodes and buffers in the order in which IPC flattens nested columns.
struct Reader<'a> {
    body: Buffer,
    nodes: flatbuffers::VectorIter<'a, arrow_ipc::FieldNode>,
    buffers: flatbuffers::VectorIter<'a, arrow_ipc::Buffer>,
}

impl Reader<'_> {
    fn column(&mut self, data_type: &DataType) -> Result<ArrayData, Refusal> {
        let node = self.nodes.next().ok_or_else(|| malformed("a field node is missing"))?;
        let length = usize::try_from(node.length()).map_err(|_| malformed("a length is negative"))?;
        let nulls = usize::try_from(node.null_count()).map_err(|_| malformed("a null count is negative"))?;
        let mut builder = ArrayData::builder(data_type.clone()).len(length);
        if !matches!(data_type, DataType::Null) {
            let validity = self.buffer()?;
            if nulls > 0 {
                if validity.len() < length.div_ceil(8) {
                    return Err(malformed("a validity buffer is too short"));
                }
                builder = builder.nulls(Some(NullBuffer::new(BooleanBuffer::new(validity, 0, length))));
            }
        }
        for least in buffers_after_validity(data_type, length)? {
            let buffer = self.buffer()?;
            if buffer.len() < least {
                return Err(malformed(&format!("a buffer of a {data_type} column is too short for {length} rows")));
            }
            builder = builder.add_buffer(buffer);
        }
        match data_type {
            DataType::List(item) | DataType::Map(item, _) => builder = builder.add_child_data(self.column(item.data_type())?),
            DataType::Struct(fields) => {
                for field in fields {
                    builder = builder.add_child_data(self.column(field.data_type())?);
                }
            }
            _ => {}
        }
        // SAFETY: the host built this message from arrays that it had validated, of exactly the
        // type that `open` agreed on. It lowered the message into this instance's memory, where
        // nothing else writes. It can't know the alignment; the builder restores it.
        Ok(unsafe { builder.align_buffers(true).build_unchecked() })
    }

    fn buffer(&mut self) -> Result<Buffer, Refusal> {
        let buffer = self.buffers.next().ok_or_else(|| malformed("a buffer is missing"))?;
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let (offset, length) = range.ok_or_else(|| malformed("a buffer has a negative offset or length"))?;
        if offset.checked_add(length).is_none_or(|end| end > self.body.len()) {
            return Err(malformed("a buffer lies outside of the message"));
        }
        Ok(self.body.slice_with_length(offset, length))
    }
}

/// The buffers of its own that a column has after its validity: the bytes that each must have at least.
fn buffers_after_validity(data_type: &DataType, length: usize) -> Result<Vec<usize>, Refusal> {
    // A column without rows may leave its only offset out.
    let offsets = if length == 0 { 0 } else { (length + 1).saturating_mul(size_of::<i32>()) };
    match data_type {
        DataType::Null | DataType::Struct(_) => Ok(vec![]),
        DataType::Utf8 | DataType::Binary => Ok(vec![offsets, 0]),
        DataType::List(_) | DataType::Map(_, _) => Ok(vec![offsets]),
        DataType::Boolean => Ok(vec![length.div_ceil(8)]),
        other => match other.primitive_width() {
            Some(width) => Ok(vec![length.saturating_mul(width)]),
            None => Err(malformed(&format!("columns of type {other} do not cross the boundary"))),
        },
    }
}
