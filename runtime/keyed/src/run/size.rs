//! How many bytes the values of an array take when they are written.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_schema::DataType;

/// The bytes of the values alone, without those beside a slice. Arrow's own figure counts all that a slice of lists could reach.
pub(super) fn value_bytes(array: &dyn Array) -> usize {
    let nulls = if array.null_count() > 0 { array.len().div_ceil(8) } else { 0 };
    let values = match array.data_type() {
        DataType::List(_) => list_bytes(array.as_list()),
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
            (list.len() + 1) * size_of::<i64>() + value_bytes(&list.values().slice(from, to - from))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (from, to) = (map.value_offsets()[0] as usize, map.value_offsets()[map.len()] as usize);
            (map.len() + 1) * size_of::<i32>() + value_bytes(&map.entries().slice(from, to - from))
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column: &ArrayRef| value_bytes(column)).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    };
    nulls + values
}

fn list_bytes(list: &ListArray) -> usize {
    let (from, to) = (list.value_offsets()[0] as usize, list.value_offsets()[list.len()] as usize);
    (list.len() + 1) * size_of::<i32>() + value_bytes(&list.values().slice(from, to - from))
}
