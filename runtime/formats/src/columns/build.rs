//! Finished columns as Arrow arrays.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use wasmill_error::{Error, Result};

use super::{Column, Object, Texts, Values};

impl Object {
    /// The columns as arrays. The columns are empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.columns.iter_mut().map(Column::finish).collect()
    }
}

impl Column {
    /// The values so far as an array. The column is empty afterwards, with capacity for as many
    /// values.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        let len = std::mem::take(&mut self.len);
        let nulls = self.validity.finish();
        self.values.finish(&self.field, len, nulls)
    }
}

/// Takes a vector and leaves one of the same capacity, for the next batch will be like this one.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len() + values.len() / 16);
    std::mem::replace(values, next)
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> Result<PrimitiveArray<T>> {
    PrimitiveArray::try_new(ScalarBuffer::from(taken(values)), nulls).map_err(unfit)
}

fn array<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    Ok(Arc::new(primitive::<T>(values, nulls)?))
}

fn offsets_of(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let done = taken(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(done))
}

impl Values {
    fn finish(&mut self, field: &FieldRef, len: usize, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(match self {
            Self::Null => Arc::new(NullArray::new(len)),
            Self::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Self::Int8(values) => array::<Int8Type>(values, nulls)?,
            Self::Int16(values) => array::<Int16Type>(values, nulls)?,
            Self::Int32(values) => array::<Int32Type>(values, nulls)?,
            Self::Int64(values) => array::<Int64Type>(values, nulls)?,
            Self::UInt8(values) => array::<UInt8Type>(values, nulls)?,
            Self::UInt16(values) => array::<UInt16Type>(values, nulls)?,
            Self::UInt32(values) => array::<UInt32Type>(values, nulls)?,
            Self::UInt64(values) => array::<UInt64Type>(values, nulls)?,
            Self::Float32(values) => array::<Float32Type>(values, nulls)?,
            Self::Float64(values) => array::<Float64Type>(values, nulls)?,
            Self::Date(values) => array::<Date32Type>(values, nulls)?,
            Self::Decimal { values, precision, scale } => {
                Arc::new(primitive::<Decimal128Type>(values, nulls)?.with_precision_and_scale(*precision, *scale).map_err(unfit)?)
            }
            Self::Timestamp { values, unit, .. } => {
                let zone = match field.data_type() {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                match unit {
                    TimeUnit::Second => Arc::new(primitive::<TimestampSecondType>(values, nulls)?.with_timezone_opt(zone)),
                    TimeUnit::Millisecond => Arc::new(primitive::<TimestampMillisecondType>(values, nulls)?.with_timezone_opt(zone)),
                    TimeUnit::Microsecond => Arc::new(primitive::<TimestampMicrosecondType>(values, nulls)?.with_timezone_opt(zone)),
                    TimeUnit::Nanosecond => Arc::new(primitive::<TimestampNanosecondType>(values, nulls)?.with_timezone_opt(zone)),
                }
            }
            Self::Text(texts) => Arc::new(texts.finish(nulls)),
            Self::Binary { offsets, data } => {
                Arc::new(BinaryArray::try_new(offsets_of(offsets), Buffer::from_vec(taken(data)), nulls).map_err(unfit)?)
            }
            Self::Struct(object) => match field.data_type() {
                DataType::Struct(fields) if !fields.is_empty() => {
                    Arc::new(StructArray::try_new(fields.clone(), object.finish()?, nulls).map_err(unfit)?)
                }
                _ => Arc::new(StructArray::new_empty_fields(len, nulls)),
            },
            Self::List { offsets, items } => {
                let DataType::List(item) = field.data_type() else { return Err(mismatch()) };
                Arc::new(ListArray::try_new(item.clone(), offsets_of(offsets), items.finish()?, nulls).map_err(unfit)?)
            }
            Self::Map { offsets, keys, values } => {
                let DataType::Map(entries, sorted) = field.data_type() else { return Err(mismatch()) };
                let DataType::Struct(fields) = entries.data_type() else { return Err(mismatch()) };
                let pairs = StructArray::try_new(fields.clone(), vec![keys.finish()?, values.finish()?], None).map_err(unfit)?;
                Arc::new(MapArray::try_new(entries.clone(), offsets_of(offsets), pairs, nulls, *sorted).map_err(unfit)?)
            }
        })
    }
}

impl Texts {
    fn finish(&mut self, nulls: Option<NullBuffer>) -> StringArray {
        let next = String::with_capacity(self.data.len() + self.data.len() / 16);
        let data = Buffer::from_vec(std::mem::replace(&mut self.data, next).into_bytes());
        let offsets = offsets_of(&mut self.offsets);
        // SAFETY: `data` was a `String`, so it is UTF-8. Every offset was its length at the time it
        // was pushed, which is a character boundary, or was cut back to such an offset together
        // with the data. So the offsets are in bounds and never decrease, which `OffsetBuffer::new`
        // checked. The validity has one bit per value.
        unsafe { StringArray::new_unchecked(offsets, data, nulls) }
    }
}

fn unfit(error: arrow_schema::ArrowError) -> Error {
    Error::bug(format!("decoded columns do not fit together: {error}")).caused_by(error)
}

fn mismatch() -> Error {
    Error::bug("a decoded column is not of its field's type")
}
