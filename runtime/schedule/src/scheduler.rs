//! Carries an agenda out: starts processes, waits for them, stops them, and writes down what happens.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, SubsecRound, Utc};
use wasmill_engine::codes::DISK;
use wasmill_engine::{Error, FolderLock, Result, StopSignal};

use crate::codes::JOB_IS_RUNNING;
use crate::evidence::{Cut, Evidence};
use crate::process::{Exit, JobFolder, Launch, Process};
use crate::{Agenda, Attempt, Entry, Job, Journal, Moment, Outcome, Step};

/// How long the scheduler sleeps at most: times, ends of processes and signals are seen within this time.
const TICK: Duration = Duration::from_millis(100);
/// Long messages of processes are cut.
const MOST_MESSAGE_CHARS: usize = 500;

/// The command line of a job.
#[derive(Debug, Clone)]
pub struct Program {
    /// The arguments of the binary.
    pub arguments: Vec<OsString>,
}

/// How long to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until a signal comes.
    Stopped,
    /// Until nothing runs, is due, or waits for its next attempt.
    AtRest,
    /// Until a run of this job, which begins at once, has ended. No other job is started.
    Ran(usize),
}

/// An event, for the caller to show.
#[derive(Debug)]
pub struct News<'a> {
    /// What, as the history has it.
    pub entry: &'a Entry,
    /// The job.
    pub job: &'a Job,
    /// When the next attempt begins, if an attempt has failed and is retried.
    pub retry_at: Option<Moment>,
}

/// A schedule that is carried out by this process alone.
pub struct Scheduler<'a> {
    folder: PathBuf,
    binary: PathBuf,
    programs: Vec<Program>,
    agenda: Agenda,
    journal: Journal,
    work: Vec<Option<Work>>,
    /// How the latest run of each job ended that ended while this process was there.
    outcomes: Vec<Option<Outcome>>,
    watch: &'a dyn Fn(News<'_>),
    _lock: FolderLock,
}

/// An attempt that is under way.
struct Work {
    process: Process,
    attempt: Attempt,
    log: PathBuf,
    begun: Moment,
    deadline: Option<Instant>,
    stopping: Option<Stopping>,
}

/// An attempt that was asked to end.
struct Stopping {
    outcome: Outcome,
    kill_at: Instant,
    is_killed: bool,
}

