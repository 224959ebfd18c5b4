//! A lane's own copy of the pipeline: batches pass through it depth first, and every row is
//! counted.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arrow_array::RecordBatch;
use serde_json::Value;
use uuid::Uuid;

use super::account::{RejectedBy, account, kept_rows, resolve};
use super::clock::{SplitKey, SplitTimes};
use super::keyed_graph::{EpochEnd, KeyedWorker};
use super::lane::LaneStart;
use super::reasons::Reasons;
use super::shape::{Consumer, Shape};
use super::stage_states::Resume;
use crate::codes::{DEAD_LETTERS_REFUSE, NO_DEAD_LETTERS};
use crate::counts::NodeCounts;
use crate::{
    Batch, Counts, Error, Input, KeyedStage, KeyedStart, Reject, Result, RowReject, SinkWriter, SourceBatch, StageInstance, StageNode,
    StageWork, Watermark, WriterContext, dead_letters_batch,
};

/// What one lane did in one epoch.
pub(crate) struct EpochPart {
    /// A part for each sink that got rows.
    pub parts: Vec<Option<Value>>,
    pub counts: NodeCounts,
    /// Why rows were rejected.
    pub reasons: Reasons,
    /// What changed in the state of each keyed stage.
    pub stages: Vec<Option<StageChange>>,
}

/// How a keyed stage's part of an epoch ended in one lane.
pub(crate) struct StageChange {
    /// What changed, for [`KeyedStage::next_state`](crate::KeyedStage::next_state); `None`: nothing.
    pub state: Option<Value>,
    pub watermark: Watermark,
    /// Up to which watermark rows would belong to what was emitted at the end of all sources; `None`: there is no such bound.
    pub closed: Option<i64>,
    /// Collected rows that go on as they are.
    pub passed: u64,
    /// Collected rows that are left out.
    pub filtered: u64,
}

/// A lane's instance of a stage.
pub(super) enum Worker {
    Rows(Box<dyn StageInstance>),
    /// Taken out while it emits.
    Keyed(Option<KeyedWorker>),
}

pub(crate) struct Graph<'p> {
    pub(super) shape: &'p Shape,
    pub(super) lane: usize,
    incarnation: Uuid,
    pub(super) epoch: u64,
    pub(super) stages: Vec<Worker>,
    /// The split from which rows are pushed through; `None` where keyed stages emit.
    pub(super) split: Option<SplitKey>,
    writers: Vec<Option<Box<dyn SinkWriter>>>,
    pub(super) counts: NodeCounts,
    reasons: Reasons,
}

impl<'p> Graph<'p> {
    pub fn open(shape: &'p Shape, resume: Option<&Resume>, start: LaneStart) -> Result<Self> {
        let LaneStart { index: lane, incarnation, epoch } = start;
        let open = |(index, node): (usize, &StageNode)| {
            let opened = match &node.work {
                StageWork::Rows { stage, .. } => stage.open(lane).map(Worker::Rows),
                StageWork::Keyed { stage, .. } => open_keyed(&**stage, index, shape.lanes, resume, start),
            };
            opened.map_err(|error| error.at(format!("stage {}", node.name)))
        };
        let stages = shape.stages.iter().enumerate().map(open).collect::<Result<_>>()?;
        let writers = shape.sinks.iter().map(|_| None).collect();
        let (counts, reasons) = (shape.zero_counts(), Reasons::default());
        Ok(Self { shape, lane, incarnation, epoch, stages, split: None, writers, counts, reasons })
    }

    /// Takes what a source read. Returns how many rejects there were on the way, including its own.
    pub fn push(&mut self, source: usize, read: SourceBatch) -> Result<u64> {
        let before = self.counts.dead_letters.rows_in;
        let rows = read.batch.records.num_rows() as u64;
        let rejected = read.rejects.len() as u64;
        self.counts.sources[source] +=
            Counts { rows_in: rows + rejected, rows_out: rows, rows_rejected: rejected, bytes: read.bytes, ..Counts::default() };
        self.bury(&read.rejects)?;
        self.deliver(Input::Source(source), &read.batch)?;
        Ok(self.counts.dead_letters.rows_in - before)
    }

    /// Adds to the time of a source.
    pub fn spent(&mut self, source: usize, since: Instant) {
        self.counts.sources[source].time += since.elapsed();
    }

    /// Ends the epoch of keyed stages, makes what was written durable and begins the next epoch. `None`: the run was aborted.
    pub fn close(&mut self, end: &mut EpochEnd<'_>) -> Result<Option<EpochPart>> {
        let Some(stages) = self.close_keyed(end)? else { return Ok(None) };
        self.open_overwriters()?;
        let mut parts = Vec::with_capacity(self.writers.len());
        for (index, slot) in self.writers.iter_mut().enumerate() {
            let begun = Instant::now();
            let part = slot.take().map(|writer| writer.prepare()).transpose();
            parts.push(part.map_err(|error| error.at(format!("sink {}", self.shape.sinks[index].name)))?);
            self.counts.sinks[index].time += begun.elapsed();
        }
        let counts = std::mem::replace(&mut self.counts, self.shape.zero_counts());
        self.epoch += 1;
        Ok(Some(EpochPart { parts, counts, reasons: std::mem::take(&mut self.reasons), stages }))
    }

    /// A sink that overwrites must do so even where no row came for it: one lane always writes.
    fn open_overwriters(&mut self) -> Result<()> {
        if self.shape.epoch.whole_run && self.lane == 0 {
            for index in (0..self.writers.len()).filter(|index| Some(*index) != self.shape.dead_letters) {
                if self.writers[index].is_none() {
                    self.writers[index] = Some(self.open_writer(index)?);
                }
            }
        }
        Ok(())
    }

