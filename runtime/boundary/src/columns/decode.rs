//! From the columns that a plugin returned to a record batch: nothing about them is trusted.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, SchemaRef};
use arrow_select::take::take;
use wasmill_types::TypeName;

use super::{MadeCells, MadeColumn, MadeTable, json_read};
use crate::budget::Budget;
use crate::sizes::gathered_bytes;
use crate::text::shown;
use crate::{DecodeError, guarded};

/// What a text takes besides its bytes: an offset.
const OFFSET_BYTES: u64 = 4;

/// The longest separator. It is meant to be a character.
const MAX_SEPARATOR_BYTES: usize = 16;

/// For each row of the batch, the place of its text among the distinct ones of a column.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// 4 bytes per row, little-endian, as the host wrote them.
    pub bytes: &'a [u8],
    /// How many places there are, that of null included where the column has nulls.
    pub count: usize,
}

/// What it takes to spread values over rows.
pub struct Spreading<'a> {
    /// The places of a column of the batch, if it crossed as a dictionary.
    pub places: &'a dyn Fn(u32) -> Option<Places<'a>>,
    /// For each row of the table, the row of the batch that it comes from.
    pub rows: &'a dyn Fn() -> Vec<u32>,
}

/// The table that a plugin returned. It has exactly `rows` rows of `schema` (whose types are boundary types), fully validated. What it
/// takes is charged to `budget`. Without `spreading`, the plugin was given no batch whose texts its values could be about.
///
/// # Errors
/// What is wrong with it, and in which column.
pub fn decode(
    table: &MadeTable,
    schema: &SchemaRef,
    rows: usize,
    spreading: Option<&Spreading<'_>>,
    budget: &Budget,
) -> Result<RecordBatch, DecodeError> {
    guarded(|| {
        if table.columns.len() != schema.fields().len() {
            return Err(DecodeError(format!("it has {} columns where {} are due", table.columns.len(), schema.fields().len())));
        }
        let columns = schema.fields().iter().zip(&table.columns).map(|(field, column)| {
            let decoded = decode_column(column, &table.separator, field, rows, spreading, budget);
            decoded.map_err(|DecodeError(message)| DecodeError(format!("column `{}`: {message}", shown(field.name()))))
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| DecodeError(shown(&error.to_string())))
    })
}

fn decode_column(
    column: &MadeColumn,
    separator: &str,
    field: &Field,
    rows: usize,
    spreading: Option<&Spreading<'_>>,
    budget: &Budget,
) -> Result<ArrayRef, DecodeError> {
    let nulls = valid(&column.valid, rows, budget)?;
    let array = match &column.cells {
        MadeCells::Text(text) => joined(text, separator, field, rows, budget)?,
        MadeCells::Texts(texts) => listed(texts, field, rows, budget)?,
        MadeCells::Json(text) => {
            // The array is read with the nulls that its field allows; those of `valid` stand in no JSON.
            json_read::array(text, &field.clone().with_nullable(true), rows, budget)?
        }
        MadeCells::Mask(digits) => mask(digits, field, rows, budget)?,
        MadeCells::Spread(index, values) => spread(*index, values, field, spreading, budget)?,
    };
    let array = match nulls {
        None => array,
        Some(nulls) => with_nulls(&array, &nulls)?,
    };
    if !field.is_nullable() && array.logical_null_count() > 0 {
        return Err(DecodeError::new("it has nulls where its field allows none"));
    }
    Ok(array)
}

/// The mask of nulls that digits are; `None`: there are none.
fn valid(digits: &str, rows: usize, budget: &Budget) -> Result<Option<NullBuffer>, DecodeError> {
    if digits.is_empty() {
        return Ok(None);
    }
    Ok(Some(NullBuffer::new(bits(digits, rows, budget)?)).filter(|nulls| nulls.null_count() > 0))
}

fn bits(digits: &str, rows: usize, budget: &Budget) -> Result<BooleanBuffer, DecodeError> {
    let digits = digits.as_bytes();
    if digits.len() != rows {
        return Err(DecodeError(format!("it has {} digits where {rows} are due", digits.len())));
    }
    if let Some(other) = digits.iter().find(|digit| !matches!(digit, b'0' | b'1')) {
        return Err(DecodeError(format!("`{}` is no digit 0 or 1", shown(&char::from(*other).to_string()))));
    }
    budget.charge(rows.div_ceil(8) as u64)?;
    Ok(BooleanBuffer::collect_bool(rows, |row| digits[row] == b'1'))
}

fn mask(digits: &str, field: &Field, rows: usize, budget: &Budget) -> Result<ArrayRef, DecodeError> {
    expect(field, &DataType::Boolean, "digits")?;
    Ok(Arc::new(BooleanArray::new(bits(digits, rows, budget)?, None)))
}

fn expect(field: &Field, wanted: &DataType, what: &str) -> Result<(), DecodeError> {
    if field.data_type() == wanted {
        return Ok(());
    }
    Err(DecodeError(format!("it comes as {what}, and its type is {}", TypeName(field.data_type()))))
}

fn joined(text: &str, separator: &str, field: &Field, rows: usize, budget: &Budget) -> Result<ArrayRef, DecodeError> {
    expect(field, &DataType::Utf8, "joined texts")?;
    if separator.is_empty() || separator.len() > MAX_SEPARATOR_BYTES {
        return Err(DecodeError(format!("its separator has {} bytes; a character is due", separator.len())));
    }
    budget.charge(text.len() as u64 + OFFSET_BYTES * (rows as u64 + 1))?;
    let (mut offsets, mut values) = (Vec::with_capacity(rows + 1), String::with_capacity(text.len()));
    offsets.push(0);
    let parts = (rows > 0 || !text.is_empty()).then(|| text.split(separator)).into_iter().flatten();
    for part in parts {
        if offsets.len() > rows {
            return Err(DecodeError(format!("it has more than the {rows} texts that are due")));
        }
        values.push_str(part);
        // The budget counts with 32 bits.
        offsets.push(values.len() as i32);
    }
    if offsets.len() != rows + 1 {
        return Err(DecodeError(format!("it has {} texts where {rows} are due", offsets.len() - 1)));
    }
    strings(offsets, values)
}

fn listed(texts: &[String], field: &Field, rows: usize, budget: &Budget) -> Result<ArrayRef, DecodeError> {
    expect(field, &DataType::Utf8, "texts")?;
    if texts.len() != rows {
        return Err(DecodeError(format!("it has {} texts where {rows} are due", texts.len())));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    budget.charge(bytes as u64 + OFFSET_BYTES * (rows as u64 + 1))?;
    let (mut offsets, mut values) = (Vec::with_capacity(rows + 1), String::with_capacity(bytes));
    offsets.push(0);
    for text in texts {
        values.push_str(text);
        offsets.push(values.len() as i32);
    }
    strings(offsets, values)
}

fn strings(offsets: Vec<i32>, values: String) -> Result<ArrayRef, DecodeError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let texts = StringArray::try_new(offsets, Buffer::from_vec(values.into_bytes()), None);
    Ok(Arc::new(texts.map_err(|error| DecodeError(shown(&error.to_string())))?))
}

fn spread(index: u32, values: &str, field: &Field, spreading: Option<&Spreading<'_>>, budget: &Budget) -> Result<ArrayRef, DecodeError> {
    let places = spreading.and_then(|spreading| (spreading.places)(index));
    let (Some(spreading), Some(places)) = (spreading, places) else {
        return Err(DecodeError(format!("it has a value per distinct text of column {index} of the batch, which did not cross so")));
    };
    let values = json_read::array(values, &field.clone().with_nullable(true), places.count, budget)?;
    let (words, _) = places.bytes.as_chunks::<4>();
    let place = |row: u32| words.get(row as usize).map(|word| u32::from_le_bytes(*word));
    let places: Option<Vec<u32>> = (spreading.rows)().into_iter().map(place).collect();
    let places = places.ok_or_else(|| DecodeError::new("the batch has fewer places than rows"))?;
    budget.charge(gathered_bytes(values.as_ref(), &places))?;
    take(values.as_ref(), &UInt32Array::from(places), None).map_err(|error| DecodeError(shown(&error.to_string())))
}

/// The array, null also where the mask is.
fn with_nulls(array: &ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef, DecodeError> {
    if *array.data_type() == DataType::Null {
        return Ok(Arc::clone(array));
    }
    let nulls = NullBuffer::union(array.nulls(), Some(nulls));
    let data = array.to_data().into_builder().nulls(nulls).build();
    Ok(make_array(data.map_err(|error| DecodeError(shown(&error.to_string())))?))
}
