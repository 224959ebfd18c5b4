//! Columns under construction: flat vectors that take one value after another and can be cut back to an earlier row.
//!
//! This is where text becomes typed; JSON, CSV and columns of text share it. `docs/conversions.md` has the table.

mod build;
mod convert;

use arrow_array::ArrayRef;
use arrow_array::builder::BooleanBufferBuilder;
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use wasmill_error::{Error, Result};

pub(super) use convert::{misfit, quoted, wrong_type};

use super::keys::Keys;
use crate::TypeName;
use crate::codes::UNSUPPORTED_TYPE;
use crate::reading::{AsJson, Reading, bare_field};

/// Why a record could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// For programs, in kebab case.
    pub code: &'static str,
    /// The column to blame; a part of a nested one as `orders[].price`.
    pub column: Option<String>,
    /// For readers.
    pub message: String,
}

/// A step of decoding; the error is boxed because it is rare and the result is returned for every value.
pub type Step<T = ()> = std::result::Result<T, Box<BadRecord>>;

impl BadRecord {
    /// A bad record without a column to blame.
    pub fn new(code: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, column: None, message: message.into() })
    }

    /// Adds the column around the place that failed.
    #[must_use]
    pub fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.column = Some(match self.column.take() {
            None => name.to_owned(),
            Some(inner) if inner.starts_with('[') => format!("{name}{inner}"),
            Some(inner) => format!("{name}.{inner}"),
        });
        self
    }
}

/// A column under construction.
pub struct Column {
    pub(super) field: FieldRef,
    pub(super) values: Values,
    validity: NullBufferBuilder,
    len: usize,
}

/// The values of a column, nulls filled with anything.
pub(super) enum Values {
    Null,
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt8(Vec<u8>),
    UInt16(Vec<u16>),
    UInt32(Vec<u32>),
    UInt64(Vec<u64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Text(Texts),
    Binary { offsets: Vec<i32>, data: Vec<u8> },
    Date(Vec<i32>),
    Timestamp { values: Vec<i64>, unit: TimeUnit, reading: Reading },
    List { offsets: Vec<i32>, items: Box<Column> },
    Struct(Object),
    Map { offsets: Vec<i32>, keys: Box<Column>, values: Box<Column> },
}

/// Texts, one after the other. A `String`, so that only whole characters can get in.
pub(super) struct Texts {
    pub(super) offsets: Vec<i32>,
    pub(super) data: String,
    pub(super) json: AsJson,
}

/// The columns of an object, found by key.
pub(super) struct Object {
    pub(super) columns: Vec<Column>,
    pub(super) keys: Keys,
}

impl Object {
    pub(super) fn new(fields: &Fields) -> Result<Self> {
        let columns = fields.iter().map(|field| Column::new(field.clone())).collect::<Result<_>>()?;
        Ok(Self { columns, keys: Keys::new(fields.iter().map(|field| field.name().as_str())) })
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(len));
    }

    /// How many vectors a row of it takes a cell of.
    pub(super) fn leaves(&self) -> usize {
        self.columns.iter().map(Column::leaves).sum::<usize>() + 1
    }
}

impl Column {
    /// An empty column.
    ///
    /// # Errors
    /// Configuration: the type can't be decoded from text.
    pub fn new(field: FieldRef) -> Result<Self> {
        let values = Values::new(&field)?;
        Ok(Self { field: bare_field(&field), values, validity: NullBufferBuilder::new(0), len: 0 })
    }

    /// How many values it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many vectors a row of it takes a cell of: a bound for the memory of nested rows.
    pub(super) fn leaves(&self) -> usize {
        match &self.values {
            Values::Struct(object) => object.leaves(),
            _ => 1,
        }
    }

    /// Cuts the column back to its first `len` values, and drops what a value that failed left behind.
    pub fn truncate(&mut self, len: usize) {
        if len > self.len {
            return;
        }
        self.len = len;
        self.validity.truncate(len);
        self.values.truncate(len);
    }

    /// A value has been added to `values`: note it.
    #[inline]
    pub(super) fn added(&mut self) {
        self.len += 1;
        self.validity.append_non_null();
    }

    /// Whether it keeps every value as JSON text.
    #[inline]
    pub(super) fn holds_json(&self) -> bool {
        matches!(&self.values, Values::Text(texts) if texts.json == AsJson::Value)
    }

    /// Appends a null.
    ///
    /// # Errors
    /// `null-value`: the column takes none.
    #[inline]
    pub fn append_null(&mut self) -> Step {
        if !self.field.is_nullable() {
            return Err(BadRecord::new("null-value", format!("a null where {} is needed", TypeName(self.field.data_type()))));
        }
        self.append_masked();
        Ok(())
    }

    /// Appends a null that a null around it hides, even if the field is not nullable.
    pub(super) fn append_masked(&mut self) {
        self.values.fill();
        self.len += 1;
        self.validity.append_null();
    }

    /// Appends a placeholder for a value that did not fit.
    pub(super) fn append_blank(&mut self) {
        self.values.fill();
        self.added();
    }

    /// Closes a list or a map whose items have been added.
    pub(super) fn close_items(&mut self) -> Step {
        let (offsets, end) = match &mut self.values {
            Values::List { offsets, items } => (offsets, items.len()),
            Values::Map { offsets, keys, .. } => (offsets, keys.len()),
            _ => return Err(BadRecord::new("wrong-type", "not a list")),
        };
        offsets.push(offset(end)?);
        self.added();
        Ok(())
    }
}

