//! A row as the JSON record that the decoder reads.

use arrow_schema::{DataType, Field};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mysql_async::Value;
use serde::de::IgnoredAny;
use wasmill_formats::reading::{AsJson, Reading};

use crate::types::Kind;

/// How rows become records: their columns in the order in which they are selected.
pub(super) struct Layout {
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// `"name":`
    key: Vec<u8>,
    kind: Kind,
    form: Form,
}

/// What is asked of a column's values, where it makes a difference to how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// Zeros and ones as false and true.
    Bool,
    /// Midnights as their dates: the text of a time is no date.
    Date,
    /// Bytes in base64, as JSON has binary.
    Base64,
    /// The digits of the same number with 64 bits.
    Double,
    /// JSON as it is, for columns of objects, lists and JSON.
    Json,
}

impl Form {
    fn of(kind: &Kind, wanted: &Field) -> Self {
        match (kind, wanted.data_type()) {
            (Kind::Flag, wanted) if !wanted.is_numeric() => Self::Bool,
            (Kind::Flag | Kind::Bits(_) | Kind::Whole(_), DataType::Boolean) => Self::Bool,
            (Kind::DateTime | Kind::Timestamp, DataType::Date32) => Self::Date,
            (Kind::Float, DataType::Float64) => Self::Double,
            (Kind::Text | Kind::Json | Kind::Bytes, DataType::Binary) => Self::Base64,
            (Kind::Text | Kind::Json, DataType::Struct(_) | DataType::List(_) | DataType::Map(..)) => Self::Json,
            (Kind::Json, DataType::Utf8) if Reading::of(wanted).json == AsJson::Value => Self::Json,
            _ => Self::Plain,
        }
    }
}

impl Layout {
    /// A layout of no columns.
    pub(super) fn new() -> Self {
        Self { columns: Vec::new() }
    }

    /// The next column, which is `wanted` in this type.
    pub(super) fn push(&mut self, kind: &Kind, wanted: &Field) {
        let key = format!("{}:", serde_json::Value::from(wanted.name().as_str())).into_bytes();
        let form = Form::of(kind, wanted);
        self.columns.push(Column { name: wanted.name().clone(), key, kind: kind.clone(), form });
    }

    /// How many columns a row has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// A row as a JSON object, and the column whose text is not UTF-8, if there is one: the record
    /// is no JSON then, and has the bytes that the server sent.
    pub(super) fn record(&self, values: &[Value]) -> (Vec<u8>, Option<&str>) {
        let (mut out, mut odd) = (Vec::with_capacity(64 * values.len()), None);
        out.push(b'{');
        for (column, value) in self.columns.iter().zip(values) {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&column.key);
            let start = out.len();
            column.write(value, &mut out);
            if odd.is_none() && matches!(value, Value::Bytes(_)) && std::str::from_utf8(&out[start..]).is_err() {
                odd = Some(column.name.as_str());
            }
        }
        out.push(b'}');
        (out, odd)
    }
}

impl Column {
    fn write(&self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::NULL => out.extend_from_slice(b"null"),
            Value::Int(number) => self.whole(i128::from(*number), out),
            Value::UInt(number) => self.whole(i128::from(*number), out),
            // The shortest digits that lead back to the number, with a point or an exponent.
            Value::Float(number) if self.form == Form::Double => put(out, format_args!("{:?}", f64::from(*number))),
            Value::Float(number) => put(out, format_args!("{number:?}")),
            Value::Double(number) => put(out, format_args!("{number:?}")),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                let time = (*hour, *minute, *second, *micros);
                self.moment((*year, *month, *day), time, out);
            }
            Value::Time(is_negative, days, hours, minutes, seconds, micros) => {
                let hours = u64::from(*days) * 24 + u64::from(*hours);
                let sign = if *is_negative { "-" } else { "" };
                put(out, format_args!("\"{sign}{hours:02}:{minutes:02}:{seconds:02}"));
                if let Kind::Time(digits @ 1..) = self.kind {
                    let fraction = format!("{micros:06}");
                    put(out, format_args!(".{}", &fraction[..usize::from(digits.min(6))]));
                }
                out.push(b'"');
            }
            Value::Bytes(bytes) => self.bytes(bytes, out),
        }
    }

    fn whole(&self, number: i128, out: &mut Vec<u8>) {
        match (self.form, number) {
            (Form::Bool, 0) => out.extend_from_slice(b"false"),
            (Form::Bool, 1) => out.extend_from_slice(b"true"),
            _ => put(out, format_args!("{number}")),
        }
    }

    fn moment(&self, (year, month, day): (u16, u8, u8), time: (u8, u8, u8, u32), out: &mut Vec<u8>) {
        put(out, format_args!("\"{year:04}-{month:02}-{day:02}"));
        let is_date = self.kind == Kind::Date || (self.form == Form::Date && time == (0, 0, 0, 0));
        if !is_date {
            let (hour, minute, second, micros) = time;
            put(out, format_args!("T{hour:02}:{minute:02}:{second:02}"));
            if micros > 0 {
                put(out, format_args!(".{micros:06}"));
            }
            if self.kind == Kind::Timestamp {
                out.push(b'Z');
            }
        }
        out.push(b'"');
    }

    fn bytes(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match (&self.kind, self.form) {
            (Kind::Flag | Kind::Bits(_), _) if bytes.len() <= 8 => {
                self.whole(i128::from(bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))), out);
            }
            (Kind::Decimal(..), _) => match plain_decimal(bytes) {
                Some(digits) => out.extend_from_slice(digits.as_bytes()),
                None => text(bytes, out),
            },
            (_, Form::Base64) => {
                out.push(b'"');
                out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                out.push(b'"');
            }
            (_, Form::Json) if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => out.extend_from_slice(bytes),
            _ => text(bytes, out),
        }
    }
}

