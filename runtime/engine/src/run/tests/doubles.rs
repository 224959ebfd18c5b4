//! A source of numbers, a stage and a sink that live in memory and keep the engine's contracts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use serde_json::{Value, json};

use super::keyed::CountPerWindow;
use super::waits::Gate;
use crate::*;

pub(super) fn ids(range: Range<i64>) -> Vec<i64> {
    range.collect()
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]))
}

pub(super) struct SilentObserver;

impl Observer for SilentObserver {
    fn on(&self, _event: Event<'_>) {}
}

/// A small pipeline: numbers -> (a stage) -> memory.
pub(super) struct Pipeline {
    pub source: &'static str,
    pub rows: u64,
    pub splits: u64,
    /// Each listing of the source finds one split only.
    pub one_by_one: bool,
    pub lanes: usize,
    pub mode: Mode,
    pub drains: bool,
    pub epoch_rows: u64,
    pub whole_run: bool,
    pub limit: Option<u64>,
    pub stage: Option<Keep>,
    /// A keyed stage behind it.
    pub keyed: Option<CountPerWindow>,
    pub max_reject_share: f64,
    pub without_dead_letters: bool,
    /// Readers have nothing at every other read, and count these reads.
    pub pauses: Option<Arc<AtomicU64>>,
    /// The action of the source at its second listing of splits.
    pub second_look: fn(),
    /// How long an epoch is at least.
    pub every: Duration,
    pub sink: Arc<MemorySink>,
    pub dead_letters: Arc<MemorySink>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            source: "numbers",
            rows: 100,
            splits: 2,
            one_by_one: false,
            lanes: 2,
            mode: Mode::Batch,
            drains: false,
            epoch_rows: 1_000_000,
            whole_run: false,
            limit: None,
            stage: None,
            keyed: None,
            max_reject_share: 1.0,
            without_dead_letters: false,
            pauses: None,
            second_look: || {},
            every: Duration::from_secs(3600),
            sink: Arc::default(),
            dead_letters: Arc::default(),
        }
    }
}

impl Pipeline {
    pub fn named_sinks(&self) -> Vec<NamedSink> {
        let named = |name: &str, sink: Arc<dyn Sink>| NamedSink { name: name.into(), sink };
        vec![named("table", self.sink.clone()), named("dead_letters", self.dead_letters.clone())]
    }

    pub fn plan(&self) -> Plan {
        let source = NumberSource {
            one_by_one: self.one_by_one,
            pauses: self.pauses.clone(),
            second_look: self.second_look,
            goes_on: self.mode == Mode::Stream && !self.drains,
            ..NumberSource::new(self.rows, self.splits)
        };
        let (mut stages, mut input) = (Vec::new(), Input::Source(0));
        let mut add = |name: &str, work: StageWork| {
            stages.push(StageNode { name: name.into(), work, plugin: None, max_reject_share: self.max_reject_share });
            Input::Stage(stages.len() - 1, 0)
        };
        if let Some(stage) = self.stage {
            input = add("keep", StageWork::Rows { stage: Arc::new(stage), inputs: vec![input] });
        }
        if let Some(stage) = self.keyed {
            input = add("counts", StageWork::Keyed { stage: Arc::new(stage), sides: vec![vec![input]] });
        }
        let sink = |name: &str, sink: &Arc<MemorySink>, inputs, schema| SinkNode { name: name.into(), sink: sink.clone(), inputs, schema };
        Plan {
            name: "p".into(),
            mode: self.mode,
            drains: self.drains,
            lanes: self.lanes,
            batch_rows: 16,
            row_as_json: |records, row| Ok(format!("{{\"id\":{}}}", records.column(0).as_primitive::<Int64Type>().value(row))),
            epoch: EpochPolicy { every: self.every, rows: self.epoch_rows, whole_run: self.whole_run },
            limit: self.limit,
            is_rehearsal: false,
            sources: vec![SourceNode { name: self.source.into(), source: Box::new(source), max_reject_share: 1.0 }],
            stages,
            sinks: vec![sink("table", &self.sink, vec![input], schema())],
            dead_letters: (!self.without_dead_letters).then(|| sink("dead_letters", &self.dead_letters, vec![], dead_letter_schema())),
        }
    }
}

/// The numbers from 0, split evenly; the original record of a number is its decimal text.
pub(super) struct NumberSource {
    rows: u64,
    splits: u64,
    listed: bool,
    one_by_one: bool,
    pauses: Option<Arc<AtomicU64>>,
    second_look: fn(),
    /// More numbers and splits might come at any time.
    goes_on: bool,
    /// Found later.
    left: Vec<Split>,
}