/// A length as an Arrow offset.
pub(super) fn offset(length: usize) -> Step<i32> {
    i32::try_from(length).map_err(|_| BadRecord::new("too-long", "more than 2 GiB of values in one batch"))
}

impl Values {
    fn new(field: &Field) -> Result<Self> {
        use DataType as T;
        Ok(match field.data_type() {
            T::Null => Self::Null,
            T::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            T::Int8 => Self::Int8(Vec::new()),
            T::Int16 => Self::Int16(Vec::new()),
            T::Int32 => Self::Int32(Vec::new()),
            T::Int64 => Self::Int64(Vec::new()),
            T::UInt8 => Self::UInt8(Vec::new()),
            T::UInt16 => Self::UInt16(Vec::new()),
            T::UInt32 => Self::UInt32(Vec::new()),
            T::UInt64 => Self::UInt64(Vec::new()),
            T::Float32 => Self::Float32(Vec::new()),
            T::Float64 => Self::Float64(Vec::new()),
            T::Decimal128(precision, scale) => Self::Decimal { values: Vec::new(), precision: *precision, scale: *scale },
            T::Utf8 => Self::Text(Texts { offsets: vec![0], data: String::new(), json: Reading::of(field).json }),
            T::Binary => Self::Binary { offsets: vec![0], data: Vec::new() },
            T::Date32 => Self::Date(Vec::new()),
            T::Timestamp(unit, _) => Self::Timestamp { values: Vec::new(), unit: *unit, reading: Reading::of(field) },
            T::List(item) => Self::List { offsets: vec![0], items: Box::new(Column::new(item.clone())?) },
            T::Struct(fields) => Self::Struct(Object::new(fields)?),
            T::Map(entries, _) => match entries.data_type() {
                T::Struct(fields) if fields.len() == 2 => {
                    let [keys, values] = [0, 1].map(|index| Column::new(fields[index].clone()));
                    Self::Map { offsets: vec![0], keys: Box::new(keys?), values: Box::new(values?) }
                }
                _ => return Err(undecodable(field)),
            },
            _ => return Err(undecodable(field)),
        })
    }

    fn fill(&mut self) {
        match self {
            Self::Null => {}
            Self::Boolean(values) => values.append(false),
            Self::Int8(values) => values.push(0),
            Self::Int16(values) => values.push(0),
            Self::Int32(values) | Self::Date(values) => values.push(0),
            Self::Int64(values) | Self::Timestamp { values, .. } => values.push(0),
            Self::UInt8(values) => values.push(0),
            Self::UInt16(values) => values.push(0),
            Self::UInt32(values) => values.push(0),
            Self::UInt64(values) => values.push(0),
            Self::Float32(values) => values.push(0.0),
            Self::Float64(values) => values.push(0.0),
            Self::Decimal { values, .. } => values.push(0),
            Self::Text(Texts { offsets, .. }) | Self::Binary { offsets, .. } | Self::List { offsets, .. } | Self::Map { offsets, .. } => {
                offsets.extend_from_within(offsets.len() - 1..)
            }
            Self::Struct(object) => object.columns.iter_mut().for_each(Column::append_masked),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Null => {}
            Self::Boolean(values) => values.truncate(len),
            Self::Int8(values) => values.truncate(len),
            Self::Int16(values) => values.truncate(len),
            Self::Int32(values) | Self::Date(values) => values.truncate(len),
            Self::Int64(values) | Self::Timestamp { values, .. } => values.truncate(len),
            Self::UInt8(values) => values.truncate(len),
            Self::UInt16(values) => values.truncate(len),
            Self::UInt32(values) => values.truncate(len),
            Self::UInt64(values) => values.truncate(len),
            Self::Float32(values) => values.truncate(len),
            Self::Float64(values) => values.truncate(len),
            Self::Decimal { values, .. } => values.truncate(len),
            Self::Text(texts) => {
                let end = cut(&mut texts.offsets, len);
                texts.data.truncate(end);
            }
            Self::Binary { offsets, data } => data.truncate(cut(offsets, len)),
            Self::List { offsets, items } => items.truncate(cut(offsets, len)),
            Self::Struct(object) => object.truncate(len),
            Self::Map { offsets, keys, values } => {
                let end = cut(offsets, len);
                keys.truncate(end);
                values.truncate(end);
            }
        }
    }
}

/// Truncates offsets to `len` values and returns where those end.
fn cut(offsets: &mut Vec<i32>, len: usize) -> usize {
    offsets.truncate(len + 1);
    offsets.last().map_or(0, |&end| end as usize)
}

fn undecodable(field: &Field) -> Error {
    Error::configuration(format!("column {}: the type {} can't be read from text", field.name(), TypeName(field.data_type())))
        .code(UNSUPPORTED_TYPE)
        .hint("use bool, an integer, a float, decimal, text, binary, date, timestamp, list, struct or map")
}

/// A column of one value, read from its text; `None` is a null. The inner error is why the text
/// does not fit.
///
/// # Errors
/// Configuration: the type can't be read from text.
pub fn one_value(field: FieldRef, text: Option<&str>) -> Result<Step<ArrayRef>> {
    let mut column = Column::new(field)?;
    let appended = match text {
        Some(text) => column.append_text(text),
        None => column.append_null(),
    };
    match appended {
        Ok(()) => column.finish().map(Ok),
        Err(bad) => Ok(Err(bad)),
    }
}
