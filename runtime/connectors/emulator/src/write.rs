//! Writes emulated rows to files or to a console.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use wasmill_engine::codes::DISK;
use wasmill_engine::{Error, Mode, Result};

use super::config::{Dirt, EmulatorConfig, Table};
use super::pace::Pace;
use super::rows::Generator;
use crate::codes::{NO_FILES, ROWS_MISSING, TABLE};

/// Which rows to write. The rows are those of an [`EmulatorConfig`] with the same seed and dirt.
#[derive(Debug, Clone)]
pub struct Emulation {
    /// The tables, in the order in which one step writes them.
    pub tables: Vec<Table>,
    /// Rows of each table. `None`: endless, which only a console takes.
    pub rows: Option<u64>,
    /// Rows per second of each table. `None`: at full speed.
    pub rate: Option<f64>,
    /// Another seed gives other rows.
    pub seed: u64,
    /// What is wrong with them.
    pub dirt: Dirt,
}

/// Where emulated rows go.
pub enum Destination<'a> {
    /// `<folder>/<table>/<table>-00000.jsonl` and so on; each file appears when it is complete.
    Folder {
        /// Created if missing.
        path: PathBuf,
        /// How many files to spread the rows of a table over, at least 1.
        files: u64,
    },
    /// One line a row, the tables in turn: row 0 of each, then row 1 of each.
    Console(&'a mut dyn Write),
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Emulated {
    /// Rows over all tables.
    pub rows: u64,
    /// Bytes, line feeds included.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Writes emulated rows. A console that is closed early (`| head`) is not an error.
///
/// # Errors
/// A configuration error for contradicting values, an environment error where a file can't be
/// written.
pub fn emulate(emulation: &Emulation, destination: Destination<'_>) -> Result<Emulated> {
    if emulation.rows.is_none() && matches!(destination, Destination::Folder { .. }) {
        return Err(Error::configuration("`rows` is missing: files can't hold endless rows")
            .code(ROWS_MISSING)
            .key(["rows"])
            .hint("set how many rows each table has"));
    }
    for &table in &emulation.tables {
        let Emulation { rows, rate, seed, ref dirt, .. } = *emulation;
        EmulatorConfig { table, rows, rate, seed, dirt: dirt.clone() }.check(Mode::Stream)?;
    }
    if emulation.tables.is_empty() {
        return Err(Error::configuration("no table to emulate").code(TABLE).hint("name some of `pin`, `geo` and `user`"));
    }
    let generator = Generator::new(emulation.seed, &emulation.dirt);
    let pace = emulation.rate.map(Pace::new);
    match destination {
        Destination::Console(out) => to_console(emulation, &generator, pace.as_ref(), out),
        Destination::Folder { path, files } => to_folder(emulation, &generator, pace.as_ref(), &path, files),
    }
}

/// Waits until the next row of a table is due.
fn keep_pace(pace: Option<&Pace>) {
    if let Some(pace) = pace {
        while pace.take(1) == 0 {
            std::thread::sleep(pace.wait());
        }
    }
}

fn to_console(emulation: &Emulation, generator: &Generator, pace: Option<&Pace>, out: &mut dyn Write) -> Result<Emulated> {
    let mut written = Emulated::default();
    let mut lines = Vec::new();
    for row in 0..emulation.rows.unwrap_or(u64::MAX) {
        keep_pace(pace);
        for &table in &emulation.tables {
            generator.write(table, row, &mut lines);
            lines.push(b'\n');
        }
        // A slow emulator displays every step; a fast one saves the system calls.
        if (pace.is_some() || lines.len() > 1 << 16) && !send(out, &mut lines, &mut written)? {
            return Ok(written);
        }
        written.rows += emulation.tables.len() as u64;
    }
    send(out, &mut lines, &mut written)?;
    Ok(written)
}

/// Sends lines and clears them; returns false when there is no reader any more.
fn send(out: &mut dyn Write, lines: &mut Vec<u8>, written: &mut Emulated) -> Result<bool> {
    match out.write_all(lines).and_then(|()| out.flush()) {
        Ok(()) => {
            written.bytes += lines.len() as u64;
            lines.clear();
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::io("write emulated rows", error).or_code(DISK)),
    }
}

fn to_folder(emulation: &Emulation, generator: &Generator, pace: Option<&Pace>, folder: &Path, files: u64) -> Result<Emulated> {
    if files == 0 {
        return Err(Error::configuration("rows can't be spread over 0 files").code(NO_FILES).hint("use at least 1 file"));
    }
    let rows = emulation.rows.unwrap_or_default();
    let mut written = Emulated::default();
    for &table in &emulation.tables {
        let folder = folder.join(table.name());
        fs::create_dir_all(&folder).map_err(|error| Error::io(format!("create the folder {}", folder.display()), error).or_code(DISK))?;
    }
    // File by file through all tables, so that with a set rate the tables grow together.
    for number in 0..files {
        let part = share(rows, files, number)..share(rows, files, number + 1);
        let mut parts = Vec::with_capacity(emulation.tables.len());
        for &table in &emulation.tables {
            parts.push(Part::create(folder, table, number)?);
        }
        for row in part {
            keep_pace(pace);
            for part in &mut parts {
                part.write(generator, row, &mut written)?;
            }
        }
        for part in parts {
            part.finish()?;
            written.files += 1;
        }
    }
    Ok(written)
}

/// Where part `number` of `parts` equal parts of the rows begins.
fn share(rows: u64, parts: u64, number: u64) -> u64 {
    (u128::from(rows) * u128::from(number) / u128::from(parts)) as u64
}

/// A file that is being written, under a hidden name until it is complete.
struct Part {
    table: Table,
    hidden: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    line: Vec<u8>,
}

impl Part {
    fn create(folder: &Path, table: Table, number: u64) -> Result<Self> {
        let name = format!("{table}-{number:05}.jsonl");
        let path = folder.join(table.name()).join(&name);
        let hidden = path.with_file_name(format!(".{name}.part"));
        let file = File::create(&hidden).map_err(|error| Error::io(format!("create {}", hidden.display()), error).or_code(DISK))?;
        Ok(Self { table, hidden, path, file: BufWriter::with_capacity(1 << 18, file), line: Vec::new() })
    }

    fn write(&mut self, generator: &Generator, row: u64, written: &mut Emulated) -> Result<()> {
        self.line.clear();
        generator.write(self.table, row, &mut self.line);
        self.line.push(b'\n');
        written.rows += 1;
        written.bytes += self.line.len() as u64;
        self.file.write_all(&self.line).map_err(|error| self.failed(error))
    }

    fn finish(mut self) -> Result<()> {
        self.file.flush().and_then(|()| fs::rename(&self.hidden, &self.path)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(format!("write {}", self.path.display()), error).or_code(DISK)
    }
}
