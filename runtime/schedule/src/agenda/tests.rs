use chrono_tz::Tz;

use super::*;
use crate::{Retries, Times};

fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

fn job(cron: &str, catch_up: CatchUp, times: u32) -> Job {
    Job {
        name: "load".into(),
        times: Times::new(cron, Tz::UTC).unwrap(),
        catch_up,
        retries: Retries { times, backoff: Duration::from_secs(60), max_backoff: Duration::from_secs(3600) },
        timeout: None,
        stop_within: Duration::from_secs(120),
    }
}

/// A scheduler whose clock the test sets: it keeps the history, and can be ended and started again.
struct Scheduler {
    job: Job,
    agenda: Agenda,
    history: Vec<Entry>,
    now: Moment,
}

impl Scheduler {
    fn new(job: Job, now: &str) -> Self {
        let now = moment(now);
        let (agenda, history) = Agenda::restore(vec![job.clone()], &[], now);
        Self { job, agenda, history, now }
    }

    /// It is gone, and another one starts.
    fn restart(&mut self, now: &str) {
        self.now = moment(now);
        let (agenda, notes) = Agenda::restore(vec![self.job.clone()], &self.history, self.now);
        self.agenda = agenda;
        self.history.extend(notes);
    }

    /// What happens at a time, in words: `start 02:00 #1`, `missed 01:00 x3`.
    fn at(&mut self, now: &str) -> Vec<String> {
        self.now = moment(now);
        let clock = |moment: Moment| moment.format("%H:%M").to_string();
        let steps = self.agenda.due(self.now);
        let mut words = Vec::new();
        for step in steps {
            match step {
                Step::Start(_, attempt) => {
                    self.history.push(Entry::Started { job: "load".into(), at: self.now, attempt, log: String::new() });
                    words.push(format!("start {} #{}", clock(attempt.scheduled), attempt.attempt));
                }
                Step::Note(entry) => {
                    let Entry::Skipped { last, count, why, .. } = &entry else { panic!("{entry:?}") };
                    words.push(format!("{why:?} {} x{count}", clock(*last)).to_lowercase());
                    self.history.push(entry);
                }
            }
        }
        words
    }

    /// The attempt ends; the time of the next one.
    fn ends(&mut self, now: &str, outcome: Outcome) -> Option<String> {
        self.now = moment(now);
        let (_, attempt) = self.agenda.running().next().expect("an attempt is under way");
        let at = self.agenda.ended(0, outcome, self.now);
        self.history.push(Entry::Ended { job: "load".into(), at: self.now, attempt, outcome, seconds: 0.0, rows: None, error: None });
        at.map(|at| at.format("%H:%M").to_string())
    }
}

const NOTHING: [&str; 0] = [];
const DOWN: Outcome = Outcome::Failed { status: 5 };

#[test]
fn a_job_begins_at_its_time_and_once() {
    let mut scheduler = Scheduler::new(job("0 2 * * *", CatchUp::None, 0), "2026-01-01T12:00:00Z");
    assert_eq!(scheduler.at("2026-01-02T01:59:59Z"), NOTHING);
    assert_eq!(scheduler.at("2026-01-02T02:00:00Z"), ["start 02:00 #1"]);
    assert_eq!(scheduler.at("2026-01-02T02:00:01Z"), NOTHING);
    assert_eq!(scheduler.ends("2026-01-02T02:10:00Z", Outcome::Succeeded), None);
    assert!(scheduler.agenda.is_at_rest(scheduler.now));
    assert_eq!(scheduler.at("2026-01-02T23:00:00Z"), NOTHING);
    assert_eq!(scheduler.at("2026-01-03T02:00:00Z"), ["start 02:00 #1"]);
}

#[test]
fn a_clock_that_is_put_back_starts_nothing_again() {
    let mut scheduler = Scheduler::new(job("0 * * * *", CatchUp::All, 0), "2026-01-01T12:00:00Z");
    assert_eq!(scheduler.at("2026-01-01T13:00:00Z"), ["start 13:00 #1"]);
    scheduler.ends("2026-01-01T13:00:05Z", Outcome::Succeeded);
    assert_eq!(scheduler.at("2026-01-01T12:30:00Z"), NOTHING);
    scheduler.restart("2026-01-01T12:59:00Z");
    assert_eq!(scheduler.at("2026-01-01T13:00:00Z"), NOTHING);
    assert_eq!(scheduler.at("2026-01-01T14:00:00Z"), ["start 14:00 #1"]);
}