    fn open_writer(&self, index: usize) -> Result<Box<dyn SinkWriter>> {
        let node = &self.shape.sinks[index];
        let context = WriterContext {
            pipeline: self.shape.name.clone(),
            sink: node.name.to_string(),
            incarnation: self.incarnation,
            epoch: self.epoch,
            lane: self.lane,
            schema: Arc::clone(&node.schema),
        };
        node.sink.writer(context).map_err(|error| error.at(format!("sink {}", node.name)))
    }

    pub(super) fn deliver(&mut self, from: Input, batch: &Batch) -> Result<()> {
        if batch.records.num_rows() == 0 {
            return Ok(());
        }
        for consumer in self.shape.consumers(from) {
            match *consumer {
                Consumer::Stage(stage) => self.transform(stage, batch)?,
                Consumer::Side { stage, side } => self.collect(stage, side, batch)?,
                Consumer::Sink(sink) => self.write(sink, batch)?,
            }
        }
        Ok(())
    }

    fn transform(&mut self, index: usize, batch: &Batch) -> Result<()> {
        let node = &self.shape.stages[index];
        let here = |error: Error| error.at(format!("stage {}", node.name));
        let begun = Instant::now();
        let Worker::Rows(stage) = &mut self.stages[index] else { return Err(Error::bug("a batch came to a stage that is keyed")) };
        let output = stage.process(&batch.records).map_err(here)?;
        let mut counts = account(batch.records.num_rows(), &output).map_err(here)?;
        counts.time = begun.elapsed();
        self.counts.stages[index] += counts;
        let kept = kept_rows(batch.records.num_rows(), &output.rejects);
        let rejects = resolve(batch, output.rejects, RejectedBy { node: &node.name, plugin: node.plugin.as_ref() }, self.shape.row_as_json)
            .map_err(here)?;
        self.bury(&rejects)?;
        for port in output.outputs {
            let lineage = batch.lineage.through(port.origins.as_deref().or(kept.as_deref()));
            self.deliver(Input::Stage(index, port.port), &Batch { records: port.records, lineage })?;
        }
        Ok(())
    }

    fn write(&mut self, index: usize, batch: &Batch) -> Result<()> {
        let rejects = self.write_records(index, &batch.records)?;
        if rejects.is_empty() {
            return Ok(());
        }
        let name = &self.shape.sinks[index].name;
        let by = RejectedBy { node: name, plugin: None };
        let rejects = resolve(batch, rejects, by, self.shape.row_as_json).map_err(|error| error.at(format!("sink {name}")))?;
        self.bury(&rejects)
    }

    fn write_records(&mut self, index: usize, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let node = &self.shape.sinks[index];
        let here = |error: Error| error.at(format!("sink {}", node.name));
        let begun = Instant::now();
        let mut writer = match self.writers[index].take() {
            Some(writer) => writer,
            None => self.open_writer(index)?,
        };
        let rejects = writer.write(records).map_err(here)?;
        self.writers[index] = Some(writer);
        let (rows_in, rows_rejected) = (records.num_rows() as u64, rejects.len() as u64);
        let rows_out = rows_in.saturating_sub(rows_rejected);
        self.counts.sinks[index] += Counts { rows_in, rows_out, rows_rejected, time: begun.elapsed(), ..Counts::default() };
        Ok(rejects)
    }

    /// Writes rejects to the dead letters.
    pub(super) fn bury(&mut self, rejects: &[Reject]) -> Result<()> {
        let Some(first) = rejects.first() else { return Ok(()) };
        self.counts.dead_letters.rows_in += rejects.len() as u64;
        rejects.iter().for_each(|reject| self.reasons.add(reject));
        let Some(sink) = self.shape.dead_letters else {
            return Err(no_dead_letters(first));
        };
        let records = dead_letters_batch(&self.shape.name, SystemTime::now(), rejects)?;
        match self.write_records(sink, &records)?.first() {
            None => Ok(()),
            Some(refused) => Err(Error::environment(format!("the dead letters can't hold a rejected record: {}", refused.message))
                .code(DEAD_LETTERS_REFUSE)
                .at("dead letters")
                .hint("choose a sink for dead_letters that takes any text, such as `files: { format: jsonl }`")),
        }
    }
}

fn open_keyed(stage: &dyn KeyedStage, index: usize, lanes: usize, resume: Option<&Resume>, start: LaneStart) -> Result<Worker> {
    let LaneStart { index: lane, incarnation, epoch } = start;
    let Some(resume) = resume else { return Err(Error::bug("a keyed stage is to be opened without its state")) };
    let held = &resume.stages[index];
    let watermark = held.watermark.map_or(Watermark::NONE, Watermark::at);
    let (state, depot) = (held.state.clone(), Arc::clone(&resume.depot));
    let instance = stage.open(KeyedStart { lane, lanes, incarnation, epoch, state, watermark, depot })?;
    Ok(Worker::Keyed(Some(KeyedWorker { instance, times: SplitTimes::default(), watermark })))
}

fn no_dead_letters(reject: &Reject) -> Error {
    let column = reject.column.as_ref().map_or_else(String::new, |column| format!(", column {column}"));
    let node = reject.stage.as_ref().map_or_else(|| format!("source {}", reject.source), |stage| format!("stage {stage}"));
    Error::environment(format!(
        "a record was rejected ({}{column}): {}; it is at {} of {}",
        reject.code, reject.message, reject.position, reject.partition
    ))
    .code(NO_DEAD_LETTERS)
    .at(node)
    .hint("this pipeline has no sink for rejects; add `dead_letters: { files: { path: out/dead_letters, format: jsonl } }`")
}
