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

/// How many digits a second has behind its point in `unit`s.
pub fn unit_digits(unit: TimeUnit) -> i32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
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
        while nanos.is_multiple_of(1_000) {
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

/// Why a text is no date or timestamp of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATime {
    /// It is not written as one, or it names a day or an hour that does not exist.
    Malformed,
    /// The type can't hold it.
    Range,
    /// It has more digits after the second than the type holds.
    Fraction,
}

/// Reads bytes from the left.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    /// Exactly `count` digits.
    #[inline]
    fn digits(&mut self, count: usize) -> Result<i64, NotATime> {
        let digits = self.0.get(..count).ok_or(NotATime::Malformed)?;
        let mut value = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(NotATime::Malformed);
            }
            value = value * 10 + i64::from(digit);
        }
        self.0 = &self.0[count..];
        Ok(value)
    }

    #[inline]
    fn take(&mut self, wanted: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), NotATime> {
        self.take(wanted).then_some(()).ok_or(NotATime::Malformed)
    }

    fn date(&mut self) -> Result<i64, NotATime> {
        let year = match self.0.first() {
            Some(b'+' | b'-') => self.long_year()?,
            _ => self.digits(4)?,
        };
        self.expect(b'-')?;
        let month = self.digits(2)?;
        self.expect(b'-')?;
        let day = self.digits(2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
            return Err(NotATime::Malformed);
        }
        Ok(days_from_civil(year, month, day))
    }

    /// A sign and four digits or more.
    fn long_year(&mut self) -> Result<i64, NotATime> {
        let negative = self.take(b'-');
        if !negative {
            self.expect(b'+')?;
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count < 4 {
            return Err(NotATime::Malformed);
        }
        if count > 12 {
            return Err(NotATime::Range);
        }
        let year = self.digits(count)?;
        Ok(if negative { -year } else { year })
    }

    /// Seconds of the day, and nanoseconds of the second with whether digits behind them are lost.
    fn time(&mut self) -> Result<(i64, (i64, bool)), NotATime> {
        let hour = self.digits(2)?;
        self.expect(b':')?;
        let minute = self.digits(2)?;
        let (mut second, mut nanos) = (0, (0, false));
        if self.take(b':') {
            second = self.digits(2)?;
            if self.take(b'.') {
                nanos = self.fraction()?;
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return Err(NotATime::Malformed);
        }
        Ok((hour * 3_600 + minute * 60 + second, nanos))
    }

    fn fraction(&mut self) -> Result<(i64, bool), NotATime> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(NotATime::Malformed);
        }
        let kept = count.min(9);
        let nanos = self.digits(kept)? * 10i64.pow(9 - kept as u32);
        let lost = self.0[..count - kept].iter().any(|&byte| byte != b'0');
        self.0 = &self.0[count - kept..];
        Ok((nanos, lost))
    }

    /// The offset from UTC in seconds: nothing, `Z`, `+02`, `+0200` or `+02:00`.
    fn zone(&mut self) -> Result<i64, NotATime> {
        if self.0.is_empty() || self.take(b'Z') || self.take(b'z') {
            return Ok(0);
        }
        let negative = self.take(b'-');
        if !negative {
            self.expect(b'+')?;
        }
        let hours = self.digits(2)?;
        let minutes = match self.0.is_empty() {
            true => 0,
            false => {
                self.take(b':');
                self.digits(2)?
            }
        };
        if hours > 23 || minutes > 59 {
            return Err(NotATime::Malformed);
        }
        let offset = hours * 3_600 + minutes * 60;
        Ok(if negative { -offset } else { offset })
    }

    fn end(&self) -> Result<(), NotATime> {
        self.0.is_empty().then_some(()).ok_or(NotATime::Malformed)
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date: `2022-07-07`.
pub fn parse_date(text: &str) -> Result<i32, NotATime> {
    let mut parts = Parts(text.as_bytes());
    let days = parts.date()?;
    parts.end()?;
    i32::try_from(days).map_err(|_| NotATime::Range)
}

/// `unit`s since 1970-01-01T00:00:00 UTC of a timestamp: a date, `T` or a space, hours and minutes, perhaps seconds with a
/// fraction, perhaps `Z` or an offset. Without one of these it is UTC; a date alone is its midnight.
pub fn parse_timestamp(text: &str, unit: TimeUnit) -> Result<i64, NotATime> {
    parse_timestamp_cutting(text, unit, false)
}

/// The same; `cut` drops digits of the second that the unit can't hold.
pub fn parse_timestamp_cutting(text: &str, unit: TimeUnit, cut: bool) -> Result<i64, NotATime> {
    let mut parts = Parts(text.as_bytes());
    let days = parts.date()?;
    let (mut second_of_day, mut nanos) = (0, (0, false));
    if parts.take(b'T') || parts.take(b' ') || parts.take(b't') {
        (second_of_day, nanos) = parts.time()?;
        second_of_day -= parts.zone()?;
    }
    parts.end()?;
    let (nanos, lost) = nanos;
    let scale = units_a_second(unit);
    let nanos_a_unit = 1_000_000_000 / scale;
    if !cut && (lost || nanos % nanos_a_unit != 0) {
        return Err(NotATime::Fraction);
    }
    // In 128 bits nothing overflows before the check.
    let seconds = i128::from(days) * 86_400 + i128::from(second_of_day);
    i64::try_from(seconds * i128::from(scale) + i128::from(nanos / nanos_a_unit)).map_err(|_| NotATime::Range)
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

    #[test]
    fn timestamps_are_read_in_every_usual_notation() {
        let micros = |text| parse_timestamp(text, TimeUnit::Microsecond);
        let expected = Ok(1_657_153_121_000_000);
        for text in [
            "2022-07-07T00:18:41",
            "2022-07-07 00:18:41",
            "2022-07-07T00:18:41Z",
            "2022-07-07t00:18:41.000z",
            "2022-07-07T02:18:41+02:00",
            "2022-07-07 02:18:41.0000000000+0200",
            "2022-07-06T23:18:41-01",
            "+2022-07-07T00:18:41",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros("2022-07-07"), Ok(1_657_152_000_000_000));
        assert_eq!(micros("2022-07-07T00:18"), Ok(1_657_153_080_000_000));
        assert_eq!(micros("2022-07-07T00:18:41.000001"), Ok(1_657_153_121_000_001));
    }

    #[test]
    fn what_is_no_timestamp() {
        let micros = |text| parse_timestamp(text, TimeUnit::Microsecond);
        for text in [
            "",
            "2022",
            "2022-07-07T",
            "2022-02-29",
            "1900-02-29",
            "2022-13-01",
            "2022-00-01",
            "2022-01-00",
            "2022-07-07T24:00:00",
            "2022-07-07T00:60:00",
            "2022-07-07T00:00:60",
            "2022-07-07T00:18:41.",
            "2022-07-07T00:18:41 Z",
            "22-07-07",
            "07/07/2022",
            "2022-07-07T00:18:41+2",
            "2022-07-07T00:18:41+24:00",
            " 2022-07-07",
            "2022-07-07 ",
            "2022-7-7",
            "None",
            "+202-07-07",
            "٢٠٢٢-07-07",
        ] {
            assert_eq!(micros(text), Err(NotATime::Malformed), "{text}");
        }
        assert_eq!(micros("2022-07-07T00:18:41.0000001"), Err(NotATime::Fraction));
        assert_eq!(micros("2022-07-07T00:18:41.0000000001"), Err(NotATime::Fraction));
        let cut = |text| parse_timestamp_cutting(text, TimeUnit::Microsecond, true);
        assert_eq!(cut("1970-01-01T00:00:00.0000019999Z"), Ok(1));
        assert_eq!(cut("1969-12-31T23:59:59.9999999999Z"), Ok(-1), "digits are cut, so a time before 1970 moves back as well");
        assert_eq!(micros("+300000-01-01"), Err(NotATime::Range));
        assert_eq!(parse_date("+5881581-01-01"), Err(NotATime::Range));
        assert_eq!(parse_date("+9999999999999-01-01"), Err(NotATime::Range));
        assert_eq!(parse_date("2000-02-29"), Ok(11_016));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(value: i64, days: i32, zoned: bool, unit in 0..4) {
            let unit = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond][unit as usize];
            let (text, mut date) = (timestamp(value, unit, zoned), Vec::new());
            // Years of more than twelve digits are only written, never read.
            if text.len() < 30 {
                proptest::prop_assert_eq!(parse_timestamp(&text, unit), Ok(value));
            }
            put_date(i64::from(days), &mut date);
            proptest::prop_assert_eq!(parse_date(std::str::from_utf8(&date).unwrap()), Ok(days));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", similar in "[-+]?[0-9]{3,14}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+Z-]{0,30}") {
            let _ = (parse_timestamp(&text, TimeUnit::Second), parse_timestamp(&similar, TimeUnit::Nanosecond));
        }
    }
}
