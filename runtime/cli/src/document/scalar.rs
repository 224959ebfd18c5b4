//! A scalar of YAML, and what it means by the core schema of YAML 1.2.

use std::fmt;
use std::ops::Range;

/// A scalar as it was written.
#[derive(Clone)]
pub struct Scalar {
    /// Its text, after interpolation.
    pub text: String,
    /// Whether it was written without quotes, so that `12` is a number.
    pub plain: bool,
    /// Whether a part of it was interpolated: it may then be read as text, whatever its form.
    pub interpolated: bool,
    /// The parts of the text that came from outside of the file, in bytes. Defaults are in the file.
    pub outside: Vec<Range<usize>>,
    /// Whether it must never be shown.
    pub secret: bool,
    /// Whether a part of it could not be interpolated: its value is unknown, and the text is as it
    /// was written.
    pub unknown: bool,
    /// Whether that is because what it refers to is not set, in a check that does without.
    pub unset: bool,
}

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Nothing: `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Anything else.
    Text,
}

impl Scalar {
    /// A scalar as written in a file.
    pub fn new(text: impl Into<String>, plain: bool) -> Self {
        Self { text: text.into(), plain, interpolated: false, outside: Vec::new(), secret: false, unknown: false, unset: false }
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        if self.plain { kind_of(&self.text) } else { Kind::Text }
    }

    /// Whether it may be read as text: what was interpolated always may, since `${env:PASSWORD}` is one even when it is `12345`.
    pub fn is_text(&self) -> bool {
        self.interpolated || self.kind() == Kind::Text
    }

    /// How to name it in a message: its value, unless that is secret.
    pub fn describe(&self) -> String {
        if self.secret {
            return "a secret value".into();
        }
        let text = crate::diagnostics::shorten(&self.text, 60);
        match self.kind() {
            Kind::Null => "nothing".into(),
            Kind::Boolean(_) | Kind::Text => format!("`{text}`"),
            Kind::Integer(_) | Kind::Float(_) => format!("the number `{text}`"),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secret { "(secret)" } else { &self.text })
    }
}

fn kind_of(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Boolean(true),
        "false" | "False" | "FALSE" => return Kind::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        _ => {}
    }
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    let integer = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => radix(digits, 16),
        (_, Some(digits)) => radix(digits, 8),
        _ => text.parse().ok(),
    };
    if let Some(integer) = integer {
        return Kind::Integer(integer);
    }
    let numeric = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match text.parse() {
        Ok(float) if numeric => Kind::Float(float),
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_core_schema() {
        let cases = [
            ("12", Kind::Integer(12)),
            ("-3", Kind::Integer(-3)),
            ("0x1F", Kind::Integer(31)),
            ("1e3", Kind::Float(1000.0)),
            ("yes", Kind::Text),
            ("0x-1", Kind::Text),
            ("inf", Kind::Text),
            ("e", Kind::Text),
            ("", Kind::Null),
            ("True", Kind::Boolean(true)),
        ];
        for (text, kind) in cases {
            assert_eq!(kind_of(text), kind, "{text}");
        }
    }

    #[test]
    fn a_secret_shows_nowhere() {
        let scalar = Scalar { secret: true, ..Scalar::new("hunter2", true) };
        assert!(!format!("{scalar:?} {}", scalar.describe()).contains("hunter2"));
    }
}
