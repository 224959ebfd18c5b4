//! `wasmill report`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use wasmill_engine::{Error, Result};

use super::PipelineArguments;
use super::checked::{check_or_exit_by, fail};
use crate::check::{AnyConnectors, Checked};
use crate::exit;
use crate::plan::open_state_read_only;
use crate::report::{page, report};
use crate::run::RunFacts;

/// Writes a page about a pipeline: its last run, what its sinks hold now with the quality of each column, charts of small tables, rejects by reason
///
/// The page is one file of HTML that loads nothing from anywhere; it prints well. Rows are read back from files, buckets, Delta tables and Postgres. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill report pipelines/analyses/analyses.yaml -o report.html\n  \
    wasmill run pipelines/pin-to-delta.yaml --json > run.jsonl; wasmill report pipelines/pin-to-delta.yaml --run run.jsonl -o report.html\n\n\
    The page holds values of rows, and records that were rejected: share it with those who may see them. It holds no credentials.")]
pub struct Report {
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// The page; an existing file is replaced
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    /// A file that holds what `wasmill run --json` printed; default: the last run that the state notes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    run: Option<PathBuf>,
}

impl Report {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let checked = match check_or_exit_by(&self.pipeline, &AnyConnectors) {
            Ok(checked) => checked,
            Err(status) => return status,
        };
        match self.write(&checked) {
            Ok(()) => exit::OK,
            Err(error) => fail(&error, &checked.redactor, false),
        }
    }

    fn write(&self, checked: &Checked) -> Result<()> {
        let run = match &self.run {
            Some(path) => Some(RunFacts::of_events(path)?),
            None => last_run(checked)?,
        };
        let made = page(&report(checked, run)?);
        write_whole(&self.output, &checked.redactor.clean(&made))
    }
}

fn last_run(checked: &Checked) -> Result<Option<RunFacts>> {
    let Some(state) = open_state_read_only(&checked.state, &checked.name)? else { return Ok(None) };
    let Some(noted) = state.last_run()? else { return Ok(None) };
    let read = serde_json::from_value(noted);
    read.map(Some).map_err(|error| {
        Error::environment(format!("the last run in {} can't be read: {error}", state.location()))
            .hint("another version of Wasmill noted it; the next run notes its own")
    })
}

/// Writes a file that is never there in part.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::Builder::new().prefix(".report-").permissions(readable()).tempfile_in(folder).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    });
    written.map_err(|error| Error::io(format_args!("write {}", path.display()), error))
}

/// As other new files have: what the mask of the process leaves of it.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}
