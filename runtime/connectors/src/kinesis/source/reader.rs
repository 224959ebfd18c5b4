//! Reads one shard: takes what its task has read ahead, and decodes it where it lies.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use wasmill_engine::{
    Batch, Error, Lineage, OriginalRecord, Payload, Read, Reject, Result, SourceBatch, SourceChunk, Split, SplitId, SplitReader,
};

use super::columns::Columns;
use super::feed::{Feed, Fetched};
use super::position::{Place, Position, parse_split};
use super::records::{Item, Kept, Record, unfold};
use super::{Handed, Shared};
use crate::formats::BadRecord;
use crate::kinesis::api::Api;

/// A batch is closed once its records have so many bytes.
const BATCH_BYTES: usize = 8 << 20;
/// A batch is closed once its columns hold so many values.
const BATCH_CELLS: usize = 4 << 20;
/// So much of a record that is too long is kept for the dead letters.
const KEPT_BYTES: usize = 64 << 10;
/// How often a checkpoint is told that a shard without records has none: what is not known to have been read until then counts as lost
/// once retention has passed it.
const REFRESH: Duration = Duration::from_secs(3600);

/// Reads one shard.
pub(super) struct Reader {
    shared: Arc<Shared>,
    id: SplitId,
    shard: String,
    hash_keys: RangeInclusive<u128>,
    feed: Feed,
    columns: Columns,
    /// What was taken and not decoded yet.
    items: VecDeque<Item>,
    /// What holds once all of that is decoded.
    then: Option<Then>,
    /// The aggregate of which parts were read before, and the last of them.
    skip: Option<(String, u64)>,
    position: Position,
    /// Where a batch ends: what arrived later is left to the next one.
    end: Option<i64>,
    begins_here: bool,
    ended: bool,
    noted: Instant,
    behind: Arc<AtomicI64>,
}

struct Then {
    behind: i64,
    until: Option<i64>,
}

/// What one call made of records.
#[derive(Default)]
struct Made {
    kept: Vec<Record>,
    rejects: Vec<Reject>,
    records: usize,
    bytes: usize,
    /// Records of Kinesis that gave nothing.
    nothing: bool,
}

impl Reader {
    /// Starts to read at the split's position.
    pub(super) fn open(shared: &Arc<Shared>, api: &Arc<Api>, split: &Split, handed: Handed) -> Result<Self> {
        let position = Position::read(&split.position)?;
        let Some((_, shard)) = parse_split(&split.id) else { return Err(Error::bug(format!("{} is no shard", split.id))) };
        let skip = match &position.at {
            Place::Within(number, part) => Some((number.clone(), *part)),
            _ => None,
        };
        let behind: Arc<AtomicI64> = Arc::default();
        shared.behind.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&split.id), Arc::clone(&behind));
        Ok(Self {
            id: Arc::clone(&split.id),
            shard: shard.to_owned(),
            hash_keys: handed.hash_keys,
            feed: Feed::start(shared, api, shard, &position)?,
            columns: Columns::new(&shared.config, &shared.schema)?,
            items: VecDeque::new(),
            then: None,
            skip,
            position,
            end: handed.end,
            begins_here: handed.begins_here,
            ended: false,
            noted: Instant::now(),
            behind,
            shared: Arc::clone(shared),
        })
    }

    /// Takes what has come next. False if nothing has.
    fn fill(&mut self) -> Result<bool> {
        let Some(fetched) = self.feed.take() else { return Ok(false) };
        match fetched {
            Fetched::Answer { records, behind, until } => {
                for record in records {
                    unfold(record, self.shared.config.aggregates, &self.hash_keys, &mut self.items);
                }
                self.then = Some(Then { behind, until });
            }
            Fetched::Closed => {
                (self.ended, self.position.closed) = (true, true);
                self.shared.ended(&self.shard);
            }
            Fetched::Failed(error) => return Err(error),
        }
        Ok(true)
    }

    /// All that was taken is decoded.
    fn settle(&mut self) {
        let Some(Then { behind, until }) = self.then.take() else { return };
        self.position.until = self.position.until.max(until);
        self.behind.store(behind, Ordering::Relaxed);
        // It was asked for after the run began: everything that was there then has been read.
        self.ended |= self.end.is_some() && behind <= 0;
    }

    /// Decodes what was taken, up to a batch.
    fn decode(&mut self, max_rows: usize) -> Made {
        let mut made = Made::default();
        while made.records < max_rows && made.bytes < BATCH_BYTES && self.columns.cells() <= BATCH_CELLS {
            let Some(item) = self.items.pop_front() else { break };
            let arrival = item.envelope().arrival;
            if self.end.zip(arrival).is_some_and(|(end, arrival)| arrival > end) {
                self.items.clear();
                (self.then, self.ended) = (None, true);
                break;
            }
            match item {
                Item::Nothing(envelope, elsewhere) => {
                    self.position.at = Place::Behind(envelope.sequence_number.clone());
                    self.shared.left_out(&self.id, &envelope.sequence_number, elsewhere);
                    made.nothing = true;
                }
                Item::Record(record) if self.was_read(&record) => continue,
                Item::Record(record) => self.row(record, &mut made),
            }
            self.position.until = self.position.until.max(arrival);
        }
        if self.items.is_empty() {
            self.settle();
        }
        made
    }

    fn was_read(&self, record: &Record) -> bool {
        let (Some((number, last)), Some((part, _))) = (&self.skip, &record.part) else { return false };
        record.envelope.sequence_number == *number && part <= last
    }

    fn row(&mut self, record: Record, made: &mut Made) {
        self.position.at = record.behind();
        made.records += 1;
        made.bytes += record.data.len();
        match self.columns.push(&record) {
            Ok(()) => made.kept.push(record),
            Err(bad) => made.rejects.push(self.reject(*bad, &record)),
        }
    }

    fn reject(&self, bad: BadRecord, record: &Record) -> Reject {
        let kept = if bad.code == "too-long" { record.data.slice(..record.data.len().min(KEPT_BYTES)) } else { record.data.clone() };
        Reject {
            source: Arc::clone(&self.shared.name),
            partition: record.place(&self.id),
            position: record.sub_sequence(),
            record: OriginalRecord::Bytes(kept),
            stage: None,
            plugin: None,
            code: bad.code.to_owned(),
            column: bad.column,
            message: bad.message,
        }
    }

    fn batch(&mut self, made: Made) -> Result<Read> {
        self.noted = Instant::now();
        let records = self.columns.finish(&self.shared.stream, &self.shard, &made.kept)?;
        let payload = Payload::Records(Box::new(Kept { split: Arc::clone(&self.id), records: made.kept }));
        let chunk = SourceChunk { source: Arc::clone(&self.shared.name), partition: Arc::clone(&self.id), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(Read::Batch(SourceBatch { batch, rejects: made.rejects, bytes: made.bytes as u64 }))
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let max_rows = max_rows.max(1);
        loop {
            if self.items.is_empty() && !self.ended && !self.fill()? {
                // Where nothing comes, the time until which nothing came has to be noted now and then.
                let is_due = self.position.until.is_some() && self.noted.elapsed() >= REFRESH;
                return if is_due { self.batch(Made::default()) } else { Ok(Read::Idle) };
            }
            let made = self.decode(max_rows);
            if made.records > 0 || made.nothing {
                return self.batch(made);
            }
            if self.ended && self.items.is_empty() {
                return Ok(Read::End);
            }
        }
    }

    fn begins_here(&self) -> bool {
        self.begins_here
    }

    fn position(&self) -> Value {
        // A position is plain numbers and texts.
        self.position.to_value().unwrap_or_default()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
