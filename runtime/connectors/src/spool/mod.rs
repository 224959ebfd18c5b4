//! The spool: rows of an epoch that wait, durable and out of sight, for a commit that may come from another process.
//!
//! Sinks that can't hold an open promise across a crash (a database's transaction ends with its connection) write an epoch's rows into
//! files of a folder beside the pipeline's state. The prepared commit names these files with their length and digest; the commit
//! reads them once, from front to back, and removes them when it is done. What the bytes mean is the sink's own: it notes their format in
//! its prepared commit, and a later version of Wasmill has to read it. They lie there compressed: an epoch waits for the disk, and a third of the
//! bytes is a third of the wait.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempPath;
use uuid::Uuid;
use wasmill_engine::{Error, Result};

use crate::durable::{create_folder, owner_name, remove_folder_of_files, sync_file, sync_folder};

mod lane;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use lane::LaneFile;
pub(crate) use reader::SpoolReader;
pub(crate) use writer::SpoolWriter;

/// A file of a spool, as a prepared commit keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpoolFile {
    /// Its name in the spool's folder.
    pub name: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// The digest of the bytes on the disk.
    pub sha256: String,
    /// How these bytes hold what was written.
    #[serde(default, skip_serializing_if = "Coding::is_plain")]
    pub coding: Coding,
}

/// How the bytes of a file hold what was written into it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Coding {
    /// As it is. Prepared commits that name no coding have it.
    #[default]
    Plain,
    /// As one frame of Zstandard.
    Zstd,
}

impl Coding {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// The spool of one sink of one pipeline. Its folder need not exist.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// The spool of a sink below the folder in which all spools of a pipeline's state lie.
    pub(crate) fn of(spools: &Path, pipeline: &str, sink: &str) -> Self {
        Self { folder: spools.join(owner_name(pipeline, sink)) }
    }

    /// Begins a file. Its name tells the epoch and the lane to people; that it is the only one of its name is what programs rely on.
    pub(crate) fn create(&self, epoch: u64, lane: usize) -> Result<SpoolWriter> {
        create_folder(&self.folder)?;
        let name = format!("{epoch:010}-{lane}-{}.rows", Uuid::new_v4());
        let path = self.folder.join(&name);
        let file = File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        let kept = TempPath::try_from_path(path.clone()).map_err(|error| failed("create", &path, error))?;
        SpoolWriter::new(kept, name, file)
    }

    /// Makes finished files durable, bytes and names.
    pub(crate) fn seal(&self, files: &[SpoolFile]) -> Result<()> {
        for file in files {
            sync_file(&self.folder.join(&file.name))?;
        }
        if files.is_empty() { Ok(()) } else { sync_folder(&self.folder) }
    }

    /// Opens a file from its front.
    pub(crate) fn open(&self, file: &SpoolFile) -> Result<SpoolReader> {
        let path = self.folder.join(&file.name);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone(&path)),
            other => other.map_err(|error| failed("read", &path, error))?,
        };
        let length = opened.metadata().map_err(|error| failed("read", &path, error))?.len();
        if length != file.bytes {
            return Err(damaged(&path, &format!("it has {length} bytes, and {} were prepared", file.bytes)));
        }
        SpoolReader::new(path, opened, file)
    }

    /// Fails if a file that a commit needs is not there.
    pub(crate) fn check(&self, files: &[SpoolFile]) -> Result<()> {
        files.iter().try_for_each(|file| self.open(file).map(drop))
    }

    /// Removes files whose commit is done. Best effort: what stays is removed by the next start.
    pub(crate) fn remove(&self, files: &[SpoolFile]) {
        for file in files {
            let path = self.folder.join(&file.name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(file = %path.display(), %error, "a file of the spool whose rows are committed could not be removed");
                }
                _ => {}
            }
        }
    }

    /// Removes everything: nothing that waits here will be committed any more.
    pub(crate) fn clean_up(&self) -> Result<()> {
        remove_folder_of_files(&self.folder)
    }
}

fn gone(path: &Path) -> Error {
    Error::environment(format!("a prepared file is gone: {}", path.display()))
        .hint("somebody removed it; restore it, or give its rows up with `wasmill state reset`")
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::environment(format!("the prepared file {} is damaged: {what}", path.display()))
        .hint("nothing of it was committed; restore it, or give its rows up with `wasmill state reset`")
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let full = error.kind() == ErrorKind::StorageFull;
    let error = Error::io(format_args!("{what} the prepared file {}", path.display()), error);
    if full { error.hint("an epoch's rows wait there for their commit: free some space, or end epochs earlier") } else { error }
}
