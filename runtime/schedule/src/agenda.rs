//! Which runs begin, which times are skipped, what is retried: decided from the time that the caller brings.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Attempt, CatchUp, Entry, Job, Moment, Outcome, Skipped};

/// A time that is not further back than this is not missed: the scheduler was busy, or just started again.
const LATE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);
/// The most times of a job that one call of [`Agenda::due`] walks over.
const MOST_TIMES: usize = 1_000;

/// The jobs of a schedule and what each is at.
#[derive(Debug)]
pub struct Agenda {
    slots: Vec<Slot>,
}

/// What has to be done now, for the job of that index.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An attempt begins.
    Start(usize, Attempt),
    /// Times pass without a run: to be noted.
    Note(Entry),
}

#[derive(Debug)]
struct Slot {
    job: Job,
    /// The first time that was neither run nor skipped.
    next: Option<Moment>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Waits for its next time.
    Idle,
    /// An attempt is under way.
    Running(Attempt),
    /// The next attempt begins then.
    Waiting(Attempt, Moment),
}

impl Agenda {
    /// The agenda behind a history, and what has to be noted: jobs that are new or have other times. An attempt of which the history has no end is under way, for all
    /// that is known; [`running`](Self::running) lists those, and the caller finds out what became of them.
    pub fn restore(jobs: Vec<Job>, history: &[Entry], now: Moment) -> (Self, Vec<Entry>) {
        let mut of_job: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in history {
            of_job.entry(entry.job()).or_default().push(entry);
        }
        let mut notes = Vec::new();
        let slots = jobs
            .into_iter()
            .map(|job| {
                let entries = of_job.get(job.name.as_str()).map_or(&[][..], Vec::as_slice);
                let times = job.times.text().to_owned();
                let known = entries.iter().rev().find_map(|entry| match entry {
                    Entry::Known { times, .. } => Some(times),
                    _ => None,
                });
                let handled = match known {
                    Some(known) if *known == times => handled_in(entries),
                    _ => {
                        notes.push(Entry::Known { job: job.name.clone(), at: now, times });
                        None
                    }
                };
                Slot::new(job, handled.unwrap_or(now), entries)
            })
            .collect();
        (Self { slots }, notes)
    }

    /// The jobs, in the order of their indices.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.slots.iter().map(|slot| &slot.job)
    }

    /// The attempts that are under way.
    pub fn running(&self) -> impl Iterator<Item = (usize, Attempt)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match slot.state {
            State::Running(attempt) => Some((index, attempt)),
            _ => None,
        })
    }

    /// Whether nothing runs, is due, or waits for its next attempt.
    pub fn is_at_rest(&self, now: Moment) -> bool {
        self.slots.iter().all(|slot| slot.state == State::Idle && slot.next.is_none_or(|next| next > now))
    }

    /// What has to be done now. Attempts that it starts are under way from then on.
    pub fn due(&mut self, now: Moment) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            slot.due(index, now, &mut steps);
        }
        steps
    }

    /// The next attempt of a run that failed, if its time has come. It is under way from then on.
    pub fn retry(&mut self, index: usize, now: Moment) -> Option<Attempt> {
        self.slots.get_mut(index)?.retry(now)
    }

    /// Whether no attempt of a job is under way or waits for its time.
    pub fn is_idle(&self, index: usize) -> bool {
        self.slots.get(index).is_none_or(|slot| slot.state == State::Idle)
    }

    /// Begins a run that a person asks for. It takes the place of an attempt that would be retried.
    pub fn start_by_hand(&mut self, index: usize, now: Moment) -> Option<Attempt> {
        let slot = self.slots.get_mut(index)?;
        let attempt = Attempt { scheduled: now, attempt: 1, by_hand: true };
        slot.state = State::Running(attempt);
        Some(attempt)
    }

    /// An attempt has ended. Returns when the next one of this run begins, if there is one.
    pub fn ended(&mut self, index: usize, outcome: Outcome, now: Moment) -> Option<Moment> {
        let slot = self.slots.get_mut(index)?;
        let State::Running(attempt) = slot.state else { return None };
        slot.state = after(&slot.job, attempt, outcome, now);
        match slot.state {
            State::Waiting(_, at) => Some(at),
            _ => None,
        }
    }
}