/// `ZEROFILL` writes zeros before a number, which JSON does not know.
fn plain_decimal(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || fraction.is_some_and(|fraction| fraction.is_empty() || !is_digits(fraction)) || digits.is_empty() {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    })
}

/// A text in quotes, its bytes as they are.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => put(out, format_args!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = std::io::Write::write_fmt(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, wanted: DataType, value: Value) -> String {
        let mut layout = Layout::new();
        layout.push(&kind, &Field::new("c", wanted, true));
        let (record, odd) = layout.record(&[value]);
        assert_eq!(odd, None);
        let record = String::from_utf8(record).unwrap();
        serde_json::from_str::<IgnoredAny>(&record).unwrap_or_else(|error| panic!("{record}: {error}"));
        record.strip_prefix("{\"c\":").unwrap().strip_suffix('}').unwrap().to_owned()
    }

    fn plain(kind: Kind, value: Value) -> String {
        let wanted = kind.arrow();
        written(kind, wanted, value)
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let whole = Kind::Whole;
        assert_eq!(plain(whole(DataType::UInt64), Value::UInt(u64::MAX)), "18446744073709551615");
        assert_eq!(plain(whole(DataType::Int64), Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(plain(Kind::Float, Value::Float(f32::MAX)), "3.4028235e38");
        assert_eq!(plain(Kind::Float, Value::Float(0.1)), "0.1");
        assert_eq!(written(Kind::Float, DataType::Float64, Value::Float(0.1)), "0.10000000149011612");
        assert_eq!(plain(Kind::Double, Value::Double(1e-320)), "1e-320");
        assert_eq!(plain(Kind::Double, Value::Double(1e22)), "1e22");
        for (text, expected) in [("0012.50", "12.50"), ("-0.10", "-0.10"), (".5", "0.5"), ("000", "0"), ("1e5", "\"1e5\""), ("", "\"\"")] {
            assert_eq!(plain(Kind::Decimal(10, 2), Value::Bytes(text.into())), expected, "{text}");
        }
    }

    #[test]
    fn bits_are_numbers_or_truths() {
        assert_eq!(plain(Kind::Flag, Value::Bytes(vec![1])), "true");
        assert_eq!(written(Kind::Flag, DataType::Int8, Value::Bytes(vec![1])), "1");
        assert_eq!(plain(Kind::Bits(64), Value::Bytes(vec![0xff; 8])), "18446744073709551615");
        assert_eq!(plain(Kind::Bits(12), Value::Bytes(vec![0x0a, 0x01])), "2561");
        let tiny = Kind::Whole(DataType::Int8);
        assert_eq!(written(tiny.clone(), DataType::Boolean, Value::Int(0)), "false");
        assert_eq!(written(tiny, DataType::Boolean, Value::Int(2)), "2", "the decoder rejects it");
    }

    #[test]
    fn times_are_written_as_they_are() {
        let at = Value::Date(2022, 7, 7, 0, 18, 41, 25);
        assert_eq!(plain(Kind::DateTime, at.clone()), "\"2022-07-07T00:18:41.000025\"");
        assert_eq!(plain(Kind::Timestamp, at), "\"2022-07-07T00:18:41.000025Z\"");
        let midnight = Value::Date(2022, 7, 7, 0, 0, 0, 0);
        assert_eq!(plain(Kind::DateTime, midnight.clone()), "\"2022-07-07T00:00:00\"");
        assert_eq!(written(Kind::DateTime, DataType::Date32, midnight), "\"2022-07-07\"");
        assert_eq!(plain(Kind::Date, Value::Date(0, 0, 0, 0, 0, 0, 0)), "\"0000-00-00\"");
        assert_eq!(plain(Kind::Time(0), Value::Time(true, 34, 22, 59, 59, 0)), "\"-838:59:59\"");
        assert_eq!(plain(Kind::Time(3), Value::Time(false, 0, 1, 2, 3, 4_000)), "\"01:02:03.004\"");
    }

    #[test]
    fn texts_and_bytes() {
        let bytes = Value::Bytes("a\"\\\n\u{1}ü".into());
        assert_eq!(plain(Kind::Text, bytes.clone()), "\"a\\\"\\\\\\u000a\\u0001ü\"");
        assert_eq!(written(Kind::Text, DataType::Binary, Value::Bytes(b"ab".to_vec())), "\"YWI=\"");
        assert_eq!(plain(Kind::Bytes, Value::Bytes(vec![0, 255])), "\"AP8=\"");
        assert_eq!(written(Kind::Bytes, DataType::Utf8, Value::Bytes(b"ab".to_vec())), "\"ab\"");
        let list = DataType::new_list(DataType::Int64, true);
        assert_eq!(written(Kind::Json, list.clone(), Value::Bytes(b"[1, 2]".to_vec())), "[1, 2]");
        assert_eq!(written(Kind::Text, list, Value::Bytes(b"1, \"d\": 2".to_vec())), "\"1, \\\"d\\\": 2\"");
        assert_eq!(plain(Kind::Text, Value::NULL), "null");
    }

    #[test]
    fn a_text_that_is_not_utf8_is_noticed_and_kept() {
        let mut layout = Layout::new();
        layout.push(&Kind::Text, &Field::new("a", DataType::Utf8, true));
        layout.push(&Kind::Text, &Field::new("b", DataType::Utf8, true));
        let (record, odd) = layout.record(&[Value::Bytes(b"x".to_vec()), Value::Bytes(vec![b'y', 0xff])]);
        assert_eq!((record.as_slice(), odd), (&b"{\"a\":\"x\",\"b\":\"y\xff\"}"[..], Some("b")));
    }
}
