//! How columns become the fields of an input record.

use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_schema::DataType;

use super::{Days, Micros};
use crate::{Batch, Refusal, Reject};

/// A struct whose fields are columns of the input. Derive it.
///
/// Fields are texts (`&str`), bytes (`&[u8]`), `bool`, integers, floats, [`Days`], [`Micros`] (in UTC), or an `Option` of one of these. A
/// row with a null where there is no `Option` is rejected as `missing-value`.
///
/// * `#[column(name = "index")]`: the column's name, where it is not the field's.
/// * `#[column(drop)]`: the column is read and does not leave the plugin.
pub trait InputRecord<'a>: Sized {
    /// The columns that the rows are read from.
    type Columns;

    /// The columns to request.
    fn fields() -> Vec<InputField>;

    /// Finds the columns in a batch.
    fn columns(batch: &'a Batch) -> Result<Self::Columns, Refusal>;

    /// Reads one row.
    fn read(columns: &Self::Columns, row: usize) -> Result<Self, Reject>;
}

/// A column that an input record requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputField {
    /// Its name in the input.
    pub name: &'static str,
    /// Its type.
    pub data_type: DataType,
    /// Whether it ends here.
    pub dropped: bool,
}

/// A value that can be read from a column.
pub trait Cell<'a>: Sized {
    /// The column.
    type Column;

    /// The column's type.
    fn data_type() -> DataType;

    /// Finds the column in a batch.
    fn column(batch: &'a Batch, name: &str) -> Result<Self::Column, Refusal>;

    /// Reads one value: none if it is null and this type has no null.
    fn value(column: &Self::Column, row: usize) -> Option<Self>;

    /// What a null means to a field that can't hold it.
    #[doc(hidden)]
    fn required(column: &Self::Column, row: usize, name: &str) -> Result<Self, Reject> {
        Self::value(column, row).ok_or_else(|| Reject::new("missing-value", format!("{name} is null")).at_column(name))
    }
}

impl<'a, C: Cell<'a>> Cell<'a> for Option<C> {
    type Column = C::Column;

    fn data_type() -> DataType {
        C::data_type()
    }

    fn column(batch: &'a Batch, name: &str) -> Result<Self::Column, Refusal> {
        C::column(batch, name)
    }

    #[inline]
    fn value(column: &Self::Column, row: usize) -> Option<Self> {
        Some(C::value(column, row))
    }
}

macro_rules! cells {
    ($($cell:ty, $array:ty, $data_type:expr, $find:ident, $make:expr;)*) => {$(
        impl<'a> Cell<'a> for $cell {
            type Column = &'a $array;

            fn data_type() -> DataType {
                $data_type
            }

            fn column(batch: &'a Batch, name: &str) -> Result<Self::Column, Refusal> {
                batch.$find(name)
            }

            #[inline]
            fn value(column: &Self::Column, row: usize) -> Option<Self> {
                column.is_valid(row).then(|| $make(column.value(row)))
            }
        }
    )*};
}

cells! {
    &'a str, StringArray, DataType::Utf8, utf8, |value| value;
    &'a [u8], BinaryArray, DataType::Binary, binary, |value| value;
    bool, BooleanArray, DataType::Boolean, boolean, |value| value;
    i8, PrimitiveArray<Int8Type>, DataType::Int8, primitive, |value| value;
    i16, PrimitiveArray<Int16Type>, DataType::Int16, primitive, |value| value;
    i32, PrimitiveArray<Int32Type>, DataType::Int32, primitive, |value| value;
    i64, PrimitiveArray<Int64Type>, DataType::Int64, primitive, |value| value;
    u8, PrimitiveArray<UInt8Type>, DataType::UInt8, primitive, |value| value;
    u16, PrimitiveArray<UInt16Type>, DataType::UInt16, primitive, |value| value;
    u32, PrimitiveArray<UInt32Type>, DataType::UInt32, primitive, |value| value;
    u64, PrimitiveArray<UInt64Type>, DataType::UInt64, primitive, |value| value;
    f32, PrimitiveArray<Float32Type>, DataType::Float32, primitive, |value| value;
    f64, PrimitiveArray<Float64Type>, DataType::Float64, primitive, |value| value;
    Days, PrimitiveArray<Date32Type>, DataType::Date32, primitive, Days;
    Micros, PrimitiveArray<TimestampMicrosecondType>, crate::time::timestamp_type(), primitive, Micros;
}