/// What a job is at behind the end of an attempt.
fn after(job: &Job, attempt: Attempt, outcome: Outcome, at: Moment) -> State {
    if !outcome.is_retried() || attempt.attempt > job.retries.times {
        return State::Idle;
    }
    let delay = if outcome.is_cut_short() { Duration::ZERO } else { job.retries.delay(attempt.attempt) };
    let begin = chrono::TimeDelta::from_std(delay).ok().and_then(|delay| at.checked_add_signed(delay));
    State::Waiting(Attempt { attempt: attempt.attempt + 1, ..attempt }, begin.unwrap_or(Moment::MAX_UTC))
}

/// The time up to which a job's times are done, by its entries since it is known.
fn handled_in(entries: &[&Entry]) -> Option<Moment> {
    let mut handled: Option<Moment> = None;
    for entry in entries {
        match entry {
            Entry::Known { at, .. } => handled = Some(*at),
            Entry::Skipped { last, .. } => handled = handled.max(Some(*last)),
            Entry::Started { attempt, .. } if !attempt.by_hand => handled = handled.max(Some(attempt.scheduled)),
            Entry::Started { .. } | Entry::Ended { .. } => {}
        }
    }
    handled
}

impl Slot {
    fn new(job: Job, handled: Moment, entries: &[&Entry]) -> Self {
        let last = entries.iter().rev().find(|entry| matches!(entry, Entry::Started { .. } | Entry::Ended { .. }));
        let state = match last {
            Some(Entry::Started { attempt, .. }) => State::Running(*attempt),
            Some(Entry::Ended { attempt, outcome, at, .. }) => after(&job, *attempt, *outcome, *at),
            _ => State::Idle,
        };
        Self { next: job.times.next_after(handled), job, state }
    }

    /// A time is run or skipped, and with it all before it.
    fn handle(&mut self, time: Moment) {
        self.next = self.job.times.next_after(time);
    }

    fn due(&mut self, index: usize, now: Moment, steps: &mut Vec<Step>) {
        if self.state == State::Idle {
            if let Some(scheduled) = self.take_due(now, steps) {
                let attempt = Attempt { scheduled, attempt: 1, by_hand: false };
                self.state = State::Running(attempt);
                steps.push(Step::Start(index, attempt));
            }
            return;
        }
        if let Some(attempt) = self.retry(now) {
            steps.push(Step::Start(index, attempt));
        }
        // What catches up does so once the run has ended.
        if self.job.catch_up == CatchUp::None {
            let times = self.walk(now);
            self.skip(&times, now, Skipped::Overlap, steps);
        }
    }

    fn retry(&mut self, now: Moment) -> Option<Attempt> {
        let State::Waiting(attempt, at) = self.state else { return None };
        (at <= now).then(|| {
            self.state = State::Running(attempt);
            attempt
        })
    }

    /// The time that an idle job runs for now, if it runs.
    fn take_due(&mut self, now: Moment, steps: &mut Vec<Step>) -> Option<Moment> {
        if self.job.catch_up == CatchUp::All {
            let next = self.next.filter(|next| *next <= now)?;
            self.handle(next);
            return Some(next);
        }
        let mut times = self.walk(now);
        // More of them are left for the next call: the latest is not known yet.
        let is_whole = self.next.is_none_or(|next| next > now);
        let latest = times.pop_if(|latest| is_whole && (self.job.catch_up == CatchUp::Latest || now - *latest <= LATE));
        let why = if latest.is_some() || self.job.catch_up == CatchUp::Latest { Skipped::Superseded } else { Skipped::Missed };
        self.skip(&times, now, why, steps);
        latest
    }

    /// The times up to now, at most so many, which are handled from then on.
    fn walk(&mut self, now: Moment) -> Vec<Moment> {
        let mut times = Vec::new();
        while let Some(next) = self.next.filter(|next| *next <= now && times.len() < MOST_TIMES) {
            times.push(next);
            self.handle(next);
        }
        times
    }

    fn skip(&self, times: &[Moment], now: Moment, why: Skipped, steps: &mut Vec<Step>) {
        if let ([first, ..], [.., last]) = (times, times) {
            let count = times.len() as u64;
            steps.push(Step::Note(Entry::Skipped { job: self.job.name.clone(), at: now, first: *first, last: *last, count, why }));
        }
    }
}

#[cfg(test)]
mod tests;
