//! The writer of one lane for one epoch: rows, as records, into a file of the spool.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use serde_json::Value as Json;
use wasmill_engine::{Error, Result, RowReject, SinkWriter, WriterContext};

use super::layout::{Layout, Texts, Value, integer, is_set, millis};
use super::target::Target;
use super::{Topic, record};
use wasmill_connect::spool::{LaneFile, Spool};
use wasmill_formats::json::JsonEncoder;
use wasmill_formats::{TextEncoder, to_plain};

/// The bytes of a batch of one record besides its key, value and headers, at most: the batch's head
/// and the record's own numbers.
const RECORD_OVERHEAD: usize = 61 + 36;
/// What a header has besides its name and value, at most.
const HEADER_OVERHEAD: usize = 10;
/// Rows per slice. Encoding in slices keeps the text small for batches of any size.
const ROWS_PER_SLICE: usize = 4096;

/// Writes the rows of one lane.
pub(super) struct KafkaWriter {
    layout: Arc<Layout>,
    topic: Topic,
    file: LaneFile,
    /// Records of the present rows.
    encoded: Vec<u8>,
    /// Values of the present rows.
    text: Vec<u8>,
    scratch: Vec<u8>,
}

/// Why a row can't be a record.
struct Refusal {
    code: &'static str,
    column: Option<usize>,
    message: String,
}

impl KafkaWriter {
    /// A writer; its file begins with its first row.
    pub(super) fn new(layout: Arc<Layout>, topic: Topic, spool: Spool, context: WriterContext) -> Self {
        let file = LaneFile::new(spool, &context);
        Self { layout, topic, file, encoded: Vec::new(), text: Vec::new(), scratch: Vec::new() }
    }

    fn write_slice(&mut self, records: &RecordBatch, first: usize, rejects: &mut Vec<RowReject>) -> Result<()> {
        let (layout, Topic { target, partitions }) = (Arc::clone(&self.layout), self.topic.clone());
        if let Some(column) = layout.partition {
            let column = records.column(column).as_ref();
            let numbers = (0..records.num_rows()).filter_map(|row| i32::try_from(integer(column, row)?).ok());
            numbers.max().map_or(Ok(()), |highest| partitions.reach(highest))?;
        }
        let rows = Rows::new(&layout, (&target, partitions.count()), records)?;
        self.text.clear();
        if let Value::Json(columns) = &layout.value {
            let values = records.project(columns).map_err(|error| Error::bug(format!("columns of a sink are gone: {error}")))?;
            JsonEncoder::lines().rows(&values, &mut self.text)?;
        }
        let mut lines = self.text.split(|byte| *byte == b'\n');
        self.encoded.clear();
        let mut count = 0;
        for row in 0..records.num_rows() {
            // A line feed within a value is escaped.
            let json = lines.next().unwrap_or_default();
            let start = self.encoded.len();
            match rows.put(row, json, &mut self.encoded, &mut self.scratch) {
                Ok(()) => count += 1,
                Err(refusal) => {
                    self.encoded.truncate(start);
                    let column = refusal.column.map(|column| records.schema_ref().field(column).name().clone());
                    let row = u32::try_from(first + row).unwrap_or(u32::MAX);
                    rejects.push(RowReject { row, code: refusal.code.to_owned(), column, message: refusal.message });
                }
            }
        }
        self.file.write(&self.encoded, count)
    }
}

impl SinkWriter for KafkaWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let records = to_plain(records)?;
        let mut rejects = Vec::new();
        for first in (0..records.num_rows()).step_by(ROWS_PER_SLICE) {
            let count = ROWS_PER_SLICE.min(records.num_rows() - first);
            self.write_slice(&records.slice(first, count), first, &mut rejects)?;
        }
        Ok(rejects)
    }

    fn prepare(self: Box<Self>) -> Result<Json> {
        self.file.prepare()
    }
}

/// The columns of rows by what they are for.
struct Rows<'a> {
    layout: &'a Layout,
    target: &'a Target,
    partitions: i32,
    records: &'a RecordBatch,
    key: Option<Texts<'a>>,
    headers: Vec<(&'a str, Texts<'a>)>,
    raw: Option<Texts<'a>>,
    /// Milliseconds since 1970.
    now: i64,
}

