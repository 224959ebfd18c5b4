//! Writes a file of the spool: compressed, counted and digested on its way to the disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use wasmill_engine::Result;
use zstd::stream::write::Encoder;

use super::{Coding, SpoolFile, failed, hex};
use crate::write_behind::WriteBehind;

/// Rows are written and read once, and wait for a disk in between: the fastest of the ordinary levels makes them a third of their size.
const LEVEL: i32 = 1;

/// Writes one file. Dropping it unfinished removes it.
pub(crate) struct SpoolWriter {
    path: PathBuf,
    name: String,
    /// None once it is finished.
    file: Option<Encoder<'static, Digested>>,
    rows: u64,
}

impl SpoolWriter {
    /// Begins with an empty file.
    pub(super) fn new(path: PathBuf, name: String, file: File) -> Result<Self> {
        let digested = Digested { file: WriteBehind::new(file), digest: Sha256::new() };
        let file = Encoder::new(digested, LEVEL).map_err(|error| failed("write", &path, error))?;
        Ok(Self { path, name, file: Some(file), rows: 0 })
    }

    /// Adds bytes that hold so many rows.
    pub(crate) fn write(&mut self, bytes: &[u8], rows: u64) -> Result<()> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("it is finished"));
        file.and_then(|file| file.write_all(bytes)).map_err(|error| failed("write", &self.path, error))?;
        self.rows += rows;
        Ok(())
    }

    /// Hands everything to the operating system. [`super::Spool::seal`] makes it durable.
    pub(crate) fn finish(mut self) -> Result<SpoolFile> {
        let file = self.file.take().ok_or_else(|| io::Error::other("it is finished"));
        let digested = file.and_then(Encoder::finish).map_err(|error| {
            let _ = fs::remove_file(&self.path);
            failed("write", &self.path, error)
        })?;
        let sha256 = hex(&digested.digest.finalize());
        Ok(SpoolFile {
            name: std::mem::take(&mut self.name),
            bytes: digested.file.written(),
            rows: self.rows,
            sha256,
            coding: Coding::Zstd,
        })
    }
}

impl Drop for SpoolWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that knows the digest of its bytes.
struct Digested {
    file: WriteBehind,
    digest: Sha256,
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
