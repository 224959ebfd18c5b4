//! Converts values of one Arrow type to another. What loses nothing converts; the rest is reported
//! value by value.
//!
//! `docs/conversions.md` has the table. A conversion is planned once for two types and applied to
//! columns. Columns of the wanted type are free, what always fits is cast by Arrow's kernels, and
//! nested types are matched by the names of their fields.

mod nested;
mod numbers;
mod rows;
#[cfg(test)]
mod tests;
mod texts;
mod times;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, StringArray, make_array, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use wasmill_error::{Error, Result};

pub use self::rows::{Converted, RowConversion, check_columns, with_types};
use super::columns::{BadRecord, wrong_type};
use super::plain_type;
use crate::TypeName;
use crate::codes::{BATCH_TOO_LARGE, UNSUPPORTED_TYPE};
use crate::reading::{AsJson, Reading, bare_field};

/// The conversion of columns of one type into those of one field.
pub(crate) struct Conversion {
    from: DataType,
    /// The type on the short list that `from` is brought to first.
    plain: DataType,
    /// What comes out; its type carries no choices of reading.
    to: FieldRef,
    kind: Kind,
}

enum Kind {
    /// The types are the same.
    Same,
    /// Only nulls come.
    Nulls,
    /// No value converts. The text describes the values in messages.
    Never(String),
    /// Every value fits: Arrow's kernel does it.
    Cast,
    Number,
    /// A time or a date as another one.
    Time {
        cut: bool,
    },
    /// Whole numbers as times.
    Epoch {
        unit: TimeUnit,
        cut: bool,
    },
    BinaryToText,
    /// By way of what the value is as text.
    FromText(Reading),
    /// As for text, but the text is a number; checked by way back where `exact`.
    Numerals {
        reading: Reading,
        exact: bool,
    },
    /// As a text, or as the text of JSON.
    ToText {
        json: bool,
    },
    List(Box<Conversion>),
    Map(Box<Conversion>, Box<Conversion>),
    /// For each field that is wanted the one that there is.
    Struct(Vec<(Option<usize>, Conversion)>),
}

/// The values of a column that do not convert: their places, each with the reason. In order, each
/// place once.
pub(crate) type Misfits = Vec<(usize, Box<BadRecord>)>;

impl Conversion {
    /// Plans the conversion of columns of type `from` into those of a field.
    ///
    /// # Errors
    /// Configuration: `from` is a type that is not supported at all.
    pub fn new(from: &DataType, to: &Field) -> Result<Self> {
        let plain = plain_type(from).ok_or_else(|| {
            Error::configuration(format!("column {}: the type {} is not supported", to.name(), TypeName(from)))
                .code(UNSUPPORTED_TYPE)
                .hint("leave the column out of the `schema`, or let its writer convert it first")
        })?;
        let reading = Reading::of(to);
        let bare = bare_field(&Arc::new(to.clone()));
        let kind = match is_text(&bare) && reading.json != AsJson::No {
            true => kind_to_json(&plain, reading.json),
            false => kind(&plain, to, reading)?,
        };
        Ok(Self { from: from.clone(), plain, to: bare, kind })
    }

    /// Converts a column; values where `parent` is null do not matter. Values that do not convert
    /// are reported, and their places hold unspecified values.
    ///
    /// # Errors
    /// A bug.
    pub fn apply(&self, column: &ArrayRef, parent: Option<&NullBuffer>) -> Result<(ArrayRef, Misfits)> {
        if *column.data_type() != self.from {
            let (name, found) = (self.to.name(), TypeName(column.data_type()));
            return Err(Error::bug(format!("column {name} came as {found} and was expected as {}", TypeName(&self.from))));
        }
        let plain = match self.plain == self.from {
            true => Arc::clone(column),
            false => cast(column, &self.plain)?,
        };
        let (converted, mut misfits) = self.convert(&plain)?;
        if let Some(parent) = parent {
            misfits.retain(|(place, _)| parent.is_valid(*place));
        }
        self.refuse_nulls(converted, parent, misfits)
    }

    fn convert(&self, column: &ArrayRef) -> Result<(ArrayRef, Misfits)> {
        let to = self.to.data_type();
        match &self.kind {
            Kind::Same => Ok((Arc::clone(column), Vec::new())),
            Kind::Nulls => Ok((new_null_array(to, column.len()), Vec::new())),
            Kind::Never(found) => {
                let places = (0..column.len()).filter(|&place| column.is_valid(place));
                Ok((new_null_array(to, column.len()), places.map(|place| (place, wrong_type(found, to))).collect()))
            }
            Kind::Cast => Ok((cast(column, to)?, Vec::new())),
            Kind::Number => numbers::convert(column, to),
            Kind::Time { cut } => times::convert(column, to, *cut),
            Kind::Epoch { unit, cut } => times::from_numbers(column, to, *unit, *cut),
            Kind::BinaryToText => binary_to_text(column),
            Kind::FromText(reading) => texts::from_text(column, &self.to, *reading),
            Kind::Numerals { reading, exact } => texts::from_numerals(column, &self.to, *reading, *exact),
            Kind::ToText { json } => texts::to_text(column, *json),
            Kind::List(item) => nested::list(column, item, &self.to),
            Kind::Map(key, value) => nested::map(column, key, value, &self.to),
            Kind::Struct(fields) => nested::structure(column, fields, &self.to),
        }
    }

