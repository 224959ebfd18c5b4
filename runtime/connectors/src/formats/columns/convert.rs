//! One value into a column: converted where nothing is lost, refused otherwise.

use arrow_schema::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{BadRecord, Column, Step, Texts, Values, offset};
use crate::formats::number::{self, Misfit};
use crate::formats::time::{NotATime, parse_date, parse_timestamp};

impl Texts {
    /// Appends a text.
    #[inline]
    pub(in crate::formats) fn push(&mut self, text: &str) -> Step {
        self.data.push_str(text);
        self.close()
    }

    /// Ends the text that was appended to `data`.
    #[inline]
    pub(in crate::formats) fn close(&mut self) -> Step {
        self.offsets.push(offset(self.data.len())?);
        Ok(())
    }
}

/// Converts a whole number into the type of a vector and pushes it.
macro_rules! push_integer {
    ($values:expr, $number:expr) => {
        match $number {
            Ok(value) => match value.try_into() {
                Ok(value) => Ok($values.push(value)),
                Err(_) => Err(Misfit::Range),
            },
            Err(misfit) => Err(misfit),
        }
    };
}

impl Column {
    /// Appends a value that is a text: a JSON string, a field of CSV.
    ///
    /// # Errors
    /// `wrong-type` or `bad-value`, `out-of-range`: see the table of `formats::json`. The column may have to be truncated then.
    pub fn append_text(&mut self, text: &str) -> Step {
        match &mut self.values {
            Values::Text(texts) => texts.push(text)?,
            Values::Boolean(values) => values.append(match text {
                "true" => true,
                "false" => false,
                _ => return Err(self.bad_value(text, "is not true or false")),
            }),
            Values::Float32(values) => match parse_float(text) {
                Ok(value) => values.push(value),
                Err(misfit) => return Err(self.misfit(text, misfit)),
            },
            Values::Float64(values) => match parse_float(text) {
                Ok(value) => values.push(value),
                Err(misfit) => return Err(self.misfit(text, misfit)),
            },
            Values::Binary { offsets, data } => {
                if STANDARD.decode_vec(text, data).is_err() {
                    return Err(self.bad_value(text, "is not base64 with padding"));
                }
                offsets.push(offset(data.len())?);
            }
            Values::Date(values) => match parse_date(text) {
                Ok(days) => values.push(days),
                Err(why) => return Err(self.not_a_time(text, why, "a date such as 2022-07-07")),
            },
            Values::Timestamp { values, unit } => match parse_timestamp(text, *unit) {
                Ok(value) => values.push(value),
                Err(why) => return Err(self.not_a_time(text, why, "a timestamp such as 2022-07-07T00:18:41")),
            },
            Values::Null | Values::List { .. } | Values::Struct(_) | Values::Map { .. } => return Err(self.wrong_type("a text")),
            _ => self.push_number(text)?,
        }
        self.added();
        Ok(())
    }

    /// Appends a value that is a number, given as it is written.
    ///
    /// # Errors
    /// As for [`append_text`](Self::append_text).
    #[inline]
    pub fn append_number(&mut self, text: &str) -> Step {
        match &mut self.values {
            Values::Text(texts) => texts.push(text)?,
            Values::Float32(_) | Values::Float64(_) => return self.append_text(text),
            Values::Timestamp { values, .. } => match push_integer!(values, number::integer(text)) {
                Ok(()) => {}
                Err(misfit) => return Err(self.misfit(text, misfit)),
            },
            Values::Boolean(_) | Values::Binary { .. } | Values::Date(_) => return Err(self.wrong_type("a number")),
            Values::Null | Values::List { .. } | Values::Struct(_) | Values::Map { .. } => return Err(self.wrong_type("a number")),
            _ => self.push_number(text)?,
        }
        self.added();
        Ok(())
    }

