//! Values as bytes in the order of the values: Arrow's row format.

use std::sync::Arc;

use arrow_row::{RowConverter, Rows, SortField};
use wasmill_plugin::arrow::schema::SortOptions;
use wasmill_plugin::prelude::*;

/// The order of a column's values. Nulls come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The least value first.
    Ascending,
    /// The greatest value first.
    Descending,
}

/// Values of one or more columns as bytes, which are equal where the values are, and in their order.
///
/// Floats are in the total order of IEEE 754; [`Numbers`](crate::Numbers) makes those of equal numbers equal. Texts are in the order of their
/// code points. The bytes are for memory alone: a state holds the values, so that it outlives a change of the format.
pub struct Ordered {
    converter: RowConverter,
}

impl Ordered {
    /// For columns of these types.
    ///
    /// # Errors
    /// A type has no order.
    pub fn new(columns: impl IntoIterator<Item = (DataType, Order)>) -> Result<Self, Refusal> {
        let field = |(data_type, order): (DataType, Order)| {
            SortField::new_with_options(data_type, SortOptions { descending: order == Order::Descending, nulls_first: false })
        };
        let converter = RowConverter::new(columns.into_iter().map(field).collect()).map_err(|error| Refusal::new(error.to_string()))?;
        Ok(Self { converter })
    }

    /// Rows as bytes. Without columns there are none.
    ///
    /// # Errors
    /// The columns have other types.
    pub fn rows(&self, columns: &[ArrayRef]) -> Result<Rows, Refusal> {
        self.converter.convert_columns(columns).map_err(|error| Refusal::new(error.to_string()))
    }

    /// The columns of rows that [`rows`](Self::rows) wrote.
    ///
    /// # Errors
    /// The bytes are of other types.
    pub fn columns<'b>(&self, rows: impl IntoIterator<Item = &'b [u8]>) -> Result<Vec<ArrayRef>, Refusal> {
        let parser = self.converter.parser();
        let rows: Vec<&[u8]> = rows.into_iter().collect();
        self.converter.convert_rows(rows.into_iter().map(|row| parser.parse(row))).map_err(|error| Refusal::new(error.to_string()))
    }

    /// The only column of rows that [`rows`](Self::rows) wrote.
    ///
    /// # Errors
    /// The bytes are of other types, or of several columns.
    pub fn column<'b>(&self, rows: impl IntoIterator<Item = &'b [u8]>) -> Result<ArrayRef, Refusal> {
        let columns = self.columns(rows)?;
        match columns.as_slice() {
            [column] => Ok(Arc::clone(column)),
            other => Err(Refusal::new(format!("{} columns were written where one was expected", other.len()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmill_plugin::arrow::array::Int32Array;

    use super::*;

    #[test]
    fn bytes_are_in_the_order_of_values_and_come_back() {
        let ordered = Ordered::new([(DataType::Int32, Order::Descending), (DataType::Utf8, Order::Ascending)]).unwrap();
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(-1), Some(7), None, Some(7), Some(i32::MIN)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("é"), Some("b"), Some("z"), None]));
        let rows = ordered.rows(&[Arc::clone(&numbers), Arc::clone(&texts)]).unwrap();
        let mut order: Vec<usize> = (0..5).collect();
        order.sort_by_key(|&row| rows.row(row));
        assert_eq!(order, [3, 1, 0, 4, 2]);
        let columns = ordered.columns(rows.iter().map(|row| row.data())).unwrap();
        assert_eq!((&columns[0], &columns[1]), (&numbers, &texts));
        assert!(ordered.column(rows.iter().map(|row| row.data())).is_err());
    }

    #[test]
    fn nothing_gives_an_empty_column_of_the_type() {
        let ordered = Ordered::new([(DataType::Date32, Order::Ascending)]).unwrap();
        let column = ordered.column([]).unwrap();
        assert_eq!((column.len(), column.data_type()), (0, &DataType::Date32));
    }
}
