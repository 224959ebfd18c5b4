//! One value into a column: converted where nothing is lost, rejected otherwise.

use arrow_schema::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{BadRecord, Column, Step, Texts, Values, offset};
use crate::TypeName;
use crate::number::{self, Misfit};
use crate::reading::{Reading, unit_name};
use crate::time::{NotATime, TimeForm, parse_date, parse_timestamp_cutting, unit_digits};

impl Texts {
    /// Appends a text.
    #[inline]
    pub(crate) fn push(&mut self, text: &str) -> Step {
        self.data.push_str(text);
        self.close()
    }

    /// Ends the text that was appended to `data`.
    #[inline]
    pub(crate) fn close(&mut self) -> Step {
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
    /// Appends a value that is a text: a JSON string, a field of CSV, a text of a column.
    ///
    /// # Errors
    /// `wrong-type` or `bad-value`, `out-of-range`: see `docs/conversions.md`. The column may have to be truncated then.
    pub fn append_text(&mut self, text: &str) -> Step {
        match &mut self.values {
            Values::Text(texts) => texts.push(text)?,
            Values::Boolean(values) => values.append(match text {
                "true" => true,
                "false" => false,
                _ if text.eq_ignore_ascii_case("true") => true,
                _ if text.eq_ignore_ascii_case("false") => false,
                _ => return Err(self.bad_value(text, "is not true or false")),
            }),
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
            Values::Timestamp { reading: Reading { epoch: Some(_), .. }, .. } if number::is_number(text) => {
                return self.append_number(text);
            }
            Values::Timestamp { values, unit, reading } => match parse_timestamp_cutting(text, *unit, reading.cut) {
                Ok(_) if reading.exact_form && !has_form_of(text, self.field.data_type()) => return Err(self.other_form(text)),
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
            Values::Timestamp { values, unit, reading: Reading { epoch: Some(epoch), cut, .. } } => {
                match number::epoch(text, unit_digits(*epoch), unit_digits(*unit), *cut) {
                    Ok(value) => values.push(value),
                    Err(misfit) => return Err(self.misfit(text, misfit)),
                }
            }
            Values::Boolean(_) | Values::Binary { .. } | Values::Date(_) | Values::Timestamp { .. } => {
                return Err(self.wrong_type("a number"));
            }
            Values::Null | Values::List { .. } | Values::Struct(_) | Values::Map { .. } => return Err(self.wrong_type("a number")),
            _ => self.push_number(text)?,
        }
        self.added();
        Ok(())
    }

    /// Appends the JSON text of a value to a column of text.
    ///
    /// # Errors
    /// `wrong-type`: the column is not of text.
    pub(crate) fn append_json(&mut self, json: &str) -> Step {
        let Values::Text(texts) = &mut self.values else { return Err(self.wrong_type("JSON")) };
        texts.push(json)?;
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

    /// Pushes onto a vector of numbers.
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
            Values::Float32(values) => number::float(text).map(|value| values.push(value)),
            Values::Float64(values) => number::float(text).map(|value| values.push(value)),
            Values::Decimal { values, precision, scale } => number::decimal(text, *precision, *scale).map(|value| values.push(value)),
            _ => Err(Misfit::NotANumber),
        };
        pushed.map_err(|misfit| self.misfit(text, misfit))
    }

    /// The record holds something of another kind than the column.
    #[cold]
    pub(crate) fn wrong_type(&self, found: &str) -> Box<BadRecord> {
        wrong_type(found, self.field.data_type())
    }

    #[cold]
    fn bad_value(&self, text: &str, what: &str) -> Box<BadRecord> {
        BadRecord::new("bad-value", format!("{} {what}", quoted(text)))
    }

    #[cold]
    fn misfit(&self, text: &str, why: Misfit) -> Box<BadRecord> {
        misfit(&quoted(text), why, self.field.data_type())
    }

    /// A time in another form than the column's.
    #[cold]
    fn other_form(&self, text: &str) -> Box<BadRecord> {
        let why = match TimeForm::of_time(text) {
            TimeForm::Date => "has no time of day",
            TimeForm::Local => "has no time zone",
            TimeForm::Zoned => "has a time zone",
        };
        let name = TypeName(self.field.data_type());
        BadRecord::new("bad-value", format!("{} {why}, and the column is read as {name}", quoted(text)))
    }

    #[cold]
    fn not_a_time(&self, text: &str, why: NotATime, wanted: &str) -> Box<BadRecord> {
        let (data_type, text) = (self.field.data_type(), quoted(text));
        match why {
            NotATime::Malformed => BadRecord::new("bad-value", format!("{text} is not {wanted}")),
            NotATime::Range => misfit(&text, Misfit::Range, data_type),
            NotATime::Fraction => misfit(&text, Misfit::Fraction, data_type),
        }
    }
}

/// Whether a text that is a timestamp has a time of day, and a time zone exactly where the type has one.
fn has_form_of(text: &str, data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, Some(_)) => TimeForm::of_time(text) == TimeForm::Zoned,
        _ => TimeForm::of_time(text) == TimeForm::Local,
    }
}

/// A value of a kind that never becomes the type that is needed.
#[cold]
pub(crate) fn wrong_type(found: &str, needed: &DataType) -> Box<BadRecord> {
    let mut message = format!("{found} where {} is needed", TypeName(needed));
    if let DataType::Timestamp(unit, zone) = needed
        && found.contains("number")
    {
        let zone = zone.as_ref().map_or_else(String::new, |zone| format!("{zone}, "));
        message += &format!(": declare what numbers count, as in `timestamp({}, {zone}epoch: ms)`", unit_name(*unit));
    }
    if *needed == DataType::Utf8 {
        message += ": the type `json` keeps it as its text";
    }
    BadRecord::new("wrong-type", message)
}

/// A value, as it is shown, that loses something in the type that is needed.
#[cold]
pub(crate) fn misfit(shown: &str, why: Misfit, needed: &DataType) -> Box<BadRecord> {
    let name = TypeName(needed);
    match (why, needed) {
        (Misfit::NotANumber, _) => BadRecord::new("bad-value", format!("{shown} is not a number, and {name} is needed")),
        (Misfit::Fraction, DataType::Decimal128(..)) => {
            BadRecord::new("bad-value", format!("{shown} has more digits after the point than {name} holds"))
        }
        (Misfit::Fraction, DataType::Timestamp(unit, zone)) => {
            let zone = zone.as_ref().map_or_else(String::new, |zone| format!("{zone}, "));
            let way_out = format!("`timestamp({}, {zone}cut)` cuts them", unit_name(*unit));
            BadRecord::new("bad-value", format!("{shown} has more digits of a second than {name} holds: {way_out}"))
        }
        (Misfit::Fraction, DataType::Date32) => BadRecord::new("bad-value", format!("{shown} is not midnight, and {name} is needed")),
        (Misfit::Fraction, _) => BadRecord::new("bad-value", format!("{shown} is not a whole number, and {name} is needed")),
        (Misfit::Digits, _) => BadRecord::new("bad-value", format!("{shown} has more digits than {name} holds")),
        (Misfit::Range, _) => BadRecord::new("out-of-range", format!("{shown} does not fit into {name}")),
    }
}

/// A value in a message: in quotes, control characters escaped, cut at 100 characters.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
