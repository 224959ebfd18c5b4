//! Quantities with units: periods, sizes, shares.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A length of time with its unit: `500ms`, `10s`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// An amount of bytes with its unit: `256MiB`, `1GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A part of a whole, 0 to 1: `0.1`, or `10%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl Period {
    /// This many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim();
        if number.parse::<f64>().is_ok() {
            return Err(format!("a time without its unit: write `{number}s` for seconds, `{number}ms` for milliseconds"));
        }
        humantime::parse_duration(number).map(Self).map_err(|_| {
            let short = crate::diagnostics::shorten(text, 40);
            format!("`{short}` is not a time: write a number and ms, s, m, h or day, as in `10s` or `1h 30m`")
        })
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim();
        if number.parse::<f64>().is_ok() {
            return Err(format!("a size without its unit: write `{number}MiB`, or `{number}B` for bytes"));
        }
        number.parse::<bytesize::ByteSize>().map(|size| Self(size.as_u64())).map_err(|_| {
            let short = crate::diagnostics::shorten(text, 40);
            format!("`{short}` is not a size: write a number and B, KiB, MiB, GiB, kB, MB or GB, as in `256MiB`")
        })
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim();
        let share = match number.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
            None => number.parse::<f64>(),
        };
        match share {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err("a share is a number from 0 to 1, or a percentage: `0.1`, `10%`".into()),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", bytesize::ByteSize(self.0).display().iec())
    }
}

/// Reads any scalar as text, so that the type's own message covers a number without its unit.
struct AsText;

impl de::Visitor<'_> for AsText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its unit")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

macro_rules! quantity {
    ($type:ident, $format:literal, $description:literal, [$($example:literal),*]) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(AsText)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "number"],
                    "format": $format,
                    "description": $description,
                    "examples": [$($example),*],
                })
            }
        }
    };
}

quantity!(Period, "period", "A time with its unit: a number and `ms`, `s`, `m`, `h` or `day`.", ["10s", "1h 30m"]);
quantity!(Size, "size", "A size with its unit: a number and `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`.", ["256MiB"]);
quantity!(Share, "share", "A number from 0 to 1, or a percentage.", ["0.1", "10%"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_says_which() {
        assert_eq!("1h 30m".parse(), Ok(Period(Duration::from_secs(5400))));
        assert_eq!("256MiB".parse(), Ok(Size(256 << 20)));
        assert_eq!("10%".parse(), Ok(Share(0.1)));
        assert!("10".parse::<Period>().unwrap_err().contains("`10s`"));
        assert!("256".parse::<Size>().unwrap_err().contains("`256MiB`"));
        assert!("1.5".parse::<Share>().is_err());
        assert!("256 nonsense".parse::<Size>().is_err());
        assert_eq!((Period::seconds(5400).to_string(), Size(256 << 20).to_string()), ("1h 30m".into(), "256.0 MiB".into()));
    }
}
