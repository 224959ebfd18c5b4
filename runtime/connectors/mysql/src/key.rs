//! The columns that rows are sorted by, and how far reading has come in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mysql_async::Value;

use crate::name::quoted;
use crate::types::Kind;

/// A column that rows are sorted by. Equal for the server means equal for us: texts are compared by
/// their bytes, whatever their collation takes for equal.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    /// Its name.
    pub name: String,
    order: Order,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
    Whole,
    /// Precision and scale.
    Decimal(u32, u32),
    Date,
    DateTime,
    Text,
    Bytes,
}

impl KeyColumn {
    /// A column of a type that has an exact order.
    pub(super) fn of(name: &str, kind: &Kind) -> Option<Self> {
        let order = match kind {
            Kind::Whole(_) => Order::Whole,
            Kind::Decimal(precision, scale) => Order::Decimal(*precision, *scale),
            Kind::Date => Order::Date,
            Kind::DateTime | Kind::Timestamp => Order::DateTime,
            Kind::Text => Order::Text,
            Kind::Bytes => Order::Bytes,
            Kind::Flag | Kind::Bits(_) | Kind::Year | Kind::Float | Kind::Double | Kind::Json | Kind::Time(_) => return None,
        };
        Some(Self { name: name.to_owned(), order })
    }

    /// Whether its values can count up.
    pub(super) fn counts_up(&self) -> bool {
        matches!(self.order, Order::Whole | Order::Date | Order::DateTime)
    }

    /// What the server sorts and compares.
    pub(super) fn expression(&self) -> String {
        let place = format!("q.{}", quoted(&self.name));
        match self.order {
            Order::Text => format!("CAST(CONVERT({place} USING utf8mb4) AS BINARY)"),
            _ => place,
        }
    }

    /// A parameter to compare it with. A decimal as a text would be compared as a float.
    fn parameter(&self) -> String {
        match &self.order {
            Order::Decimal(precision, scale) => format!("CAST(? AS DECIMAL({precision}, {scale}))"),
            Order::Text | Order::Bytes => "CAST(? AS BINARY)".to_owned(),
            Order::Whole | Order::Date | Order::DateTime => "?".to_owned(),
        }
    }

    /// A value as a checkpoint has it; `None` for what the server can't compare with: a null, a date that
    /// is none (some modes of the server make a null of it), a text that is not UTF-8.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        Some(match (value, &self.order) {
            (Value::NULL, _) => return None,
            (Value::Date(year, month, day, ..), _) if !is_date(*year, *month, *day) => return None,
            (Value::Int(number), _) => number.to_string(),
            (Value::UInt(number), _) => number.to_string(),
            (Value::Date(year, month, day, hour, minute, second, micros), _) => {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
            }
            (Value::Bytes(bytes), Order::Text | Order::Decimal(..)) => match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => return None,
            },
            (Value::Bytes(bytes), _) => STANDARD.encode(bytes),
            // Of no type that has an order.
            (Value::Float(_) | Value::Double(_) | Value::Time(..), _) => return None,
        })
    }

    /// The value of a text of a checkpoint.
    pub(super) fn value(&self, text: &str) -> Option<Value> {
        Some(match &self.order {
            Order::Whole => match text.parse() {
                Ok(number) => Value::Int(number),
                Err(_) => Value::UInt(text.parse().ok()?),
            },
            Order::Decimal(..) | Order::Text => Value::Bytes(text.as_bytes().to_vec()),
            Order::Date | Order::DateTime => moment(text)?,
            Order::Bytes => Value::Bytes(STANDARD.decode(text).ok()?),
        })
    }
}

