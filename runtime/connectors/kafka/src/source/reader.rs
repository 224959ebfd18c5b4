//! Reads one partition: takes messages from its queue and decodes them where they lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::error::RDKafkaErrorCode;
use serde_json::Value;
use wasmill_engine::{
    Batch, Error, Lineage, Mode, OriginalRecord, Payload, Read, Reject, Result, SourceBatch, SourceChunk, Split, SplitId, SplitReader,
};

use super::columns::{Columns, Decoded};
use super::{Handed, Shared, start};
use crate::cluster::{Cluster, is_passing_code};
use crate::codes::{ACCESS_DENIED, REQUEST_FAILED, TOPIC_DELETED};
use crate::position::{Position, parse_split};
use crate::queue::{Message, Messages, PartitionQueue};
use wasmill_connect::BATCH_BYTES;
use wasmill_connect::codes::RETRIES_EXHAUSTED;
use wasmill_formats::BadRecord;

/// A batch is closed once its columns hold this many values.
const BATCH_CELLS: usize = 4 << 20;
/// So much of a value that is too long is kept for the dead letters.
const KEPT_BYTES: usize = 64 << 10;
/// How long to wait for a full batch while there is more to come.
const POLL_TIMEOUT: Duration = Duration::from_millis(10);

/// Reads one partition.
pub(super) struct Reader {
    shared: Arc<Shared>,
    cluster: Arc<Cluster>,
    id: SplitId,
    topic: String,
    partition: i32,
    topic_id: String,
    queue: PartitionQueue,
    columns: Columns,
    /// What was taken and not decoded yet.
    pending: Messages,
    /// The offset of the next record.
    next: i64,
    /// Where a batch ends.
    end: Option<i64>,
    begins_here: bool,
    /// The end of the partition was reached, as far as we know.
    at_end: bool,
    /// When something came last.
    progress: Instant,
    behind: Arc<AtomicI64>,
    mean_record: usize,
}

/// The result of one call on messages.
#[derive(Default)]
struct DecodedRecords {
    /// Which of the messages that were gone through became rows.
    kept: Vec<bool>,
    rows: usize,
    rejects: Vec<Reject>,
    records: usize,
    bytes: u64,
}

impl Reader {
    /// Reads from a queue that begins at the split's position.
    pub(super) fn open(shared: &Arc<Shared>, split: &Split, handed: Handed, queue: PartitionQueue, cluster: Arc<Cluster>) -> Result<Self> {
        let position = Position::read(&split.position)?;
        let Some((topic, partition)) = parse_split(&split.id) else {
            return Err(Error::bug(format!("{} is not a partition", split.id)));
        };
        let behind = shared.note_behind(&split.id, 0);
        Ok(Self {
            cluster,
            id: Arc::clone(&split.id),
            topic: topic.to_owned(),
            partition,
            topic_id: position.topic,
            columns: Columns::new(&shared.config, &shared.schema)?,
            pending: queue.messages(),
            queue,
            next: position.offset,
            end: handed.end,
            begins_here: handed.begins_here,
            at_end: false,
            progress: Instant::now(),
            behind,
            mean_record: 1 << 10,
            shared: Arc::clone(shared),
        })
    }

    fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// Takes what is there, up to a batch. Waits a little if more is to come.
    fn fill(&mut self, max_rows: usize) -> Result<()> {
        let room = |bytes: usize, mean: usize| (BATCH_BYTES.saturating_sub(bytes) / mean.max(1)).max(1);
        let mut wait = if self.at_end { Duration::ZERO } else { POLL_TIMEOUT };
        let mut bytes = 0;
        while self.pending.len() < max_rows && bytes < BATCH_BYTES {
            let wanted = (max_rows - self.pending.len()).min(room(bytes, self.mean_record));
            let before = self.pending.len();
            let taken = self.queue.take(&mut self.pending, wanted, wait);
            bytes += (before..before + taken).map(|index| self.pending.get(index).size()).sum::<usize>();
            if taken < wanted {
                break;
            }
            wait = Duration::ZERO;
        }
        if self.pending.len() > 0 {
            self.mean_record = (bytes / self.pending.len()).max(64);
            self.progress = Instant::now();
        }
        self.watch()
    }

    /// Notices brokers that are away for too long.
    fn watch(&mut self) -> Result<()> {
        let health = &self.shared.health;
        let silent = match self.shared.mode {
            Mode::Batch => self.progress.elapsed(),
            Mode::Stream => Duration::ZERO,
        };
        let down = health.down_for().unwrap_or_default().max(silent);
        if down <= self.shared.patience {
            return Ok(());
        }
        Err(Error::environment(format!("the partition {} gave nothing for {} s: {}", self.id, down.as_secs(), health.last()))
            .code(RETRIES_EXHAUSTED)
            .hint("start again when the brokers are back: the run resumes from its last checkpoint; `retry: { for: … }` sets how long to wait"))
    }