#[test]
fn times_that_nobody_was_there_for_are_skipped_run_once_or_all_run() {
    for (catch_up, expected) in [
        (CatchUp::None, &["missed 15:00 x3"][..]),
        (CatchUp::Latest, &["superseded 14:00 x2", "start 15:00 #1"]),
        (CatchUp::All, &["start 13:00 #1"]),
    ] {
        let mut scheduler = Scheduler::new(job("0 * * * *", catch_up, 0), "2026-01-01T12:30:00Z");
        scheduler.restart("2026-01-01T15:30:00Z");
        assert_eq!(scheduler.at("2026-01-01T15:30:00Z"), expected, "{catch_up:?}");
        if catch_up == CatchUp::All {
            assert_eq!(scheduler.at("2026-01-01T15:30:01Z"), NOTHING, "one after another");
            scheduler.ends("2026-01-01T15:31:00Z", Outcome::Succeeded);
            assert_eq!(scheduler.at("2026-01-01T15:31:00Z"), ["start 14:00 #1"]);
            scheduler.ends("2026-01-01T15:32:00Z", Outcome::Succeeded);
            assert_eq!(scheduler.at("2026-01-01T15:32:00Z"), ["start 15:00 #1"]);
            scheduler.ends("2026-01-01T15:33:00Z", Outcome::Succeeded);
        }
        assert_eq!(scheduler.at("2026-01-01T15:59:00Z"), NOTHING, "{catch_up:?}");
    }
}

#[test]
fn a_time_that_was_just_now_is_not_missed() {
    let mut scheduler = Scheduler::new(job("* * * * *", CatchUp::None, 0), "2026-01-01T12:00:30Z");
    scheduler.restart("2026-01-01T12:05:50Z");
    assert_eq!(scheduler.at("2026-01-01T12:05:50Z"), ["superseded 12:04 x4", "start 12:05 #1"]);
}

#[test]
fn a_time_that_comes_while_the_job_runs_is_skipped_or_waits() {
    for (catch_up, during, behind) in [
        (CatchUp::None, &["overlap 12:02 x2"][..], &[][..]),
        (CatchUp::Latest, &[], &["superseded 12:01 x1", "start 12:02 #1"]),
        (CatchUp::All, &[], &["start 12:01 #1"]),
    ] {
        let mut scheduler = Scheduler::new(job("* * * * *", catch_up, 0), "2026-01-01T11:59:30Z");
        assert_eq!(scheduler.at("2026-01-01T12:00:00Z"), ["start 12:00 #1"]);
        assert_eq!(scheduler.at("2026-01-01T12:02:10Z"), during, "{catch_up:?}");
        scheduler.ends("2026-01-01T12:02:20Z", Outcome::Succeeded);
        assert_eq!(scheduler.at("2026-01-01T12:02:20Z"), behind, "{catch_up:?}");
    }
}

#[test]
fn a_failure_of_the_environment_is_retried_later_and_later() {
    let mut scheduler = Scheduler::new(job("0 2 * * *", CatchUp::None, 2), "2026-01-01T12:00:00Z");
    scheduler.at("2026-01-02T02:00:00Z");
    assert_eq!(scheduler.ends("2026-01-02T02:01:00Z", DOWN), Some("02:02".into()));
    assert!(!scheduler.agenda.is_at_rest(scheduler.now));
    assert_eq!(scheduler.at("2026-01-02T02:01:59Z"), NOTHING);
    assert_eq!(scheduler.at("2026-01-02T02:02:00Z"), ["start 02:00 #2"]);
    assert_eq!(scheduler.ends("2026-01-02T02:03:00Z", DOWN), Some("02:05".into()));
    // The next scheduler knows it, too.
    scheduler.restart("2026-01-02T02:04:00Z");
    assert_eq!(scheduler.at("2026-01-02T02:04:00Z"), NOTHING);
    assert_eq!(scheduler.at("2026-01-02T02:05:00Z"), ["start 02:00 #3"]);
    assert_eq!(scheduler.ends("2026-01-02T02:06:00Z", DOWN), None, "that was the last");
    assert!(scheduler.agenda.is_at_rest(scheduler.now));
    assert_eq!(scheduler.at("2026-01-03T02:00:00Z"), ["start 02:00 #1"]);
}

