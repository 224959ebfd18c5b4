//! Puts a port's rows together: what the plugin computed, and what the host passes on, gathered and masked.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::DataType;
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use crate::answer::PortAnswer;
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::limits::Limits;
use crate::needs::cast_exactly;
use crate::ports::{ColumnSource, Port};

/// What can go wrong here: the plugin's fault, or ours.
pub(crate) enum Trouble {
    Fault(Fault),
    Host(HostError),
}

/// Assembles the rows of one port. `columns` are the input's, of which the rows from `offset` on were given to the plugin.
pub(crate) fn assemble(
    answer: &PortAnswer,
    port: &Port,
    columns: &[Option<ArrayRef>],
    offset: usize,
    input_rows: usize,
    limits: &Limits,
) -> Result<RecordBatch, Trouble> {
    let gather = answer.origins.as_ref().filter(|origins| !is_identity(origins, input_rows));
    let indices = gather.map(|origins| UInt32Array::from(origins.clone()));
    let mut crossed = answer.crossed.iter().flat_map(|table| table.columns().iter());
    let mut bytes_left = limits.output_bytes.min(i32::MAX as u64);
    let mut arrays = Vec::with_capacity(port.columns.len());
    for (source, field) in port.columns.iter().zip(port.schema.fields()) {
        let (index, mask) = match *source {
            ColumnSource::Computed => {
                arrays.push(Arc::clone(crossed.next().ok_or_else(|| missing(field.name()))?));
                continue;
            }
            ColumnSource::Input(index) => (index, None),
            ColumnSource::Nulled(index) => (index, Some(crossed.next().ok_or_else(|| missing(field.name()))?)),
        };
        let column = columns.get(index).and_then(Option::as_ref).ok_or_else(|| missing(field.name()))?;
        let mut array = column.slice(offset, input_rows);
        if let Some(indices) = &indices {
            let bytes = gathered_bytes(array.as_ref(), indices.values());
            bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| too_large(port, limits))?;
            array = take(array.as_ref(), indices, None).map_err(|error| ours(format!("cannot gather `{}`: {error}", field.name())))?;
        }
        if let Some(mask) = mask {
            array = masked(&array, mask).map_err(|error| ours(format!("cannot mask `{}`: {error}", field.name())))?;
        }
        arrays.push(cast_exactly(&array, field.data_type()).map_err(|error| ours(format!("cannot pass on `{}`: {error}", field.name())))?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(answer.rows));
    RecordBatch::try_new_with_options(Arc::clone(&port.schema), arrays, &options)
        .map_err(|error| Trouble::Fault(Fault::answer(Phase::Process, format!("port `{}`: {error}", port.name))))
}

fn missing(column: &str) -> Trouble {
    ours(format!("nothing was kept for the output column `{column}`"))
}

fn ours(message: String) -> Trouble {
    Trouble::Host(HostError::bug(message))
}

fn too_large(port: &Port, limits: &Limits) -> Trouble {
    let message = format!("port `{}`: the rows that it repeats would take more than {} bytes", port.name, limits.output_bytes);
    Trouble::Fault(Fault::new(Phase::Process, FaultKind::Output, message))
}

fn is_identity(origins: &[u32], rows: usize) -> bool {
    origins.len() == rows && origins.iter().enumerate().all(|(row, &origin)| row == origin as usize)
}

/// Null where the mask is false. The values are shared, not copied.
fn masked(array: &ArrayRef, mask: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let mask = mask.as_boolean();
    if mask.true_count() == mask.len() {
        return Ok(Arc::clone(array));
    }
    nullif(array.as_ref(), &BooleanArray::new(!mask.values(), None))
}

/// How many bytes the gathered values take: known before any of them is copied.
fn gathered_bytes(array: &dyn Array, origins: &[u32]) -> u64 {
    if let Some(width) = fixed_bytes(array.data_type()) {
        return width.saturating_mul(origins.len() as u64);
    }
    let mut total = 0_u64;
    let mut last = (u32::MAX, 0_u64);
    for &origin in origins {
        if origin != last.0 {
            last = (origin, range_bytes(array, origin as usize, origin as usize + 1));
        }
        total = total.saturating_add(last.1);
    }
    total
}

/// The width of a value, rounded up to bytes, where all values have the same.
fn fixed_bytes(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Null | DataType::Boolean => Some(1),
        other => other.primitive_width().map(|width| width as u64),
    }
}

/// The bytes of the values from `start` to `end`, offsets included.
fn range_bytes(array: &dyn Array, start: usize, end: usize) -> u64 {
    let rows = end.saturating_sub(start) as u64;
    let span = |offsets: &[i32]| (offsets[start].max(0) as usize, offsets[end].max(0) as usize);
    match array.data_type() {
        DataType::Utf8 => {
            let (from, to) = span(array.as_string::<i32>().value_offsets());
            (to - from) as u64 + rows * 4
        }
        DataType::Binary => {
            let (from, to) = span(array.as_binary::<i32>().value_offsets());
            (to - from) as u64 + rows * 4
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (from, to) = span(list.value_offsets());
            range_bytes(list.values().as_ref(), from, to) + rows * 4
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (from, to) = span(map.value_offsets());
            range_bytes(map.entries(), from, to) + rows * 4
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|child| range_bytes(child.as_ref(), start, end)).sum::<u64>() + rows,
        other => fixed_bytes(other).unwrap_or(16).saturating_mul(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;
    use arrow_array::builder::{ListBuilder, StringBuilder};

    #[test]
    fn the_size_of_gathered_strings_is_known_beforehand() {
        let strings = StringArray::from(vec!["a", "", "0123456789"]);
        assert_eq!(gathered_bytes(&strings, &[0, 2, 2]), 1 + 10 + 10 + 3 * 4);
        let tail = strings.slice(1, 2);
        assert_eq!(gathered_bytes(&tail, &[1]), 10 + 4);
    }

    #[test]
    fn the_size_of_gathered_lists_counts_their_items() {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("abc"), Some("de")]);
        lists.append_value([Some("f")]);
        let lists = lists.finish();
        assert_eq!(gathered_bytes(&lists, &[0, 0]), 2 * (5 + 2 * 4 + 4));
    }
}
