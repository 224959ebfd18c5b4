//! `wasmill schedule`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use wasmill_engine::{Error, Result};
use wasmill_schedule::{Entry, Job, Journal, Moment, News, Outcome, Program, Scheduler, Until};

use super::checked::{checked, fail};
use super::codes::ARGUMENT;
use crate::diagnostics::{Diagnostics, Level, Style, nearest, render, shorten, to_json};
use crate::document::{Redactor, SourceFiles};
use crate::exit;
use crate::run::{Heartbeat, stop_on_signals};
use crate::schedule::{CheckedJob, CheckedSchedule, ScheduleReport, check, history_table, news_in_json, news_in_words, status_of};
use crate::terminal::harmless;

/// Runs pipelines and other commands at set times
///
/// Each run is a process of its own. A signal stops the runs and waits for them. Two processes can't run one schedule: the second one ends with an error.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
        wasmill schedule schedule.yaml\n  \
        wasmill schedule schedule.yaml --once\n  \
        wasmill schedule schedule.yaml --now load\n  \
        wasmill schedule check schedule.yaml\n  \
        wasmill schedule history schedule.yaml\n\n\
        SIGINT (Ctrl-C) and SIGTERM stop what runs, which finishes its epoch, and then exit with 0; a second one ends the scheduler at once, \
        and the next one waits for what runs on."
)]
pub struct Schedule {
    #[command(subcommand)]
    command: Option<Below>,
    #[command(flatten)]
    run: RunSchedule,
}

#[derive(Debug, Subcommand)]
enum Below {
    Check(CheckSchedule),
    History(History),
}

/// What runs a schedule.
#[derive(Debug, Args)]
struct RunSchedule {
    /// The file of the schedule
    #[arg(value_name = "SCHEDULE", required = true, value_hint = clap::ValueHint::FilePath)]
    path: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgument,
    /// Runs what is due, waits for it and its retries, and ends: for those who start it at set times themselves
    ///
    /// The exit status is that of the first job of the file whose run failed. What is due is what came since the last time and is caught up with.
    #[arg(long)]
    once: bool,
    /// Runs a job now, with its retries and its time limit, and ends with its exit status
    #[arg(long, value_name = "JOB", conflicts_with = "once")]
    now: Option<String>,
    /// Prints what happens as JSON objects on standard output, one per line
    #[arg(long)]
    json: bool,
    /// A file that `wasmill health` reads: replaced every second while the scheduler works
    #[arg(long, value_name = "FILE", env = "WASMILL_HEARTBEAT", value_hint = clap::ValueHint::FilePath)]
    heartbeat: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StateArgument {
    /// The folder of the history, the locks and the logs; overrides the file
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
}

/// Finds everything that is wrong with a schedule and its pipelines, and prints when jobs are due next
///
/// The pipelines are checked as by `wasmill check --offline`: no server is contacted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  wasmill schedule check schedule.yaml\n  wasmill schedule check schedule.yaml --next 10")]
struct CheckSchedule {
    /// The file of the schedule
    #[arg(value_name = "SCHEDULE", value_hint = clap::ValueHint::FilePath)]
    path: PathBuf,
    /// How many of the next times of each job to print
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    next: usize,
    /// Prints the findings as one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the runs of a schedule, how they ended, and the times that were skipped
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmill schedule history schedule.yaml\n  wasmill schedule history schedule.yaml --job load --limit 100\n  wasmill schedule history schedule.yaml --json"
)]
struct History {
    /// The file of the schedule
    #[arg(value_name = "SCHEDULE", value_hint = clap::ValueHint::FilePath)]
    path: PathBuf,
    #[command(flatten)]
    state: StateArgument,
    /// Only those of a job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// How many lines at most, the latest
    #[arg(long, value_name = "LINES", default_value_t = 50)]
    limit: usize,
    /// Prints the entries of the history as JSON objects, one per line, the latest last
    #[arg(long)]
    json: bool,
}

impl Schedule {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.command {
            Some(Below::Check(command)) => command.run(),
            Some(Below::History(command)) => command.run(),
            None => self.run.run(),
        }
    }
}

