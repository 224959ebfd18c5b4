//! Writes a file of the spool, compressed and counted.

use std::io::{self, Write};

use wasmill_engine::{DepotWriter, Error, Result};
use zstd::stream::write::Encoder;

use super::{Coding, SpoolFile};

/// Rows are written and read once, and wait for a disk in between: the fastest of the ordinary
/// levels shrinks them to a third.
const LEVEL: i32 = 1;

/// Writes one file. Dropping it unfinished removes it.
pub struct SpoolWriter {
    file: Encoder<'static, Box<dyn DepotWriter>>,
    rows: u64,
}

impl SpoolWriter {
    /// Begins with an empty file.
    pub(super) fn new(file: Box<dyn DepotWriter>) -> Result<Self> {
        Ok(Self { file: Encoder::new(file, LEVEL).map_err(failed)?, rows: 0 })
    }

    /// Adds bytes that hold this many rows.
    pub fn write(&mut self, bytes: &[u8], rows: u64) -> Result<()> {
        self.file.write_all(bytes).map_err(failed)?;
        self.rows += rows;
        Ok(())
    }

    /// Ends it. [`super::Spool::seal`] makes it durable.
    pub fn finish(self) -> Result<SpoolFile> {
        let file = self.file.finish().map_err(failed)?.finish()?;
        let name = file.name.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(SpoolFile { name, bytes: file.bytes, rows: self.rows, sha256: file.sha256, coding: Coding::Zstd })
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("compress the rows of an epoch", error)
}
