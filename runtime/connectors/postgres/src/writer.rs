//! The writer of one lane for one epoch: rows, encoded in the server's format, into a file of the
//! spool.

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::Value;
use wasmill_engine::{Result, RowReject, SinkWriter, WriterContext};

use super::encode::{Encoded, RowEncoder};
use super::layout::Layout;
use wasmill_connect::spool::{LaneFile, Spool};

/// Writes the rows of one lane.
pub(super) struct PostgresWriter {
    layout: Arc<Layout>,
    encoder: RowEncoder,
    file: LaneFile,
    /// Encoded rows of the present batch.
    encoded: Vec<u8>,
}

impl PostgresWriter {
    /// A writer; its file begins with its first row.
    pub(super) fn new(layout: Arc<Layout>, spool: Spool, context: WriterContext) -> Self {
        let encoder = RowEncoder::new(&layout, context.lane);
        Self { layout, encoder, file: LaneFile::new(spool, &context), encoded: Vec::new() }
    }
}

impl SinkWriter for PostgresWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.encoded.clear();
        let Encoded { rows, rejects } = self.encoder.encode(&self.layout, records, &mut self.encoded)?;
        self.file.write(&self.encoded, rows)?;
        Ok(rejects)
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        self.file.prepare()
    }
}