    /// Appends a boolean.
    ///
    /// # Errors
    /// `wrong-type`: the column is neither of booleans nor of text.
    pub fn append_bool(&mut self, value: bool) -> Step {
        match &mut self.values {
            Values::Boolean(values) => values.append(value),
            Values::Text(texts) => texts.push(if value { "true" } else { "false" })?,
            _ => return Err(self.wrong_type("a boolean")),
        }
        self.added();
        Ok(())
    }

    /// Pushes onto a vector of integers or decimals.
    #[inline]
    fn push_number(&mut self, text: &str) -> Step {
        let pushed = match &mut self.values {
            Values::Int8(values) => push_integer!(values, number::integer(text)),
            Values::Int16(values) => push_integer!(values, number::integer(text)),
            Values::Int32(values) => push_integer!(values, number::integer(text)),
            Values::Int64(values) => push_integer!(values, number::integer(text)),
            Values::UInt8(values) => push_integer!(values, number::integer(text)),
            Values::UInt16(values) => push_integer!(values, number::integer(text)),
            Values::UInt32(values) => push_integer!(values, number::integer(text)),
            Values::UInt64(values) => push_integer!(values, number::integer(text)),
            Values::Decimal { values, precision, scale } => number::decimal(text, *precision, *scale).map(|value| values.push(value)),
            _ => Err(Misfit::NotANumber),
        };
        pushed.map_err(|misfit| self.misfit(text, misfit))
    }

    /// The record holds something of another kind than the column.
    #[cold]
    pub(in crate::formats) fn wrong_type(&self, found: &str) -> Box<BadRecord> {
        BadRecord::new("wrong-type", format!("{found} where {} is needed", self.field.data_type()))
    }

    #[cold]
    fn bad_value(&self, text: &str, what: &str) -> Box<BadRecord> {
        BadRecord::new("bad-value", format!("{} {what}", quoted(text)))
    }

    #[cold]
    fn misfit(&self, text: &str, misfit: Misfit) -> Box<BadRecord> {
        let (data_type, text) = (self.field.data_type(), quoted(text));
        match misfit {
            Misfit::NotANumber => BadRecord::new("bad-value", format!("{text} is not a number, and {data_type} is needed")),
            Misfit::Fraction if matches!(data_type, DataType::Decimal128(..)) => {
                BadRecord::new("bad-value", format!("{text} has more digits after the point than {data_type} holds"))
            }
            Misfit::Fraction => BadRecord::new("bad-value", format!("{text} is not a whole number, and {data_type} is needed")),
            Misfit::Range => BadRecord::new("out-of-range", format!("{text} does not fit into {data_type}")),
        }
    }

    #[cold]
    fn not_a_time(&self, text: &str, why: NotATime, wanted: &str) -> Box<BadRecord> {
        let (data_type, text) = (self.field.data_type(), quoted(text));
        match why {
            NotATime::Malformed => BadRecord::new("bad-value", format!("{text} is not {wanted}")),
            NotATime::Range => BadRecord::new("out-of-range", format!("{text} does not fit into {data_type}")),
            NotATime::Fraction => BadRecord::new("bad-value", format!("{text} has more digits after the second than {data_type} holds")),
        }
    }
}

/// The nearest float; the names of the floats that are no numbers are those of the plugin contract.
fn parse_float<T: std::str::FromStr + Float>(text: &str) -> Result<T, Misfit> {
    if !number::is_number(text) {
        return match text {
            "NaN" | "Infinity" | "-Infinity" => text.parse().map_err(|_| Misfit::NotANumber),
            _ => Err(Misfit::NotANumber),
        };
    }
    match text.parse::<T>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(Misfit::Range),
        Err(_) => Err(Misfit::NotANumber),
    }
}

trait Float {
    fn is_finite(&self) -> bool;
}

impl Float for f32 {
    fn is_finite(&self) -> bool {
        f32::is_finite(*self)
    }
}

impl Float for f64 {
    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }
}

/// A value in a message: in quotes, control characters escaped, cut at 100 characters.
pub(in crate::formats) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
