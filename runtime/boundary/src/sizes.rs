//! How many bytes values take, computed from their offsets before any of them is copied.

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_schema::DataType;

/// The bytes of the values of these rows, of which some may come several times.
pub fn gathered_bytes(array: &dyn Array, origins: &[u32]) -> u64 {
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
pub fn range_bytes(array: &dyn Array, start: usize, end: usize) -> u64 {
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