fn is_date(year: u16, month: u8, day: u8) -> bool {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn moment(text: &str) -> Option<Value> {
    let numbers: Vec<u32> = text.split(['-', ' ', ':', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second, micros] = numbers.try_into().ok()?;
    let byte = |number: u32| u8::try_from(number).ok();
    Some(Value::Date(u16::try_from(year).ok()?, byte(month)?, byte(day)?, byte(hour)?, byte(minute)?, byte(second)?, micros))
}

/// The condition that a row comes behind a key, and its parameters. It names the first column alone
/// as well, by which the server finds where to begin.
pub(super) fn behind(columns: &[KeyColumn], key: &[Value]) -> (String, Vec<Value>) {
    let ([first, rest @ ..], [value, values @ ..]) = (columns, key) else { return ("FALSE".to_owned(), Vec::new()) };
    let (place, parameter) = (first.expression(), first.parameter());
    if rest.is_empty() {
        return (format!("{place} > {parameter}"), vec![value.clone()]);
    }
    let (below, parameters) = behind(rest, values);
    let condition = format!("{place} >= {parameter} AND ({place} > {parameter} OR ({below}))");
    (condition, [value.clone(), value.clone()].into_iter().chain(parameters).collect())
}

/// The condition that a row comes no further than a key, and its parameters.
pub(super) fn up_to(columns: &[KeyColumn], key: &[Value]) -> (String, Vec<Value>) {
    let ([first, ..], [value, ..]) = (columns, key) else { return ("FALSE".to_owned(), Vec::new()) };
    let (behind, parameters) = behind(columns, key);
    let condition = format!("{} <= {} AND NOT ({behind})", first.expression(), first.parameter());
    (condition, [value.clone()].into_iter().chain(parameters).collect())
}

/// The condition that a row has the first value of a key and comes no further than the key.
pub(super) fn with_same_first(columns: &[KeyColumn], key: &[Value]) -> (String, Vec<Value>) {
    let ([first, rest @ ..], [value, values @ ..]) = (columns, key) else { return ("FALSE".to_owned(), Vec::new()) };
    let same = format!("{} = {}", first.expression(), first.parameter());
    if rest.is_empty() {
        return (same, vec![value.clone()]);
    }
    let (behind, parameters) = behind(rest, values);
    (format!("{same} AND NOT ({behind})"), [value.clone()].into_iter().chain(parameters).collect())
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    fn column(name: &str, kind: Kind) -> KeyColumn {
        KeyColumn::of(name, &kind).unwrap()
    }

    #[test]
    fn a_value_survives_its_text() {
        let whole = Kind::Whole(DataType::UInt64);
        for (kind, value) in [
            (whole.clone(), Value::UInt(u64::MAX)),
            (whole, Value::Int(-5)),
            (Kind::Decimal(65, 30), Value::Bytes(b"-12.500000000000000000000000000001".to_vec())),
            (Kind::Date, Value::Date(2022, 7, 7, 0, 0, 0, 0)),
            (Kind::Timestamp, Value::Date(2022, 7, 7, 23, 59, 59, 999_999)),
            (Kind::DateTime, Value::Date(2024, 2, 29, 0, 0, 0, 0)),
            (Kind::Text, Value::Bytes("ü'\\".into())),
            (Kind::Bytes, Value::Bytes(vec![0, 255, b'\''])),
        ] {
            let column = column("c", kind);
            assert_eq!(column.value(&column.text(&value).unwrap()), Some(value));
        }
        let id = column("id", Kind::Whole(DataType::Int64));
        assert_eq!((id.text(&Value::NULL), id.value("x")), (None, None));
        for (year, month, day) in [(0, 0, 0), (2022, 0, 1), (2022, 7, 0), (2022, 2, 29), (1900, 2, 29), (2022, 4, 31)] {
            assert_eq!(column("d", Kind::Date).text(&Value::Date(year, month, day, 0, 0, 0, 0)), None, "{year}-{month}-{day}");
        }
        assert!(KeyColumn::of("f", &Kind::Double).is_none() && KeyColumn::of("t", &Kind::Time(0)).is_none());
        assert!(column("d", Kind::Date).counts_up() && !column("t", Kind::Text).counts_up());
    }

    #[test]
    fn conditions_have_their_parameters_in_order() {
        let columns = [column("a", Kind::Date), column("b", Kind::Text), column("c", Kind::Whole(DataType::Int64))];
        let key = [Value::Int(1), Value::Int(2), Value::Int(3)];
        let (condition, parameters) = behind(&columns, &key);
        assert_eq!(condition.matches('?').count(), parameters.len());
        assert_eq!(parameters, [1, 1, 2, 2, 3].map(Value::Int));
        let (condition, parameters) = up_to(&columns[..1], &key[..1]);
        assert_eq!((condition.as_str(), parameters.len()), ("q.`a` <= ? AND NOT (q.`a` > ?)", 2));
        let (condition, parameters) = with_same_first(&columns[..1], &key[..1]);
        assert_eq!((condition.as_str(), parameters.len()), ("q.`a` = ?", 1));
    }
}
