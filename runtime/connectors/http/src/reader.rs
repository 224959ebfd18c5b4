//! Reads the log, and decodes its records.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use wasmill_connect::BATCH_BYTES;
use wasmill_engine::codes::DISK;
use wasmill_engine::{
    Batch, Error, Lineage, OriginalRecord, Payload, Read, Records, Reject, Result, SourceBatch, SourceChunk, Split, SplitReader,
};
use wasmill_formats::BadRecord;

use crate::columns::{Columns, Row};
use crate::log::{Cursor, Entry};
use crate::position::Position;
use crate::source::{End, Shared};

/// A batch is closed once its columns hold this many values.
const BATCH_CELLS: usize = 4 << 20;

/// Reads one log.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    partition: Arc<str>,
    position: Position,
    end: End,
    columns: Columns,
    cursor: Cursor,
    /// What was read of the log and not decoded.
    pending: VecDeque<Pending>,
}

/// A record that was read.
struct Pending {
    number: u64,
    at: i64,
    name: Bytes,
    key: Option<Bytes>,
    value: Option<Bytes>,
}

impl Reader {
    pub(crate) fn open(shared: &Arc<Shared>, split: &Split, end: End) -> Result<Self> {
        let position = Position::read(&split.position)?;
        Ok(Self {
            columns: Columns::new(shared.format, &shared.schema)?,
            cursor: Cursor::new(&shared.folder, position.log, position.record)?,
            partition: Arc::clone(&split.id),
            shared: Arc::clone(shared),
            position,
            end,
            pending: VecDeque::new(),
        })
    }

    /// Reads blocks until there is a batch, or nothing more that is durable.
    fn fill(&mut self, max_rows: usize) -> Result<()> {
        let end = match &self.end {
            End::At(end) => *end,
            End::Never(log) => {
                if let Some(failed) = log.failure() {
                    return Err(Error::environment(format!("the log of requests failed: {failed}"))
                        .code(DISK)
                        .hint("requests that were answered are in it; start again when the disk works"));
                }
                log.next()
            }
        };
        let mut next = self.pending.back().map_or(self.position.record, |pending| pending.number + 1);
        let mut bytes = 0;
        while next < end && self.pending.len() < max_rows && bytes < BATCH_BYTES {
            for Entry { first, at, name, records, .. } in self.cursor.next()? {
                for (number, record) in (first..).zip(records) {
                    if number < self.position.record {
                        continue;
                    }
                    bytes += record.value.as_ref().map_or(0, Bytes::len);
                    let at = record.timestamp.unwrap_or(at);
                    self.pending.push_back(Pending { number, at, name: name.clone(), key: record.key, value: record.value });
                    next = number + 1;
                }
            }
        }
        Ok(())
    }

    fn reject(&self, bad: BadRecord, pending: &Pending) -> Reject {
        Reject {
            source: Arc::clone(&self.shared.name),
            partition: Arc::clone(&self.partition),
            position: pending.number,
            record: OriginalRecord::Bytes(pending.value.clone().unwrap_or_default()),
            stage: None,
            plugin: None,
            code: bad.code.to_owned(),
            column: bad.column,
            message: bad.message,
        }
    }

    fn batch(&mut self, max_rows: usize) -> Result<SourceBatch> {
        let (mut rows, mut rejects, mut bytes) = (Vec::new(), Vec::new(), 0);
        while rows.len() + rejects.len() < max_rows && bytes < BATCH_BYTES && self.columns.cells() < BATCH_CELLS {
            let Some(pending) = self.pending.pop_front() else { break };
            self.position.record = pending.number + 1;
            bytes += pending.value.as_ref().map_or(0, Bytes::len);
            let pushed = match &pending.value {
                Some(value) => self.columns.push(pending.key.as_ref(), value),
                None => Err(BadRecord::new("tombstone", "the record has no value")),
            };
            match pushed {
                Err(bad) => rejects.push(self.reject(*bad, &pending)),
                Ok(()) => {
                    let Pending { number, at, name, key, value } = pending;
                    rows.push(Row { number, name, key, time: at, value: value.unwrap_or_default() });
                }
            }
        }
        let records = self.columns.finish(&rows)?;
        let payload = Payload::Records(Box::new(Posted(rows.into_iter().map(|row| (row.number, row.value)).collect())));
        let chunk = SourceChunk { source: Arc::clone(&self.shared.name), partition: Arc::clone(&self.partition), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(SourceBatch { batch, rejects, bytes: bytes as u64 })
    }
}

/// Records with their numbers.
#[derive(Debug)]
struct Posted(Vec<(u64, Bytes)>);

impl Records for Posted {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn position(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, |(number, _)| *number)
    }

    fn bytes(&self, index: usize) -> Option<Bytes> {
        self.0.get(index).map(|(_, value)| value.clone())
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let max_rows = max_rows.max(1);
        if self.pending.is_empty() {
            self.fill(max_rows)?;
        }
        // What was accepted after a batch had begun is of the next one.
        if let End::At(end) = self.end {
            self.pending.retain(|pending| pending.number < end);
        }
        if self.pending.is_empty() {
            return Ok(if matches!(self.end, End::At(_)) { Read::End } else { Read::Idle });
        }
        let batch = self.batch(max_rows)?;
        self.shared.note_read(self.position.record);
        Ok(Read::Batch(batch))
    }

    /// The log is created where there is none, and its id has to stay with the state.
    fn begins_here(&self) -> bool {
        true
    }

    fn position(&self) -> Value {
        self.position.to_value()
    }
}
