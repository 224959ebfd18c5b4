//! `wasmill demo`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use wasmill_engine::{Error, Result};

use super::checked::fail;
use super::emulate::Emulate;
use super::run::Run;
use crate::document::Redactor;
use crate::exit;
use crate::registry::left_out;
use crate::run::stop_on_signals;

/// The pipelines of the demo, and where they lie.
const TO_DELTA: Pipeline = Pipeline { path: "pipelines/pin-to-delta.yaml", text: include_str!("../../../../pipelines/pin-to-delta.yaml") };
const TO_CONSOLE: Pipeline =
    Pipeline { path: "pipelines/pin-to-console.yaml", text: include_str!("../../../../pipelines/pin-to-console.yaml") };
const DATA: &str = "data";
const DEAD_LETTERS: &str = "out/dead_letters";
const SEED: u64 = 1;

struct Pipeline {
    path: &'static str,
    text: &'static str,
}

/// Generates posts, cleans them with a plugin, writes a Delta table and prints the result, in the
/// working directory
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmill demo\n  wasmill demo --rows 500000\n\nIt writes data/, pipelines/pin-to-delta.yaml, pipelines/pin-to-console.yaml, out/ and .wasmill/ into the working directory, and overwrites nothing. Running it again adds nothing to the table: what was read is not read twice."
)]
pub struct Demo {
    /// Rows of each table, duplicates included
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
}

impl Demo {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.steps() {
            Ok(status) => status,
            Err(error) => fail(&error, &Redactor::default(), false),
        }
    }

    /// One step after the other, up to the first that fails or is stopped. Returns its exit status.
    fn steps(&self) -> Result<u8> {
        let stop = stop_on_signals()?;
        if !Path::new(DATA).join("pin").is_dir() {
            super::print(&format!("==> {} posts, places and users each, generated with the dirt of real ones, in {DATA}/\n", self.rows));
            let status = Emulate::into_folder(PathBuf::from(DATA), self.rows, SEED).run();
            if status != exit::OK {
                return Ok(status);
            }
        }
        for (pipeline, heading, quiet) in [(&TO_DELTA, "", false), (&TO_CONSOLE, "the first clean posts: ", true)] {
            if stop.is_set() {
                return Ok(exit::OK);
            }
            pipeline.write()?;
            super::print(&format!("==> {heading}wasmill run {}\n", pipeline.path));
            let status = Run::of(PathBuf::from(pipeline.path), quiet).run_until(&stop);
            if status != exit::OK {
                return Ok(status);
            }
        }
        let dead_letter = first_dead_letter()?.unwrap_or_else(|| "none".to_owned());
        super::print(&format!(
            "\n==> a dead letter\n{dead_letter}\n\nThe table is in out/pin_table. Running the demo again adds nothing, because nothing is new.\n{}",
            note_of_left_out()
        ));
        Ok(exit::OK)
    }
}

impl Pipeline {
    /// Writes it where no file of its name is.
    fn write(&self) -> Result<()> {
        let path = Path::new(self.path);
        let failed = |error| Error::io(format!("write {}", self.path), error);
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
        match File::create_new(path) {
            Ok(mut file) => file.write_all(self.text.as_bytes()).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The first line of the first file of dead letters.
fn first_dead_letter() -> Result<Option<String>> {
    let failed = |error| Error::io(format!("read {DEAD_LETTERS}"), error);
    let entries = match fs::read_dir(DEAD_LETTERS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let first = paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).min();
    first.map(|path| BufReader::new(File::open(path)?).lines().next().transpose()).transpose().map(Option::flatten).map_err(failed)
}

fn note_of_left_out() -> String {
    let left_out: Vec<&str> = left_out().collect();
    if left_out.is_empty() {
        return String::new();
    }
    format!("This wasmill is built without {}: `make build` builds it with all connectors.\n", left_out.join(", "))
}
