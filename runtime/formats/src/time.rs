//! Dates and timestamps as text, in the proleptic Gregorian calendar and in UTC.
//!
//! A date is `2022-07-07`. A timestamp is `2022-07-07T00:18:41`, with as many digits of a fraction
//! as it needs (none, 3, 6 or 9), and `Z` where its type has a zone. Years before 0 and after 9999
//! have a sign and at least four digits.

use arrow_schema::TimeUnit;
use chrono::{Datelike, NaiveDate};

/// The calendar repeats after this many years. Arrow has days beyond the range of the calendar
/// library.
const YEARS_OF_ERA: i64 = 400;
/// Days in them.
const DAYS_OF_ERA: i64 = 146_097;

/// How many units of `unit` a second has.
pub fn units_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// How many fractional digits a second has in `unit`s.
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
    let Civil { year, month, day } = Civil::of_days(days);
    match year {
        0..=9999 => put_padded(year.unsigned_abs(), 4, text),
        _ => {
            text.push(if year < 0 { b'-' } else { b'+' });
            put_padded(year.unsigned_abs(), 4, text);
        }
    }
    text.push(b'-');
    put_padded(u64::from(month), 2, text);
    text.push(b'-');
    put_padded(u64::from(day), 2, text);
}

/// Appends a timestamp, given in `unit`s since 1970-01-01T00:00:00 UTC; `zoned` adds the `Z`.
pub fn put_timestamp(value: i64, unit: TimeUnit, zoned: bool, text: &mut Vec<u8>) {
    let scale = units_per_second(unit);
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

/// A date of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Any year; that before year 1 is 0.
    pub year: i64,
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
}

impl Civil {
    /// The date of a day since 1970-01-01.
    pub fn of_days(days: i64) -> Self {
        let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
        // One era's days are well within what the library counts.
        let date = NaiveDate::from_epoch_days(day as i32).unwrap_or_default();
        Self { year: era * YEARS_OF_ERA + i64::from(date.year()), month: date.month(), day: date.day() }
    }

    /// The day since 1970-01-01. `None` if there is no such date.
    #[inline]
    pub fn days(self) -> Option<i64> {
        let (era, year) = (self.year.div_euclid(YEARS_OF_ERA), self.year.rem_euclid(YEARS_OF_ERA));
        let date = NaiveDate::from_ymd_opt(year as i32, self.month, self.day)?;
        Some(era * DAYS_OF_ERA + i64::from(date.to_epoch_days()))
    }
}

/// Why a text is not a date or timestamp of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATime {
    /// It is not written as one, or it names a day or an hour that does not exist.
    Malformed,
    /// The type can't hold it.
    Range,
    /// It has more digits after the second than the type holds.
    Fraction,
}

/// The form in which a text writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// `2022-07-07`.
    Date,
    /// `2022-07-07T00:18:41`: without a time zone.
    Local,
    /// `2022-07-07T00:18:41Z`, `2022-07-07T02:18:41+02:00`.
    Zoned,
}

impl TimeForm {
    /// The form of a text that can be nothing but a time: with a year of four digits, and no finer than microseconds.
    pub fn of(text: &str) -> Option<Self> {
        let begin = text.as_bytes().get(..10)?;
        if !begin[0].is_ascii_digit() || begin[4] != b'-' {
            return None;
        }
        parse_timestamp(text, TimeUnit::Microsecond).is_ok().then(|| Self::of_time(text))
    }

    /// The form of a text that is read as a time.
    pub(crate) fn of_time(text: &str) -> Self {
        // A date has dashes, and optionally a sign.
        match text.find(['T', ' ', 't']).map(|at| text[at..].contains(['Z', 'z', '+', '-'])) {
            None => Self::Date,
            Some(false) => Self::Local,
            Some(true) => Self::Zoned,
        }
    }
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
        let month = self.digits(2)? as u32;
        self.expect(b'-')?;
        let day = self.digits(2)? as u32;
        Civil { year, month, day }.days().ok_or(NotATime::Malformed)
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

/// Days since 1970-01-01 of a date: `2022-07-07`.
pub fn parse_date(text: &str) -> Result<i32, NotATime> {
    let mut parts = Parts(text.as_bytes());
    let days = parts.date()?;
    parts.end()?;
    i32::try_from(days).map_err(|_| NotATime::Range)
}

/// A timestamp in `unit`s since 1970-01-01T00:00:00 UTC. The text has a date, `T` or a space, hours
/// and minutes, optionally seconds with a fraction, and optionally `Z` or an offset. Without an
/// offset it is UTC. A date alone is its midnight.
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
    let scale = units_per_second(unit);
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
        let mut previous = Civil::of_days(-1_000_001);
        for days in -1_000_000..1_000_000 {
            let date = Civil::of_days(days);
            assert_eq!(date.days(), Some(days));
            assert!(date > previous && (1..=12).contains(&date.month) && (1..=31).contains(&date.day));
            previous = date;
        }
    }

    #[test]
    fn days_that_no_calendar_library_counts_have_dates() {
        // 14,700 and some eras away, where the calendar is the same again.
        let far = Civil { year: 5_881_580, month: 7, day: 11 };
        assert_eq!((Civil::of_days(i64::from(i32::MAX)), far.days()), (far, Some(i64::from(i32::MAX))));
        let far = Civil { year: -5_877_641, month: 6, day: 23 };
        assert_eq!((Civil::of_days(i64::from(i32::MIN)), far.days()), (far, Some(i64::from(i32::MIN))));
        assert_eq!(Civil { year: -100, month: 2, day: 29 }.days(), None);
        assert_eq!(Civil { year: -400, month: 2, day: 29 }.days(), Some(-865_566));
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

    #[test]
    fn only_times_of_one_notation_have_a_form() {
        use TimeForm::{Date, Local, Zoned};
        let of = |form, texts: &[&str]| texts.iter().for_each(|text| assert_eq!(TimeForm::of(text), form, "{text}"));
        of(Some(Date), &["2022-07-07", "0001-01-01", "9999-12-31"]);
        of(Some(Local), &["2022-07-07T00:18:41", "2022-07-07 00:18:41.123456", "2022-07-07 00:18", "2022-07-07T00:00:00.100000000"]);
        of(Some(Zoned), &["2022-07-07T00:18:41Z", "2022-07-07 02:18:41.5+02:00", "2022-07-07T00:18:41-01", "2022-07-07t00:18:41z"]);
        let others = ["20220707", "2022", "2022-07", "07/07/2022", "2022-02-29", "2022-07-07T24:00:00", "2022-07-07T00:18:41.0000001"];
        of(None, &others);
        of(None, &["", "NA", "00:18:41", " 2022-07-07", "+2022-07-07", "2022-07-07T00:18:41 UTC", "2022/07/07", "12022-01-01"]);
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