impl NumberSource {
    pub fn new(rows: u64, splits: u64) -> Self {
        Self { rows, splits, listed: false, one_by_one: false, pauses: None, second_look: || {}, goes_on: false, left: Vec::new() }
    }
}

impl Source for NumberSource {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        if std::mem::replace(&mut self.listed, true) {
            (self.second_look)();
            let splits: Vec<Split> = self.left.pop().into_iter().collect();
            return Ok(Discovery { splits, complete: self.left.is_empty() && !self.goes_on });
        }
        let size = (self.rows / self.splits.max(1)).max(1);
        let splits = (0..self.splits).filter_map(|index| {
            let id: SplitId = index.to_string().into();
            let end = if index + 1 == self.splits { self.rows } else { (index + 1) * size };
            match restored.get(&id) {
                Some(state) if state.position["next"].as_u64() >= Some(end.min(self.rows)) => None,
                Some(state) => Some(Split { id, position: json!({"next": state.position["next"], "end": end}) }),
                None => Some(Split { id, position: json!({"next": index * size, "end": end}) }),
            }
        });
        let mut splits: Vec<Split> = splits.collect();
        if self.one_by_one {
            self.left = splits.split_off(1);
        }
        Ok(Discovery { splits, complete: self.left.is_empty() && !self.goes_on })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(NumberOpener { rows: self.rows, goes_on: self.goes_on, pauses: self.pauses.clone() })
    }
}

struct NumberOpener {
    rows: u64,
    goes_on: bool,
    pauses: Option<Arc<AtomicU64>>,
}

impl SplitOpener for NumberOpener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let number = |key: &str| split.position[key].as_u64().unwrap();
        let (next, end) = (number("next"), number("end").min(self.rows));
        Ok(Box::new(NumberReader { goes_on: self.goes_on, pauses: self.pauses.clone(), ..NumberReader::new(next, end) }))
    }
}

pub(super) struct NumberReader {
    next: u64,
    end: u64,
    /// More numbers might come at any time.
    goes_on: bool,
    pauses: Option<Arc<AtomicU64>>,
    paused: bool,
}

impl NumberReader {
    pub fn new(next: u64, end: u64) -> Self {
        Self { next, end, goes_on: false, pauses: None, paused: false }
    }

    /// One that has nothing at every other read.
    pub fn with_pauses(next: u64, end: u64) -> Self {
        Self { pauses: Some(Arc::default()), ..Self::new(next, end) }
    }
}

impl SplitReader for NumberReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        self.paused = !self.paused;
        if let (true, Some(pauses)) = (self.paused, &self.pauses) {
            pauses.fetch_add(1, Ordering::Relaxed);
            return Ok(Read::Idle);
        }
        let count = (self.end.saturating_sub(self.next)).min(max_rows as u64);
        if count == 0 {
            return Ok(if self.goes_on { Read::Idle } else { Read::End });
        }
        let numbers: Vec<i64> = (self.next..self.next + count).map(|number| number as i64).collect();
        let (mut text, mut ranges) = (String::new(), Vec::new());
        for number in &numbers {
            let start = text.len() as u32;
            text.push_str(&number.to_string());
            ranges.push(start..text.len() as u32);
        }
        // Small numbers have bytes of their own; the others behave like a source without bytes.
        let payload = match self.next < 64 {
            true => Payload::Bytes { data: Bytes::from(text), base: 0, ranges },
            false => Payload::Rows { first: self.next, count: numbers.len() },
        };
        let chunk = SourceChunk { source: "numbers".into(), partition: "numbers".into(), payload };
        let records = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers))]).unwrap();
        self.next += count;
        let batch = Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) };
        Ok(Read::Batch(SourceBatch { batch, rejects: vec![], bytes: count }))
    }

    fn position(&self) -> Value {
        json!({"next": self.next, "end": self.end})
    }
}

/// Rejects, filters or duplicates rows by their number.
#[derive(Clone, Copy)]
pub(super) struct Keep {
    pub reject: fn(i64) -> bool,
    pub filter: fn(i64) -> bool,
    pub twice: fn(i64) -> bool,
}

impl Keep {
    pub fn all() -> Self {
        Self { reject: |_| false, filter: |_| false, twice: |_| false }
    }
}

impl Stage for Keep {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        vec![("out".into(), schema())]
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn StageInstance>> {
        Ok(Box::new(*self))
    }
}

impl StageInstance for Keep {
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput> {
        let (mut origins, mut rejects) = (Vec::new(), Vec::new());
        for (row, &id) in (0u32..).zip(records.column(0).as_primitive::<Int64Type>().values()) {
            if (self.reject)(id) {
                rejects.push(RowReject { row, code: "odd".into(), column: None, message: "not this one".into() });
            } else if !(self.filter)(id) {
                origins.extend(std::iter::repeat_n(row, if (self.twice)(id) { 2 } else { 1 }));
            }
        }
        let records = arrow_select::take::take_record_batch(records, &UInt32Array::from(origins.clone())).unwrap();
        Ok(StageOutput { outputs: vec![PortOutput { port: 0, records, origins: Some(origins) }], rejects })
    }
}

