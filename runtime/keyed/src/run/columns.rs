//! Reads the columns of a record batch message. Every length, count and offset is held against the bytes that are there before arrow, which takes
//! them for granted, sees any of them; then arrow validates the values (UTF-8, offsets, decimals).

use std::ops::Range;

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_ipc::FieldNode;
use arrow_schema::{DataType, Field, Fields};

/// The columns of a message of `rows` rows; its body lies at `body` in `bytes`.
pub(super) fn read(
    bytes: Vec<u8>,
    body: Range<usize>,
    (nodes, buffers): (Vec<FieldNode>, Vec<arrow_ipc::Buffer>),
    fields: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, String> {
    let mut parts = Parts {
        body: Buffer::from_vec(bytes).slice_with_length(body.start, body.len()),
        nodes: nodes.into_iter(),
        buffers: buffers.into_iter(),
        bytes_left: body.len(),
        max_empty_elements: rows.saturating_add(body.len().saturating_mul(8)),
    };
    let columns = fields.iter().map(|field| {
        let data = parts.array(field, Some(rows)).map_err(|message| format!("column `{}`: {message}", field.name()))?;
        Ok(make_array(data))
    });
    let columns = columns.collect::<Result<Vec<_>, String>>()?;
    match parts.nodes.next().is_some() || parts.buffers.next().is_some() {
        true => Err("the block has more columns than its schema".to_owned()),
        false => Ok(columns),
    }
}

/// The nodes and buffers of a record batch that have not been used yet.
struct Parts {
    body: Buffer,
    nodes: std::vec::IntoIter<FieldNode>,
    buffers: std::vec::IntoIter<arrow_ipc::Buffer>,
    /// Buffers may not overlap, so all of them together are no longer than the body: a bound on what aligning them can copy.
    bytes_left: usize,
    /// The most elements that a column may claim for which it has no bytes (nulls, structs without fields).
    max_empty_elements: usize,
}

impl Parts {
    /// `rows` is how many elements there have to be, where the parent fixes it.
    fn array(&mut self, field: &Field, rows: Option<usize>) -> Result<ArrayData, String> {
        let (length, null_count) = self.node(rows)?;
        let data_type = field.data_type();
        let builder = ArrayDataBuilder::new(data_type.clone()).len(length);
        let nulls = if *data_type == DataType::Null { None } else { self.nulls(length, null_count)? };
        let builder = builder.nulls(nulls);
        let builder = match data_type {
            DataType::Null => builder,
            DataType::Utf8 | DataType::Binary => builder.add_buffer(self.offsets::<i32>(length)?).add_buffer(self.buffer(0)?),
            DataType::LargeUtf8 | DataType::LargeBinary => builder.add_buffer(self.offsets::<i64>(length)?).add_buffer(self.buffer(0)?),
            DataType::Boolean => builder.add_buffer(self.values(length.div_ceil(8))?),
            DataType::FixedSizeBinary(width) => {
                builder.add_buffer(self.values(times(length, usize::try_from(*width).unwrap_or_default())?)?)
            }
            DataType::List(item) => builder.add_buffer(self.offsets::<i32>(length)?).add_child_data(self.array(item, None)?),
            DataType::LargeList(item) => builder.add_buffer(self.offsets::<i64>(length)?).add_child_data(self.array(item, None)?),
            DataType::Map(entries, _) => {
                let offsets = self.offsets::<i32>(length)?;
                let entries = self.array(entries, None)?;
                if entries.null_count() > 0 {
                    return Err("a map has entries that are null".to_owned());
                }
                builder.add_buffer(offsets).add_child_data(entries)
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|child| self.array(child, Some(length)));
                builder.child_data(children.collect::<Result<Vec<_>, _>>()?)
            }
            _ => {
                let width = data_type.primitive_width().ok_or("has a type that no run holds")?;
                builder.add_buffer(self.values(times(length, width)?)?)
            }
        };
        let data = builder.align_buffers(true).build().map_err(|error| error.to_string())?;
        match !field.is_nullable() && data.null_count() > 0 {
            true => Err(format!("`{}` has nulls where its field allows none", field.name())),
            false => Ok(data),
        }
    }

    fn node(&mut self, rows: Option<usize>) -> Result<(usize, usize), String> {
        let node = self.nodes.next().ok_or("the block has fewer columns than its schema")?;
        let length = usize::try_from(node.length()).map_err(|_| format!("an array claims {} elements", node.length()))?;
        if rows.is_some_and(|rows| rows != length) {
            return Err(format!("it has {length} elements where {} are due", rows.unwrap_or_default()));
        }
        if length > self.max_empty_elements {
            return Err(format!("an array claims {length} elements, more than its bytes can hold"));
        }
        match usize::try_from(node.null_count()) {
            Ok(nulls) if nulls <= length => Ok((length, nulls)),
            _ => Err(format!("an array of {length} elements claims {} nulls", node.null_count())),
        }
    }

    /// The first `needed` bytes of the next buffer. arrow panics on a buffer of values that ends within a value.
    fn values(&mut self, needed: usize) -> Result<Buffer, String> {
        Ok(self.buffer(needed)?.slice_with_length(0, needed))
    }

    /// The next buffer: inside the body, apart from the others, and of at least `needed` bytes.
    fn buffer(&mut self, needed: usize) -> Result<Buffer, String> {
        let buffer = self.buffers.next().ok_or("the block has fewer buffers than its schema asks for")?;
        let outside = || format!("a buffer lies at {}+{}, outside the body of {} bytes", buffer.offset(), buffer.length(), self.body.len());
        let start = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        if start.checked_add(length).is_none_or(|end| end > self.body.len()) {
            return Err(outside());
        }
        if length < needed {
            return Err(format!("a buffer has {length} bytes where {needed} are needed"));
        }
        self.bytes_left = self.bytes_left.checked_sub(length).ok_or("the buffers overlap")?;
        Ok(self.body.slice_with_length(start, length))
    }

    fn nulls(&mut self, length: usize, null_count: usize) -> Result<Option<NullBuffer>, String> {
        let bits = self.buffer(if null_count == 0 { 0 } else { length.div_ceil(8) })?;
        if null_count == 0 {
            return Ok(None);
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, length));
        match nulls.null_count() == null_count {
            true => Ok(Some(nulls)),
            false => Err(format!("an array claims {null_count} nulls and has {}", nulls.null_count())),
        }
    }

    fn offsets<O: Default + arrow_buffer::ArrowNativeType>(&mut self, length: usize) -> Result<Buffer, String> {
        // The offsets of no elements may be left out.
        if length == 0 {
            self.buffer(0)?;
            return Ok(Buffer::from_vec(vec![O::default()]));
        }
        self.values(times(length.saturating_add(1), size_of::<O>())?)
    }
}

fn times(length: usize, width: usize) -> Result<usize, String> {
    length.checked_mul(width).ok_or_else(|| format!("an array claims {length} elements"))
}
