//! Times as text, beside chrono.

use arrow_schema::TimeUnit;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use wasmill_formats::time::{NotATime, parse_date, parse_timestamp, put_date, put_timestamp};

use crate::campaign::Target;
use crate::random::Random;

pub struct Time;

const UNITS: [TimeUnit; 4] = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

impl Target for Time {
    const NAME: &'static str = "time";
    const DICTIONARY: &'static [&'static str] = &[
        "T",
        " ",
        "Z",
        "z",
        "t",
        "+",
        "-",
        ":",
        ".",
        "+02:00",
        "-1130",
        "+14",
        "2022-07-07",
        "2024-02-29",
        "1900-02-29",
        "0000-01-01",
        "-0001-12-31",
        "9999-12-31",
        "+10000-01-01",
        "23:59:59",
        "23:59:60",
        "24:00",
        ".999999999",
        ".123456",
        ".000",
        "1677-09-21",
        "2262-04-11",
        "é",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".to_owned()) };
        let date = parse_date(text);
        date_agrees(text, date)?;
        let mut found = vec![format!("{:?}", date.map(|_| ()))];
        for unit in UNITS {
            let parsed = parse_timestamp(text, unit);
            timestamp_agrees(text, unit, parsed).map_err(|what| format!("{text:?} as {unit:?}: {what}"))?;
            if let Ok(value) = parsed {
                reads_back(value, unit)?;
            }
            found.push(format!("{:?}", parsed.map(|_| ())));
        }
        Ok(found.join(" ") + &text.len().to_string())
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let unit = UNITS[random.below(4) as usize];
        let value = (random.below(u64::MAX) as i64) >> random.below(40);
        reads_back(value, unit)?;
        let mut text = Vec::new();
        put_timestamp(value, unit, random.below(2) == 0, &mut text);
        Ok(text)
    }

    fn memory(bytes: usize) -> usize {
        (64 << 10) + 32 * bytes
    }
}

/// What is written is read back: timestamps with and without a zone, and dates.
fn reads_back(value: i64, unit: TimeUnit) -> Result<(), String> {
    for zoned in [false, true] {
        let mut text = Vec::new();
        put_timestamp(value, unit, zoned, &mut text);
        let text = String::from_utf8(text).unwrap();
        if parse_timestamp(&text, unit) != Ok(value) {
            return Err(format!("{value} {unit:?} is written as {text} and read as {:?}", parse_timestamp(&text, unit)));
        }
    }
    let day = (value >> 32) as i32;
    let mut text = Vec::new();
    put_date(i64::from(day), &mut text);
    let text = String::from_utf8(text).unwrap();
    match parse_date(&text) == Ok(day) {
        true => Ok(()),
        false => Err(format!("the day {day} is written as {text} and read as {:?}", parse_date(&text))),
    }
}

fn date_agrees(text: &str, found: Result<i32, NotATime>) -> Result<(), String> {
    // Four digits of a year, without a sign or blanks.
    let is_plain = text.len() == 10 && text.as_bytes()[0].is_ascii_digit() && !text.contains(char::is_whitespace);
    let theirs = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_plain);
    let days = theirs.map(|date| date.num_days_from_ce() - NaiveDate::default().num_days_from_ce());
    match (found, days) {
        (Ok(found), Some(days)) if found != days => Err(format!("{text:?} is day {found}, for chrono {days}")),
        (Ok(_), None) if is_plain => Err(format!("{text:?} is no date for chrono")),
        (Err(_), Some(_)) => Err(format!("{text:?} is a date for chrono")),
        _ => Ok(()),
    }
}

/// A timestamp as chrono reads it, in nanoseconds: RFC 3339, or the same without a zone.
fn theirs(text: &str) -> Option<i128> {
    if text.contains(|letter: char| !letter.is_ascii()) || !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let of = |time: DateTime<chrono::Utc>| i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos());
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|time| of(time.to_utc()));
    zoned.or_else(|| {
        // It passes over blanks of any kind where a number begins, and takes them for the one between date and time.
        let blanks: Vec<usize> = text.match_indices(char::is_whitespace).map(|(at, _)| at).collect();
        // It takes a year of fewer digits, too, and other numbers of one.
        let stands = |at: usize, byte: u8| text.as_bytes().get(at) == Some(&byte);
        let is_exact = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].into_iter().all(|(at, byte)| stands(at, byte))
            && text.len() >= 19
            && !text[10..].contains(['+', '-'])
            && (blanks.is_empty() || (blanks == [10] && text[10..].starts_with(' ')));
        let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
        formats
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .filter(|_| is_exact)
            .map(|time| of(time.and_utc()))
    })
}

fn timestamp_agrees(text: &str, unit: TimeUnit, found: Result<i64, NotATime>) -> Result<(), String> {
    let Some(nanos) = theirs(text) else { return Ok(()) };
    let unit_nanos = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let wanted = nanos.div_euclid(unit_nanos);
    match found {
        Ok(found) if i128::from(found) != wanted => Err(format!("it is {found}, for chrono {wanted}")),
        Ok(_) | Err(NotATime::Fraction) => Ok(()),
        Err(NotATime::Range) if i64::try_from(wanted).is_err() => Ok(()),
        // A leap second, which chrono counts on, and fractions of which chrono cuts digits.
        Err(NotATime::Malformed) if text.contains(":60") => Ok(()),
        Err(error) => Err(format!("{error:?}, for chrono {wanted}")),
    }
}
