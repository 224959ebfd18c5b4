//! The times of a job: a cron expression in a time zone.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// A moment, to the second.
pub type Moment = DateTime<Utc>;

/// A time zone of the IANA database.
pub type Zone = Tz;

/// When a job is due: a cron expression of five fields, by the clock of a time zone.
///
/// Where the clock is put forward, the one time of a day within the gap (`30 2 * * *`) comes at the end of the gap, once; of several times a day (`30 * * * *`,
/// `30 2,14 * * *`) those in the gap do not come. Where it is put back, the one time of a day comes once, when the clock shows it first; several come each time.
#[derive(Debug, Clone)]
pub struct Times {
    cron: Cron,
    zone: Tz,
    text: String,
}

impl Times {
    /// Reads a cron expression, and takes the zone's clock for it.
    ///
    /// # Errors
    /// It is no cron expression: the reason, in words.
    pub fn new(cron: &str, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| error.to_string())?;
        Ok(Self { cron: parsed, zone, text: format!("{} {zone}", cron.trim()) })
    }

    /// The first time behind a moment; `None` if there is none.
    pub fn next_after(&self, moment: Moment) -> Option<Moment> {
        // Zones have left whole days out, on which the search gives up: it begins again behind them.
        (0..=48).find_map(|hours| self.search(moment, moment.checked_add_signed(TimeDelta::hours(hours))?))
    }

    /// The first time behind `from`, if it is behind `moment`: whatever a zone's clock does, time passes.
    fn search(&self, moment: Moment, from: Moment) -> Option<Moment> {
        let next = self.cron.find_next_occurrence(&from.with_timezone(&self.zone), false).ok()?.with_timezone(&Utc);
        (next > moment).then_some(next)
    }

    /// The zone.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The expression and its zone, as one text that differs where the times differ.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A moment by the clock of the zone: `2026-03-29 03:00 CEST`.
    pub fn show(&self, moment: Moment) -> String {
        moment.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

/// The zone of a name of the IANA database, such as `Europe/London`.
pub fn known_zone(name: &str) -> Option<Tz> {
    Tz::from_str(name).ok()
}

/// The names of all zones.
pub fn zones() -> impl Iterator<Item = &'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().unwrap()
    }

    /// The first times behind a moment, as their zone's clock shows them.
    fn times(cron: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let times = Times::new(cron, zone).unwrap();
        let next = |from: &Moment| times.next_after(*from);
        std::iter::successors(next(&moment(from)), next).take(count).map(|moment| times.show(moment)).collect()
    }

    #[test]
    fn a_time_of_day_is_that_of_its_zone() {
        let berlin = times("0 2 * * *", Tz::Europe__Berlin, "2026-01-10T12:00:00Z", 2);
        assert_eq!(berlin, ["2026-01-11 02:00 CET", "2026-01-12 02:00 CET"]);
        let utc = Times::new("0 2 * * *", Tz::Europe__Berlin).unwrap().next_after(moment("2026-07-10T12:00:00Z"));
        assert_eq!(utc, Some(moment("2026-07-11T00:00:00Z")));
    }

    #[test]
    fn a_time_of_day_in_the_gap_comes_at_its_end_and_once() {
        // Berlin's clock goes from 02:00 to 03:00 on 29 March 2026.
        let days = times("30 2 * * *", Tz::Europe__Berlin, "2026-03-28T12:00:00+01:00", 2);
        assert_eq!(days, ["2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"]);
        let before = times("0 1 * * *", Tz::Europe__Berlin, "2026-03-28T12:00:00+01:00", 2);
        assert_eq!(before, ["2026-03-29 01:00 CET", "2026-03-30 01:00 CEST"]);
    }

    #[test]
    fn times_of_every_hour_leave_the_gap_out_and_come_twice_in_the_overlap() {
        let gap = times("30 * * * *", Tz::Europe__Berlin, "2026-03-29T00:00:00Z", 3);
        assert_eq!(gap, ["2026-03-29 01:30 CET", "2026-03-29 03:30 CEST", "2026-03-29 04:30 CEST"]);
        let list = times("30 2,14 * * *", Tz::Europe__Berlin, "2026-03-28T20:00:00Z", 2);
        assert_eq!(list, ["2026-03-29 14:30 CEST", "2026-03-30 02:30 CEST"]);
        // Berlin's clock goes from 03:00 back to 02:00 on 25 October 2026.
        let overlap = times("30 * * * *", Tz::Europe__Berlin, "2026-10-24T23:40:00Z", 4);
        assert_eq!(overlap, ["2026-10-25 02:30 CEST", "2026-10-25 02:30 CET", "2026-10-25 03:30 CET", "2026-10-25 04:30 CET"]);
    }

    #[test]
    fn a_time_of_day_in_the_overlap_comes_when_the_clock_shows_it_first() {
        let days = times("30 2 * * *", Tz::Europe__Berlin, "2026-10-24T12:00:00Z", 2);
        assert_eq!(days, ["2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"]);
        // Between the two: today's has been.
        assert_eq!(times("30 2 * * *", Tz::Europe__Berlin, "2026-10-25T00:45:00Z", 1), ["2026-10-26 02:30 CET"]);
    }

    #[test]
    fn half_hours_and_days_that_a_zone_left_out_are_no_trouble() {
        // Lord Howe's clock goes by half an hour; Samoa had no 30 December 2011.
        let howe = times("15 2 * * *", Tz::Australia__Lord_Howe, "2026-10-03T00:00:00Z", 2);
        assert_eq!(howe, ["2026-10-04 02:30 +11", "2026-10-05 02:15 +11"]);
        let samoa = Times::new("0 12 * * *", Tz::Pacific__Apia).unwrap();
        let first = samoa.next_after(moment("2011-12-29T22:00:00Z")).unwrap();
        assert_eq!(samoa.show(first), "2011-12-31 12:00 +14");
    }

    #[test]
    fn times_only_ever_go_forward() {
        let zones =
            [Tz::UTC, Tz::Europe__London, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Pacific__Apia, Tz::America__Santiago];
        for zone in zones {
            for cron in ["*/20 * * * *", "0 * * * *", "0 0 * * *", "30 1 * * *", "30 2 * * SUN", "59 23 L * *"] {
                let times = Times::new(cron, zone).unwrap();
                let (mut at, end) = (moment("2026-01-01T00:00:00Z"), moment("2027-01-01T00:00:00Z"));
                while at < end {
                    let next = times.next_after(at).unwrap();
                    assert!(next > at, "{cron} {zone}: {next} behind {at}");
                    // Nothing lies between: the second before a time leads to the same one.
                    assert_eq!(times.next_after(next - chrono::Duration::seconds(1)), Some(next), "{cron} {zone} behind {at}");
                    at = next;
                }
            }
        }
    }

    #[test]
    fn what_is_no_cron_expression_is_refused() {
        for wrong in ["", "0 2 * *", "0 0 2 * * *", "61 * * * *", "0 2 * * FOO", "* * * * * * *", "every day"] {
            assert!(Times::new(wrong, Tz::UTC).is_err(), "{wrong:?}");
        }
        assert!(Times::new("@daily", Tz::UTC).is_ok());
        assert!(Times::new("0 0 30 2 *", Tz::UTC).unwrap().next_after(moment("2026-01-01T00:00:00Z")).is_none(), "30 February");
    }
}
