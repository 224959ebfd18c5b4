//! `wasmill state show|adopt|reset|rename-source|drop-source|drop-stage`.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use wasmill_connect::ColumnsUnknown;
use wasmill_engine::{Checkpoint, Depot, Error, NamedSink, Result, SourceRename, StageState, StateStore};
use wasmill_stages::keyed::examine;

use super::PipelineArguments;
use super::checked::{check_or_exit, fail};
use super::codes::{NOT_IN_PIPELINE, PIPELINE_MISTAKES};
use crate::check::{NamedConnector, Outline, Request};
use crate::diagnostics::{Diagnostics, Style, render, shorten};
use crate::document::{ProcessWorld, Redactor, SourceFiles};
use crate::exit;
use crate::plan::{held_in_words, open_state, open_state_read_only, state_of, watermark_in_words};

/// Displays or repairs the state of a pipeline
///
/// These commands need the pipeline's name, its state, and the sinks that they touch. Sources are not contacted and plugins not opened.
#[derive(Debug, Args)]
pub struct State {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Displays the latest checkpoint: how far each source was read, and what each sink holds
    #[command(after_help = "Example:\n  wasmill state show pipelines/pin-to-delta.yaml")]
    Show(PipelineArguments),
    /// Accepts the sinks as they are and resumes from the state: for a sink that was replaced or restored
    ///
    /// The sinks' tokens are set to those of the state. Rows that a replaced sink no longer holds
    /// are not written again; rows that it holds beyond the state are duplicated.
    #[command(after_help = "Examples:\n  wasmill state adopt pipelines/pin-to-delta.yaml\n  \
        wasmill state adopt pipelines/pin-to-delta.yaml --without archive")]
    Adopt(WithSinks),
    /// Drops the progress of all sources: the next run starts over
    ///
    /// The sinks keep their rows, so what is read again is written twice unless a sink is emptied first.
    #[command(after_help = "Example:\n  wasmill state reset pipelines/pin-to-delta.yaml")]
    Reset(WithSinks),
    /// Renames the progress of a source that was renamed in the pipeline
    #[command(after_help = "Example:\n  wasmill state rename-source pipelines/pin-to-delta.yaml pins posts")]
    RenameSource {
        #[command(flatten)]
        pipeline: PipelineArguments,
        /// The name that the source had
        old: String,
        /// The name that it has in the pipeline file now
        new: String,
    },
    /// Drops the progress of a source: one of that name would be read from its beginning
    #[command(after_help = "Example:\n  wasmill state drop-source pipelines/pin-to-delta.yaml pins")]
    DropSource {
        #[command(flatten)]
        pipeline: PipelineArguments,
        /// The source's name in the state
        source: String,
    },
    /// Gives up what a keyed stage holds: its groups and rows are lost, and it starts over with the next row
    #[command(visible_alias = "drop", after_help = "Example:\n  wasmill state drop-stage pipelines/popularity.yaml popular")]
    DropStage {
        #[command(flatten)]
        pipeline: PipelineArguments,
        /// The stage's name in the state
        stage: String,
    },
}

#[derive(Debug, Args)]
struct WithSinks {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Leaves out a sink that can't be reached, or `dead_letters`. It must be adopted before the
    /// next run. May be given more than once
    #[arg(long = "without", value_name = "SINK")]
    without: Vec<String>,
}

impl State {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let redactor = Redactor::default();
        crate::logging::install(redactor.clone());
        let request = self.action.request();
        let mut mended = match Mended::read(&request, redactor) {
            Ok(mended) => mended,
            Err(status) => return status,
        };
        let done = match &self.action {
            Action::Show(_) => mended.show(),
            Action::Adopt(arguments) => mended.adopt(arguments),
            Action::Reset(arguments) => mended.reset(arguments),
            Action::RenameSource { old, new, .. } => mended.rename_source(old, new),
            Action::DropSource { source, .. } => mended.drop_source(source),
            Action::DropStage { stage, .. } => mended.drop_stage(stage),
        };
        match done {
            Ok(text) => super::print(&mended.redactor.clean(&text)),
            Err(error) => fail(&error, &mended.redactor, false),
        }
    }
}

impl Action {
    fn request(&self) -> Request<'_> {
        match self {
            Self::Show(pipeline)
            | Self::RenameSource { pipeline, .. }
            | Self::DropSource { pipeline, .. }
            | Self::DropStage { pipeline, .. } => pipeline.request(),
            Self::Adopt(arguments) | Self::Reset(arguments) => arguments.pipeline.request(),
        }
    }
}

