//! The position in a shard, and whether the next records follow without a gap.
//!
//! Reading after a record begins at that record, which is then left out: as long as it comes first,
//! retention has removed nothing after it. Kinesis itself would silently continue at the oldest
//! record that it still has.

use aws_sdk_kinesis::types::Record;
use wasmill_engine::{Error, Result};

use super::config::LostRecords;
use super::position::Place;
use crate::api::Beginning;
use crate::codes::RECORDS_LOST;

/// How far ahead of the end of retention a shard that began at its oldest records must be before it
/// counts as lost behind it. Milliseconds.
const CLEAR: i64 = 3_600_000;

/// The position in a shard.
#[derive(Debug)]
pub(super) struct Cursor {
    shard: String,
    place: Place,
    /// Everything that arrived until then has been read.
    until: Option<i64>,
    policy: LostRecords,
    /// The record at the place must come first.
    unproven: bool,
    /// It began where retention ends, and can't avoid losing what is removed meanwhile.
    at_edge: bool,
    /// When the last response was requested, nothing was left to read.
    at_tip: bool,
}

/// What time it is, and how long records stay. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub time: i64,
    pub retention: i64,
}

impl Now {
    /// What arrived before has gone.
    fn horizon(self) -> i64 {
        self.time - self.retention
    }
}

/// What to do with a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Use it.
    Good,
    /// Drop it, and begin again.
    Again,
}

impl Cursor {
    pub(super) fn new(shard: &str, place: Place, until: Option<i64>, policy: LostRecords) -> Self {
        let at_edge = !matches!(place, Place::Behind(_) | Place::Within(..));
        Self { shard: shard.to_owned(), place, until, policy, unproven: false, at_edge, at_tip: false }
    }

    /// Where to begin, for the first time or after an error.
    pub(super) fn begin(&mut self) -> Beginning<'_> {
        self.unproven = matches!(self.place, Place::Behind(_) | Place::Within(..));
        match &self.place {
            Place::TrimHorizon => Beginning::TrimHorizon,
            Place::Timestamp(time) => Beginning::Timestamp(*time),
            Place::At(number) | Place::Behind(number) | Place::Within(number, _) => Beginning::At(number),
        }
    }

    /// Continues at the position that a subscription reported a moment ago.
    pub(super) fn resume(&mut self) {
        self.unproven = false;
    }

    /// Everything that arrived until then has been read.
    pub(super) fn until(&self) -> Option<i64> {
        self.until
    }

    /// Whether nothing was left to read when the last response was requested.
    pub(super) fn is_at_tip(&self) -> bool {
        self.at_tip
    }

    /// Whether retention may have removed the next records since the last response, so that reading
    /// must begin again.
    pub(super) fn is_overtaken(&self, now: Now) -> bool {
        let overtaken = self.until.is_some_and(|until| until < now.horizon());
        overtaken && !self.at_edge && !self.unproven && matches!(self.place, Place::Behind(_))
    }

    /// Takes a response: leaves out what was read before, and notes how far it goes. `behind` is
    /// its lag behind the latest record, milliseconds; `asked` is when it was requested.
    pub(super) fn take(&mut self, records: &mut Vec<Record>, behind: i64, asked: i64, now: Now) -> Result<Verdict> {
        // Records after the last one may have arrived in its millisecond: only a response without
        // any proves that there are none.
        self.at_tip = records.is_empty() && behind <= 0;
        if self.unproven && !(records.is_empty() && behind > 0) && self.prove(records, now)? == Verdict::Again {
            return Ok(Verdict::Again);
        }
        if let Some(last) = records.last() {
            self.place = Place::Behind(last.sequence_number.clone());
            let arrival = last.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
            self.until = self.until.max(arrival);
        }
        if self.at_tip {
            self.until = self.until.max(Some(asked));
        }
        if self.until.is_some_and(|until| until > now.horizon() + CLEAR.min(now.retention / 24)) {
            self.at_edge = false;
        }
        Ok(Verdict::Good)
    }

    /// The first records after a beginning: whether the one that was read last is among them, and
    /// first.
    fn prove(&mut self, records: &mut Vec<Record>, now: Now) -> Result<Verdict> {
        let (number, is_half) = match &self.place {
            Place::Behind(number) => (number, false),
            Place::Within(number, _) => (number, true),
            Place::TrimHorizon | Place::Timestamp(_) | Place::At(_) => return Ok(Verdict::Good),
        };
        let is_there = records.first().is_some_and(|first| first.sequence_number == *number);
        self.unproven = false;
        if is_there {
            if !is_half {
                records.remove(0);
            }
            return Ok(Verdict::Good);
        }
        // The record has gone. Nothing behind it has, if everything was read that can have gone.
        if !is_half && self.until.is_some_and(|until| until >= now.horizon()) {
            return Ok(Verdict::Good);
        }
        self.lost(number.clone(), now)
    }

    fn lost(&mut self, number: String, now: Now) -> Result<Verdict> {
        let since = self.until.map_or_else(|| "at an unknown time".to_owned(), time_of);
        let what = format!(
            "the shard {} was read up to the record {number}, which arrived {since} and was removed by retention ({} h); \
                records behind it may have gone unread",
            self.shard,
            now.retention / 3_600_000
        );
        match self.policy {
            LostRecords::Stop => Err(Error::environment(what).code(RECORDS_LOST).hint(
                "`on_lost_records: trim_horizon` (or `latest`) resumes with what is there; a longer retention of the stream prevents it",
            )),
            LostRecords::TrimHorizon => {
                tracing::warn!("{what}; resuming at the oldest record that is there, by `on_lost_records`");
                self.at_edge = true;
                Ok(Verdict::Good)
            }
            LostRecords::Latest => {
                tracing::warn!("{what}; resuming with what arrives from now on, by `on_lost_records`");
                self.place = Place::Timestamp(now.time);
                Ok(Verdict::Again)
            }
        }
    }
}

