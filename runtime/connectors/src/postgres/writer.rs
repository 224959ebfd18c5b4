//! The writer of one lane for one epoch: rows, encoded as the server wants them, into a file of the spool.

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::encode::RowEncoder;
use super::layout::Layout;
use super::prepared::Part;
use crate::prepared;
use crate::spool::{Spool, SpoolWriter};

/// Writes the rows of one lane.
pub(super) struct PostgresWriter {
    layout: Arc<Layout>,
    encoder: RowEncoder,
    spool: Spool,
    context: WriterContext,
    file: Option<SpoolWriter>,
    /// Encoded rows of the batch at hand.
    encoded: Vec<u8>,
}

impl PostgresWriter {
    /// A writer; its file begins with its first row.
    pub(super) fn new(layout: Arc<Layout>, spool: Spool, context: WriterContext) -> Self {
        let encoder = RowEncoder::new(&layout, context.lane);
        Self { layout, encoder, spool, context, file: None, encoded: Vec::new() }
    }
}

impl SinkWriter for PostgresWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.encoded.clear();
        let (rows, rejects) = self.encoder.encode(&self.layout, records, &mut self.encoded)?;
        if rows > 0 {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(self.spool.create(self.context.epoch, self.context.lane)?),
            };
            file.write(&self.encoded, rows)?;
        }
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        let file = self.file.take().map(SpoolWriter::finish).transpose()?;
        prepared::write(&Part { file })
    }
}