/// A pipeline whose state is displayed or repaired.
struct Mended {
    outline: Outline,
    files: SourceFiles,
    redactor: Redactor,
}

impl Mended {
    fn read(request: &Request<'_>, redactor: Redactor) -> Result<Self, u8> {
        let (mut files, mut diagnostics) = (SourceFiles::default(), Diagnostics::default());
        let outline = Outline::read(request, &ProcessWorld, (&mut files, &redactor), &mut diagnostics);
        show_diagnostics(diagnostics, &files, &redactor)?;
        outline.map(|outline| Self { outline, files, redactor }).ok_or(exit::BUG)
    }

    fn place(&self) -> PathBuf {
        state_of(&self.outline.state, &self.outline.name)
    }

    fn open(&self) -> Result<Box<dyn StateStore>> {
        open_state(&self.outline.state, &self.outline.name)
    }

    /// The sinks but for some, as far as moving their tokens needs them.
    fn sinks(&mut self, without: &[String], state: &dyn StateStore) -> Result<Vec<NamedSink>> {
        let known = self.outline.sink_names();
        if let Some(unknown) = without.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::configuration(format!("the pipeline has no sink `{}`", shorten(unknown, 80)))
                .code(NOT_IN_PIPELINE)
                .hint(format!("its sinks: {}", known.join(", "))));
        }
        let mut diagnostics = Diagnostics::default();
        let sinks = self.outline.sinks(without, &ProcessWorld, (&mut self.files, &self.redactor), &mut diagnostics);
        let sinks = sinks.filter(|_| show_diagnostics(diagnostics, &self.files, &self.redactor).is_ok());
        let connectors = sinks.ok_or_else(|| {
            Error::configuration("the sinks of the pipeline have mistakes")
                .code(PIPELINE_MISTAKES)
                .hint("correct them, or leave a sink out with `--without`")
        })?;
        let depot = state.depot();
        let mut sinks = Vec::new();
        for NamedConnector { name, connector } in connectors {
            let sink = connector.build_without_columns(&depot).map_err(|error| error.at(format!("sink {name}")))?;
            sinks.extend(sink.map(|sink| NamedSink { name, sink }));
        }
        Ok(sinks)
    }

    fn show(&self) -> Result<String> {
        let place = self.place();
        let state = open_state_read_only(&self.outline.state, &self.outline.name)?;
        let newest = state.as_ref().map(|state| state.latest()).transpose()?.flatten();
        let (Some(state), Some(checkpoint)) = (state, newest) else { return Ok(format!("no state in {}\n", place.display())) };
        let mut text = describe(&checkpoint, &place);
        let depot = state.depot();
        for (name, held) in &checkpoint.stages {
            let _ = writeln!(text, "{}", describe_stage(name, held, &*depot));
        }
        Ok(text)
    }

    fn adopt(&mut self, arguments: &WithSinks) -> Result<String> {
        let state = self.open()?;
        let mut text = self.given_up(&arguments.without, &*state)?;
        let sinks = self.sinks(&arguments.without, &*state)?;
        let adopted = match wasmill_engine::adopt(&self.outline.name, &sinks, &*state) {
            Err(error) if needs_columns(&error) => {
                // A table has to be created, whose columns follow from all that is before it.
                let sinks = self.whole_sinks(arguments, &*state).map_err(|_| error)?;
                wasmill_engine::adopt(&self.outline.name, &sinks, &*state)
            }
            other => other,
        };
        let _ = writeln!(text, "{}: the sinks are adopted; the next run resumes after epoch {}", self.outline.name, adopted?.epoch);
        Ok(text)
    }

    /// What waits for sinks that are left out.
    fn given_up(&self, without: &[String], state: &dyn StateStore) -> Result<String> {
        let mut text = String::new();
        let Some(checkpoint) = state.latest()? else { return Ok(text) };
        for name in without {
            let is_pending = checkpoint.sinks.get(name).is_some_and(|progress| progress.prepared.is_some());
            if is_pending && !state.is_noted_committed(checkpoint.epoch) {
                let _ = writeln!(text, "sink {name}: its rows of epoch {} are dropped if it does not hold them", checkpoint.epoch);
            }
        }
        Ok(text)
    }

    /// The sinks of the whole pipeline, checked with its plugins and sources.
    fn whole_sinks(&self, arguments: &WithSinks, state: &dyn StateStore) -> Result<Vec<NamedSink>, u8> {
        let checked = check_or_exit(&arguments.pipeline)?;
        let plan = crate::plan::build(&checked, state).map_err(|error| fail(&error, &self.redactor, false))?;
        let sinks = plan.sinks.into_iter().chain(plan.dead_letters).map(|node| NamedSink { name: node.name, sink: node.sink });
        Ok(sinks.filter(|sink| arguments.without.iter().all(|left_out| *left_out != *sink.name)).collect())
    }

    fn reset(&mut self, arguments: &WithSinks) -> Result<String> {
        let state = self.open()?;
        let sinks = self.sinks(&arguments.without, &*state)?;
        wasmill_engine::reset(&self.outline.name, &sinks, &*state)?;
        Ok(format!("{}: all progress is dropped; the next run starts over\n", self.outline.name))
    }

    fn rename_source(&mut self, old: &str, new: &str) -> Result<String> {
        if !self.outline.sources.iter().any(|source| source == new) {
            return Err(Error::configuration(format!("the pipeline has no source `{}`", shorten(new, 80)))
                .code(NOT_IN_PIPELINE)
                .hint(format!("rename it in the file first; its sources: {}", self.outline.sources.join(", "))));
        }
        let (state, name) = (self.open()?, self.outline.name.clone());
        wasmill_engine::rename_source(&name, SourceRename { old, new }, || self.sinks(&[], &*state), &*state)?;
        Ok(format!("{name}: source {old} is now called {new}; the next run resumes it\n"))
    }

    fn drop_source(&mut self, source: &str) -> Result<String> {
        let (state, name) = (self.open()?, self.outline.name.clone());
        wasmill_engine::drop_source(&name, source, || self.sinks(&[], &*state), &*state)?;
        Ok(format!("{name}: the progress of source {source} is dropped\n"))
    }

    fn drop_stage(&mut self, stage: &str) -> Result<String> {
        let (state, name) = (self.open()?, self.outline.name.clone());
        wasmill_engine::drop_stage(&name, stage, || self.sinks(&[], &*state), &*state)?;
        Ok(format!("{name}: what stage {stage} held is given up\n"))
    }
}

