//! Hands out the rows that a worker fetches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wasmill_connect::{BATCH_BYTES, threads};
use wasmill_engine::{Error, OriginalRecord, Payload, Read, Records, Result, SourceBatch, SplitReader};
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::{BadRecord, RecordDecoder};
use wasmill_reading::Assembler;

use super::Plan;
use super::position::Position;
use super::worker::{Fetched, Message, Worker};
use crate::connection::block_on;

/// How long a call waits for rows.
const WAIT: Duration = Duration::from_millis(40);

/// Messages that wait for the reader.
const AHEAD: usize = 2;

/// Reads all rows.
pub(super) struct RowsReader {
    plan: Arc<Plan>,
    assembler: Assembler,
    decoder: JsonDecoder,
    position: Position,
    /// Rows that were fetched and are not read yet.
    waiting: VecDeque<Fetched>,
    fetching: Option<Fetching>,
    ended: bool,
}

/// A worker that runs.
struct Fetching {
    messages: mpsc::Receiver<Result<Message>>,
    task: JoinHandle<()>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RowsReader {
    pub(super) fn new(name: &Arc<str>, plan: Arc<Plan>, position: Position) -> Result<Self> {
        let assembler = Assembler::new(Arc::clone(name), plan.config.shown().into(), Arc::clone(&plan.schema));
        let decoder = JsonDecoder::new(assembler.decoded_schema())?;
        Ok(Self { plan, assembler, decoder, position, waiting: VecDeque::new(), fetching: None, ended: false })
    }

    /// Takes what the worker has fetched, if that is within a moment. Starts it at the first call.
    fn take(&mut self) -> Result<()> {
        if self.fetching.is_none() {
            let (sender, messages) = mpsc::channel(AHEAD);
            let task = threads::handle()?.spawn(Worker::new(Arc::clone(&self.plan), &self.position, sender).run());
            self.fetching = Some(Fetching { messages, task });
        }
        let Some(fetching) = &mut self.fetching else { return Ok(()) };
        match block_on(async { tokio::time::timeout(WAIT, fetching.messages.recv()).await })? {
            Err(_) => {}
            Ok(Some(Ok(Message::Rows(rows)))) => self.waiting = rows.into(),
            Ok(Some(Ok(Message::End))) => self.ended = true,
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) => return Err(Error::bug("the worker that reads from MySQL ended without a word")),
        }
        Ok(())
    }

    /// Decodes rows, and moves the position behind them.
    fn decode(&mut self, rows: Vec<Fetched>) -> Result<SourceBatch> {
        let (first, count) = (self.position.rows, rows.len());
        let bytes = rows.iter().map(|row| row.record.len() as u64).sum();
        let (mut rejects, mut keep) = (Vec::new(), Vec::with_capacity(count));
        for (index, row) in rows.iter().enumerate() {
            let decoded = match (&row.odd, std::str::from_utf8(&row.record)) {
                (None, Ok(record)) => self.decoder.push(record),
                (odd, _) => {
                    let bad = BadRecord::new("invalid-utf8", "the text is not UTF-8");
                    Err(odd.iter().fold(bad, |bad, column| bad.within(column)))
                }
            };
            match decoded {
                Ok(()) => keep.push(index as u32),
                Err(bad) => {
                    let record = OriginalRecord::Bytes(row.record.clone());
                    rejects.push(self.assembler.reject(*bad, first + index as u64, record));
                }
            }
        }
        let records = self.decoder.finish()?;
        let keep = (keep.len() < count).then_some(keep);
        if let Some(last) = rows.last() {
            self.position = Position { rows: first + count as u64, key: last.key.clone(), same: last.same };
        }
        let sent = Sent { first, rows: rows.into_iter().map(|row| row.record).collect() };
        let batch = self.assembler.batch(&records, Payload::Records(Box::new(sent)), keep.as_deref())?;
        Ok(SourceBatch { batch, rejects, bytes })
    }
}

impl SplitReader for RowsReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        if self.waiting.is_empty() && !self.ended {
            self.take()?;
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < max_rows.max(1) && bytes < BATCH_BYTES {
            let Some(row) = self.waiting.pop_front() else { break };
            bytes += row.record.len();
            rows.push(row);
        }
        match rows.is_empty() {
            true if self.ended => Ok(Read::End),
            true => Ok(Read::Idle),
            false => self.decode(rows).map(Read::Batch),
        }
    }

    fn position(&self) -> Value {
        self.position.to_value(&self.plan.statement)
    }
}

/// The rows as records of JSON.
#[derive(Debug)]
struct Sent {
    first: u64,
    rows: Vec<Bytes>,
}

impl Records for Sent {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn position(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    fn bytes(&self, index: usize) -> Option<Bytes> {
        self.rows.get(index).cloned()
    }
}
