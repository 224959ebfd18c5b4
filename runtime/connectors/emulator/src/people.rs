//! Rows of the tables `geo` and `user`.

use super::names::{COUNTRIES, FIRST_NAMES, LAST_NAMES};
use super::random::Random;
use super::rows::{Transport, field, number, text};
use super::text::decimal;
use wasmill_formats::time::Civil;

/// Posts are dated between these times, in seconds since 1970: 2017-10-20 to 2022-10-18.
const POSTED: std::ops::Range<u64> = 1_508_457_600..1_666_051_200;

/// Users join between these times: 2015-10-21 to 2017-10-18.
const JOINED: std::ops::Range<u64> = 1_445_385_600..1_508_284_800;

/// Writes the columns of a place, without the braces around them.
pub(super) fn write_geo(out: &mut Vec<u8>, row: u64, mut random: Random, transport: &Transport) {
    let random = &mut random;
    number(out, "ind", row, transport);
    let seconds = POSTED.start + random.below((POSTED.end - POSTED.start) as usize) as u64;
    text(out, "timestamp", false, |out| timestamp(out, seconds, transport.t_timestamp));
    for (name, bound) in [("latitude", 90.0), ("longitude", 180.0)] {
        let unit = random.unit();
        field(out, name);
        transport.quoted(out, |out| coordinate(out, unit * unit * 2.0 * bound - bound));
    }
    let country = COUNTRIES[random.skewed(COUNTRIES.len())];
    text(out, "country", transport.wrapped, |out| out.extend_from_slice(if transport.none_text { b"None" } else { country.as_bytes() }));
}

/// Writes the columns of a user, without the braces around them.
pub(super) fn write_user(out: &mut Vec<u8>, row: u64, mut random: Random, transport: &Transport) {
    let random = &mut random;
    number(out, "ind", row, transport);
    let first = FIRST_NAMES[random.skewed(FIRST_NAMES.len())];
    let last = LAST_NAMES[random.skewed(LAST_NAMES.len())];
    text(out, "first_name", transport.wrapped, |out| out.extend_from_slice(first.as_bytes()));
    text(out, "last_name", false, |out| out.extend_from_slice(last.as_bytes()));
    field(out, "age");
    let age = 20 + random.skewed(41) as u64;
    if transport.none_text {
        out.extend_from_slice(b"\"None\"");
    } else {
        transport.digits(out, age);
    }
    let unit = random.unit();
    let seconds = JOINED.start + (unit * unit * (JOINED.end - JOINED.start) as f64) as u64;
    text(out, "date_joined", false, |out| timestamp(out, seconds, transport.t_timestamp));
}

/// Writes seconds since 1970 as `2022-07-07 00:18:41`, or with a `T` in the middle.
fn timestamp(out: &mut Vec<u8>, seconds: u64, with_t: bool) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let date = Civil::of_days(days as i64);
    decimal(out, date.year.unsigned_abs());
    for (before, value) in [
        (b'-', date.month.into()),
        (b'-', date.day.into()),
        (if with_t { b'T' } else { b' ' }, second / 3_600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.extend_from_slice(&[before, b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
    }
}

/// Writes degrees with six significant digits: `-88.8298`, `9.88473`, `-179.689`.
fn coordinate(out: &mut Vec<u8>, degrees: f64) {
    if degrees < 0.0 {
        out.push(b'-');
    }
    let size = degrees.abs();
    let decimals = match size {
        _ if size >= 100.0 => 3,
        _ if size >= 10.0 => 4,
        _ if size >= 1.0 => 5,
        _ => 6,
    };
    let scale = 10_u64.pow(decimals);
    let scaled = (size * scale as f64).round() as u64;
    decimal(out, scaled / scale);
    out.push(b'.');
    let start = out.len();
    decimal(out, scale + scaled % scale);
    // The leading 1 kept the zeros after the point.
    out.remove(start);
    while out.len() > start + 1 && out.last() == Some(&b'0') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_are_dates_of_the_calendar() {
        assert_eq!(written(|out| timestamp(out, 0, false)), "1970-01-01 00:00:00");
        assert_eq!(written(|out| timestamp(out, 951_782_399, true)), "2000-02-28T23:59:59");
        assert_eq!(written(|out| timestamp(out, 951_782_400, true)), "2000-02-29T00:00:00");
        assert_eq!(written(|out| timestamp(out, POSTED.start, false)), "2017-10-20 00:00:00");
        assert_eq!(written(|out| timestamp(out, JOINED.end - 1, false)), "2017-10-17 23:59:59");
    }

    #[test]
    fn coordinates_have_six_significant_digits() {
        for (degrees, text) in [
            (-88.829_8, "-88.8298"),
            (9.884_73, "9.88473"),
            (-179.689, "-179.689"),
            (-0.165_781, "-0.165781"),
            (87.2, "87.2"),
            (-5.0, "-5.0"),
            (10.00004, "10.0"),
        ] {
            assert_eq!(written(|out| coordinate(out, degrees)), text);
        }
    }
}
