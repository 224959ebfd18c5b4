//! From a record batch to columns as they cross.

use std::collections::HashMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};

use super::{Cells, Column, Table, TextForm, json_array};

/// Characters that texts hardly ever contain: two that control ancient devices, and three that Unicode keeps out of texts.
const SEPARATORS: [&str; 5] = ["\0", "\u{1f}", "\u{fdd0}", "\u{fdd1}", "\u{fdd2}"];

/// Writes a table whose types are boundary types.
///
/// # Errors
/// The value that has no form in this encoding.
pub fn encode(table: &RecordBatch, form: TextForm) -> Result<Table, String> {
    let rows = u32::try_from(table.num_rows()).map_err(|_| format!("a table of {} rows is too large to cross", table.num_rows()))?;
    let separator = match form {
        TextForm::Joined => separator(table),
        TextForm::Listed => None,
    };
    let columns = table.columns().iter().map(|column| encode_column(column.as_ref(), separator)).collect::<Result<_, _>>()?;
    Ok(Table { rows, separator: separator.unwrap_or(SEPARATORS[0]).to_owned(), columns })
}

/// A separator that no text of the table contains.
fn separator(table: &RecordBatch) -> Option<&'static str> {
    let texts: Vec<&[u8]> = table.columns().iter().filter_map(|column| Some(bytes_of(column.as_string_opt::<i32>()?))).collect();
    SEPARATORS.into_iter().find(|separator| texts.iter().all(|bytes| memchr::memmem::find(bytes, separator.as_bytes()).is_none()))
}

/// The texts of a column, one behind the other, with those under nulls.
fn bytes_of(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    match (offsets.first(), offsets.last()) {
        (Some(&start), Some(&end)) => &texts.value_data()[start as usize..end as usize],
        _ => &[],
    }
}

fn encode_column(column: &dyn Array, separator: Option<&str>) -> Result<Column, String> {
    let cells = match column.data_type() {
        DataType::Utf8 => texts(column.as_string(), separator),
        DataType::Boolean => {
            let values = column.as_boolean().values();
            Cells::Fixed(values.iter().map(u8::from).collect())
        }
        DataType::Int8 => fixed::<Int8Type>(column),
        DataType::Int16 => fixed::<Int16Type>(column),
        DataType::Int32 => fixed::<Int32Type>(column),
        DataType::Int64 => fixed::<Int64Type>(column),
        DataType::UInt8 => fixed::<UInt8Type>(column),
        DataType::UInt16 => fixed::<UInt16Type>(column),
        DataType::UInt32 => fixed::<UInt32Type>(column),
        DataType::UInt64 => fixed::<UInt64Type>(column),
        DataType::Float32 => fixed::<Float32Type>(column),
        DataType::Float64 => fixed::<Float64Type>(column),
        DataType::Date32 => fixed::<Date32Type>(column),
        DataType::Timestamp(TimeUnit::Second, _) => fixed::<TimestampSecondType>(column),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fixed::<TimestampMillisecondType>(column),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fixed::<TimestampMicrosecondType>(column),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fixed::<TimestampNanosecondType>(column),
        _ => return Ok(Column { cells: Cells::Json(json_array(column)?), valid: Vec::new() }),
    };
    let valid = column.nulls().filter(|nulls| nulls.null_count() > 0);
    Ok(Column { cells, valid: valid.map(|nulls| nulls.iter().map(u8::from).collect()).unwrap_or_default() })
}

fn fixed<T: ArrowPrimitiveType>(column: &dyn Array) -> Cells {
    // Arrow keeps numbers in the order of the machine, which on every target of Wasmill is little-endian, as the contract's.
    const { assert!(cfg!(target_endian = "little")) }
    Cells::Fixed(column.as_primitive::<T>().values().inner().as_slice().to_vec())
}

/// Texts, and as a dictionary where at most half of the rows are distinct.
fn texts(texts: &StringArray, separator: Option<&str>) -> Cells {
    if let Some((distinct, places)) = dictionary(texts) {
        return match separator {
            Some(separator) => Cells::Dictionary(distinct.len() as u32, distinct.join(separator), places),
            None => Cells::Distinct(distinct.into_iter().map(str::to_owned).collect(), places),
        };
    }
    let all = (0..texts.len()).map(|row| if texts.is_null(row) { "" } else { texts.value(row) });
    let Some(separator) = separator else { return Cells::Texts(all.map(str::to_owned).collect()) };
    let mut joined = String::with_capacity(bytes_of(texts).len() + texts.len() * separator.len());
    for (row, text) in all.enumerate() {
        if row > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Cells::Text(joined)
}

/// The distinct texts in the order in which they come, and each row's place; `None`: more than half of the rows are distinct.
fn dictionary(texts: &StringArray) -> Option<(Vec<&str>, Vec<u8>)> {
    let most = texts.len() / 2;
    let (mut seen, mut distinct, mut places) = (HashMap::new(), Vec::new(), Vec::with_capacity(texts.len()));
    for row in 0..texts.len() {
        if texts.is_null(row) {
            places.push(u32::MAX);
            continue;
        }
        let text = texts.value(row);
        let place = *seen.entry(text).or_insert_with(|| {
            distinct.push(text);
            distinct.len() as u32 - 1
        });
        if distinct.len() > most {
            return None;
        }
        places.push(place);
    }
    let null = distinct.len() as u32;
    Some((distinct, places.into_iter().flat_map(|place| place.min(null).to_le_bytes()).collect()))
}