impl<'a> Scheduler<'a> {
    /// Locks the folder of a schedule, which is created if need be, reads its history, and takes over the processes of an earlier scheduler.
    ///
    /// # Errors
    /// Another process has the folder, it can't be written, or its history is damaged.
    pub fn open((states, name): (&Path, &str), jobs: Vec<(Job, Program)>, binary: PathBuf, watch: &'a dyn Fn(News<'_>)) -> Result<Self> {
        let folder = states.join(name);
        fs::create_dir_all(&folder)
            .map_err(|error| Error::io(format_args!("create the folder {}", folder.display()), error).or_code(DISK))?;
        let lock = FolderLock::take(&folder, &format!("schedule `{name}`"))?;
        let (mut journal, history) = Journal::open(&folder)?;
        let (jobs, programs): (Vec<Job>, Vec<Program>) = jobs.into_iter().unzip();
        let (agenda, notes) = Agenda::restore(jobs, &history, now());
        notes.iter().try_for_each(|note| journal.add(note))?;
        let work = programs.iter().map(|_| None).collect();
        let outcomes = programs.iter().map(|_| None).collect();
        let mut scheduler = Self { folder, binary, programs, agenda, journal, work, outcomes, watch, _lock: lock };
        scheduler.take_over(&history)?;
        Ok(scheduler)
    }

    /// Finds out what became of the attempts whose end is not noted: they have ended, or run on.
    fn take_over(&mut self, history: &[Entry]) -> Result<()> {
        let unsettled: Vec<(usize, Attempt)> = self.agenda.running().collect();
        for (index, attempt) in unsettled {
            let Some(job) = self.agenda.jobs().nth(index) else { continue };
            let started = history.iter().rev().find_map(|entry| match entry {
                Entry::Started { job: name, at, log, .. } if *name == job.name => Some((*at, self.folder.join(log))),
                _ => None,
            });
            let Some((begun, log)) = started else { continue };
            match JobFolder::of(&self.folder, &job.name)?.orphan()? {
                Some(process) => {
                    let passed = (now() - begun).to_std().unwrap_or_default();
                    let deadline = job.timeout.map(|timeout| Instant::now() + timeout.saturating_sub(passed));
                    self.work[index] = Some(Work { process, attempt, log, begun, deadline, stopping: None });
                }
                None => self.settle(index, (attempt, begun, &log), Exit::Unseen, None)?,
            }
        }
        Ok(())
    }

    /// Carries the agenda out. `tick` is called again and again meanwhile. A stop signal stops what runs, waits for its end, and then ends this.
    ///
    /// Returns, by the indices of the jobs, how their latest runs ended that ended meanwhile.
    ///
    /// # Errors
    /// The history can't be written. Attempts keep running, and the next scheduler takes them over.
    pub fn run(mut self, stop: &StopSignal, until: Until, tick: &dyn Fn()) -> Result<Vec<Option<Outcome>>> {
        if let Until::Ran(index) = until {
            self.start_by_hand(index)?;
        }
        loop {
            self.look_after_work()?;
            if stop.is_set() {
                if self.work.iter().all(Option::is_none) {
                    return Ok(self.outcomes);
                }
                (0..self.work.len()).for_each(|index| self.ask_to_end(index, Outcome::Stopped));
            } else if self.carry_on(until)? {
                return Ok(self.outcomes);
            }
            tick();
            std::thread::park_timeout(TICK);
        }
    }

    /// Starts what is due. Returns whether the end is reached.
    fn carry_on(&mut self, until: Until) -> Result<bool> {
        if let Until::Ran(index) = until {
            if let Some(attempt) = self.agenda.retry(index, now()) {
                self.start(index, attempt)?;
            }
            return Ok(self.agenda.is_idle(index));
        }
        for step in self.agenda.due(now()) {
            match step {
                Step::Start(index, attempt) => self.start(index, attempt)?,
                Step::Note(entry) => {
                    self.journal.add(&entry)?;
                    self.tell(&entry, None);
                }
            }
        }
        Ok(until == Until::AtRest && self.agenda.is_at_rest(now()))
    }

    fn start_by_hand(&mut self, index: usize) -> Result<()> {
        if self.work.get(index).is_some_and(Option::is_some) {
            let name = self.agenda.jobs().nth(index).map_or("", |job| job.name.as_str());
            return Err(Error::environment(format!("job `{name}` is running: an earlier run of it has not ended"))
                .code(JOB_IS_RUNNING)
                .hint("wait for it; runs of a job do not overlap"));
        }
        match self.agenda.start_by_hand(index, now()) {
            Some(attempt) => self.start(index, attempt),
            None => Ok(()),
        }
    }

    fn start(&mut self, index: usize, attempt: Attempt) -> Result<()> {
        let (begun, Some(job)) = (now(), self.agenda.jobs().nth(index)) else { return Ok(()) };
        let (name, timeout) = (job.name.clone(), job.timeout);
        let folder = JobFolder::of(&self.folder, &name)?;
        let log = folder.log(Utc::now(), attempt.attempt);
        let below = log.strip_prefix(&self.folder).unwrap_or(&log).display().to_string();
        // Noted before it begins: a run that nobody knows of could begin twice.
        let entry = Entry::Started { job: name, at: begun, attempt, log: below };
        self.journal.add(&entry)?;
        self.tell(&entry, None);
        let scheduled = attempt.scheduled.to_rfc3339_opts(SecondsFormat::Secs, true);
        let launch = Launch {
            binary: &self.binary,
            arguments: &self.programs[index].arguments,
            environment: &[("WASMILL_SCHEDULED_AT", OsStr::new(&scheduled))],
            log: &log,
        };
        match folder.start(&launch) {
            Ok(process) => {
                let deadline = timeout.map(|timeout| Instant::now() + timeout);
                self.work[index] = Some(Work { process, attempt, log, begun, deadline, stopping: None });
                Ok(())
            }
            Err(error) => {
                let _ = fs::write(&log, format!("error: {error}\n"));
                self.note_end(index, (attempt, begun), Outcome::Failed { status: 5 }, (None, Some(error.to_string())))
            }
        }
    }

    /// Sees to the ends of processes and to their time limits.
    fn look_after_work(&mut self) -> Result<()> {
        for index in 0..self.work.len() {
            let Some(work) = &mut self.work[index] else { continue };
            if let Some(exit) = work.process.poll()? {
                let Some(work) = self.work[index].take() else { continue };
                let asked = work.stopping.map(|stopping| stopping.outcome);
                self.settle(index, (work.attempt, work.begun, &work.log), exit, asked)?;
                continue;
            }
            match &mut work.stopping {
                Some(stopping) if !stopping.is_killed && Instant::now() >= stopping.kill_at => {
                    stopping.is_killed = true;
                    work.process.kill();
                }
                None if work.deadline.is_some_and(|deadline| Instant::now() >= deadline) => self.ask_to_end(index, Outcome::TimedOut),
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks a process once to end; `outcome` is how the attempt ends then.
    fn ask_to_end(&mut self, index: usize, outcome: Outcome) {
        let stop_within = self.agenda.jobs().nth(index).map_or(Duration::ZERO, |job| job.stop_within);
        if let Some(work) = self.work[index].as_mut().filter(|work| work.stopping.is_none()) {
            work.stopping = Some(Stopping { outcome, kill_at: Instant::now() + stop_within, is_killed: false });
            work.process.terminate();
        }
    }

    /// An attempt has ended: its exit status and its output say how.
    fn settle(&mut self, index: usize, (attempt, begun, log): (Attempt, Moment, &Path), exit: Exit, asked: Option<Outcome>) -> Result<()> {
        let evidence = Evidence::of(log);
        let outcome = outcome_of(exit, asked, &evidence);
        let error = match outcome {
            Outcome::Succeeded => None,
            _ => evidence.failed.map(|(_, message)| message).or(evidence.last_line.filter(|_| evidence.finished.is_none())),
        };
        self.note_end(index, (attempt, begun), outcome, (evidence.rows, error))
    }

    fn note_end(
        &mut self,
        index: usize,
        (attempt, begun): (Attempt, Moment),
        outcome: Outcome,
        (rows, error): (Option<u64>, Option<String>),
    ) -> Result<()> {
        let at = now();
        let seconds = (at - begun).to_std().unwrap_or_default().as_secs_f64();
        let error = error.map(|error| error.chars().take(MOST_MESSAGE_CHARS).collect());
        let job = self.agenda.jobs().nth(index).map(|job| job.name.clone()).unwrap_or_default();
        let entry = Entry::Ended { job, at, attempt, outcome, seconds, rows, error };
        self.journal.add(&entry)?;
        let retry_at = self.agenda.ended(index, outcome, at);
        if retry_at.is_none() {
            self.outcomes[index] = Some(outcome);
        }
        self.tell(&entry, retry_at);
        Ok(())
    }

    fn tell(&self, entry: &Entry, retry_at: Option<Moment>) {
        if let Some(job) = self.agenda.jobs().find(|job| job.name == entry.job()) {
            (self.watch)(News { entry, job, retry_at });
        }
    }
}

/// The time, to the millisecond, as the history keeps it.
fn now() -> Moment {
    Utc::now().trunc_subsecs(3)
}

/// How an attempt ended, by the exit of its process, by what that was asked for, and by what it printed.
fn outcome_of(exit: Exit, asked: Option<Outcome>, evidence: &Evidence) -> Outcome {
    match (exit, evidence.finished, &evidence.failed) {
        // A batch that was asked to end just after its last epoch is whole. A stream has no end of its own: one that takes too long is stopped by its time limit.
        // So is a command that prints no events and says that all went well.
        (Exit::Status(0) | Exit::Unseen, Some(Cut::Whole), _) | (Exit::Status(0), None, _) => {
            asked.filter(|asked| *asked == Outcome::TimedOut).unwrap_or(Outcome::Succeeded)
        }
        (Exit::Status(0) | Exit::Unseen, Some(Cut::Short), _) => asked.unwrap_or(Outcome::Stopped),
        (Exit::Status(status), ..) => Outcome::Failed { status },
        (Exit::Signal(signal), ..) => asked.unwrap_or(Outcome::Killed { signal }),
        (Exit::Unseen, None, Some((status, _))) => Outcome::Failed { status: *status },
        (Exit::Unseen, None, None) => asked.unwrap_or(Outcome::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_attempt_is_told_by_its_exit_and_by_what_it_printed() {
        let nothing = Evidence::default();
        let finished = |cut| Evidence { finished: Some(cut), ..Evidence::default() };
        let failed = Evidence { failed: Some((6, "half".into())), ..Evidence::default() };
        let cases = [
            (Exit::Status(0), None, &finished(Cut::Whole), Outcome::Succeeded),
            (Exit::Status(0), Some(Outcome::Stopped), &finished(Cut::Whole), Outcome::Succeeded),
            (Exit::Status(0), Some(Outcome::Stopped), &finished(Cut::Short), Outcome::Stopped),
            (Exit::Status(0), Some(Outcome::TimedOut), &finished(Cut::Short), Outcome::TimedOut),
            (Exit::Status(0), Some(Outcome::TimedOut), &finished(Cut::Whole), Outcome::TimedOut),
            (Exit::Status(0), None, &finished(Cut::Short), Outcome::Stopped),
            (Exit::Status(0), None, &nothing, Outcome::Succeeded),
            (Exit::Status(5), None, &nothing, Outcome::Failed { status: 5 }),
            (Exit::Status(6), Some(Outcome::Stopped), &failed, Outcome::Failed { status: 6 }),
            (Exit::Signal(11), None, &nothing, Outcome::Killed { signal: 11 }),
            (Exit::Signal(9), Some(Outcome::TimedOut), &nothing, Outcome::TimedOut),
            (Exit::Unseen, None, &finished(Cut::Whole), Outcome::Succeeded),
            (Exit::Unseen, None, &failed, Outcome::Failed { status: 6 }),
            (Exit::Unseen, None, &nothing, Outcome::Interrupted),
            (Exit::Unseen, Some(Outcome::TimedOut), &nothing, Outcome::TimedOut),
        ];
        for (exit, asked, evidence, expected) in cases {
            assert_eq!(outcome_of(exit, asked, evidence), expected, "{exit:?} {asked:?} {evidence:?}");
        }
    }
}