    /// Decodes what is pending, up to a batch.
    fn decode(&mut self, max_rows: usize) -> Result<DecodedRecords> {
        let mut decoded = DecodedRecords::default();
        let mut restart = None;
        for index in 0..self.pending.len() {
            if decoded.records >= max_rows || self.columns.cells() > BATCH_CELLS {
                break;
            }
            let message = self.pending.get(index);
            if let Some((code, text)) = message.error() {
                if code == RDKafkaErrorCode::PartitionEOF {
                    // Markers of transactions and what compaction removed lie before it.
                    self.next = self.next.max(message.offset());
                    self.at_end = true;
                } else if !is_passing_code(code) {
                    restart = Some(self.offset_after(code, &text)?);
                }
                decoded.kept.push(false);
                if restart.is_some() {
                    break;
                }
                continue;
            }
            if self.end.is_some_and(|end| message.offset() >= end) {
                self.next = self.end.unwrap_or(self.next);
                break;
            }
            self.at_end = false;
            self.next = message.offset() + 1;
            decoded.records += 1;
            decoded.bytes += message.size() as u64;
            match self.columns.push(&message) {
                Ok(Decoded::Row) => {
                    decoded.rows += 1;
                    decoded.kept.push(true);
                }
                Ok(Decoded::Skipped) => decoded.kept.push(false),
                Err(bad) => {
                    decoded.rejects.push(self.reject(*bad, &message));
                    decoded.kept.push(false);
                }
            }
        }
        if let Some(offset) = restart {
            self.queue.restart(offset)?;
            self.next = offset;
        }
        Ok(decoded)
    }

    fn reject(&self, bad: BadRecord, message: &Message<'_>) -> Reject {
        let value = message.value().unwrap_or_default();
        let kept = if bad.code == "too-long" { &value[..value.len().min(KEPT_BYTES)] } else { value };
        Reject {
            source: Arc::clone(&self.shared.name),
            partition: Arc::clone(&self.id),
            position: u64::try_from(message.offset()).unwrap_or_default(),
            record: OriginalRecord::Bytes(Bytes::copy_from_slice(kept)),
            stage: None,
            plugin: None,
            code: bad.code.to_owned(),
            column: bad.column,
            message: bad.message,
        }
    }

    /// What to do about a permanent error: the offset to resume at, or the end of the run.
    fn offset_after(&self, code: RDKafkaErrorCode, text: &str) -> Result<i64> {
        use RDKafkaErrorCode as Code;
        let error = |kind, message: String| Error::environment(message).code(kind).at(format!("partition {}", self.id));
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => {
                let place = [(self.topic.clone(), self.partition)];
                let of = |all: std::collections::HashMap<_, i64>| all.get(&place[0]).copied().unwrap_or_default();
                let range = (of(self.cluster.begins(&place)?), of(self.cluster.ends(&place)?));
                let policy = self.shared.config.on_lost_offsets;
                start::resume(policy, self.next, range).map_err(|error| error.at(format!("partition {}", self.id)))
            }
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::UnknownTopicId => Err(error(
                TOPIC_DELETED,
                format!("the partition is there no more: {text}"),
            )
            .hint(
                "was the topic deleted? Take it out of the pipeline, or start over with another `--state` folder once it is created again",
            )),
            Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                Err(error(ACCESS_DENIED, format!("the brokers deny reading it: {text}"))
                    .hint("the principal needs READ and DESCRIBE on the topic"))
            }
            Code::MessageSizeTooLarge => {
                Err(error(REQUEST_FAILED, format!("the record at offset {} is larger than a fetch may be: {text}", self.next))
                    .hint("raise `max_record`, or `client: { receive.message.max.bytes: … }`"))
            }
            _ => Err(error(REQUEST_FAILED, format!("it can't be read at offset {}: {text} ({code:?})", self.next))),
        }
    }

    fn batch(&mut self, decoded: DecodedRecords) -> Result<SourceBatch> {
        let mut messages = self.pending.split_to(decoded.kept.len());
        if decoded.rows < decoded.kept.len() {
            messages.retain(&decoded.kept);
        }
        let records = self.columns.finish(&self.topic, self.partition, &mut messages)?;
        let payload = Payload::Records(Box::new(messages));
        let chunk = SourceChunk { source: Arc::clone(&self.shared.name), partition: Arc::clone(&self.id), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(SourceBatch { batch, rejects: decoded.rejects, bytes: decoded.bytes })
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let max_rows = max_rows.max(1);
        if self.has_ended() {
            return Ok(Read::End);
        }
        if self.pending.len() == 0 {
            self.fill(max_rows)?;
        }
        let any = self.pending.len() > 0;
        let decoded = self.decode(max_rows)?;
        if any {
            self.shared.health.up();
            let end = self.end.or_else(|| self.queue.known_end()).unwrap_or(self.next);
            self.behind.store((end - self.next).max(0), Ordering::Relaxed);
        }
        if decoded.records == 0 {
            drop(self.pending.split_to(decoded.kept.len()));
            return Ok(if self.has_ended() { Read::End } else { Read::Idle });
        }
        Ok(Read::Batch(self.batch(decoded)?))
    }

    fn begins_here(&self) -> bool {
        self.begins_here
    }

    fn position(&self) -> Value {
        Position { offset: self.next, topic: self.topic_id.clone() }.to_value()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.behind.lock().remove(&self.id);
    }
}