/// The time, for what is printed and checked.
fn now() -> Moment {
    // A clock before 1970 or behind the year 262,000 is wrong anyway.
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Moment::from_timestamp(i64::try_from(passed.as_secs()).unwrap_or_default(), 0).unwrap_or_default()
}

/// A schedule without mistakes; its findings are printed otherwise.
fn checked_schedule(path: &Path, state: &StateArgument) -> Result<(CheckedSchedule, Redactor), u8> {
    let report = check(path, state.state.as_deref(), now());
    print_findings(&report.diagnostics, &report.files, &report.redactor);
    let status = report.diagnostics.class().map_or(exit::BUG, exit::status);
    report.schedule.map(|schedule| (schedule, report.redactor)).ok_or(status)
}

fn print_findings(diagnostics: &Diagnostics, files: &SourceFiles, redactor: &Redactor) {
    let style = Style::of(&std::io::stderr());
    let _ = std::io::stderr().write_all(render(diagnostics, files, redactor, style).as_bytes());
}

/// The index of a job.
fn job_named(schedule: &CheckedSchedule, name: &str) -> Result<usize> {
    schedule.jobs.iter().position(|job| job.job.name == name).ok_or_else(|| {
        let names: Vec<&str> = schedule.jobs.iter().map(|job| job.job.name.as_str()).collect();
        let near = nearest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        Error::configuration(format!("schedule `{}` has no job `{}`", schedule.name, shorten(name, 80)))
            .code(ARGUMENT)
            .hint(format!("{near}its jobs: {}", names.join(", ")))
    })
}

impl RunSchedule {
    fn run(self) -> u8 {
        let Some(path) = &self.path else { return exit::CONFIGURATION };
        let (schedule, redactor) = match checked_schedule(path, &self.state) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        match self.carry_out(schedule, &redactor) {
            Ok(status) => status,
            Err(error) => fail(&error, &redactor, self.json),
        }
    }

    fn carry_out(&self, schedule: CheckedSchedule, redactor: &Redactor) -> Result<u8> {
        let until = match &self.now {
            Some(name) => Until::Ran(job_named(&schedule, name)?),
            None if self.once => Until::AtRest,
            None => Until::Stopped,
        };
        let stop = stop_on_signals()?;
        let CheckedSchedule { name, state, jobs } = schedule;
        let heartbeat = self.heartbeat.as_deref().map(|path| Heartbeat::start(path, &name)).transpose()?;
        let binary = std::env::current_exe().map_err(|error| Error::io("find the program of this process", error))?;
        let tell = |news: News<'_>| self.tell(&name, &news, redactor);
        let jobs: Vec<(Job, Program)> = jobs.into_iter().map(|CheckedJob { job, program, .. }| (job, program)).collect();
        self.log(&format!(
            "{name}: {} job{}, history in {}",
            jobs.len(),
            if jobs.len() == 1 { "" } else { "s" },
            state.join(&name).display()
        ));
        let scheduler = Scheduler::open((state.as_path(), name.as_str()), jobs, binary, &tell)?;
        let tick = || heartbeat.iter().for_each(|heartbeat| heartbeat.at_work(stop.is_set()));
        let ran = scheduler.run(&stop, until, &tick);
        heartbeat.iter().for_each(|heartbeat| heartbeat.end(ran.is_ok()));
        let failed = |outcomes: Vec<Option<Outcome>>| outcomes.into_iter().flatten().map(status_of).find(|status| *status != exit::OK);
        ran.map(|outcomes| match until {
            Until::Stopped => exit::OK,
            Until::AtRest | Until::Ran(_) => failed(outcomes).unwrap_or(exit::OK),
        })
    }

    fn log(&self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr(), "{}", harmless(text));
        }
    }

    fn tell(&self, schedule: &str, news: &News<'_>, redactor: &Redactor) {
        if self.json {
            super::print(&(redactor.clean(&news_in_json(schedule, news).to_string()) + "\n"));
        } else {
            self.log(&redactor.clean(&news_in_words(news)));
        }
    }
}

