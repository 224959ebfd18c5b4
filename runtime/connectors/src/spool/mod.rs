//! The spool: rows of an epoch that wait, durable and out of sight, for a commit that may come from another process.
//!
//! Sinks that can't hold an open promise across a crash (a database's transaction ends with its connection) write an epoch's rows into
//! files of a folder beside the pipeline's state. The prepared commit names these files with their length and digest; the commit
//! reads them once, from front to back, and removes them when it is done. What the bytes mean is the sink's own: it notes their format in
//! its prepared commit, and a later version of Wasmill has to read it.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use wasmill_engine::{Error, Result};

use crate::durable::{create_folder, owner_name, remove_folder_of_files, sync_file, sync_folder};

#[cfg(test)]
mod tests;

/// How many bytes a reader hands out at once.
const CHUNK_BYTES: usize = 256 << 10;

/// A file of a spool, as a prepared commit keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpoolFile {
    /// Its name in the spool's folder.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// The digest of its bytes.
    pub sha256: String,
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
        let file = BufWriter::with_capacity(CHUNK_BYTES, file);
        Ok(SpoolWriter { path, name, file, digest: Sha256::new(), bytes: 0, rows: 0, finished: false })
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
        Ok(SpoolReader { path, file: opened, digest: Sha256::new(), left: file.bytes, sha256: file.sha256.clone() })
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

/// Writes one file. Dropping it unfinished removes it.
pub(crate) struct SpoolWriter {
    path: PathBuf,
    name: String,
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
    rows: u64,
    finished: bool,
}

impl SpoolWriter {
    /// Adds bytes that hold so many rows.
    pub(crate) fn write(&mut self, bytes: &[u8], rows: u64) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed("write", &self.path, error))?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.rows += rows;
        Ok(())
    }

    /// Hands everything to the operating system. [`Spool::seal`] makes it durable.
    pub(crate) fn finish(mut self) -> Result<SpoolFile> {
        self.file.flush().map_err(|error| failed("write", &self.path, error))?;
        self.finished = true;
        let sha256 = hex(&std::mem::take(&mut self.digest).finalize());
        Ok(SpoolFile { name: std::mem::take(&mut self.name), bytes: self.bytes, rows: self.rows, sha256 })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Reads one file from front to back, and knows at its end whether it is what was written.
pub(crate) struct SpoolReader {
    path: PathBuf,
    file: File,
    digest: Sha256,
    left: u64,
    sha256: String,
}

impl SpoolReader {
    /// The next bytes; none at the end. A file that is not what was written is an error at the end at the latest: whoever used its bytes
    /// until then must take that back.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            let sha256 = hex(&std::mem::take(&mut self.digest).finalize());
            return if sha256 == self.sha256 { Ok(None) } else { Err(damaged(&self.path, "its content does not match its digest")) };
        }
        let mut chunk = vec![0; self.left.min(CHUNK_BYTES as u64) as usize];
        match self.file.read_exact(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(damaged(&self.path, "it ended while it was read")),
            other => other.map_err(|error| failed("read", &self.path, error))?,
        }
        self.left -= chunk.len() as u64;
        self.digest.update(&chunk);
        Ok(Some(chunk.into()))
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
