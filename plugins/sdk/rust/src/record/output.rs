//! How the fields of an output record become columns.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{ArrayBuilder, BinaryBuilder, BooleanBuilder, ListBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field};

use super::{Days, Micros};
use crate::{PortOutput, Refusal};

/// A struct whose fields are columns that the plugin computes. Derive it.
///
/// Fields are texts (`String`, `&str`), bytes (`Vec<u8>` is a list of numbers; bytes are `&[u8]`),
/// `bool`, integers, floats, [`Days`], [`Micros`], a `Vec` of these, or an `Option` of any. They
/// are added to the columns of the input, in place of one of the same name. `#[record(only)]` on
/// the struct sends only its fields.
///
/// * `#[column(name = "ind")]`: the column's name, where it is not the field's.
pub trait OutputRecord: Sized {
    /// The columns under construction.
    type Builders;

    /// Whether nothing but these columns leaves the plugin.
    const ONLY: bool;

    /// The columns.
    fn fields() -> Vec<(&'static str, DataType)>;

    /// Starts columns with room for `rows` values.
    fn builders(rows: usize) -> Self::Builders;

    /// Adds a row.
    fn append(self, builders: &mut Self::Builders);

    /// The finished columns, in the order of [`fields`](Self::fields).
    fn arrays(builders: Self::Builders) -> Vec<ArrayRef>;

    /// Sets the columns of a port.
    ///
    /// # Errors
    /// The plan has no such columns.
    fn finish(builders: Self::Builders, out: &mut PortOutput<'_>) -> Result<(), Refusal> {
        Self::fields().into_iter().zip(Self::arrays(builders)).try_for_each(|((name, _), array)| out.set(name, array))
    }
}

/// The record of a plugin that only filters.
impl OutputRecord for () {
    type Builders = ();

    const ONLY: bool = false;

    fn fields() -> Vec<(&'static str, DataType)> {
        Vec::new()
    }

    fn builders(_rows: usize) -> Self::Builders {}

    fn append(self, _builders: &mut Self::Builders) {}

    fn arrays(_builders: Self::Builders) -> Vec<ArrayRef> {
        Vec::new()
    }
}

/// A value that can be added to a column.
pub trait OutputCell: Sized {
    /// The column under construction.
    type Builder: ArrayBuilder;

    /// The column's type.
    fn data_type() -> DataType;

    /// Starts a column with room for `rows` values.
    fn builder(rows: usize) -> Self::Builder;

    /// Adds a value, or a null.
    fn append(value: Option<Self>, builder: &mut Self::Builder);

    /// The finished column.
    fn finish(mut builder: Self::Builder) -> ArrayRef {
        builder.finish()
    }
}

impl<C: OutputCell> OutputCell for Option<C> {
    type Builder = C::Builder;

    fn data_type() -> DataType {
        C::data_type()
    }

    fn builder(rows: usize) -> Self::Builder {
        C::builder(rows)
    }

    #[inline]
    fn append(value: Option<Self>, builder: &mut Self::Builder) {
        C::append(value.flatten(), builder);
    }
}

impl<C: OutputCell> OutputCell for Vec<C> {
    type Builder = ListBuilder<C::Builder>;

    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new_list_field(C::data_type(), true)))
    }

    fn builder(rows: usize) -> Self::Builder {
        ListBuilder::with_capacity(C::builder(rows), rows).with_field(Field::new_list_field(C::data_type(), true))
    }

    fn append(value: Option<Self>, builder: &mut Self::Builder) {
        let valid = value.is_some();
        for item in value.into_iter().flatten() {
            C::append(Some(item), builder.values());
        }
        builder.append(valid);
    }
}

macro_rules! bytes {
    ($($cell:ty, $builder:ty, $data_type:expr;)*) => {$(
        impl OutputCell for $cell {
            type Builder = $builder;

            fn data_type() -> DataType {
                $data_type
            }

            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows, rows * 16)
            }

            #[inline]
            fn append(value: Option<Self>, builder: &mut Self::Builder) {
                builder.append_option(value);
            }
        }
    )*};
}

bytes! {
    String, StringBuilder, DataType::Utf8;
    &str, StringBuilder, DataType::Utf8;
    &[u8], BinaryBuilder, DataType::Binary;
}

macro_rules! numbers {
    ($($cell:ty, $builder:ty, $data_type:expr, $raw:expr;)*) => {$(
        impl OutputCell for $cell {
            type Builder = $builder;

            fn data_type() -> DataType {
                $data_type
            }

            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows)
            }

            #[inline]
            fn append(value: Option<Self>, builder: &mut Self::Builder) {
                builder.append_option(value.map($raw));
            }
        }
    )*};
}

numbers! {
    bool, BooleanBuilder, DataType::Boolean, |value| value;
    i8, PrimitiveBuilder<Int8Type>, DataType::Int8, |value| value;
    i16, PrimitiveBuilder<Int16Type>, DataType::Int16, |value| value;
    i32, PrimitiveBuilder<Int32Type>, DataType::Int32, |value| value;
    i64, PrimitiveBuilder<Int64Type>, DataType::Int64, |value| value;
    u8, PrimitiveBuilder<UInt8Type>, DataType::UInt8, |value| value;
    u16, PrimitiveBuilder<UInt16Type>, DataType::UInt16, |value| value;
    u32, PrimitiveBuilder<UInt32Type>, DataType::UInt32, |value| value;
    u64, PrimitiveBuilder<UInt64Type>, DataType::UInt64, |value| value;
    f32, PrimitiveBuilder<Float32Type>, DataType::Float32, |value| value;
    f64, PrimitiveBuilder<Float64Type>, DataType::Float64, |value| value;
    Days, PrimitiveBuilder<Date32Type>, DataType::Date32, |value: Days| value.0;
}

impl OutputCell for Micros {
    type Builder = PrimitiveBuilder<TimestampMicrosecondType>;

    fn data_type() -> DataType {
        crate::time::timestamp_type()
    }

    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows).with_data_type(Self::data_type())
    }

    #[inline]
    fn append(value: Option<Self>, builder: &mut Self::Builder) {
        builder.append_option(value.map(|value| value.0));
    }
}
