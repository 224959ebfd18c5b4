//! What one lane spools in one epoch, and how its sink collects the lanes' parts.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::{Result, WriterContext};

use super::{Spool, SpoolFile, SpoolWriter};
use crate::prepared;

/// What a lane prepared.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Part {
    /// Its file; none if it kept no rows.
    file: Option<SpoolFile>,
}

/// The file of one lane for one epoch. It begins with the first rows.
pub struct LaneFile {
    spool: Spool,
    incarnation: Uuid,
    epoch: u64,
    file: Option<SpoolWriter>,
}

impl LaneFile {
    /// No file yet.
    pub fn new(spool: Spool, context: &WriterContext) -> Self {
        Self { spool, incarnation: context.incarnation, epoch: context.epoch, file: None }
    }

    /// Adds bytes that hold this many rows; without rows there is nothing to add.
    pub fn write(&mut self, bytes: &[u8], rows: u64) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.spool.create(self.incarnation, self.epoch)?),
        };
        file.write(bytes, rows)
    }

    /// Finishes it: the part that the lane's writer prepares.
    pub fn prepare(self) -> Result<Value> {
        let file = self.file.map(SpoolWriter::finish).transpose()?;
        prepared::write(&Part { file })
    }
}

impl Spool {
    /// The files of all lanes, in their order, durable. Syncing happens here and not when a lane's
    /// writer prepares, so that lanes continue with the next epoch meanwhile.
    pub fn collect(&self, parts: Vec<Value>) -> Result<Vec<SpoolFile>> {
        let mut files = Vec::new();
        for part in parts {
            files.extend(prepared::read_part::<Part>(part)?.file);
        }
        self.seal(&files)?;
        Ok(files)
    }
}
