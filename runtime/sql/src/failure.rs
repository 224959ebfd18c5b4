//! Why a row could not be computed.

use std::any::Any;

use arrow_schema::ArrowError;
use datafusion_common::DataFusionError;

use crate::problem::shorten;

/// The code of rows with a value that a conversion does not take.
pub const CAST: &str = "sql-cast";
/// The code of rows that divide by zero.
pub const DIVISION_BY_ZERO: &str = "sql-division-by-zero";
/// The code of rows whose result is larger than its type holds.
pub const OUT_OF_RANGE: &str = "sql-out-of-range";
/// The code of rows with a value that a function does not take.
pub const VALUE: &str = "sql-value";

/// Why an expression has no value for some row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: &'static str,
    /// The reason for people, without the expression.
    pub message: String,
}

impl Failure {
    fn new(code: &'static str, what: &str, why: &str) -> Self {
        // The parser of patterns draws a picture of several lines, of which the last one says what is wrong.
        let (what, why) = match why.rsplit_once("error: ").filter(|_| why.contains("regex parse error")) {
            Some((_, why)) => ("the pattern is no regular expression", why.lines().next().unwrap_or_default()),
            None => (what, why),
        };
        let why = shorten(why, 300);
        Self { code, message: if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") } }
    }

    /// A function that gave up on a value instead of refusing it.
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let why = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new(VALUE, "a function gave up on a value", why.unwrap_or_default())
    }

    /// A result that needs more digits than its type has.
    pub fn of_digits(error: &ArrowError) -> Self {
        Self::new(OUT_OF_RANGE, "the result has too many digits", &text_of(error))
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ArrowError(error, _) => Self::from(&**error),
            root => {
                let text = root.strip_backtrace();
                let why = ["Execution error: ", "Error during planning: ", "Internal error: "]
                    .into_iter()
                    .fold(text.as_str(), |text, prefix| text.trim_start_matches(prefix));
                // Functions of DataFusion report some overflows in words only.
                match why.to_lowercase() {
                    lower if lower.contains("overflow") || lower.contains("out of range") => {
                        Self::new(OUT_OF_RANGE, "the result is out of range", why)
                    }
                    lower if lower.contains("error parsing timestamp") || lower.contains("cast") => {
                        Self::new(CAST, "the value can't be converted", why)
                    }
                    _ => Self::new(VALUE, "a function does not take the value", why),
                }
            }
        }
    }
}

impl From<&ArrowError> for Failure {
    fn from(error: &ArrowError) -> Self {
        let text = text_of(error);
        match error {
            ArrowError::DivideByZero => Self::new(DIVISION_BY_ZERO, "division by zero", ""),
            ArrowError::ArithmeticOverflow(_) => Self::new(OUT_OF_RANGE, "the result is out of range", &text),
            ArrowError::CastError(_) | ArrowError::ParseError(_) => Self::new(CAST, "the value can't be converted", &text),
            ArrowError::InvalidArgumentError(_) if text.contains("Decimal") => {
                Self::new(OUT_OF_RANGE, "the result has too many digits", &text)
            }
            ArrowError::ComputeError(_) | ArrowError::OffsetOverflowError(_)
                if ["overflow", "range"].iter().any(|word| text.to_lowercase().contains(word)) =>
            {
                Self::new(OUT_OF_RANGE, "the result is out of range", &text)
            }
            ArrowError::ExternalError(inner) => match inner.downcast_ref::<ArrowError>() {
                Some(inner) => Self::from(inner),
                None => Self::new(VALUE, "a function does not take the value", &text),
            },
            _ => Self::new(VALUE, "a function does not take the value", &text),
        }
    }
}

/// The message without the name of its kind.
fn text_of(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::ArithmeticOverflow(text)
        | ArrowError::InvalidArgumentError(text) => text.clone(),
        other => other.to_string(),
    }
}
