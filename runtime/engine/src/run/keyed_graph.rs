//! What a lane does with keyed stages: collects for them, and at the end of an epoch seals, exchanges and emits.

use std::time::{Duration, Instant};

use super::account::{RejectedBy, account, resolve};
use super::board::Board;
use super::clock::{Advance, LaneClock, OpenSplit, SplitKey, SplitTimes};
use super::exchange::{Exchange, Handover, Meeting};
use super::graph::{Graph, StageChange, Worker};
use crate::keyed::{Collected, Emission, KeyedInstance};
use crate::{Batch, Counts, Error, Input, Result, StageOutput, Watermark, failpoint};

/// A lane's instance of a keyed stage, and the event time of its rows.
pub(crate) struct KeyedWorker {
    pub instance: Box<dyn KeyedInstance>,
    pub times: SplitTimes,
    pub watermark: Watermark,
}

/// What a lane needs to end an epoch of its keyed stages.
pub(crate) struct EpochEnd<'e> {
    pub exchange: &'e mut Exchange,
    pub board: &'e Board,
    /// The splits that the lane has open.
    pub open: &'e [OpenSplit],
    /// All sources have ended.
    pub at_end: bool,
}

impl Graph<'_> {
    /// Takes rows for one side of a keyed stage.
    pub(super) fn collect(&mut self, index: usize, side: usize, batch: &Batch) -> Result<()> {
        let node = &self.shape.stages[index];
        let here = |error: Error| error.at(format!("stage {}", node.name));
        let begun = Instant::now();
        let Worker::Keyed(Some(worker)) = &mut self.stages[index] else { return Err(Error::bug("rows came for a stage that is not open")) };
        let Collected { rejects, filtered, latest } = worker.instance.collect(side, batch).map_err(here)?;
        if let (Some(split), Some(latest)) = (&self.split, latest) {
            worker.times.add(split, latest);
        }
        let output = StageOutput { outputs: Vec::new(), rejects };
        let counts = account(batch.records.num_rows(), &output).map_err(here)?;
        let Some(rows_aggregated) = counts.rows_filtered.checked_sub(filtered) else {
            return Err(here(Error::bug(format!("{filtered} rows were left out, of {}", counts.rows_filtered))));
        };
        let rows_filtered = filtered;
        self.counts.stages[index] += Counts { rows_filtered, rows_aggregated, time: begun.elapsed(), ..counts };
        let by = RejectedBy { node: &node.name, plugin: node.plugin.as_ref() };
        let rejects = resolve(batch, output.rejects, by, self.shape.row_as_json).map_err(here)?;
        self.bury(&rejects)
    }

    /// Remembers which split the next rows come from.
    pub fn read_from(&mut self, split: Option<SplitKey>) {
        self.split = split;
    }

    /// Ends the epoch of every keyed stage, in the order of the plan: what one emits, another behind it still collects. `None`: the run was aborted.
    pub(super) fn close_keyed(&mut self, end: &mut EpochEnd<'_>) -> Result<Option<Vec<Option<StageChange>>>> {
        self.split = None;
        let mut changes = Vec::with_capacity(self.stages.len());
        for index in 0..self.stages.len() {
            let Worker::Keyed(worker) = &mut self.stages[index] else {
                changes.push(None);
                continue;
            };
            let Some(worker) = worker.take() else { return Err(Error::bug("a keyed stage is not open at the end of an epoch")) };
            let Some((worker, change)) = self.end_epoch(index, worker, end)? else { return Ok(None) };
            self.stages[index] = Worker::Keyed(Some(worker));
            changes.push(Some(change));
        }
        Ok(Some(changes))
    }

    fn end_epoch(&mut self, index: usize, mut worker: KeyedWorker, end: &mut EpochEnd<'_>) -> Result<Option<(KeyedWorker, StageChange)>> {
        let shape = self.shape;
        let here = |error: Error| error.at(format!("stage {}", shape.stages[index].name));
        let begun = Instant::now();
        let sealed = worker.instance.seal().map_err(here)?;
        failpoint::hit("keyed-after-seal");
        self.counts.stages[index].time += begun.elapsed();
        let policy = shape.stages[index].keyed().and_then(|stage| stage.event_time());
        let feeds = shape.feeds(index);
        // Of a source with an end, a split that is not listed yet may hold any time.
        let more_splits = end.board.has_waiting_splits() || (shape.drains && !end.board.is_complete());
        let clock = policy.map_or(LaneClock::Silent, |policy| match more_splits && !feeds.sources.is_empty() {
            true => LaneClock::Holds,
            false => worker.times.clock(end.open, |source| feeds.sources.contains(&source), policy),
        });
        let mine = Handover { lane: self.lane, at: Meeting { epoch: self.epoch, stage: index }, sealed, clock };
        let Some(met) = end.exchange.meet(mine, end.board) else { return Ok(None) };
        let clock = met.iter().fold(LaneClock::Silent, |known, handover| known.and(handover.clock));
        let inputs = feeds.stages.iter().filter_map(|&stage| self.watermark(stage)).min();
        worker.watermark = Advance { mode: shape.mode, at_end: end.at_end, policy, inputs, clock }.from(worker.watermark);
        let begun = Instant::now();
        let (mut rows, mut downstream) = (0, Duration::ZERO);
        let sealed = met.into_iter().map(|handover| handover.sealed).collect();
        let mut deliver = |batch: Batch| {
            let begun = Instant::now();
            rows += batch.records.num_rows() as u64;
            let delivered = self.deliver(Input::Stage(index, 0), &batch);
            downstream += begun.elapsed();
            delivered
        };
        let Emission { change, passed, filtered, closed } = worker.instance.emit(sealed, worker.watermark, &mut deliver).map_err(here)?;
        failpoint::hit("keyed-after-emit");
        let time = begun.elapsed().saturating_sub(downstream);
        self.counts.stages[index] += Counts { rows_added: rows, rows_out: rows, time, ..Counts::default() };
        let change = StageChange { state: change, watermark: worker.watermark, closed, passed, filtered };
        Ok(Some((worker, change)))
    }

    fn watermark(&self, stage: usize) -> Option<Watermark> {
        match self.stages.get(stage)? {
            Worker::Keyed(Some(worker)) => Some(worker.watermark),
            _ => None,
        }
    }
}
