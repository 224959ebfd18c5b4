//! Stages that aggregate.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};
use wasmill_engine::{
    Batch, Collected, DepotFile, Emission, Error, EventTime, KeyedInstance, KeyedStage, KeyedStart, Payload, Records, Result, Sealed,
    Watermark,
};
use wasmill_keyed::codes::COLUMN_TWICE;
use wasmill_keyed::key::{KeyCodec, Keys, owned};
use wasmill_keyed::operator::{AggregateSpec, AggregateStage, Collector, Emit, EmitInput, Emitter, Fired};

use super::state::{self, LaneState, Stays, to_state};
use super::{KeyedOptions, SealedRuns, closed, describe, describe_all, new_runs, rejects, with_payload};

/// The column of the results with the first time of their window.
pub const WINDOW_START: &str = "window_start";
/// The column of the results with the time at which their window ends: the first one that it does not hold.
pub const WINDOW_END: &str = "window_end";

/// What a stage computes, for its fingerprint: two states of equal works can be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Work(pub Value);

/// An aggregating stage, planned.
///
/// Its output are the key columns, [`WINDOW_START`] and [`WINDOW_END`] (timestamps in UTC) where there are windows, and the columns of the aggregate.
pub struct Aggregating {
    stage: Arc<AggregateStage>,
    options: KeyedOptions,
    output: SchemaRef,
    fingerprint: Value,
}

impl Aggregating {
    /// Plans a stage over rows of a schema.
    ///
    /// # Errors
    /// Configuration: a column can't be a key, the event time is missing where there are windows, or two columns of the output have one name.
    pub fn new(input: &Schema, spec: AggregateSpec, work: &Work, options: KeyedOptions) -> Result<Self> {
        let fingerprint = json!({
            "keys": describe_all(input, &spec.keys),
            "values": describe_all(input, &spec.values),
            "state": spec.aggregate.state_schema().fields().iter().map(|field| describe(field)).collect::<Vec<_>>(),
            "window": { "size": spec.windows.size(), "every": spec.windows.every() },
            "emit": match spec.emit { Emit::AtClose => "at_close", Emit::EveryEpoch => "every_epoch" },
            "work": work.0,
        });
        let stage = AggregateStage::new(input, spec)?;
        let output = output(&stage)?;
        Ok(Self { stage: Arc::new(stage), options, output, fingerprint })
    }
}

