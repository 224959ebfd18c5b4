//! Digests of rows: equal for equal rows, in any table and file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, StructArray};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Schema};
use sha2::{Digest, Sha256};
use wasmill_engine::{Error, Result};

use super::columns::Columns;
use crate::codes::COMPARISON;

/// The digest of a row's key, and of all of it. Without a key both are the same.
pub(super) type Pair = (u128, u128);

/// Computes the digests of one table's rows.
pub(super) struct Digester {
    rows: RowConverter,
    /// The columns of the key, and what writes them.
    key: Option<(Vec<usize>, RowConverter)>,
}

impl Digester {
    /// For batches of this schema: the columns that are compared, in their order.
    pub(super) fn new(schema: &Schema, columns: &Columns) -> Result<Self> {
        let converter = |indices: &[usize]| {
            let fields = indices.iter().map(|&index| SortField::new(schema.field(index).data_type().clone())).collect();
            RowConverter::new(fields).map_err(failed)
        };
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let key: Vec<usize> = columns.key.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        let key = if key.is_empty() { None } else { Some((key.clone(), converter(&key)?)) };
        Ok(Self { rows: converter(&all)?, key })
    }

    /// The digests of a batch's rows, in order.
    pub(super) fn digests(&self, records: &RecordBatch) -> Result<Vec<Pair>> {
        let columns = records.columns().iter().map(normal).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let rows = self.rows.convert_columns(&columns).map_err(failed)?;
        let Some((indices, converter)) = &self.key else {
            return Ok(digests(&rows).map(|digest| (digest, digest)).collect());
        };
        let key: Vec<ArrayRef> = indices.iter().map(|&index| Arc::clone(&columns[index])).collect();
        let keys = converter.convert_columns(&key).map_err(failed)?;
        Ok(digests(&keys).zip(digests(&rows)).collect())
    }
}

fn digests(rows: &Rows) -> impl Iterator<Item = u128> {
    rows.iter().map(|row| {
        let digest = Sha256::digest(row.as_ref());
        digest.iter().take(16).fold(0, |number, &byte| (number << 8) | u128::from(byte))
    })
}

/// Whether a cell is the same in two batches of one row.
pub(super) fn same_cell(left: &ArrayRef, right: &ArrayRef) -> Result<bool> {
    let bytes = |column: &ArrayRef| -> Result<Vec<u8>, ArrowError> {
        let column = normal(column)?;
        let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
        Ok(converter.convert_columns(&[column])?.row(0).as_ref().to_vec())
    };
    Ok(bytes(left).map_err(failed)? == bytes(right).map_err(failed)?)
}

/// The column with one NaN and one zero for all of them, however deep they lie.
fn normal(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    macro_rules! floats {
        ($type:ty, $float:ty, $nan:expr) => {{
            // Adding 0.0 turns -0.0 into 0.0.
            let one = |value: $float| if <$float>::is_nan(value) { $nan } else { value + 0.0 };
            Arc::new(column.as_primitive::<$type>().unary::<_, $type>(one)) as ArrayRef
        }};
    }
    Ok(match column.data_type() {
        DataType::Float32 => floats!(Float32Type, f32, f32::NAN),
        DataType::Float64 => floats!(Float64Type, f64, f64::NAN),
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let values = normal(list.values())?;
            Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Struct(_) => Arc::new(normal_struct(column.as_struct())?),
        DataType::Map(field, sorted) => {
            let map = column.as_map();
            let entries = normal_struct(map.entries())?;
            Arc::new(MapArray::try_new(Arc::clone(field), map.offsets().clone(), entries, map.nulls().cloned(), *sorted)?)
        }
        _ => Arc::clone(column),
    })
}

fn normal_struct(column: &StructArray) -> Result<StructArray, ArrowError> {
    let columns = column.columns().iter().map(normal).collect::<Result<Vec<_>, _>>()?;
    match columns.is_empty() {
        true => Ok(column.clone()),
        false => StructArray::try_new(column.fields().clone(), columns, column.nulls().cloned()),
    }
}

fn failed(error: ArrowError) -> Error {
    Error::environment(format!("rows can't be compared: {error}"))
        .code(COMPARISON)
        .hint("leave the columns out that are to blame: --ignore")
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float64Array, Int32Array};

    use super::*;

    #[test]
    fn numbers_that_are_none_are_equal_and_zero_has_no_sign() {
        let floats = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        let odd_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        assert!(same_cell(&floats(vec![f64::NAN]), &floats(vec![-odd_nan])).unwrap());
        assert!(same_cell(&floats(vec![0.0]), &floats(vec![-0.0])).unwrap());
        assert!(!same_cell(&floats(vec![1.0]), &floats(vec![1.5])).unwrap());
        let list = |value: f64| -> ArrayRef { Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(value), None])])) };
        assert!(same_cell(&list(f64::NAN), &list(odd_nan)).unwrap());
        assert!(!same_cell(&list(f64::NAN), &list(1.0)).unwrap());
    }

    #[test]
    fn a_null_is_nothing_else() {
        let numbers = |values: Vec<Option<i32>>| -> ArrayRef { Arc::new(Int32Array::from(values)) };
        assert!(same_cell(&numbers(vec![None]), &numbers(vec![None])).unwrap());
        assert!(!same_cell(&numbers(vec![None]), &numbers(vec![Some(0)])).unwrap());
    }
}
