//! How the state of a group travels: a field is a column, and a group is a row.

use arrow_array::builder::BinaryBuilder;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray};
use arrow_schema::DataType;

use crate::record::{Days, Micros, OutputCell};
use crate::{Batch, Refusal};

/// A struct whose fields are the columns of a group's state. Derive it.
///
/// Fields are texts (`String`), [`Bytes`], `bool`, integers, floats, [`Days`], [`Micros`], a `Vec` of these, or an `Option` of any. The state
/// of a group is one row; what grows with the group is a `Vec`.
pub trait GroupState: Sized {
    /// The columns under construction.
    type Builders;
    /// The columns that states are read from.
    type Columns;

    /// The columns.
    fn fields() -> Vec<StateField>;

    /// Starts columns with room for `groups` states.
    fn builders(groups: usize) -> Self::Builders;

    /// Adds the state of a group.
    fn append(self, builders: &mut Self::Builders);

    /// The finished columns.
    fn finish_columns(builders: Self::Builders) -> Vec<ArrayRef>;

    /// Finds the columns of states.
    fn columns(states: &Batch) -> Result<Self::Columns, Refusal>;

    /// Reads one state.
    fn read(columns: &Self::Columns, row: usize) -> Result<Self, Refusal>;
}

/// A column of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateField {
    /// Its name: the field's.
    pub name: &'static str,
    /// Its type.
    pub data_type: DataType,
    /// Whether the field is an `Option`.
    pub nullable: bool,
}

/// Bytes of any length, as a field of a state: such as a sketch that a library serialises.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl OutputCell for Bytes {
    type Builder = BinaryBuilder;

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn builder(rows: usize) -> Self::Builder {
        BinaryBuilder::with_capacity(rows, rows * 64)
    }

    fn append(value: Option<Self>, builder: &mut Self::Builder) {
        builder.append_option(value.map(|bytes| bytes.0));
    }
}

/// A value that can be written to a column of a state and read again.
pub trait StateCell: OutputCell {
    /// The column.
    type Column;

    /// Whether it may be null.
    const NULLABLE: bool = false;

    /// The column of this type; `None`: it has another.
    fn column(array: &ArrayRef) -> Option<Self::Column>;

    /// Reads one value; none if it is null and this type has no null.
    fn value(column: &Self::Column, row: usize) -> Option<Self>;

    /// Finds the column of a field.
    #[doc(hidden)]
    fn find(states: &Batch, name: &str) -> Result<Self::Column, Refusal> {
        Self::column(states.column(name)?).ok_or_else(|| Refusal::new(format!("the column {name} of a state has another type")))
    }

    /// Reads the value of a field.
    #[doc(hidden)]
    fn required(column: &Self::Column, row: usize, name: &str) -> Result<Self, Refusal> {
        Self::value(column, row).ok_or_else(|| Refusal::new(format!("the column {name} of a state is null")))
    }
}

impl<C: StateCell> StateCell for Option<C> {
    type Column = C::Column;

    const NULLABLE: bool = true;

    fn column(array: &ArrayRef) -> Option<Self::Column> {
        C::column(array)
    }

    #[inline]
    fn value(column: &Self::Column, row: usize) -> Option<Self> {
        Some(C::value(column, row))
    }
}

/// A column of lists.
pub struct ListColumn<C: StateCell> {
    lists: ListArray,
    values: C::Column,
}

impl<C: StateCell> StateCell for Vec<C> {
    type Column = ListColumn<C>;

    fn column(array: &ArrayRef) -> Option<Self::Column> {
        let lists = array.as_any().downcast_ref::<ListArray>()?.clone();
        let values = C::column(lists.values())?;
        Some(ListColumn { lists, values })
    }

    fn value(column: &Self::Column, row: usize) -> Option<Self> {
        if column.lists.is_null(row) {
            return None;
        }
        let offsets = column.lists.value_offsets();
        (offsets[row] as usize..offsets[row + 1] as usize).map(|item| C::value(&column.values, item)).collect()
    }
}

macro_rules! cells {
    ($($cell:ty, $array:ty, $make:expr;)*) => {$(
        impl StateCell for $cell {
            type Column = $array;

            fn column(array: &ArrayRef) -> Option<Self::Column> {
                array.as_any().downcast_ref::<$array>().cloned()
            }

            #[inline]
            fn value(column: &Self::Column, row: usize) -> Option<Self> {
                column.is_valid(row).then(|| $make(column.value(row)))
            }
        }
    )*};
}

cells! {
    String, StringArray, str::to_owned;
    Bytes, BinaryArray, |bytes: &[u8]| Bytes(bytes.to_vec());
    bool, BooleanArray, |value| value;
    i8, PrimitiveArray<Int8Type>, |value| value;
    i16, PrimitiveArray<Int16Type>, |value| value;
    i32, PrimitiveArray<Int32Type>, |value| value;
    i64, PrimitiveArray<Int64Type>, |value| value;
    u8, PrimitiveArray<UInt8Type>, |value| value;
    u16, PrimitiveArray<UInt16Type>, |value| value;
    u32, PrimitiveArray<UInt32Type>, |value| value;
    u64, PrimitiveArray<UInt64Type>, |value| value;
    f32, PrimitiveArray<Float32Type>, |value| value;
    f64, PrimitiveArray<Float64Type>, |value| value;
    Days, PrimitiveArray<Date32Type>, Days;
    Micros, PrimitiveArray<TimestampMicrosecondType>, Micros;
}