/// `at 2026-01-31T00:00:00.000Z`, of milliseconds since 1970.
pub(super) fn time_of(millis: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    format!("at {}", humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since))
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};

    use super::*;

    const DAY: i64 = 86_400_000;

    fn records(numbers: &[&str]) -> Vec<Record> {
        let record = |number: &&str| {
            let arrival = DateTime::from_millis(number.parse().unwrap());
            Record::builder().sequence_number(*number).approximate_arrival_timestamp(arrival).data(Blob::new("")).build().unwrap()
        };
        numbers.iter().map(record).collect()
    }

    fn left(records: &[Record]) -> Vec<&str> {
        records.iter().map(|record| record.sequence_number.as_str()).collect()
    }

    fn behind(number: &str, until: i64, policy: LostRecords) -> Cursor {
        let mut cursor = Cursor::new("s", Place::Behind(number.into()), Some(until), policy);
        assert_eq!(cursor.begin(), Beginning::At(number));
        cursor
    }

    #[test]
    fn what_was_read_last_proves_that_nothing_is_lost_and_is_left_out() {
        let now = Now { time: 10 * DAY, retention: DAY };
        let mut cursor = behind("5", 5, LostRecords::Stop);
        // A response without records proves nothing as long as there are later ones.
        assert_eq!(cursor.take(&mut Vec::new(), 100, now.time, now).unwrap(), Verdict::Good);
        let mut answer = records(&["5", "6"]);
        cursor.take(&mut answer, 0, now.time, now).unwrap();
        assert_eq!((left(&answer), cursor.until(), cursor.is_at_tip()), (vec!["6"], Some(6), false));
        cursor.take(&mut Vec::new(), 0, now.time, now).unwrap();
        assert_eq!((cursor.until(), cursor.is_at_tip()), (Some(now.time), true));
        let mut answer = records(&["7"]);
        cursor.take(&mut answer, 0, now.time, now).unwrap();
        assert_eq!((left(&answer), cursor.is_at_tip()), (vec!["7"], false));
        assert_eq!(cursor.begin(), Beginning::At("7"));
    }

    #[test]
    fn a_record_that_has_gone_after_all_before_the_horizon_was_read_is_no_loss() {
        let now = Now { time: 10 * DAY, retention: DAY };
        let mut cursor = behind("5", 9 * DAY, LostRecords::Stop);
        let mut answer = records(&["777600005"]);
        cursor.take(&mut answer, 0, now.time, now).unwrap();
        assert_eq!(answer.len(), 1);
        let mut cursor = behind("5", 9 * DAY - 1, LostRecords::Stop);
        let error = cursor.take(&mut records(&["777600005"]), 0, now.time, now).unwrap_err();
        assert!(error.message().contains("the record 5, which arrived at 1970-01-09T23:59:59.999Z"), "{error}");
        assert!(behind("5", 5, LostRecords::Stop).take(&mut Vec::new(), 0, now.time, now).is_err(), "also where nothing is left");
    }

    #[test]
    fn the_file_may_choose_to_continue() {
        let now = Now { time: 10 * DAY, retention: DAY };
        let mut answer = records(&["8"]);
        assert_eq!(behind("5", 5, LostRecords::TrimHorizon).take(&mut answer, 0, 0, now).unwrap(), Verdict::Good);
        assert_eq!(left(&answer), ["8"]);
        let mut cursor = behind("5", 5, LostRecords::Latest);
        assert_eq!(cursor.take(&mut records(&["8"]), 0, 0, now).unwrap(), Verdict::Again);
        assert_eq!(cursor.begin(), Beginning::Timestamp(10 * DAY));
    }

    #[test]
    fn the_rest_of_an_aggregate_must_be_there() {
        let now = Now { time: DAY, retention: DAY };
        let mut cursor = Cursor::new("s", Place::Within("5".into(), 2), Some(DAY), LostRecords::Stop);
        cursor.begin();
        let mut answer = records(&["5", "6"]);
        cursor.take(&mut answer, 0, 0, now).unwrap();
        assert_eq!(left(&answer), ["5", "6"]);
        let mut cursor = Cursor::new("s", Place::Within("5".into(), 2), Some(DAY), LostRecords::Stop);
        cursor.begin();
        assert!(cursor.take(&mut records(&["6"]), 0, 0, now).is_err());
    }

    #[test]
    fn a_reader_that_retention_overtakes_checks_whether_it_lost_something() {
        let now = |time| Now { time, retention: DAY };
        let mut cursor = Cursor::new("s", Place::TrimHorizon, None, LostRecords::Stop);
        cursor.begin();
        cursor.take(&mut records(&["100"]), 1, 0, now(DAY)).unwrap();
        assert!(!cursor.is_overtaken(now(DAY + 200)), "it began there");
        cursor.take(&mut records(&["50000000"]), 1, 0, now(DAY)).unwrap();
        assert!(!cursor.is_overtaken(now(DAY + 50_000_000)));
        assert!(cursor.is_overtaken(now(DAY + 50_000_001)));
    }
}
