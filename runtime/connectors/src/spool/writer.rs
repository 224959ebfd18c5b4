//! Writes a file of the spool: compressed, counted and digested on its way to the disk.

use std::fs::File;
use std::io::Write;

use tempfile::TempPath;
use wasmill_engine::Result;
use zstd::stream::write::Encoder;

use super::{Coding, SpoolFile, failed};
use crate::digest::Digested;
use crate::write_behind::WriteBehind;

/// Rows are written and read once, and wait for a disk in between: the fastest of the ordinary levels makes them a third of their size.
const LEVEL: i32 = 1;

/// Writes one file. Dropping it unfinished removes it.
pub(crate) struct SpoolWriter {
    path: TempPath,
    name: String,
    file: Encoder<'static, Digested<WriteBehind>>,
    rows: u64,
}

impl SpoolWriter {
    /// Begins with an empty file.
    pub(super) fn new(path: TempPath, name: String, file: File) -> Result<Self> {
        let digested = Digested::new(WriteBehind::new(file));
        let file = Encoder::new(digested, LEVEL).map_err(|error| failed("write", &path, error))?;
        Ok(Self { path, name, file, rows: 0 })
    }

    /// Adds bytes that hold so many rows.
    pub(crate) fn write(&mut self, bytes: &[u8], rows: u64) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| failed("write", &self.path, error))?;
        self.rows += rows;
        Ok(())
    }

    /// Hands everything to the operating system. [`super::Spool::seal`] makes it durable.
    pub(crate) fn finish(self) -> Result<SpoolFile> {
        let Self { path, name, file, rows } = self;
        let (sha256, file) = file.finish().map_err(|error| failed("write", &path, error))?.finish();
        path.keep().map_err(|kept| failed("keep", &kept.path, kept.error))?;
        Ok(SpoolFile { name, bytes: file.written(), rows, sha256, coding: Coding::Zstd })
    }
}