    /// Reports nulls of a column that may have none, and removes them.
    fn refuse_nulls(&self, column: ArrayRef, parent: Option<&NullBuffer>, misfits: Misfits) -> Result<(ArrayRef, Misfits)> {
        if self.to.is_nullable() || column.logical_null_count() == 0 {
            return Ok((column, misfits));
        }
        let mut reported = misfits.into_iter().peekable();
        let mut all = Vec::new();
        for place in 0..column.len() {
            if let Some(misfit) = reported.next_if(|(other, _)| *other == place) {
                all.push(misfit);
            } else if column.is_null(place) && parent.is_none_or(|parent| parent.is_valid(place)) {
                let message = format!("a null where {} is needed", TypeName(self.to.data_type()));
                all.push((place, BadRecord::new("null-value", message)));
            }
        }
        Ok((nested::without_nulls(&column)?, all))
    }
}

fn is_text(field: &Field) -> bool {
    *field.data_type() == DataType::Utf8
}

/// A text column that takes JSON.
fn kind_to_json(from: &DataType, json: AsJson) -> Kind {
    match from {
        DataType::Null => Kind::Nulls,
        _ if json == AsJson::Value || from.is_nested() => Kind::ToText { json: true },
        DataType::Utf8 => Kind::Same,
        DataType::Binary => Kind::BinaryToText,
        _ => Kind::ToText { json: false },
    }
}

/// The table of `docs/conversions.md`. `from` is on the short list; `to` carries the choices of reading.
fn kind(from: &DataType, to: &Field, reading: Reading) -> Result<Kind> {
    use DataType as T;
    let never = || Kind::Never(in_words(from));
    let is_float = |of: &DataType| matches!(of, T::Float32 | T::Float64);
    Ok(match (from, to.data_type()) {
        (T::Null, _) => Kind::Nulls,
        (from, wanted) if from == wanted => Kind::Same,
        (T::List(item), T::List(wanted)) => Kind::List(Box::new(Conversion::new(item.data_type(), wanted)?)),
        (T::Map(entries, _), T::Map(wanted, _)) => match (nested::key_and_value(entries), nested::key_and_value(wanted)) {
            (Some((key, value)), Some((wanted_key, wanted_value))) => Kind::Map(
                Box::new(Conversion::new(key.data_type(), wanted_key)?),
                Box::new(Conversion::new(value.data_type(), wanted_value)?),
            ),
            _ => never(),
        },
        (T::Struct(fields), T::Struct(wanted)) => match nested::matched(fields, wanted)? {
            Some(matched) => Kind::Struct(matched),
            None => Kind::Never(format!("{} (no field has the same name)", in_words(from))),
        },
        (from, wanted) if from.is_nested() || wanted.is_nested() || *wanted == T::Null => never(),
        (T::Utf8, T::Binary) => Kind::Cast,
        (T::Utf8, _) => Kind::FromText(reading),
        (T::Binary, T::Utf8) => Kind::BinaryToText,
        (T::Binary, _) | (_, T::Binary) => never(),
        (_, T::Utf8) => Kind::ToText { json: false },
        (T::Boolean, _) | (_, T::Boolean) => never(),
        (from, T::Decimal128(..)) if is_float(from) => Kind::Numerals { reading, exact: false },
        (T::Decimal128(..), wanted) if is_float(wanted) => Kind::Numerals { reading, exact: true },
        (from, wanted) if from.is_numeric() && wanted.is_numeric() => match numbers::always_fits(from, wanted) {
            true => Kind::Cast,
            false => Kind::Number,
        },
        (from, T::Timestamp(..)) if from.is_numeric() => match reading.epoch {
            Some(unit) if from.is_integer() && *from != T::UInt64 => Kind::Epoch { unit, cut: reading.cut },
            // By way of their digits: 64 bits without a sign are more than a time has.
            Some(_) => Kind::Numerals { reading, exact: false },
            None => Kind::Never(format!("{}, a number,", in_words(from))),
        },
        (T::Timestamp(..) | T::Date32, T::Timestamp(..) | T::Date32) => Kind::Time { cut: reading.cut },
        _ => never(),
    })
}

/// `an int64`, `a struct<…>`: a type with its article.
fn in_words(data_type: &DataType) -> String {
    let name = TypeName(data_type).to_string();
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Arrow's cast, for what always fits.
fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = arrow_cast::CastOptions { safe: false, ..arrow_cast::CastOptions::default() };
    arrow_cast::cast_with_options(column, to, &options).map_err(|error| {
        Error::environment(format!("a column of {} can't be held as {}: {error}", TypeName(column.data_type()), TypeName(to)))
            .code(BATCH_TOO_LARGE)
            .hint("reduce `batch_rows`: a batch holds at most 2 GiB of a column")
    })
}

fn binary_to_text(column: &ArrayRef) -> Result<(ArrayRef, Misfits)> {
    let binaries: &BinaryArray = arrow_array::cast::AsArray::as_binary(column);
    if let Ok(texts) = StringArray::try_from_binary(binaries.clone()) {
        return Ok((Arc::new(texts), Vec::new()));
    }
    let mut misfits = Vec::new();
    let texts: StringArray = binaries
        .iter()
        .enumerate()
        .map(|(place, bytes)| {
            bytes.map(|bytes| {
                std::str::from_utf8(bytes).unwrap_or_else(|error| {
                    let (at, byte) = (error.valid_up_to(), bytes.get(error.valid_up_to()).copied().unwrap_or_default());
                    misfits.push((place, BadRecord::new("invalid-utf8", format!("the byte {byte:#04x} at byte {at} is not UTF-8"))));
                    ""
                })
            })
        })
        .collect();
    Ok((Arc::new(texts), misfits))
}

/// A column with other nulls. For columns that are known to fit.
fn with_nulls(column: &ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let data = column.to_data().into_builder().nulls(nulls).build();
    data.map(make_array).map_err(|error| Error::bug(format!("a column does not take its nulls: {error}")))
}