/// A sink with a two-phase commit and a token; what is prepared lives in the prepared value alone.
#[derive(Default)]
pub(super) struct MemorySink(Mutex<Contents>, pub Gate);

#[derive(Default)]
struct Contents {
    rows: Vec<Value>,
    tokens: BTreeMap<String, Committed>,
    commits: u64,
    fail_at: Option<u64>,
    lose_at: Option<u64>,
    away: bool,
    panic_at: Option<u64>,
}

impl MemorySink {
    /// The numbers in it, sorted.
    pub fn rows(&self) -> Vec<i64> {
        let mut rows: Vec<i64> = self.0.lock().unwrap().rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        rows.sort_unstable();
        rows
    }

    pub fn distinct(&self) -> usize {
        let mut rows = self.rows();
        rows.dedup();
        rows.len()
    }

    pub fn texts(&self, column: &str) -> Vec<String> {
        self.0.lock().unwrap().rows.iter().map(|row| row[column].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn commits(&self) -> u64 {
        self.0.lock().unwrap().commits
    }

    /// The next commit of this epoch or a later one fails before it does anything.
    pub fn fail_commit_at(&self, epoch: u64) {
        self.0.lock().unwrap().fail_at = Some(epoch);
    }

    /// Whether it can't be reached.
    pub fn be_away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    /// The next commit of this epoch or a later one panics before it does anything.
    pub fn panic_commit_at(&self, epoch: u64) {
        self.0.lock().unwrap().panic_at = Some(epoch);
    }

    /// The next commit of this epoch or a later one is done, but returns an error.
    pub fn lose_answer_at(&self, epoch: u64) {
        self.0.lock().unwrap().lose_at = Some(epoch);
    }
}

impl Sink for MemorySink {
    fn committed(&self, _pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        let contents = self.0.lock().unwrap();
        if contents.away {
            return Err(Error::environment("nobody is there"));
        }
        Ok(contents.tokens.get(sink).cloned())
    }

    fn writer(&self, _context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(MemoryWriter(Vec::new())))
    }

    fn prepare(&self, _token: &Token, parts: Vec<Value>) -> Result<Value> {
        Ok(parts.into_iter().flat_map(|part| part.as_array().cloned().unwrap()).collect())
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        self.1.pass();
        let mut contents = self.0.lock().unwrap();
        if contents.panic_at.is_some_and(|epoch| token.epoch >= epoch) {
            contents.panic_at = None;
            drop(contents);
            panic!("the commit is on fire");
        }
        if contents.fail_at.is_some_and(|epoch| token.epoch >= epoch) {
            contents.fail_at = None;
            return Err(Error::environment("the disk is on fire"));
        }
        let found = contents.tokens.get(&token.sink).cloned();
        match found {
            Some(found) if found.incarnation == token.incarnation && found.epoch == token.epoch => return Ok(CommitOutcome::Already),
            Some(found) if found.incarnation != token.incarnation || found.epoch != token.previous => {
                return Err(Error::environment("fenced"));
            }
            None if token.previous != 0 => return Err(Error::environment("fenced")),
            _ => {}
        }
        contents.rows.extend(prepared.as_array().unwrap().iter().cloned());
        contents.tokens.insert(token.sink.clone(), Committed { incarnation: token.incarnation, epoch: token.epoch });
        contents.commits += 1;
        if contents.lose_at.is_some_and(|epoch| token.epoch >= epoch) {
            contents.lose_at = None;
            return Err(Error::environment("the response was lost"));
        }
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        let committed = Committed { incarnation: token.incarnation, epoch: token.epoch };
        self.0.lock().unwrap().tokens.insert(token.sink.clone(), committed);
        Ok(())
    }

    fn clean_up(&self, _claim: &Token) -> Result<()> {
        Ok(())
    }
}

struct MemoryWriter(Vec<Value>);

impl SinkWriter for MemoryWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let schema = records.schema();
        for row in 0..records.num_rows() {
            let value = |(field, column): (&Arc<Field>, &ArrayRef)| {
                let value = match column.data_type() {
                    DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
                    DataType::Utf8 if column.is_valid(row) => Value::from(column.as_string::<i32>().value(row)),
                    _ => Value::Null,
                };
                (field.name().clone(), value)
            };
            self.0.push(Value::Object(schema.fields().iter().zip(records.columns()).map(value).collect()));
        }
        Ok(Vec::new())
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        Ok(Value::Array(self.0))
    }
}
