//! Reads one shard: takes what its task has read ahead, and decodes it where it lies.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use wasmill_engine::{
    Batch, Error, Lineage, OriginalRecord, Payload, Read, Reject, Result, SourceBatch, SourceChunk, Split, SplitId, SplitReader,
};

use super::columns::Columns;
use super::feed::{Feed, Fetched};
use super::position::{Place, Position, parse_split};
use super::records::{Item, Kept, Record, unfold};
use super::{Handed, Shared};
use crate::api::Api;
use wasmill_connect::BATCH_BYTES;
use wasmill_formats::BadRecord;

/// A batch is closed once its columns hold this many values.
const BATCH_CELLS: usize = 4 << 20;
/// So much of a record that is too long is kept for the dead letters.
const KEPT_BYTES: usize = 64 << 10;

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
    at_tip: bool,
    /// Held until all of the response is decoded.
    _room: Option<OwnedSemaphorePermit>,
}

/// The result of one call on records.
#[derive(Default)]
struct DecodedRecords {
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
        let Some((_, shard)) = parse_split(&split.id) else { return Err(Error::bug(format!("{} is not a shard", split.id))) };
        Self::with(shared, split, (shard, position.clone()), handed, Feed::start(shared, api, shard, &position)?)
    }

    fn with(shared: &Arc<Shared>, split: &Split, (shard, position): (&str, Position), handed: Handed, feed: Feed) -> Result<Self> {
        let skip = match &position.at {
            Place::Within(number, part) => Some((number.clone(), *part)),
            _ => None,
        };
        let behind = shared.note_behind(&split.id, 0);
        Ok(Self {
            id: Arc::clone(&split.id),
            shard: shard.to_owned(),
            hash_keys: handed.hash_keys,
            feed,
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
            Fetched::Answer { records, behind, until, at_tip, room } => {
                for record in records {
                    unfold(record, self.shared.config.aggregates, &self.hash_keys, &mut self.items);
                }
                self.then = Some(Then { behind, until, at_tip, _room: room });
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
        let Some(Then { behind, until, at_tip, .. }) = self.then.take() else { return };
        self.position.until = self.position.until.max(until);
        self.behind.store(behind, Ordering::Relaxed);
        // It was requested after the run began: everything that was there then has been read.
        self.ended |= self.end.is_some() && at_tip;
    }

    /// Decodes what was taken, up to a batch.
    fn decode(&mut self, max_rows: usize) -> DecodedRecords {
        let mut decoded = DecodedRecords::default();
        while decoded.records < max_rows && decoded.bytes < BATCH_BYTES && self.columns.cells() <= BATCH_CELLS {
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
                    decoded.nothing = true;
                }
                Item::Record(record) if self.was_read(&record) => continue,
                Item::Record(record) => self.row(record, &mut decoded),
            }
            self.position.until = self.position.until.max(arrival);
        }
        if self.items.is_empty() {
            self.settle();
        }
        decoded
    }

    fn was_read(&self, record: &Record) -> bool {
        let (Some((number, last)), Some((part, _))) = (&self.skip, &record.part) else { return false };
        record.envelope.sequence_number == *number && part <= last
    }

    fn row(&mut self, record: Record, decoded: &mut DecodedRecords) {
        self.position.at = record.behind();
        decoded.records += 1;
        decoded.bytes += record.data.len();
        match self.columns.push(&record) {
            Ok(()) => decoded.kept.push(record),
            Err(bad) => decoded.rejects.push(self.reject(*bad, &record)),
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

    fn batch(&mut self, decoded: DecodedRecords) -> Result<Read> {
        self.noted = Instant::now();
        let records = self.columns.finish(&self.shared.stream, &self.shard, &decoded.kept)?;
        let payload = Payload::Records(Box::new(Kept { split: Arc::clone(&self.id), records: decoded.kept }));
        let chunk = SourceChunk { source: Arc::clone(&self.shared.name), partition: Arc::clone(&self.id), payload };
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(Read::Batch(SourceBatch { batch, rejects: decoded.rejects, bytes: decoded.bytes as u64 }))
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let max_rows = max_rows.max(1);
        loop {
            if self.items.is_empty() && !self.ended && !self.fill()? {
                // Where nothing comes, the time until which nothing came has to be noted now and then.
                let is_due = self.position.until.is_some() && self.noted.elapsed() >= self.shared.refresh;
                return if is_due { self.batch(DecodedRecords::default()) } else { Ok(Read::Idle) };
            }
            let decoded = self.decode(max_rows);
            if decoded.records > 0 || decoded.nothing {
                return self.batch(decoded);
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
        self.shared.behind.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow_schema::{DataType, Field, Schema};
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use aws_sdk_kinesis::types::Record as AwsRecord;
    use tokio::sync::mpsc::{Sender, channel};
    use wasmill_engine::Mode;

    use super::*;
    use crate::{KinesisConfig, KinesisConnection};

    /// A reader of the split `s/a` that gets what is sent.
    fn reader(at: Place, end: Option<i64>, refresh: Option<Duration>) -> (Reader, Sender<Fetched>) {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let config = KinesisConfig::of_stream("s", KinesisConnection::default());
        let mut shared = Shared::new("pins", config, schema, Mode::Batch).unwrap();
        if let Some(refresh) = refresh {
            shared.refresh = refresh;
        }
        let position = Position { stream: 1, at, until: None, start: None, closed: false };
        let split = Split { id: "s/a".into(), position: position.to_value().unwrap() };
        let handed = Handed { end, begins_here: false, hash_keys: 0..=u128::MAX };
        let (sender, fetched) = channel(9);
        (Reader::with(&Arc::new(shared), &split, ("a", position), handed, Feed::of(fetched)).unwrap(), sender)
    }

    /// Records that arrived at the times of their numbers.
    fn answer(numbers: &[i64], behind: i64, until: i64) -> Fetched {
        let record = |number: &i64| {
            let record = AwsRecord::builder().sequence_number(number.to_string()).partition_key("k");
            let data = Blob::new(format!("{{\"id\":{number}}}"));
            record.approximate_arrival_timestamp(DateTime::from_millis(*number)).data(data).build().unwrap()
        };
        Fetched::Answer {
            records: numbers.iter().map(record).collect(),
            behind,
            until: Some(until),
            at_tip: numbers.is_empty() && behind <= 0,
            room: None,
        }
    }

    fn rows(read: Read) -> usize {
        match read {
            Read::Batch(batch) => batch.batch.records.num_rows(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_ends_before_the_first_record_that_arrived_after_it_began() {
        let (mut reader, sender) = reader(Place::TrimHorizon, Some(6), None);
        sender.try_send(answer(&[4, 5, 6, 7, 8], 900, 8)).unwrap();
        assert_eq!(rows(reader.read(100).unwrap()), 3);
        assert!(matches!(reader.read(100).unwrap(), Read::End));
        assert_eq!(
            (&reader.position.at, reader.position.until),
            (&Place::Behind("6".into()), Some(6)),
            "what was not returned was not read"
        );
    }

    #[test]
    fn a_batch_ends_where_nothing_is_left_and_not_before_all_of_it_was_given() {
        let (mut reader, sender) = reader(Place::TrimHorizon, Some(60), None);
        sender.try_send(answer(&[4], 10, 4)).unwrap();
        sender.try_send(answer(&[5, 6], 0, 6)).unwrap();
        assert_eq!([1, 1, 1].map(|most| rows(reader.read(most).unwrap())), [1, 1, 1]);
        assert!(matches!(reader.read(1).unwrap(), Read::Idle), "another may have arrived in the moment of the last");
        sender.try_send(answer(&[6], 0, 6)).unwrap();
        sender.try_send(answer(&[], 0, 50)).unwrap();
        assert_eq!(rows(reader.read(9).unwrap()), 1);
        assert!(matches!(reader.read(1).unwrap(), Read::End));
        assert_eq!(reader.position.until, Some(50));
        assert!(!reader.position.closed);
    }

    #[test]
    fn the_position_of_a_closed_shard_shows_it() {
        let (mut reader, sender) = reader(Place::TrimHorizon, None, None);
        sender.try_send(answer(&[4], 0, 50)).unwrap();
        sender.try_send(Fetched::Closed).unwrap();
        assert_eq!(rows(reader.read(10).unwrap()), 1);
        assert!(matches!(reader.read(10).unwrap(), Read::End));
        assert!(reader.position.closed);
        assert_eq!(*reader.shared.ended.lock(), ["a"]);
    }

    #[test]
    fn a_shard_in_which_nothing_happens_has_its_time_noted_now_and_then() {
        let (mut reader, sender) = reader(Place::Behind("4".into()), None, Some(Duration::ZERO));
        assert!(matches!(reader.read(10).unwrap(), Read::Idle), "nothing is known yet");
        sender.try_send(answer(&[], 0, 77)).unwrap();
        assert_eq!(rows(reader.read(10).unwrap()), 0);
        assert_eq!(reader.position.until, Some(77));
        let (mut patient, sender) = self::reader(Place::Behind("4".into()), None, None);
        sender.try_send(answer(&[], 0, 77)).unwrap();
        assert!(matches!(patient.read(10).unwrap(), Read::Idle), "not that soon");
    }

    #[test]
    fn a_failure_ends_the_reading_with_its_words() {
        let (mut reader, sender) = reader(Place::TrimHorizon, None, None);
        sender.try_send(Fetched::Failed(Error::environment("no"))).unwrap();
        assert_eq!(reader.read(10).unwrap_err().message(), "no");
    }
}
