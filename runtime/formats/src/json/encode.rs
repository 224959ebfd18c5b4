//! Writes rows as JSON, by the table of the plugin contract's `json-lines` encoding.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrowPrimitiveType, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Fields, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wasmill_error::{Error, Result};

use crate::TypeName;
use crate::encode::TextEncoder;
use crate::{time, to_plain};

/// Rows to JSON text: one object per line, or one array of objects.
pub struct JsonEncoder {
    array: bool,
    any: bool,
}

impl JsonEncoder {
    /// One object per line.
    pub fn lines() -> Self {
        Self { array: false, any: false }
    }

    /// One array, with one object per line inside.
    pub fn array() -> Self {
        Self { array: true, any: false }
    }
}

impl TextEncoder for JsonEncoder {
    fn begin(&mut self, text: &mut Vec<u8>) {
        if self.array {
            text.push(b'[');
        }
    }

    fn rows(&mut self, records: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
        let row_cells = RowCells::of(records)?;
        for row in 0..records.num_rows() {
            if self.array {
                text.extend_from_slice(if self.any { b",\n" } else { b"\n" });
                self.any = true;
            }
            row_cells.put(row, text);
            if !self.array {
                text.push(b'\n');
            }
        }
        Ok(())
    }

    fn end(&mut self, text: &mut Vec<u8>) {
        if self.array {
            text.extend_from_slice(if self.any { b"\n]\n" } else { b"]\n" });
        }
    }
}

/// One row as a JSON object, as in dead letters.
pub fn row_to_json(records: &RecordBatch, row: usize) -> Result<String> {
    let records = to_plain(&records.slice(row, 1))?;
    let mut text = Vec::new();
    RowCells::of(&records)?.put(0, &mut text);
    String::from_utf8(text).map_err(|error| Error::bug(format!("a row became JSON that is not UTF-8: {error}")))
}

/// The columns of a batch with their keys.
struct RowCells<'a> {
    /// `{"name":` or `,"name":` and the column.
    columns: Vec<(Vec<u8>, Cells<'a>)>,
}

impl<'a> RowCells<'a> {
    fn of(records: &'a RecordBatch) -> Result<Self> {
        let fields = records.schema_ref().fields();
        let columns = records.columns().iter().map(|column| Cells::of(column.as_ref())).collect::<Result<Vec<_>>>()?;
        Ok(Self { columns: keyed(fields, columns) })
    }

    fn put(&self, row: usize, text: &mut Vec<u8>) {
        put_object(&self.columns, row, text);
    }
}

fn keyed<'a>(fields: &Fields, columns: Vec<Cells<'a>>) -> Vec<(Vec<u8>, Cells<'a>)> {
    let key = |(index, name): (usize, &String)| {
        let mut key = vec![if index == 0 { b'{' } else { b',' }];
        put_text(name, &mut key);
        key.push(b':');
        key
    };
    fields.iter().map(|field| field.name()).enumerate().map(key).zip(columns).collect()
}

