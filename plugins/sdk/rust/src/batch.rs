//! A batch as a plugin sees it: the columns that it reads, by name.

use arrow_array::types::{ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_schema::{Field, Fields};

use crate::Refusal;

/// Rows to be processed: the columns that the plan [reads](crate::Plan::read). Cloning costs a few reference counts.
///
/// A column that the plan does not read, or of another type, gives a [`Refusal`] that lists the
/// columns.
#[derive(Debug, Clone)]
pub struct Batch {
    fields: Fields,
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Batch {
    pub(crate) fn new(fields: Fields, columns: Vec<ArrayRef>, rows: usize) -> Self {
        Self { fields, columns, rows }
    }

    /// The same rows with these columns, each under another name: `(column, name)`.
    pub(crate) fn renamed<'n>(&self, names: impl Iterator<Item = (&'n str, &'n str)>) -> Result<Self, Refusal> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (column, name) in names {
            let array = self.column(column)?;
            fields.push(Field::new(name, array.data_type().clone(), true));
            columns.push(ArrayRef::clone(array));
        }
        Ok(Self { fields: fields.into(), columns, rows: self.rows })
    }

    /// How many rows there are; at least one.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none. The host never sends such a batch.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// A column of any type.
    pub fn column(&self, name: &str) -> Result<&ArrayRef, Refusal> {
        let index = self.fields.iter().position(|field| field.name() == name).ok_or_else(|| self.unread(name))?;
        Ok(&self.columns[index])
    }

    /// A column of texts.
    pub fn utf8(&self, name: &str) -> Result<&StringArray, Refusal> {
        self.typed(name, "texts (Utf8)")
    }

    /// A column of bytes.
    pub fn binary(&self, name: &str) -> Result<&BinaryArray, Refusal> {
        self.typed(name, "bytes (Binary)")
    }

    /// A column of booleans.
    pub fn boolean(&self, name: &str) -> Result<&BooleanArray, Refusal> {
        self.typed(name, "booleans (Boolean)")
    }

    /// A column of 32-bit integers.
    pub fn int32(&self, name: &str) -> Result<&PrimitiveArray<Int32Type>, Refusal> {
        self.primitive(name)
    }

    /// A column of 64-bit integers.
    pub fn int64(&self, name: &str) -> Result<&PrimitiveArray<Int64Type>, Refusal> {
        self.primitive(name)
    }

    /// A column of single-precision numbers.
    pub fn float32(&self, name: &str) -> Result<&PrimitiveArray<Float32Type>, Refusal> {
        self.primitive(name)
    }

    /// A column of double-precision numbers.
    pub fn float64(&self, name: &str) -> Result<&PrimitiveArray<Float64Type>, Refusal> {
        self.primitive(name)
    }

    /// A column of dates, in days since 1970-01-01.
    pub fn date32(&self, name: &str) -> Result<&PrimitiveArray<Date32Type>, Refusal> {
        self.primitive(name)
    }

    /// A column of times, in microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp_micros(&self, name: &str) -> Result<&PrimitiveArray<TimestampMicrosecondType>, Refusal> {
        self.primitive(name)
    }

    /// A column of numbers, dates or times, by its Arrow type.
    pub fn primitive<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&PrimitiveArray<T>, Refusal> {
        self.typed(name, &T::DATA_TYPE.to_string())
    }

    fn typed<A: Array + 'static>(&self, name: &str, wanted: &str) -> Result<&A, Refusal> {
        let column = self.column(name)?;
        column.as_any().downcast_ref().ok_or_else(|| {
            Refusal::new(format!("process takes column {name} as {wanted}, but the plan reads it as {}", column.data_type()))
                .at_column(name)
        })
    }

    fn unread(&self, name: &str) -> Refusal {
        let names: Vec<_> = self.fields.iter().map(|field| field.name().as_str()).collect();
        let known = if names.is_empty() { "it reads none".to_owned() } else { format!("it reads {}", names.join(", ")) };
        Refusal::new(format!("process takes column {name}, which the plan does not read; {known}")).at_column(name)
    }
}
