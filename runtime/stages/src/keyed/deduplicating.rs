//! Stages that drop duplicates.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use serde_json::{Value, json};
use wasmill_engine::{
    Batch, Collected, DepotFile, Emission, Error, EventTime, KeyedInstance, KeyedStage, KeyedStart, Payload, Result, Sealed, Watermark,
};
use wasmill_keyed::dedup::{CollectedRows, DedupCollector, DedupEmitter, DedupInput, DedupSpec, DedupStage, EmittedTimes, Origin};
use wasmill_keyed::key::owned;
use wasmill_keyed::windows::NEVER;

use super::state::{self, LaneState, Stays, to_state};
use super::{KeyedOptions, describe_all, emitted, rejects};
use crate::Projection;

/// A stage that drops duplicates, planned. Its output are the columns of its input that pass.
///
/// The keys that went on are known for ever, or for as long as `within` says, over all runs of a pipeline: the end of a batch is not their end.
pub struct Deduplicating {
    stage: Arc<DedupStage>,
    options: KeyedOptions,
    passed: Projection,
    fingerprint: Value,
}

impl Deduplicating {
    /// Plans a stage over rows of a schema, of which some columns pass. Indices are into the schema; those that pass are in increasing order, and the keys and
    /// the event time are among them.
    ///
    /// # Errors
    /// As [`DedupStage::new`].
    pub fn new(input: &SchemaRef, passing: &[usize], spec: DedupSpec, options: KeyedOptions) -> Result<Self> {
        // Of the rows, no state holds more than their keys and times.
        let time = spec.event_time.map(|column| describe_all(input, &[column]));
        let fingerprint = json!({ "dedup": describe_all(input, &spec.keys), "time": time, "within": spec.within });
        let schema = input.project(passing).map_err(|error| Error::bug(format!("a column of a stage lies outside its input: {error}")))?;
        let place = |column: usize| passing.iter().position(|&passing| passing == column);
        let place = |column: usize| place(column).ok_or_else(|| Error::bug("a key of a stage does not pass it"));
        let keys = spec.keys.iter().map(|&column| place(column)).collect::<Result<_>>()?;
        let spec = DedupSpec { keys, event_time: spec.event_time.map(place).transpose()?, within: spec.within };
        let passed = Projection::new(passing.to_vec(), schema);
        let stage = Arc::new(DedupStage::new(Arc::clone(passed.schema()), spec)?);
        Ok(Self { stage, options, passed, fingerprint })
    }
}

impl KeyedStage for Deduplicating {
    fn output(&self) -> SchemaRef {
        Arc::clone(self.passed.schema())
    }

    fn event_time(&self) -> Option<EventTime> {
        self.options.event_time
    }

    fn fingerprint(&self) -> Value {
        self.fingerprint.clone()
    }

    fn open(&self, start: KeyedStart) -> Result<Box<dyn KeyedInstance>> {
        let state = LaneState::open(Arc::new(EmittedTimes), *self.stage.windows(), 0, &start)?;
        let KeyedStart { lane, lanes, watermark, .. } = start;
        let (limits, stage) = (self.options.limits, || Arc::clone(&self.stage));
        let mut collector = DedupCollector::new(stage(), limits, state.scratch());
        collector.begin(watermark.micros());
        let emitter = DedupEmitter::new(stage(), owned(lane, lanes), limits.run_memory_bytes, state.scratch());
        let name = Arc::clone(&self.options.name);
        Ok(Box::new(Instance { stage: stage(), passed: self.passed.clone(), name, collector, emitter, state, watermark }))
    }

    fn next_state(&self, _before: Option<&Value>, changes: Vec<Value>) -> Result<Option<Value>> {
        state::next_state(&changes)
    }

    fn files(&self, state: &Value) -> Result<Vec<DepotFile>> {
        state::files(state)
    }
}

struct Instance {
    stage: Arc<DedupStage>,
    passed: Projection,
    name: Arc<str>,
    collector: DedupCollector,
    emitter: DedupEmitter,
    state: LaneState,
    /// That of the epoch that is open.
    watermark: Watermark,
}

impl KeyedInstance for Instance {
    fn collect(&mut self, _side: usize, batch: &Batch) -> Result<Collected> {
        let passed = self.passed.project(&batch.records)?;
        let time = self.stage.spec().event_time.map(|column| self.passed.schema().field(column).name().as_str());
        let mut all = Collected::default();
        for rows in same_partition(batch) {
            let partition = format!("{}/{}", batch.lineage.chunk().source, batch.lineage.partition(rows.start));
            let positions: Vec<u64> = rows.clone().map(|row| batch.lineage.position(row)).collect();
            let records = passed.slice(rows.start, rows.len());
            let collected = self.collector.collect(&records, Origin { partition: &partition, positions: &positions })?;
            let first = u32::try_from(rows.start).unwrap_or(u32::MAX);
            all.rejects.extend(rejects(collected.late, collected.rejects, time).into_iter().map(|mut reject| {
                reject.row += first;
                reject
            }));
            all.filtered += collected.filtered;
            all.latest = all.latest.max(collected.greatest_time);
        }
        Ok(all)
    }

    fn seal(&mut self) -> Result<Sealed> {
        Ok(Arc::new(SealedRows(Arc::new(self.collector.seal()?))))
    }

    fn emit(&mut self, sealed: Vec<Sealed>, watermark: Watermark, deliver: &mut dyn FnMut(Batch) -> Result<()>) -> Result<Emission> {
        let (new, held) = (collected_rows(&sealed)?, self.state.runs());
        // Sources that have ended may have more in the next run, and its duplicates are duplicates of what went on in this one.
        let now = if watermark.micros() == NEVER { self.watermark.micros() } else { watermark.micros() };
        let input = DedupInput { state: &held, new: &new, now };
        let name = &self.name;
        let done = self.emitter.emit(input, &mut |records| deliver(emitted(name, records)))?;
        self.watermark = watermark;
        self.collector.begin(watermark.micros());
        let parts = self.state.keep(Stays { kept: &done.kept, new: &[], added: done.added, watermark: now })?;
        let is_unchanged = held.is_empty() && parts.is_empty();
        let change = if is_unchanged { None } else { Some(to_state(&parts)?) };
        Ok(Emission { change, passed: done.passed, filtered: done.duplicates, closed: None })
    }
}

/// What a lane has sealed.
struct SealedRows(Arc<CollectedRows>);

/// What all lanes have collected, in their order.
fn collected_rows(sealed: &[Sealed]) -> Result<Vec<Arc<CollectedRows>>> {
    let of_lane = |sealed: &Sealed| (&**sealed as &dyn Any).downcast_ref::<SealedRows>().map(|sealed| Arc::clone(&sealed.0));
    let all: Option<Vec<_>> = sealed.iter().map(of_lane).collect();
    all.ok_or_else(|| Error::bug("the rows of another stage were handed over"))
}

/// The rows of a batch in stretches that lie in one partition: in most batches all of them do.
fn same_partition(batch: &Batch) -> Vec<Range<usize>> {
    let count = batch.records.num_rows();
    let has_places = matches!(batch.lineage.chunk().payload, Payload::Records(_));
    let mut stretches: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for row in (1..count).filter(|_| has_places) {
        if batch.lineage.partition(row) != batch.lineage.partition(row - 1) {
            stretches.push(start..row);
            start = row;
        }
    }
    stretches.push(start..count);
    stretches
}