fn put_object(columns: &[(Vec<u8>, Cells<'_>)], row: usize, text: &mut Vec<u8>) {
    if columns.is_empty() {
        text.push(b'{');
    }
    for (key, cells) in columns {
        text.extend_from_slice(key);
        cells.put(row, text);
    }
    text.push(b'}');
}

/// A column whose cells can be written as text. Its type is found once, not for every cell.
pub struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

/// Appends the cell of a row.
type PutCell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

enum Kind<'a> {
    Null,
    Boolean(&'a BooleanArray),
    /// A number, written by `put` for the column's type.
    Number(PutCell<'a>),
    /// A text that needs no escapes, in quotes in JSON and bare elsewhere.
    Quoted(PutCell<'a>),
    Text(&'a arrow_array::StringArray),
    List(&'a arrow_array::ListArray, Box<Cells<'a>>),
    Struct(Vec<(Vec<u8>, Cells<'a>)>),
    Map(&'a arrow_array::MapArray, Box<Cells<'a>>, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// The cells of a column whose type is on the short list.
    ///
    /// # Errors
    /// A bug: the type is not on the list.
    pub fn of(array: &'a dyn Array) -> Result<Self> {
        use DataType as T;
        let kind = match array.data_type() {
            T::Null => Kind::Null,
            T::Boolean => Kind::Boolean(array.as_boolean()),
            T::Int8 => integers::<Int8Type>(array),
            T::Int16 => integers::<Int16Type>(array),
            T::Int32 => integers::<Int32Type>(array),
            T::Int64 => integers::<Int64Type>(array),
            T::UInt8 => integers::<UInt8Type>(array),
            T::UInt16 => integers::<UInt16Type>(array),
            T::UInt32 => integers::<UInt32Type>(array),
            T::UInt64 => integers::<UInt64Type>(array),
            T::Float32 => {
                let values: &PrimitiveArray<Float32Type> = array.as_primitive();
                Kind::Number(Box::new(move |row, text| put_float(values.value(row), f64::from(values.value(row)), text)))
            }
            T::Float64 => {
                let values: &PrimitiveArray<Float64Type> = array.as_primitive();
                Kind::Number(Box::new(move |row, text| put_float(values.value(row), values.value(row), text)))
            }
            T::Decimal128(_, scale) => {
                let (values, scale): (&PrimitiveArray<Decimal128Type>, i8) = (array.as_primitive(), *scale);
                Kind::Quoted(Box::new(move |row, text| put_decimal(values.value(row), scale, text)))
            }
            T::Utf8 => Kind::Text(array.as_string()),
            T::Binary => {
                let values = array.as_binary::<i32>();
                Kind::Quoted(Box::new(move |row, text| text.extend_from_slice(STANDARD.encode(values.value(row)).as_bytes())))
            }
            T::Date32 => {
                let values: &PrimitiveArray<Date32Type> = array.as_primitive();
                Kind::Quoted(Box::new(move |row, text| time::put_date(i64::from(values.value(row)), text)))
            }
            T::Timestamp(unit, zone) => match unit {
                TimeUnit::Second => times::<TimestampSecondType>(array, *unit, zone.is_some()),
                TimeUnit::Millisecond => times::<TimestampMillisecondType>(array, *unit, zone.is_some()),
                TimeUnit::Microsecond => times::<TimestampMicrosecondType>(array, *unit, zone.is_some()),
                TimeUnit::Nanosecond => times::<TimestampNanosecondType>(array, *unit, zone.is_some()),
            },
            T::List(_) => {
                let list = array.as_list::<i32>();
                Kind::List(list, Box::new(Self::of(list.values().as_ref())?))
            }
            T::Struct(fields) => {
                let columns = array.as_struct().columns().iter().map(|column| Self::of(column.as_ref())).collect::<Result<Vec<_>>>()?;
                Kind::Struct(keyed(fields, columns))
            }
            T::Map(..) => {
                let map = array.as_map();
                Kind::Map(map, Box::new(Self::of(map.keys().as_ref())?), Box::new(Self::of(map.values().as_ref())?))
            }
            other => return Err(Error::bug(format!("the type {} reached an encoder", TypeName(other)))),
        };
        Ok(Self { array, kind })
    }

    /// Whether a cell is null.
    pub fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.array.is_null(row)
    }

    /// Appends a cell as a JSON value.
    pub fn put(&self, row: usize, text: &mut Vec<u8>) {
        if self.is_null(row) {
            return text.extend_from_slice(b"null");
        }
        match &self.kind {
            Kind::Null => {}
            Kind::Boolean(values) => text.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Kind::Number(put) => put(row, text),
            Kind::Quoted(put) => {
                text.push(b'"');
                put(row, text);
                text.push(b'"');
            }
            Kind::Text(values) => put_text(values.value(row), text),
            Kind::List(list, items) => {
                text.push(b'[');
                let offsets = list.value_offsets();
                for (index, item) in (offsets[row]..offsets[row + 1]).enumerate() {
                    if index > 0 {
                        text.push(b',');
                    }
                    items.put(item as usize, text);
                }
                text.push(b']');
            }
            Kind::Struct(columns) => put_object(columns, row, text),
            Kind::Map(map, keys, values) => {
                text.push(b'{');
                let offsets = map.value_offsets();
                for (index, entry) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
                    if index > 0 {
                        text.push(b',');
                    }
                    keys.put_key(entry, text);
                    text.push(b':');
                    values.put(entry, text);
                }
                text.push(b'}');
            }
        }
    }

    /// Appends a cell that is not null as bare text: texts, numbers and times without quotes, lists, structs and maps as JSON.
    pub fn put_bare(&self, row: usize, text: &mut Vec<u8>) {
        match &self.kind {
            Kind::Text(values) => text.extend_from_slice(values.value(row).as_bytes()),
            Kind::Quoted(put) => put(row, text),
            Kind::Number(_) => {
                let start = text.len();
                self.put(row, text);
                // NaN and the infinities are strings in JSON.
                if text.get(start) == Some(&b'"') {
                    text.remove(start);
                    text.pop();
                }
            }
            _ => self.put(row, text),
        }
    }

    /// Appends a cell as a key of an object.
    fn put_key(&self, row: usize, text: &mut Vec<u8>) {
        let start = text.len();
        self.put(row, text);
        if text.get(start) != Some(&b'"') {
            text.insert(start, b'"');
            text.push(b'"');
        }
    }
}

fn integers<'a, T: ArrowPrimitiveType>(array: &'a dyn Array) -> Kind<'a>
where
    T::Native: serde::Serialize,
{
    let values: &PrimitiveArray<T> = array.as_primitive();
    Kind::Number(Box::new(move |row, text| put_number(values.value(row), text)))
}

fn times<'a, T: ArrowPrimitiveType<Native = i64>>(array: &'a dyn Array, unit: TimeUnit, zoned: bool) -> Kind<'a> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    Kind::Quoted(Box::new(move |row, text| time::put_timestamp(values.value(row), unit, zoned, text)))
}

fn put_number(value: impl serde::Serialize, text: &mut Vec<u8>) {
    // A number can't fail to become JSON, and a Vec can't fail to take it.
    let _ = serde_json::to_writer(text, &value);
}

/// `exact` is the value in its own width, so that a 32-bit float has its own shortest text.
fn put_float(exact: impl serde::Serialize, value: f64, text: &mut Vec<u8>) {
    match value {
        _ if value.is_finite() => put_number(exact, text),
        _ if value.is_nan() => text.extend_from_slice(b"\"NaN\""),
        _ if value > 0.0 => text.extend_from_slice(b"\"Infinity\""),
        _ => text.extend_from_slice(b"\"-Infinity\""),
    }
}

fn put_text(value: &str, text: &mut Vec<u8>) {
    // As for numbers.
    let _ = serde_json::to_writer(text, value);
}

/// Appends all digits of the scale: `12.50`.
fn put_decimal(value: i128, scale: i8, text: &mut Vec<u8>) {
    if value < 0 {
        text.push(b'-');
    }
    let digits = value.unsigned_abs().to_string();
    if scale <= 0 {
        text.extend_from_slice(digits.as_bytes());
        if value != 0 {
            text.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    text.extend_from_slice(whole.as_bytes());
    text.push(b'.');
    text.extend_from_slice(fraction.as_bytes());
}