impl CheckSchedule {
    fn run(self) -> u8 {
        let report = check(&self.path, None, now());
        let mut status = report.diagnostics.class().map_or(exit::OK, exit::status);
        let mut pipelines = Vec::new();
        for CheckedJob { job, pipeline, .. } in report.schedule.iter().flat_map(|schedule| &schedule.jobs) {
            let Some(pipeline) = pipeline else { continue };
            match checked(pipeline, true) {
                Ok(mut report) => {
                    // Notes are for the author of the pipeline, who has `wasmill check`.
                    report.diagnostics.keep(Level::Warning);
                    pipelines.push((job.name.clone(), report));
                }
                Err(error) => return fail(&error, &Redactor::default(), self.json),
            }
        }
        for (_, report) in &pipelines {
            if status == exit::OK {
                status = report.diagnostics.class().map_or(exit::OK, exit::status);
            }
        }
        let printed = match self.json {
            true => {
                let of_pipelines: serde_json::Map<String, serde_json::Value> = pipelines
                    .iter()
                    .map(|(job, report)| (job.clone(), to_json(&report.diagnostics, &report.files, &report.redactor)))
                    .collect();
                let mut json = to_json(&report.diagnostics, &report.files, &report.redactor);
                if let Some(json) = json.as_object_mut() {
                    json.insert("pipelines".to_owned(), of_pipelines.into());
                }
                super::print(&format!("{json:#}\n"))
            }
            false => {
                let style = Style::of(&std::io::stdout());
                let mut text = render(&report.diagnostics, &report.files, &report.redactor, style);
                for (_, report) in &pipelines {
                    text += &render(&report.diagnostics, &report.files, &report.redactor, style);
                }
                let of_pipelines = pipelines.iter().map(|(_, report)| &report.diagnostics);
                super::print_as_it_is(&(text + &self.summary(&report, of_pipelines)))
            }
        };
        if status == exit::OK { printed } else { status }
    }

    fn summary<'a>(&self, report: &'a ScheduleReport, of_pipelines: impl Iterator<Item = &'a Diagnostics>) -> String {
        let all: Vec<&Diagnostics> = std::iter::once(&report.diagnostics).chain(of_pipelines).collect();
        let count = |level: Level, word: &str| {
            let count: usize = all.iter().map(|diagnostics| diagnostics.count(level)).sum();
            (count > 0).then(|| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        };
        let counts: Vec<String> = [count(Level::Error, "error"), count(Level::Warning, "warning")].into_iter().flatten().collect();
        let counts = if counts.is_empty() { "no mistakes".to_owned() } else { counts.join(", ") };
        let Some(schedule) = &report.schedule else { return format!("{counts}\n") };
        let mut text = String::new();
        for CheckedJob { job, .. } in &schedule.jobs {
            let next = |moment: &Moment| job.times.next_after(*moment);
            let times: Vec<String> = std::iter::successors(next(&now()), next).take(self.next).map(|time| job.times.show(time)).collect();
            if !times.is_empty() {
                text += &format!("{} is due {}\n", job.name, times.join(", "));
            }
        }
        let jobs = schedule.jobs.len();
        format!("{text}{}: {jobs} job{}: {counts}\n", schedule.name, if jobs == 1 { "" } else { "s" })
    }
}

impl History {
    fn run(self) -> u8 {
        let (schedule, redactor) = match checked_schedule(&self.path, &self.state) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        match self.entries(&schedule) {
            Ok(entries) if self.json => {
                let lines =
                    entries.iter().skip(entries.len().saturating_sub(self.limit)).map(|entry| serde_json::json!(entry).to_string() + "\n");
                super::print(&redactor.clean(&lines.collect::<String>()))
            }
            Ok(entries) => super::print(&redactor.clean(&history_table(&entries, self.limit))),
            Err(error) => fail(&error, &redactor, self.json),
        }
    }

    /// The entries of the job, or of all.
    fn entries(&self, schedule: &CheckedSchedule) -> Result<Vec<Entry>> {
        let mut entries = Journal::read(&schedule.state.join(&schedule.name))?;
        if let Some(name) = &self.job {
            // A job that is gone from the file still has a history.
            if !entries.iter().any(|entry| entry.job() == name) {
                job_named(schedule, name)?;
            }
            entries.retain(|entry| entry.job() == name);
        }
        Ok(entries)
    }
}
