//! `wasmill run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use clap::Args;
use wasmill_connect::NewColumns as LateColumns;
use wasmill_engine::{Class, Error, Event, LocalState, Observer, Result, StateStore, StopSignal};
use wasmill_objects::S3Uri;

use super::checked::{check_or_exit_by, check_or_exit_with, fail};
use super::codes::ARGUMENT;
use super::pipeline_arguments::ModeArgument;
use super::{DrainArgument, PipelineArguments};
use crate::check::{Checked, NewColumns, WithoutSinks};
use crate::document::Redactor;
use crate::exit;
use crate::plan::PREVIEW_RECORDS;
use crate::run::{Display, Heartbeat, RunFacts, Shown, stop_on_signals, summary_table};
use crate::spec::Written;

/// Runs a pipeline: checks it first, and touches nothing if it has mistakes
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill run pipelines/pin-to-delta.yaml\n  \
    wasmill run pipelines/pin-to-delta.yaml --mode stream\n  \
    wasmill run pipelines/pin-to-delta.yaml --mode stream --drain\n  \
    wasmill run pipelines/pin-to-delta.yaml --set sources.pins.files.path=other/*.jsonl --state /var/lib/wasmill\n  \
    wasmill run pipelines/pin-to-delta.yaml --state s3://bucket/checkpoints\n  \
    wasmill run pipelines/pin-to-delta.yaml --preview\n  \
    wasmill run pipelines/pin-to-delta.yaml --limit 1000\n\n\
    SIGINT (Ctrl-C) and SIGTERM finish the epoch and exit with 0; a second one ends the process at once. Either way \
    the next run resumes where this one ended.")]
pub struct Run {
    #[command(flatten)]
    pipeline: PipelineArguments,
    #[command(flatten)]
    drain: DrainArgument,
    /// Prints events as JSON objects on standard output, one per line
    #[arg(long)]
    json: bool,
    /// Prints nothing but errors and what a console sink writes
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Ends after this many source records, good and bad ones, as a batch on one lane
    ///
    /// What was read is committed, and the next run resumes behind it.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "drain")]
    limit: Option<u64>,
    /// Prints the rows of each sink, and rejects, and writes nothing: no sink is contacted, no state read or written
    ///
    /// Reads 20 source records from the beginning, or as many as --limit sets.
    #[arg(long, conflicts_with_all = ["json", "drain"])]
    preview: bool,
    /// A file that `wasmill health` reads: replaced every second while the run works
    #[arg(long, value_name = "FILE", env = "WASMILL_HEARTBEAT", value_hint = clap::ValueHint::FilePath)]
    heartbeat: Option<PathBuf>,
}

impl Run {
    /// A run of a pipeline file as it is.
    #[cfg(feature = "demo")]
    pub fn of(path: PathBuf, quiet: bool) -> Self {
        let (pipeline, drain) = (PipelineArguments::of(path), DrainArgument::default());
        Self { pipeline, drain, json: false, quiet, limit: None, preview: false, heartbeat: None }
    }

    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match stop_on_signals() {
            Ok(stop) => self.run_until(&stop),
            Err(error) => fail(&error, &Redactor::default(), self.json),
        }
    }

    /// Runs it until it ends or is stopped; returns the exit status.
    pub fn run_until(self, stop: &StopSignal) -> u8 {
        let display = Display::choose(self.json, self.quiet);
        if (self.preview || self.limit.is_some()) && self.pipeline.mode == Some(ModeArgument::Stream) {
            let error =
                Error::configuration("`--limit` and `--preview` run a pipeline as a batch, and `--mode stream` does not").code(ARGUMENT);
            return fail(&error.hint("leave `--mode stream` out"), &Redactor::default(), self.json);
        }
        if self.preview {
            return self.preview(display, stop);
        }
        let name = self.pipeline.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let heartbeat = match self.heartbeat.as_deref().map(|path| Heartbeat::start(path, &name)).transpose() {
            Ok(heartbeat) => heartbeat,
            Err(error) => return fail(&error, &Redactor::default(), self.json),
        };
        let status = self.run_in_state(display, stop, heartbeat.as_ref());
        heartbeat.iter().for_each(|heartbeat| heartbeat.end(status == exit::OK));
        status
    }

    /// What is to be read, and how.
    pub(super) fn arguments(&self) -> PipelineArguments {
        let mode = if self.preview || self.limit.is_some() { Some(ModeArgument::Batch) } else { self.pipeline.mode };
        PipelineArguments { mode, ..self.pipeline.with(self.drain) }
    }

    fn preview(&self, display: Display, stop: &StopSignal) -> u8 {
        let checked = match check_or_exit_by(&self.arguments(), &WithoutSinks) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        let redactor = checked.redactor.clone();
        match preview(checked, self.limit.unwrap_or(PREVIEW_RECORDS), display, stop) {
            Ok(()) => exit::OK,
            Err(error) => fail(&error, &redactor, self.json),
        }
    }

    fn run_in_state(&self, display: Display, stop: &StopSignal, heartbeat: Option<&Heartbeat>) -> u8 {
        let arguments = self.arguments();
        let mut left = self.limit;
        let mut new_columns = NewColumns::new();
        let mut state: Option<Arc<dyn StateStore>> = None;
        loop {
            let mut checked = match check_or_exit_with(&arguments, &new_columns) {
                Ok(checked) => checked,
                Err(status) => return status,
            };
            if let Some(limit) = left
                && let Err(error) = limit_run(&mut checked, limit)
            {
                return fail(&error, &checked.redactor, self.json);
            }
            // It stays open, and locked, while the columns change.
            let opened = match state.take() {
                Some(opened) => Ok(opened),
                None => open_state(&checked),
            };
            let committed = AtomicU64::new(0);
            heartbeat.iter().for_each(|heartbeat| heartbeat.named(&checked.name));
            let watched = Watched { shown: Shown::new(display, &checked.name), heartbeat };
            let ran = opened.and_then(|opened| execute(&checked, (state.insert(opened), &committed), &watched, display, stop));
            left = left.map(|left| left.saturating_sub(committed.into_inner()).max(1));
            let error = match ran {
                Ok(()) => return exit::OK,
                Err(error) => error,
            };
            // What was committed stays; from there on the files are read with the columns that have come up.
            match LateColumns::of(&error) {
                Some(late) if add(&mut new_columns, late) => {
                    report_new_columns(&checked, display, late);
                    heartbeat.iter().for_each(|heartbeat| heartbeat.starts_again());
                }
                _ => return fail(&error, &checked.redactor, self.json),
            }
        }
    }
}

/// This many columns may occur in one run.
const MAX_NEW_COLUMNS: usize = 1_000;

/// Adds columns that have occurred; returns false if none of them is new, or there are too many.
fn add(known: &mut NewColumns, late: &LateColumns) -> bool {
    let before = known.len();
    for field in &late.fields {
        if !known.iter().any(|(source, other)| **source == *late.source && other.name() == field.name()) {
            known.push((late.source.to_string(), field.clone()));
        }
    }
    known.len() > before && known.len() <= MAX_NEW_COLUMNS
}

fn report_new_columns(checked: &Checked, display: Display, late: &LateColumns) {
    let columns: Vec<String> = late.fields.iter().map(|field| format!("{} {}", field.name(), Written(field.data_type()))).collect();
    let (source, file) = (&late.source, &late.file);
    match display {
        Display::Json => {
            let event = serde_json::json!({ "event": "new-columns", "source": &**source, "file": file, "columns": columns });
            super::print(&format!("{event}\n"));
        }
        Display::Quiet => {}
        Display::Line | Display::Log => {
            let text = format!("{}: {source} has new columns in {file}: {}; it resumes with them\n", checked.name, columns.join(", "));
            eprint!("{}", checked.redactor.clean(&text));
        }
    }
}

fn open_state(checked: &Checked) -> Result<Arc<dyn StateStore>> {
    Ok(Arc::from(crate::plan::open_state(&checked.state, &checked.name)?))
}

/// A run that ends after this many source records.
///
/// # Errors
/// A sink would replace its table by them.
fn limit_run(checked: &mut Checked, limit: u64) -> Result<()> {
    if checked.epoch.whole_run {
        return Err(Error::configuration("`--limit` with a sink that overwrites would replace its table by a few rows")
            .code(ARGUMENT)
            .hint("`--preview --limit` shows them; or let the sink append (`--set sinks.<name>.delta.write=append`)"));
    }
    (checked.limit, checked.lanes) = (Some(limit), Some(1));
    Ok(())
}

/// Runs a pipeline whose sinks are the console, in a temporary state.
fn preview(checked: Checked, limit: u64, display: Display, stop: &StopSignal) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("create a temporary folder", error))?;
    let name = checked.name.clone();
    let state = Arc::new(LocalState::open(folder.path(), &name)?);
    let plan = crate::plan::preview(checked, limit)?;
    let shown = Shown::new(if display == Display::Quiet { Display::Quiet } else { Display::Line }, &name);
    let ran = wasmill_engine::run(plan, state, stop, &shown);
    shown.finish();
    let summary = ran?;
    let read: u64 = summary.nodes.iter().filter(|node| node.kind == "source").map(|node| node.counts.rows_in).sum();
    if display != Display::Quiet {
        eprintln!("{name}: preview of {read} source record{}; nothing was written", if read == 1 { "" } else { "s" });
    }
    Ok(())
}

fn note(state: &dyn StateStore, facts: &RunFacts) -> Result<()> {
    state.note_run(&serde_json::json!(facts))
}

/// What watches a run.
struct Watched<'a> {
    shown: Shown,
    heartbeat: Option<&'a Heartbeat>,
}

impl Observer for Watched<'_> {
    fn on(&self, event: Event<'_>) {
        self.heartbeat.iter().for_each(|heartbeat| heartbeat.on(event));
        self.shown.on(event);
    }
}

fn execute(
    checked: &Checked,
    (state, committed): (&Arc<dyn StateStore>, &AtomicU64),
    watched: &Watched<'_>,
    display: Display,
    stop: &StopSignal,
) -> Result<()> {
    let plan = crate::plan::build(checked, &**state)?;
    let begun = SystemTime::now();
    let summary = wasmill_engine::run(plan, Arc::clone(state), stop, watched);
    watched.shown.finish();
    committed.store(watched.shown.committed_records(), Ordering::Relaxed);
    // Columns that have come up are no end of the run.
    let goes_on = summary.as_ref().err().and_then(LateColumns::of).is_some();
    // A bucket that is out of reach would only be waited for once more.
    let is_out_of_reach = summary.as_ref().is_err_and(|error| error.class() == Class::Environment) && S3Uri::is_one(&state.location());
    if !goes_on
        && !is_out_of_reach
        && let Err(error) = note(&**state, &RunFacts::of(begun, &summary, &checked.redactor))
    {
        // What it did is committed or not without the note, which only reports need.
        eprint!("{}", checked.redactor.clean(&format!("warning: the facts of the run are not kept: {error}\n")));
    }
    let summary = summary?;
    match display {
        Display::Json => {
            super::print(&format!("{}\n", serde_json::json!({ "event": "finished", "summary": summary })));
        }
        Display::Quiet => {}
        Display::Line | Display::Log => eprint!("{}", checked.redactor.clean(&summary_table(&summary))),
    }
    Ok(())
}
