//! What an interpreter's SDK does: takes columns apart, and puts them together again. The echo of the encoding `columns`.

use crate::config;
use crate::wasmill::plugin::types::{Cells, Column, ColumnTable, Field, MadeCells, MadeColumn, MadeColumns, Schema, Spread};

/// A schema as the configuration has it.
pub fn schema(fields: &[config::Field]) -> Schema {
    let field = |field: &config::Field| Field {
        name: field.name.clone(),
        data_type: field.data_type.clone(),
        nullable: field.nullable.unwrap_or(true),
        metadata: Vec::new(),
    };
    Schema::Columns(fields.iter().map(field).collect())
}

/// Every column of a batch, in a form of an answer.
pub fn echo(batch: &ColumnTable, fields: &[config::Field]) -> MadeColumns {
    let columns = (0..)
        .zip(&batch.columns)
        .zip(fields)
        .map(|((index, column), field)| echo_column(index, column, &field.data_type, &batch.separator));
    MadeColumns { separator: batch.separator.clone(), columns: columns.collect() }
}

fn echo_column(index: u32, column: &Column, data_type: &str, separator: &str) -> MadeColumn {
    let valid = || column.valid.iter().map(|&valid| if valid == 0 { '0' } else { '1' }).collect::<String>();
    let has_nulls = !column.valid.is_empty();
    let (cells, valid) = match &column.cells {
        Cells::Text(text) => (MadeCells::Text(text.clone()), valid()),
        Cells::Texts(texts) => (MadeCells::Texts(texts.clone()), valid()),
        Cells::Json(text) => (MadeCells::Json(text.clone()), String::new()),
        Cells::Dictionary(dictionary) => {
            let texts = dictionary.texts.split(separator).take(dictionary.count as usize).map(str::to_owned).collect();
            (spread(index, texts, has_nulls), String::new())
        }
        Cells::Distinct(distinct) => (spread(index, distinct.texts.clone(), has_nulls), String::new()),
        Cells::Fixed(bytes) if data_type == "Boolean" => {
            (MadeCells::Mask(bytes.iter().map(|&byte| if byte == 0 { '0' } else { '1' }).collect()), valid())
        }
        Cells::Fixed(bytes) => (MadeCells::Json(numbers(bytes, &column.valid, data_type)), String::new()),
    };
    MadeColumn { cells, valid }
}

/// Each distinct text for itself, and null for null.
fn spread(column: u32, texts: Vec<String>, has_nulls: bool) -> MadeCells {
    let mut values: Vec<Option<String>> = texts.into_iter().map(Some).collect();
    if has_nulls {
        values.push(None);
    }
    MadeCells::Spread(Spread { column, values: serde_json::to_string(&values).expect("texts are JSON") })
}

/// Numbers, dates and times as a JSON array.
fn numbers(bytes: &[u8], valid: &[u8], data_type: &str) -> String {
    let (kind, rest) = data_type.split_once('(').unwrap_or((data_type, ""));
    let width = match kind {
        "Int8" | "UInt8" => 1,
        "Int16" | "UInt16" => 2,
        "Int32" | "UInt32" | "Float32" | "Date32" => 4,
        _ => 8,
    };
    let value = |(row, bytes): (usize, &[u8])| match valid.get(row) {
        Some(0) => "null".to_owned(),
        _ => number(bytes, kind, rest),
    };
    format!("[{}]", bytes.chunks_exact(width).enumerate().map(value).collect::<Vec<_>>().join(","))
}

fn number(bytes: &[u8], kind: &str, rest: &str) -> String {
    let mut wide = [if bytes[bytes.len() - 1] > 127 && !kind.starts_with('U') { 255 } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let integer = i64::from_le_bytes(wide);
    match kind {
        "Float32" => float(
            f64::from(f32::from_le_bytes(bytes.try_into().expect("4 bytes"))),
            &f32::from_le_bytes(bytes.try_into().expect("4 bytes")),
        ),
        "Float64" => float(f64::from_le_bytes(wide), &f64::from_le_bytes(wide)),
        "UInt64" => u64::from_le_bytes(wide).to_string(),
        "Date32" => format!("\"{}\"", date(integer)),
        "Timestamp" => {
            let per_second = match rest.split([',', ')']).next() {
                Some("s") => 1,
                Some("ms") => 1_000,
                Some("µs") => 1_000_000,
                _ => 1_000_000_000,
            };
            let (seconds, ticks) = (integer.div_euclid(per_second), integer.rem_euclid(per_second));
            let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
            let fraction = match per_second.ilog10() {
                0 => String::new(),
                digits => format!(".{ticks:0width$}", width = digits as usize),
            };
            let zone = if rest.contains('"') { "Z" } else { "" };
            format!("\"{}T{:02}:{:02}:{:02}{fraction}{zone}\"", date(days), second / 3600, second / 60 % 60, second % 60)
        }
        _ => integer.to_string(),
    }
}

fn float(value: f64, shortest: &dyn std::fmt::Debug) -> String {
    if value.is_nan() {
        return "\"NaN\"".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "\"Infinity\"".to_owned() } else { "\"-Infinity\"".to_owned() };
    }
    format!("{shortest:?}")
}

/// Days since 1970-01-01 by the civil calendar (<https://howardhinnant.github.io/date_algorithms.html>).
fn date(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