#[test]
fn what_a_person_has_to_mend_is_not_retried() {
    for status in [2, 3, 4, 6] {
        let mut scheduler = Scheduler::new(job("0 2 * * *", CatchUp::None, 5), "2026-01-01T12:00:00Z");
        scheduler.at("2026-01-02T02:00:00Z");
        assert_eq!(scheduler.ends("2026-01-02T02:01:00Z", Outcome::Failed { status }), None);
    }
}

#[test]
fn a_run_that_the_scheduler_cut_short_is_taken_up_at_once() {
    let mut scheduler = Scheduler::new(job("0 2 * * *", CatchUp::None, 1), "2026-01-01T12:00:00Z");
    scheduler.at("2026-01-02T02:00:00Z");
    // It is gone while the attempt is under way: only its process can tell what became of it.
    scheduler.restart("2026-01-02T02:30:00Z");
    let running: Vec<_> = scheduler.agenda.running().map(|(index, attempt)| (index, attempt.attempt)).collect();
    assert_eq!(running, [(0, 1)]);
    assert_eq!(scheduler.at("2026-01-02T02:30:00Z"), NOTHING);
    assert_eq!(scheduler.ends("2026-01-02T02:30:01Z", Outcome::Interrupted), Some("02:30".into()));
    assert_eq!(scheduler.at("2026-01-02T02:30:01Z"), ["start 02:00 #2"]);
    assert_eq!(scheduler.ends("2026-01-02T02:30:05Z", Outcome::Stopped), None, "it counts as an attempt");
    scheduler.restart("2026-01-02T03:00:00Z");
    assert!(scheduler.agenda.is_at_rest(scheduler.now));
}

#[test]
fn other_times_begin_anew_and_an_unchanged_job_does_not() {
    let mut scheduler = Scheduler::new(job("0 * * * *", CatchUp::All, 0), "2026-01-01T12:30:00Z");
    scheduler.job = job("30 * * * *", CatchUp::All, 0);
    scheduler.restart("2026-01-01T15:45:00Z");
    assert_eq!(scheduler.at("2026-01-01T15:45:00Z"), NOTHING, "the times before are none of the new ones");
    let known = scheduler.history.iter().filter(|entry| matches!(entry, Entry::Known { .. })).count();
    assert_eq!(known, 2);
    scheduler.restart("2026-01-01T15:50:00Z");
    assert_eq!(scheduler.at("2026-01-01T16:30:00Z"), ["start 16:30 #1"]);
    assert_eq!(scheduler.history.iter().filter(|entry| matches!(entry, Entry::Known { .. })).count(), 2);
}

#[test]
fn a_run_by_hand_is_none_of_the_times() {
    let mut scheduler = Scheduler::new(job("0 2 * * *", CatchUp::All, 1), "2026-01-01T12:00:00Z");
    let attempt = scheduler.agenda.start_by_hand(0, moment("2026-01-01T13:00:00Z")).unwrap();
    assert!(attempt.by_hand);
    scheduler.history.push(Entry::Started { job: "load".into(), at: attempt.scheduled, attempt, log: String::new() });
    assert_eq!(scheduler.ends("2026-01-01T13:01:00Z", DOWN), Some("13:02".into()), "it is retried, too");
    scheduler.at("2026-01-01T13:02:00Z");
    scheduler.ends("2026-01-01T13:03:00Z", Outcome::Succeeded);
    scheduler.restart("2026-01-02T02:00:00Z");
    assert_eq!(scheduler.at("2026-01-02T02:00:00Z"), ["start 02:00 #1"]);
}

#[test]
fn a_year_without_a_scheduler_is_walked_in_parts() {
    let mut scheduler = Scheduler::new(job("* * * * *", CatchUp::Latest, 0), "2026-01-01T00:00:30Z");
    scheduler.restart("2026-01-05T00:00:30Z");
    let mut calls = 0;
    let started = loop {
        calls += 1;
        let words = scheduler.at("2026-01-05T00:00:30Z");
        if let Some(started) = words.iter().find(|word| word.starts_with("start")) {
            break started.clone();
        }
    };
    assert_eq!((started.as_str(), calls), ("start 00:00 #1", 4 * 24 * 60 / MOST_TIMES + 1));
    let skipped: u64 = scheduler.history.iter().map(|entry| if let Entry::Skipped { count, .. } = entry { *count } else { 0 }).sum();
    assert_eq!(skipped, 4 * 24 * 60 - 1, "every time is run or noted");
}
