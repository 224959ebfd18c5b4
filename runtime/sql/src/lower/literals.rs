//! Values that are written in the expression.

use std::ops::Range;

use arrow_array::types::Decimal128Type;
use arrow_cast::parse::{parse_decimal, parse_interval_month_day_nano};
use datafusion_common::ScalarValue;
use sqlparser::ast::{Expr, Interval, TypedString, Value};

use super::{Lower, Typed};
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::types::{WRITTEN, arrow_type};

impl Lower<'_> {
    pub(super) fn value(&self, value: &Value, span: Range<usize>) -> Result<Typed, SqlProblem> {
        let literal = match value {
            Value::Null => ScalarValue::Null,
            Value::Boolean(value) => ScalarValue::Boolean(Some(*value)),
            Value::Number(digits, _) => return self.number(digits, span),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
                ScalarValue::Utf8(Some(text.clone()))
            }
            Value::HexStringLiteral(digits) => match hex(digits) {
                Some(bytes) => ScalarValue::Binary(Some(bytes)),
                None => return Err(SqlProblem::new(ProblemKind::Syntax, "these are no hexadecimal bytes", span)),
            },
            Value::Placeholder(name) => {
                let problem = SqlProblem::new(ProblemKind::Unsupported, format!("`{}` is a placeholder", shorten(name, 40)), span);
                return Err(problem.help("`${env:NAME}` puts a value into the file"));
            }
            other => {
                let message = format!("the literal `{}` can't be used here", shorten(&other.to_string(), 60));
                return Err(SqlProblem::new(ProblemKind::Unsupported, message, span).help("write texts in single quotes"));
            }
        };
        Ok(Typed::literal(literal))
    }

    /// A number without a point is an integer, one with a point a decimal, one with an exponent a float.
    pub(super) fn number(&self, digits: &str, span: Range<usize>) -> Result<Typed, SqlProblem> {
        let refused = || SqlProblem::new(ProblemKind::Type, format!("`{}` has more than 38 digits", shorten(digits, 60)), span.clone());
        if let Ok(number) = digits.parse::<i64>() {
            return Ok(Typed::literal(ScalarValue::Int64(Some(number))));
        }
        if let Ok(number) = digits.parse::<u64>() {
            return Ok(Typed::literal(ScalarValue::UInt64(Some(number))));
        }
        if digits.contains(['e', 'E']) {
            let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
            let number =
                number.ok_or_else(|| SqlProblem::new(ProblemKind::Type, format!("`{}` is no float", shorten(digits, 60)), span))?;
            return Ok(Typed::literal(ScalarValue::Float64(Some(number))));
        }
        let (whole, fraction) = digits.trim_start_matches('-').split_once('.').unwrap_or((digits.trim_start_matches('-'), ""));
        let scale = fraction.len();
        let precision = (whole.trim_start_matches('0').len() + scale).max(1);
        let (Ok(precision @ 1..=38), Ok(scale)) = (u8::try_from(precision), i8::try_from(scale)) else { return Err(refused()) };
        let value = parse_decimal::<Decimal128Type>(digits, precision, scale).map_err(|_| refused())?;
        Ok(Typed::literal(ScalarValue::Decimal128(Some(value), precision, scale)))
    }

    /// `DATE '2026-01-31'`
    pub(super) fn typed_text(&self, written: &TypedString) -> Result<Typed, SqlProblem> {
        let span = self.places.range(written.value.span);
        let target = arrow_type(&written.data_type);
        let target = target.map_err(|why| SqlProblem::new(ProblemKind::Type, why, span).help(format!("types are {WRITTEN}")))?;
        let text = self.value(&written.value.value, self.places.range(written.value.span))?;
        self.literal_as(&text, &target, &Expr::Value(written.value.clone()))
    }

    /// `INTERVAL '1 day'`, `INTERVAL '15' MINUTE`
    pub(super) fn interval(&self, interval: &Interval) -> Result<Typed, SqlProblem> {
        let span = self.places.of_part(&*interval.value);
        let refused = |help: &str| {
            let problem = SqlProblem::new(ProblemKind::Syntax, "this is no interval", span.clone());
            problem.help(help)
        };
        const EXAMPLE: &str = "for example: INTERVAL '1 day', INTERVAL '1 hour 30 minutes'";
        let Expr::Value(value) = &*interval.value else { return Err(refused(EXAMPLE)) };
        let amount = match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            Value::Number(digits, _) => digits.clone(),
            _ => return Err(refused(EXAMPLE)),
        };
        if interval.last_field.is_some() || interval.leading_precision.is_some() || interval.fractional_seconds_precision.is_some() {
            return Err(refused(EXAMPLE));
        }
        let text = match &interval.leading_field {
            Some(field) => format!("{amount} {field}"),
            // Without a unit it would be seconds, silently.
            None if amount.trim().parse::<f64>().is_ok() => return Err(refused("name its unit: INTERVAL '1 day'")),
            None => amount,
        };
        let value = parse_interval_month_day_nano(&text).map_err(|_| refused(EXAMPLE))?;
        Ok(Typed::literal(ScalarValue::IntervalMonthDayNano(Some(value))))
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok());
    pairs.collect()
}