impl<'a> Rows<'a> {
    fn new(layout: &'a Layout, (target, partitions): (&'a Target, i32), records: &'a RecordBatch) -> Result<Self> {
        let key = layout.key.map(|column| Texts::of(records, column)).transpose()?;
        let header = |(name, column): &'a (String, usize)| Ok((name.as_str(), Texts::of(records, *column)?));
        let headers = layout.headers.iter().map(header).collect::<Result<Vec<_>>>()?;
        let raw = match layout.value {
            Value::Raw(column) => Some(Texts::of(records, column)?),
            Value::Json(_) => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        Ok(Self { layout, target, partitions, records, key, headers, raw, now })
    }

    /// Appends a row as a record; `json` is its value in JSON, where that is what is written.
    fn put(&self, row: usize, json: &[u8], out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> Result<(), Refusal> {
        let start = record::begin(out, self.partition(row)?, self.timestamp(row)?);
        let mut size = RECORD_OVERHEAD;
        let key = self.key.as_ref().and_then(|key| key.get(row, scratch));
        if key.is_none() && self.target.needs_key {
            let message = "the record has no key, and the topic is compacted: its brokers refuse records without one".to_owned();
            return Err(Refusal { code: "null-value", column: self.layout.key, message });
        }
        size += key.map_or(0, <[u8]>::len);
        record::part(out, key);
        let tombstone = self.layout.tombstone.map(|column| self.records.column(column).as_boolean());
        let value = match &self.raw {
            _ if is_set(tombstone, row) => None,
            Some(raw) => raw.get(row, scratch),
            None => Some(json),
        };
        size += value.map_or(0, <[u8]>::len);
        // What is too long is not copied first.
        self.check_size(size)?;
        record::part(out, value);
        let at = out.len();
        let mut count = 0_u16;
        out.extend_from_slice(&[0; 2]);
        for (name, values) in &self.headers {
            let Some(value) = values.get(row, scratch) else { continue };
            size += HEADER_OVERHEAD + name.len() + value.len();
            self.check_size(size)?;
            record::header(out, name, value);
            count += 1;
        }
        out[at..at + 2].copy_from_slice(&count.to_le_bytes());
        record::end(out, start);
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<(), Refusal> {
        if size <= self.target.max_record {
            return Ok(());
        }
        let message = format!("the record has {size} bytes, and {} are allowed ({})", self.target.max_record, self.target.max_record_by);
        Err(Refusal { code: "too-long", column: None, message })
    }

    fn partition(&self, row: usize) -> Result<Option<i32>, Refusal> {
        let Some(column) = self.layout.partition else { return Ok(None) };
        let Some(number) = integer(self.records.column(column).as_ref(), row) else { return Ok(None) };
        match i32::try_from(number) {
            Ok(partition) if (0..self.partitions).contains(&partition) => Ok(Some(partition)),
            _ => {
                let message = format!("the topic has no partition {number}: it has {}, from 0", self.partitions);
                Err(Refusal { code: "out-of-range", column: Some(column), message })
            }
        }
    }

    fn timestamp(&self, row: usize) -> Result<Option<i64>, Refusal> {
        let Some(column) = self.layout.timestamp else { return Ok(None) };
        let Some(time) = millis(self.records.column(column).as_ref(), row) else { return Ok(None) };
        let refused = |message: String| Err(Refusal { code: "out-of-range", column: Some(column), message });
        // The client takes 0 for the time of now.
        if time <= 0 {
            return refused(format!("the time is {time} ms, and a record's time lies after the beginning of 1970"));
        }
        if time.saturating_sub(self.now) > self.target.newest {
            return refused("the time lies further in the future than the topic allows (message.timestamp.after.max.ms)".to_owned());
        }
        if self.now.saturating_sub(time) > self.target.oldest {
            return refused("the time lies further in the past than the topic allows (message.timestamp.before.max.ms)".to_owned());
        }
        Ok(Some(time))
    }
}