fn output(stage: &AggregateStage) -> Result<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = stage.codec().fields().iter().cloned().collect();
    if !stage.spec().windows.is_none() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.extend([WINDOW_START, WINDOW_END].map(|name| Arc::new(Field::new(name, time.clone(), false))));
    }
    fields.extend(stage.spec().aggregate.output_schema().fields().iter().cloned());
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name() == field.name()) {
            return Err(Error::configuration(format!("two columns of the results are called `{}`", field.name()))
                .code(COLUMN_TWICE)
                .hint("give one of them another name, in the computation or in a stage before this one"));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

impl KeyedStage for Aggregating {
    fn output(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn event_time(&self) -> Option<EventTime> {
        self.options.event_time
    }

    fn fingerprint(&self) -> Value {
        self.fingerprint.clone()
    }

    fn open(&self, start: KeyedStart) -> Result<Box<dyn KeyedInstance>> {
        let spec = self.stage.spec();
        let state = LaneState::open(Arc::clone(&spec.aggregate), spec.windows, 0, &start)?;
        let KeyedStart { lane, lanes, watermark, .. } = start;
        let (limits, stage) = (self.options.limits, || Arc::clone(&self.stage));
        let mut collector = Collector::new(stage(), lane, limits, state.scratch())?;
        collector.begin(watermark.micros());
        let emitter = Emitter::new(stage(), lane, owned(lane, lanes), limits.run_memory_bytes, state.scratch());
        let (name, output) = (Arc::clone(&self.options.name), Arc::clone(&self.output));
        Ok(Box::new(Instance { stage: stage(), name, output, collector, emitter, state, watermark }))
    }

    fn next_state(&self, _before: Option<&Value>, changes: Vec<Value>) -> Result<Option<Value>> {
        state::next_state(&changes)
    }

    fn files(&self, state: &Value) -> Result<Vec<DepotFile>> {
        state::files(state)
    }
}

struct Instance {
    stage: Arc<AggregateStage>,
    name: Arc<str>,
    output: SchemaRef,
    collector: Collector,
    emitter: Emitter,
    state: LaneState,
    /// That of the epoch that is open.
    watermark: Watermark,
}

impl KeyedInstance for Instance {
    fn collect(&mut self, _side: usize, batch: &Batch) -> Result<Collected> {
        let collected = self.collector.collect(&batch.records)?;
        let schema = batch.records.schema_ref();
        let time = self.stage.spec().event_time.map(|column| schema.field(column).name().as_str());
        let rejects = rejects(collected.late, collected.rejects, time);
        Ok(Collected { rejects, filtered: collected.filtered, latest: collected.greatest_time })
    }

    fn seal(&mut self) -> Result<Sealed> {
        Ok(Arc::new(SealedRuns(vec![self.collector.seal()?])))
    }

    fn emit(&mut self, sealed: Vec<Sealed>, watermark: Watermark, deliver: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Emission> {
        let (new, held) = (new_runs(&sealed, 0)?, self.state.runs());
        let (name, output, stage) = (&self.name, &self.output, &self.stage);
        let windows = &stage.spec().windows;
        // Running results do not wait for the end, and what comes after it continues them.
        let (now, closed) = match stage.spec().emit {
            Emit::EveryEpoch if watermark == Watermark::END => (self.watermark, None),
            _ => (watermark, closed(windows, held.iter().chain(&new), watermark)),
        };
        let input = EmitInput { state: &held, new: &new, before: self.watermark.micros(), now: now.micros() };
        let emitted = self.emitter.emit(input, &mut |fired| deliver(batch_of(name, output, stage, fired)?))?;
        self.watermark = watermark;
        self.collector.begin(watermark.micros());
        let parts = self.state.keep(Stays { kept: &emitted.kept, new: &new, added: emitted.added, watermark: now.micros() })?;
        let is_unchanged = held.is_empty() && parts.is_empty();
        Ok(Emission { change: if is_unchanged { None } else { Some(to_state(&parts)?) }, closed, ..Emission::default() })
    }
}

/// Results as rows of the stage's output.
fn batch_of(name: &Arc<str>, output: &SchemaRef, stage: &AggregateStage, fired: Fired) -> Result<Batch> {
    let Fired { end, keys, rows, .. } = fired;
    let count = rows.num_rows();
    let mut columns = keys.clone();
    if let Some(size) = stage.spec().windows.size() {
        for time in [end.saturating_sub(size), end] {
            columns.push(Arc::new(TimestampMicrosecondArray::from_value(time, count).with_timezone("UTC")) as ArrayRef);
        }
    }
    columns.extend(rows.columns().iter().cloned());
    let records = RecordBatch::try_new(Arc::clone(output), columns)
        .map_err(|error| Error::bug(format!("results do not have the columns that were planned: {error}")))?;
    Ok(with_payload(name, records, Payload::Records(Box::new(GroupRows { codec: stage.codec().clone(), keys, count }))))
}

/// The rows of results, as dead letters name them: by their key.
#[derive(Debug)]
struct GroupRows {
    codec: KeyCodec,
    keys: Vec<ArrayRef>,
    count: usize,
}

impl Records for GroupRows {
    fn count(&self) -> usize {
        self.count
    }

    fn position(&self, index: usize) -> u64 {
        index as u64
    }

    fn bytes(&self, _index: usize) -> Option<bytes::Bytes> {
        None
    }

    fn place(&self, index: usize) -> Option<Arc<str>> {
        let key: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(index, 1)).collect();
        let mut encoded = Keys::default();
        self.codec.encode(&key, 1, &mut encoded).ok()?;
        Some(self.codec.in_words(encoded.get(0)).into())
    }
}
