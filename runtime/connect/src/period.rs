//! Durations in configurations, as pipeline files write them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use wasmill_engine::{Error, Result};

use crate::codes::{NOT_A_TIME, OUT_OF_RANGE};

/// Reads a time such as `10s`; the default where none was given.
///
/// # Errors
/// Configuration: the text is not a duration, or not between `least` and `most`.
pub fn read(key: &str, text: Option<&str>, default: Duration, least: Duration, most: Duration) -> Result<Duration> {
    let Some(text) = text else { return Ok(default) };
    let time = humantime::parse_duration(text.trim()).map_err(|error| {
        Error::configuration(format!("`{key}`: {text:?} is not a time: {error}"))
            .code(NOT_A_TIME)
            .key([key])
            .hint("write a number and ms, s, min or h, as in `10s`")
    })?;
    if (least..=most).contains(&time) {
        return Ok(time);
    }
    let shown = humantime::format_duration;
    Err(Error::configuration(format!("`{key}` is {text}: it must be {} to {}", shown(least), shown(most))).code(OUT_OF_RANGE).key([key]))
}

/// The same while a configuration is read, without bounds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(text.trim())
        .map_err(|_| de::Error::custom(format!("`{text}` is not a time: write a number and ms, s, min or h, as in `10s`")))
}
