//! Reads a record batch message. Every length, count and offset is checked against the bytes at
//! hand before arrow, which trusts them, sees any. Then arrow validates the values (UTF-8, offsets,
//! decimals).

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_ipc::{FieldNode, MessageHeader};
use arrow_schema::{DataType, Field, SchemaRef};

use super::{message, schema};
use crate::DecodeError;
use crate::text::shown;
use wasmill_types::TypeName;

pub(super) fn read(bytes: Vec<u8>, schema: &SchemaRef, rows: usize) -> Result<RecordBatch, DecodeError> {
    let all = Buffer::from_vec(bytes);
    let (message, body) = message::open(all.as_slice())?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err(DecodeError(format!("an Arrow record batch is expected, not {}", schema::name_of(message.header_type()))));
    }
    let batch = message.header_as_record_batch().ok_or_else(|| DecodeError::new("the Arrow message holds no record batch"))?;
    if batch.compression().is_some() {
        return Err(DecodeError::new("compressed buffers don't cross the boundary"));
    }
    if batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(DecodeError::new("views don't cross the boundary"));
    }
    if usize::try_from(batch.length()) != Ok(rows) {
        return Err(DecodeError(format!("the table has {} rows where {rows} are due", batch.length())));
    }
    let mut parts = Parts {
        body: all.slice_with_length(body.start, body.len()),
        nodes: batch.nodes().into_iter().flatten().copied(),
        buffers: batch.buffers().into_iter().flatten().copied(),
        bytes_left: body.len(),
        max_empty_elements: rows.saturating_add(body.len().saturating_mul(8)),
    };
    let columns = schema.fields().iter().map(|field| parts.column(field, rows)).collect::<Result<Vec<_>, _>>()?;
    if parts.nodes.next().is_some() || parts.buffers.next().is_some() {
        return Err(DecodeError::new("the table has more columns or buffers than its schema"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options).map_err(|error| DecodeError(shown(&error.to_string())))
}

/// The nodes and buffers of a record batch that have not been used yet.
struct Parts<N, B> {
    body: Buffer,
    nodes: N,
    buffers: B,
    /// Buffers may not overlap, so together they are no longer than the body. This bounds what
    /// aligning them can copy.
    bytes_left: usize,
    /// The most elements that a column may claim for which it has no bytes (nulls, structs without fields).
    max_empty_elements: usize,
}

impl<N: Iterator<Item = FieldNode>, B: Iterator<Item = arrow_ipc::Buffer>> Parts<N, B> {
    fn column(&mut self, field: &Field, rows: usize) -> Result<ArrayRef, DecodeError> {
        let in_column = |DecodeError(message): DecodeError| DecodeError(format!("column `{}`: {message}", shown(field.name())));
        let data = self.array(field, Some(rows)).map_err(in_column)?;
        Ok(make_array(data))
    }

    /// `rows` is how many elements there have to be, where the parent fixes it.
    fn array(&mut self, field: &Field, rows: Option<usize>) -> Result<ArrayData, DecodeError> {
        let (length, null_count) = self.node(rows)?;
        let data_type = field.data_type();
        let builder = ArrayDataBuilder::new(data_type.clone()).len(length);
        let builder = match data_type {
            DataType::Null => return finish(builder),
            DataType::Utf8 | DataType::Binary => {
                let nulls = self.nulls(length, null_count)?;
                let offsets = self.offsets(length)?;
                builder.nulls(nulls).add_buffer(offsets).add_buffer(self.buffer(0)?)
            }
            DataType::Boolean => {
                let nulls = self.nulls(length, null_count)?;
                builder.nulls(nulls).add_buffer(self.values(length.div_ceil(8))?)
            }
            DataType::List(item) => {
                let nulls = self.nulls(length, null_count)?;
                let offsets = self.offsets(length)?;
                builder.nulls(nulls).add_buffer(offsets).add_child_data(self.array(item, None)?)
            }
            DataType::Map(entries, _) => {
                let nulls = self.nulls(length, null_count)?;
                let offsets = self.offsets(length)?;
                let entries = self.array(entries, None)?;
                if entries.null_count() > 0 {
                    return Err(DecodeError::new("a map has entries that are null"));
                }
                builder.nulls(nulls).add_buffer(offsets).add_child_data(entries)
            }
            DataType::Struct(fields) => {
                let nulls = self.nulls(length, null_count)?;
                let children = fields.iter().map(|child| self.array(child, Some(length))).collect::<Result<Vec<_>, _>>()?;
                builder.nulls(nulls).child_data(children)
            }
            _ => {
                let width = data_type
                    .primitive_width()
                    .ok_or_else(|| DecodeError(format!("{} does not cross the boundary", TypeName(data_type))))?;
                let nulls = self.nulls(length, null_count)?;
                builder.nulls(nulls).add_buffer(self.values(times(length, width)?)?)
            }
        };
        let data = finish(builder)?;
        if !field.is_nullable() && data.null_count() > 0 {
            return Err(DecodeError(format!("`{}` has nulls where its field allows none", shown(field.name()))));
        }
        Ok(data)
    }

    fn node(&mut self, rows: Option<usize>) -> Result<(usize, usize), DecodeError> {
        let node = self.nodes.next().ok_or_else(|| DecodeError::new("the table has fewer columns than its schema"))?;
        let length = usize::try_from(node.length()).map_err(|_| DecodeError(format!("an array claims {} elements", node.length())))?;
        if rows.is_some_and(|rows| rows != length) {
            return Err(DecodeError(format!("it has {length} elements where {} are due", rows.unwrap_or_default())));
        }
        if length > self.max_empty_elements {
            return Err(DecodeError(format!("an array claims {length} elements, more than its bytes can hold")));
        }
        match usize::try_from(node.null_count()) {
            Ok(nulls) if nulls <= length => Ok((length, nulls)),
            _ => Err(DecodeError(format!("an array of {length} elements claims {} nulls", node.null_count()))),
        }
    }

    /// The first `needed` bytes of the next buffer. arrow panics on a buffer of values that ends within a value.
    fn values(&mut self, needed: usize) -> Result<Buffer, DecodeError> {
        Ok(self.buffer(needed)?.slice_with_length(0, needed))
    }

    /// The next buffer: inside the body, apart from the others, and of at least `needed` bytes.
    fn buffer(&mut self, needed: usize) -> Result<Buffer, DecodeError> {
        let buffer = self.buffers.next().ok_or_else(|| DecodeError::new("the table has fewer buffers than its schema asks for"))?;
        let outside = || {
            DecodeError(format!("a buffer lies at {}+{}, outside the body of {} bytes", buffer.offset(), buffer.length(), self.body.len()))
        };
        let start = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        if start.checked_add(length).is_none_or(|end| end > self.body.len()) {
            return Err(outside());
        }
        if length < needed {
            return Err(DecodeError(format!("a buffer has {length} bytes where {needed} are needed")));
        }
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or_else(|| DecodeError::new("the buffers overlap"))?;
        Ok(self.body.slice_with_length(start, length))
    }

    fn nulls(&mut self, length: usize, null_count: usize) -> Result<Option<NullBuffer>, DecodeError> {
        let needed = if null_count == 0 { 0 } else { length.div_ceil(8) };
        let bits = self.buffer(needed)?;
        if null_count == 0 {
            // Without nulls the mask may be left out; a mask that is there is ignored.
            return Ok(None);
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, length));
        if nulls.null_count() != null_count {
            return Err(DecodeError(format!("an array claims {null_count} nulls and has {}", nulls.null_count())));
        }
        Ok(Some(nulls))
    }

    fn offsets(&mut self, length: usize) -> Result<Buffer, DecodeError> {
        // Writers may leave out the offsets of zero elements, or write one with any start.
        if length == 0 {
            self.buffer(0)?;
            return Ok(Buffer::from_vec(vec![0_i32]));
        }
        self.values(times(length.saturating_add(1), size_of::<i32>())?)
    }
}

fn times(length: usize, width: usize) -> Result<usize, DecodeError> {
    length.checked_mul(width).ok_or_else(|| DecodeError(format!("an array claims {length} elements")))
}

fn finish(builder: ArrayDataBuilder) -> Result<ArrayData, DecodeError> {
    builder.align_buffers(true).build().map_err(|error| DecodeError(shown(&error.to_string())))
}
