//! Values as Delta's log writes them in statistics.

use arrow_array::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};

/// A date as `2022-01-08`; days count from 1970.
pub(crate) fn date(days: i32) -> String {
    // What lies beyond the calendar of the formatter would also lie beyond every reader's.
    date32_to_datetime(days).map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string())
}

/// A moment as `2022-01-08T10:00:00.000Z`, as statistics have it; none where a year would not have four digits.
pub(crate) fn timestamp_for_stats(millis: i64) -> Option<String> {
    let time = timestamp_us_to_datetime(millis.checked_mul(1000)?)?;
    let text = time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    (text.len() == "2022-01-08T10:00:00.000Z".len()).then_some(text)
}

/// A date for statistics; none where a year would not have four digits.
pub(crate) fn date_for_stats(days: i32) -> Option<String> {
    let text = date(days);
    (text.len() == "2022-01-08".len() && date32_to_datetime(days).is_some()).then_some(text)
}

/// A decimal of this scale, all of its digits: `-0.50`.
pub(crate) fn decimal(value: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_protocol_says() {
        assert_eq!(date(19_000), "2022-01-08");
        assert_eq!(timestamp_for_stats(1_657_153_121_000).as_deref(), Some("2022-07-07T00:18:41.000Z"));
        assert_eq!(timestamp_for_stats(i64::MAX), None);
        assert_eq!(date_for_stats(i32::MAX), None);
        assert_eq!([decimal(-50, 2), decimal(12345, 2), decimal(7, 0), decimal(0, 3)], ["-0.50", "123.45", "7", "0.000"]);
    }
}