fn needs_columns(error: &Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<ColumnsUnknown>())
}

/// Prints what is wrong; an error is returned as an exit status.
fn show_diagnostics(mut diagnostics: Diagnostics, files: &SourceFiles, redactor: &Redactor) -> Result<(), u8> {
    diagnostics.sort();
    let style = Style::of(&std::io::stderr());
    let _ = std::io::stderr().write_all(render(&diagnostics, files, redactor, style).as_bytes());
    match diagnostics.has_errors() {
        true => Err(diagnostics.class().map_or(exit::BUG, exit::status)),
        false => Ok(()),
    }
}

fn describe(checkpoint: &Checkpoint, place: &Path) -> String {
    let Checkpoint { pipeline, incarnation, epoch, sources, sinks, stages: _ } = checkpoint;
    let reached = if *epoch == 0 { "no epoch yet".to_owned() } else { format!("epoch {epoch}") };
    let mut text = format!("{pipeline}: {reached} of {incarnation}, in {}\n", place.display());
    for (name, progress) in sources {
        let pieces = wasmill_engine::retired_pieces(progress).unwrap_or_default();
        let named = || progress.iter().filter(|(split, _)| &***split != wasmill_engine::RETIRED);
        let done = named().filter(|(_, state)| state.done).count();
        let _ = writeln!(text, "source {name}: {} splits begun, {done} done", named().count());
        if !pieces.is_empty() {
            let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
            let _ = writeln!(text, "  and those that were read up, in {} lists of {bytes} bytes", pieces.len());
        }
        for (split, state) in named() {
            let end = if state.done { " (done)" } else { "" };
            let _ = writeln!(text, "  {split}: {}{end}", shorten(&state.position.to_string(), 200));
        }
    }
    for (name, progress) in sinks {
        let pending = if progress.prepared.is_some() { format!(", epoch {epoch} prepared") } else { String::new() };
        let last = match progress.previous {
            0 => "nothing committed".to_owned(),
            epoch => format!("epoch {epoch} committed"),
        };
        let _ = writeln!(text, "sink {name}: {last}{pending}");
    }
    text
}

/// What a keyed stage holds, and how far its time has come. What can't be read is a part of the line: the rest is of use still.
fn describe_stage(name: &str, held: &StageState, depot: &dyn Depot) -> String {
    let holds = match held.state.as_ref().map(|state| examine(state, depot)) {
        None => "holds nothing".to_owned(),
        Some(Err(error)) => format!("holds what can't be read: {error}"),
        Some(Ok(held)) => format!("holds {}", held_in_words(&held)),
    };
    format!("stage {name}: {holds}, watermark {}", watermark_in_words(held.watermark))
}
