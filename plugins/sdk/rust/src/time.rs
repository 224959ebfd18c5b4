//! Times as texts: ISO 8601 in the forms that producers send, as microseconds since 1970.

use chrono::NaiveDate;

/// The Arrow type of a time in UTC with microseconds, which every table format supports.
pub fn timestamp_type() -> arrow_schema::DataType {
    arrow_schema::DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some("UTC".into()))
}

/// Parses a time: microseconds since 1970-01-01T00:00:00Z, or none if the text is not an existing
/// time.
///
/// `2022-07-07T00:18:41`, with a blank for the `T`, with a fraction (digits after the microsecond
/// are cut), with `Z` or an offset (`+02:00`, `+0200`, `+02`). A date alone is its midnight. A time
/// without a zone is in UTC. Years run from 0000 to 9999; there are no leap seconds and no hour 24.
pub fn parse_micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let days = parse_date(date)?;
    let Some((separator, rest)) = rest.split_first() else {
        return Some(days * MICROS_PER_DAY);
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (clock, rest) = rest.split_at_checked(8)?;
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..8])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = parse_fraction(rest)?;
    let seconds = (hour * 60 + minute) * 60 + second - parse_zone(zone)?;
    Some(days * MICROS_PER_DAY + seconds * 1_000_000 + fraction)
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `YYYY-MM-DD` as days since 1970-01-01.
fn parse_date(date: &[u8]) -> Option<i64> {
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).map(|date| i64::from(date.to_epoch_days()))
}

/// A fraction of a second in microseconds, and what follows it.
fn parse_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) else {
        return Some((0, rest));
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = digits[..count].iter().take(6).fold(0, |micros, byte| micros * 10 + i64::from(byte - b'0'));
    let scale = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1][count.min(6)];
    (count > 0).then_some((micros * scale, &digits[count..]))
}

/// An offset from UTC in seconds.
fn parse_zone(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (number(digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        5 if digits[2] == b':' => (number(&digits[..2])?, number(&digits[3..])?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60)
}

/// A few ASCII digits as a number.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = MICROS_PER_DAY;

    #[test]
    fn reads_the_forms_that_producers_send() {
        let time = 1_657_153_121_000_000;
        for text in [
            "2022-07-07T00:18:41",
            "2022-07-07 00:18:41",
            "2022-07-07T00:18:41Z",
            "2022-07-07t00:18:41z",
            "2022-07-07T00:18:41.000+0000",
            "2022-07-07T02:18:41+02:00",
            "2022-07-06T19:18:41-05",
            "2022-07-07 05:48:41+0530",
        ] {
            assert_eq!(parse_micros(text), Some(time), "{text}");
        }
        assert_eq!(parse_micros("2022-07-07"), Some(time - (18 * 60 + 41) * 1_000_000));
        assert_eq!(parse_micros("2022-07-07T00:18:41.5"), Some(time + 500_000));
        assert_eq!(parse_micros("2022-07-07T00:18:41.000001999Z"), Some(time + 1));
        assert_eq!(parse_micros("1969-12-31T23:59:59.999999"), Some(-1));
    }

    #[test]
    fn refuses_what_does_not_exist() {
        for text in [
            "",
            "None",
            "2022",
            "2022-07",
            "2022-7-7",
            "2022-13-01",
            "2022-00-10",
            "2022-02-29",
            "2100-02-29",
            "2022-04-31",
            "2022-07-00",
            "2022-07-07T",
            "2022-07-07T24:00:00",
            "2022-07-07T23:60:00",
            "2022-07-07T23:59:60",
            "2022-07-07T1:02:03",
            "2022-07-07T00:18",
            "2022-07-07T00:18:41.",
            "2022-07-07T00:18:41.Z",
            "2022-07-07T00:18:41+",
            "2022-07-07T00:18:41+24:00",
            "2022-07-07T00:18:41+02:60",
            "2022-07-07T00:18:41 UTC",
            "2022-07-07_00:18:41",
            "2022/07/07 00:18:41",
            " 2022-07-07",
            "2022-07-07T00:18:41Zz",
            "+022-07-07",
            "２０２２-07-07",
            "2022-07-07T00-18-41",
        ] {
            assert_eq!(parse_micros(text), None, "{text:?}");
        }
    }

    #[test]
    fn counts_every_day_of_ten_thousand_years() {
        // An independent calendar: one that only ever steps to the next day.
        let mut days = parse_micros("0000-01-01").unwrap() / DAY;
        for year in 0..10_000 {
            let leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
            let february = if leap { 29 } else { 28 };
            for (month, length) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
                for day in [1, 2, length - 1, length] {
                    let text = format!("{year:04}-{:02}-{day:02}", month + 1);
                    assert_eq!(parse_micros(&text), Some((days + day - 1) * DAY), "{text}");
                }
                assert_eq!(parse_micros(&format!("{year:04}-{:02}-{:02}", month + 1, length + 1)), None);
                days += length;
            }
        }
        assert_eq!(parse_micros("1970-01-01"), Some(0));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = parse_micros(&text);
        }

        #[test]
        fn never_panics_on_what_is_nearly_a_time(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ]?[0-9:.,+Zz -]{0,24}é?") {
            let _ = parse_micros(&text);
        }

        #[test]
        fn adds_up_its_parts(hour in 0..24_i64, minute in 0..60_i64, second in 0..60_i64, micros in 0..1_000_000_i64, offset in -1439..1440_i64) {
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            let text = format!("2020-02-29 {hour:02}:{minute:02}:{second:02}.{micros:06}{sign}{hours:02}:{minutes:02}");
            let midnight = parse_micros("2020-02-29").unwrap();
            let expected = midnight + ((hour * 60 + minute - offset) * 60 + second) * 1_000_000 + micros;
            prop_assert_eq!(parse_micros(&text), Some(expected));
        }
    }
}
