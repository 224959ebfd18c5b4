//! Dates and timestamps as text, in the proleptic Gregorian calendar and in UTC.
//!
//! A date is `2022-07-07`; a timestamp is `2022-07-07T00:18:41`, with as many digits of a fraction as it needs
//! (none, 3, 6 or 9) and `Z` where its type has a zone. Years before 0 and after 9999 have a sign and at least four digits.

use arrow_schema::TimeUnit;

/// Days in 400 years.
const DAYS_OF_ERA: i64 = 146_097;

/// How many units of `unit` a second has.
pub fn units_a_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Appends a date, given in days since 1970-01-01.
pub fn put_date(days: i64, text: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    match year {
        0..=9999 => put_padded(year.unsigned_abs(), 4, text),
        _ => {
            text.push(if year < 0 { b'-' } else { b'+' });
            put_padded(year.unsigned_abs(), 4, text);
        }
    }
    text.push(b'-');
    put_padded(month.unsigned_abs(), 2, text);
    text.push(b'-');
    put_padded(day.unsigned_abs(), 2, text);
}

/// Appends a timestamp, given in `unit`s since 1970-01-01T00:00:00 UTC; `zoned` adds the `Z`.
pub fn put_timestamp(value: i64, unit: TimeUnit, zoned: bool, text: &mut Vec<u8>) {
    let scale = units_a_second(unit);
    let (seconds, fraction) = (value.div_euclid(scale), value.rem_euclid(scale));
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400).unsigned_abs());
    put_date(days, text);
    for (separator, part) in [(b'T', second_of_day / 3600), (b':', second_of_day / 60 % 60), (b':', second_of_day % 60)] {
        text.push(separator);
        put_padded(part, 2, text);
    }
    if fraction != 0 {
        let mut nanos = fraction.unsigned_abs() * (1_000_000_000 / scale.unsigned_abs());
        let mut digits = 9;
        while nanos % 1_000 == 0 {
            nanos /= 1_000;
            digits -= 3;
        }
        text.push(b'.');
        put_padded(nanos, digits, text);
    }
    if zoned {
        text.push(b'Z');
    }
}

fn put_padded(value: u64, width: usize, text: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (value, digits.len());
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// Year, month and day of a day since 1970-01-01. The algorithm counts years from March, so that the leap day comes last.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(DAYS_OF_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The day since 1970-01-01 of a date that exists.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_OF_ERA + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(value: i64, unit: TimeUnit, zoned: bool) -> String {
        let mut text = Vec::new();
        put_timestamp(value, unit, zoned, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn fractions_are_as_long_as_needed() {
        assert_eq!(timestamp(0, TimeUnit::Second, false), "1970-01-01T00:00:00");
        assert_eq!(timestamp(1_657_153_121_000_001, TimeUnit::Microsecond, false), "2022-07-07T00:18:41.000001");
        assert_eq!(timestamp(1_500, TimeUnit::Millisecond, true), "1970-01-01T00:00:01.500Z");
        assert_eq!(timestamp(-1, TimeUnit::Nanosecond, true), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn any_value_of_any_unit_has_a_text() {
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            for value in [i64::MIN, i64::MAX] {
                assert!(timestamp(value, unit, true).ends_with('Z'));
            }
        }
    }

    #[test]
    fn days_and_dates_agree_over_thousands_of_years() {
        let mut previous = civil_from_days(-1_000_001);
        for days in -1_000_000..1_000_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((year, month, day) > previous && (1..=12).contains(&month) && (1..=31).contains(&day));
            previous = (year, month, day);
        }
    }
}
