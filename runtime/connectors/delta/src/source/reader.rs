//! Reads one file of a table from a row on.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use serde_json::Value;
use wasmill_engine::{Error, OriginalRecord, Payload, Read, Reject, Result, SourceBatch, SplitReader};

use super::position::Position;
use crate::rows::{FileChunk, FileRows, TableFile, TableRows};
use wasmill_formats::{Converted, RowConversion, row_to_json};
use wasmill_reading::{Assembler, SKIP_TIME};

/// A file that is opened when its first rows are read.
pub(super) struct FileReader {
    assembler: Assembler,
    conversion: RowConversion,
    table: Arc<TableRows>,
    file: TableFile,
    rows: Option<FileRows>,
    /// What was read and not returned yet.
    chunk: Option<FileChunk>,
    position: Position,
}

impl FileReader {
    pub(super) fn new(
        (source, shown): (&Arc<str>, &str),
        schema: &SchemaRef,
        (table, file): (Arc<TableRows>, TableFile),
        position: Position,
    ) -> Result<Self> {
        let assembler = Assembler::new(Arc::clone(source), shown.into(), Arc::clone(schema));
        let conversion = RowConversion::new(table.schema(), &assembler.decoded_schema()).map_err(|error| error.at(shown.to_owned()))?;
        Ok(Self { assembler, conversion, table, file, rows: None, chunk: None, position })
    }

    /// Reads the next chunk that has rows after the position. Chunks before it were read by an
    /// earlier run. They are skipped for a moment, and the result is false if there may be more of
    /// them. After true, no chunk means the end of the file.
    fn load(&mut self) -> Result<bool> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            closed => closed.insert(self.table.open_file(&self.file)?),
        };
        let begun = Instant::now();
        while self.chunk.is_none() {
            let Some(chunk) = rows.next_chunk()? else { return Ok(true) };
            let skip = usize::try_from(self.position.row.saturating_sub(chunk.first)).unwrap_or(usize::MAX);
            if skip < chunk.records.num_rows() {
                self.chunk = Some(chunk.split(skip).1);
            } else if begun.elapsed() >= SKIP_TIME {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next rows of the chunk, at most `max_rows`, deleted ones counted.
    fn take(&mut self, max_rows: usize) -> Option<FileChunk> {
        let chunk = self.chunk.take()?;
        let rows = chunk.records.num_rows();
        let (now, later) = chunk.split(max_rows.min(rows));
        self.chunk = Some(later).filter(|later| later.records.num_rows() > 0);
        Some(now)
    }

    /// What a batch read of the file's bytes: its share of the rows.
    fn bytes(&self, from: u64, to: u64) -> u64 {
        let (size, rows) = (u128::from(self.file.size()), u128::from(self.file.rows().unwrap_or_default()));
        let up_to = |row: u64| (size * u128::from(row)).checked_div(rows).unwrap_or_default();
        u64::try_from(up_to(to).saturating_sub(up_to(from))).unwrap_or_default()
    }
}

impl SplitReader for FileReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        if !self.load()? {
            return Ok(Read::Skipping);
        }
        let Some(FileChunk { first, records, keep }) = self.take(max_rows.max(1)) else { return Ok(Read::End) };
        let count = records.num_rows();
        let rows = match &keep {
            Some(keep) => taken(&records, keep)?,
            None => records,
        };
        let number = |row: u32| keep.as_ref().map_or(row, |keep| keep[row as usize]);
        let Converted { records, keep: converted, bad } = self.conversion.convert(&rows)?;
        let rejects = bad.into_iter().map(|(row, bad)| -> Result<Reject> {
            let json = row_to_json(&rows, row as usize)?;
            Ok(self.assembler.reject(bad, first + u64::from(number(row)), OriginalRecord::Json(json)))
        });
        let rejects = rejects.collect::<Result<_>>()?;
        let kept = match converted {
            Some(converted) => Some(converted.into_iter().map(number).collect()),
            None => keep.clone(),
        };
        let batch = self.assembler.batch(&records, Payload::Rows { first, count }, kept.as_deref())?;
        let (from, to) = (first, first + count as u64);
        self.position.row = to;
        Ok(Read::Batch(SourceBatch { batch, rejects, bytes: self.bytes(from, to) }))
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}

fn taken(records: &RecordBatch, rows: &[u32]) -> Result<RecordBatch> {
    take_record_batch(records, &UInt32Array::from(rows.to_vec())).map_err(|error| Error::bug(format!("rows can't be taken: {error}")))
}
