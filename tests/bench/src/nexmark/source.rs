//! The source `nexmark`: events of one kind, generated where they are read.
//!
//! # Splits
//! Events are dealt out to 8 splits in blocks of 8,900 in the order of their numbers, so that lanes share the work, and a split's rows depend neither
//! on lanes nor on how many events there are. A batch never crosses a block. So persons, auctions and bids that are read in turns advance alike in event
//! time, and a block of bids is a batch.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::{
    Batch, Discovery, Error, Lineage, Mode, Payload, Progress, Read, Result, Source, SourceBatch, SourceChunk, Split, SplitOpener,
    SplitReader,
};

use super::columns::Table;
use super::events::{Events, Stream};

const SPLITS: u64 = 8;
/// 8,900 events: 178 persons, 534 auctions, 8,188 bids.
const CYCLES_PER_BLOCK: u64 = 178;
/// A row counts as so many bytes for each of its columns.
const BYTES_PER_VALUE: u64 = 8;

/// A source of events of one kind.
pub struct NexmarkSource {
    shared: Arc<Shared>,
    mode: Mode,
    is_listed: bool,
}

/// What readers need to know.
struct Shared {
    name: Arc<str>,
    table: Table,
    events: Events,
    /// Rows of the table.
    rows: u64,
    schema: SchemaRef,
}

/// The position of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    /// The next row, among all of the table.
    row: u64,
    table: Table,
    stream: Stream,
}

impl Position {
    fn read(value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|error| Error::environment(format!("{value} is no position of nexmark")).caused_by(error))
    }
}

impl NexmarkSource {
    /// The rows of a table among so many events, with the columns of `schema`, which it has.
    pub fn new(name: &str, table: Table, events: Events, count: u64, schema: SchemaRef, mode: Mode) -> Self {
        let shared = Shared { name: name.into(), table, events, rows: table.rows(count), schema };
        Self { shared: Arc::new(shared), mode, is_listed: false }
    }
}

impl Shared {
    fn block_rows(&self) -> u64 {
        self.table.per_cycle() * CYCLES_PER_BLOCK
    }

    fn id(&self, split: u64) -> String {
        format!("{}/{split}", self.table)
    }

    /// The start of a split, whether or not it was begun before.
    fn start(&self, split: u64, restored: &Progress) -> Result<Position> {
        let (table, stream) = (self.table, self.events.stream());
        let Some(state) = restored.get(self.id(split).as_str()) else {
            return Ok(Position { row: split * self.block_rows(), table, stream });
        };
        let position = Position::read(&state.position)?;
        if (position.table, position.stream) == (table, stream) {
            return Ok(position);
        }
        Err(Error::environment("the events are not those that the checkpoint has read: `table`, `seed` or `per_second` was changed")
            .hint("change it back, or start over with `wasmill state reset`"))
    }
}

impl Source for NexmarkSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let mut splits = Vec::new();
        if !std::mem::replace(&mut self.is_listed, true) {
            for split in 0..SPLITS {
                let position = self.shared.start(split, restored)?;
                if position.row < self.shared.rows {
                    let position =
                        serde_json::to_value(position).map_err(|error| Error::bug(format!("a position is not JSON: {error}")))?;
                    splits.push(Split { id: self.shared.id(split).into(), position });
                }
            }
        }
        Ok(Discovery { splits, complete: true })
    }

    /// In a stream all splits have to be read in turns, as the partitions of a topic: none may hold the watermark back by waiting for another. They end
    /// all the same.
    fn is_endless(&self) -> bool {
        self.mode == Mode::Stream
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener(Arc::clone(&self.shared)))
    }
}

struct Opener(Arc<Shared>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.position)?;
        Ok(Box::new(Reader { shared: Arc::clone(&self.0), partition: Arc::clone(&split.id), position }))
    }
}

/// Generates the rows of one split.
struct Reader {
    shared: Arc<Shared>,
    partition: Arc<str>,
    position: Position,
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let shared = &self.shared;
        let first = self.position.row;
        let end_of_block = (first / shared.block_rows() + 1) * shared.block_rows();
        let end = end_of_block.min(shared.rows).min(first + max_rows.max(1) as u64);
        if end <= first {
            return Ok(Read::End);
        }
        self.position.row = if end == end_of_block { end + (SPLITS - 1) * shared.block_rows() } else { end };
        let records = shared
            .table
            .batch(&shared.events, first..end, &shared.schema)
            .map_err(|error| Error::bug(format!("events make no batch: {error}")).caused_by(error))?;
        let count = (end - first) as usize;
        let bytes = count as u64 * BYTES_PER_VALUE * shared.schema.fields().len() as u64;
        let payload = Payload::Rows { first, count };
        let chunk = SourceChunk { source: Arc::clone(&shared.name), partition: Arc::clone(&self.partition), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(Read::Batch(SourceBatch { batch, rejects: Vec::new(), bytes }))
    }

    fn position(&self) -> Value {
        serde_json::to_value(self.position).unwrap_or_default()
    }
}
