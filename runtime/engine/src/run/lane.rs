//! A lane: one thread that reads splits, pushes their batches through the graph and closes its part of each epoch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use uuid::Uuid;

use super::board::{Board, Figures};
use super::clock::{OpenSplit, SplitKey};
use super::committer::Committed;
use super::epochs::Directive;
use super::exchange::Exchange;
use super::graph::{EpochPart, Graph};
use super::keyed_graph::EpochEnd;
use super::shape::Shape;
use super::splits::SourceSplit;
use super::stage_states::Resume;
use crate::{Error, Mode, Read, Result, SourceBatch, SplitId, SplitReader, SplitState, failpoint};

/// Readers with data that one lane of a stream keeps open before it leaves further splits to others. Splits that never end do not count: none of them
/// may wait for another, and their source bounds what they hold.
const BUSY_READERS: usize = 4;
/// How long a lane polls idle readers before it checks its directive. Each poll may take a moment,
/// and there may be thousands.
const ASK_TIME: Duration = Duration::from_millis(50);

/// What lanes and the committer report to the coordinator.
pub(crate) enum Report {
    /// A lane's part of an epoch.
    Epoch(LaneEpoch),
    /// A lane has nothing more to read: the run may be at its end.
    Idle,
    /// A lane can't continue. Nothing since its last epoch counts.
    Failed(Error),
    /// An epoch is visible in all sinks.
    Committed(Committed),
    /// An epoch was not committed, and none after it will be.
    NotCommitted(Error),
}

pub(crate) struct LaneEpoch {
    pub lane: usize,
    pub epoch: u64,
    /// The lane has ended with it.
    pub last: bool,
    pub part: EpochPart,
    pub progress: Vec<MovedSplit>,
}

/// A split that moved in an epoch.
pub(crate) struct MovedSplit {
    /// The index of its source.
    pub source: usize,
    pub id: SplitId,
    /// Its position at the epoch's end.
    pub state: SplitState,
}

/// Where a lane begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneStart {
    /// Which lane it is.
    pub index: usize,
    /// The life of the pipeline's state.
    pub incarnation: Uuid,
    /// The first epoch of the run.
    pub epoch: u64,
}

/// What all lanes of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'p> {
    pub shape: &'p Shape,
    /// With what keyed stages begin; `None`: there are none.
    pub resume: Option<&'p Resume>,
    pub board: &'p Board,
}

struct OpenReader {
    source: usize,
    id: SplitId,
    reader: Box<dyn SplitReader>,
    /// Since when it has had nothing; `None`: it had something when it was last polled.
    idle_since: Option<Instant>,
    /// It has moved since the epoch began, or is at a position that no checkpoint would find again.
    moved: bool,
}

pub(crate) struct Lane<'p> {
    index: usize,
    epoch: u64,
    board: &'p Board,
    shape: &'p Shape,
    graph: Graph<'p>,
    exchange: Exchange,
    /// The one whose turn is next comes first.
    readers: VecDeque<OpenReader>,
    /// Splits that ended in this epoch.
    done: Vec<MovedSplit>,
    reports: Sender<Report>,
    /// It has reported that it has nothing to read, and has read nothing since.
    reported_idle: bool,
}

impl<'p> Lane<'p> {
    pub fn open(start: LaneStart, shared: Shared<'p>, exchange: Exchange, reports: Sender<Report>) -> Result<Self> {
        let (LaneStart { index, epoch, .. }, Shared { shape, resume, board }) = (start, shared);
        let graph = Graph::open(shape, resume, start)?;
        Ok(Self { index, epoch, board, shape, graph, exchange, readers: VecDeque::new(), done: Vec::new(), reports, reported_idle: false })
    }

    /// Works until the last epoch is closed or the run is aborted.
    pub fn run(mut self) -> Result<()> {
        loop {
            match self.board.directive(self.epoch) {
                Directive::Abort => return Ok(()),
                Directive::Close { last } => {
                    self.close(last)?;
                    if last {
                        return Ok(());
                    }
                    self.board.wait_to_begin(self.epoch);
                }
                Directive::Work => {
                    if self.step()? {
                        self.reported_idle = false;
                    } else {
                        // Once: a lane polls for work many times a second, and the coordinator may
                        // be busy.
                        if self.readers.is_empty() && !std::mem::replace(&mut self.reported_idle, true) {
                            self.send(Report::Idle);
                        }
                        self.board.wait_for_work(self.index, self.epoch);
                    }
                }
            }
        }
    }

    fn send(&self, report: Report) {
        // The coordinator is gone only when the run is aborted.
        let _ = self.reports.send(report);
    }

    /// Reads one batch from one reader. Returns false when there was nothing to read, even if not
    /// all readers were polled.
    fn step(&mut self) -> Result<bool> {
        self.take_splits()?;
        let begun = Instant::now();
        for _ in 0..self.readers.len() {
            if self.read_first()? || begun.elapsed() >= ASK_TIME {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take_splits(&mut self) -> Result<()> {
        loop {
            let busy = self.readers.iter().filter(|open| open.idle_since.is_none() && !self.shape.sources[open.source].is_endless).count();
            let room = match self.shape.mode {
                Mode::Batch => busy == 0,
                Mode::Stream => busy < BUSY_READERS,
            };
            let Some(SourceSplit { source, split }) = self.board.take(self.index, self.readers.len(), room) else { return Ok(()) };
            let shape = &self.shape.sources[source];
            let reader = shape.opener.open(&split).map_err(|error| error.at(shape.place()))?;
            let moved = reader.begins_here();
            self.readers.push_front(OpenReader { source, id: split.id, reader, idle_since: None, moved });
        }
    }

    /// Polls the first reader, then moves it to the end: readers take turns.
    fn read_first(&mut self) -> Result<bool> {
        let begun = Instant::now();
        let Some(mut open) = self.readers.pop_front() else { return Ok(false) };
        let granted = self.board.allowance.grant(self.shape.batch_rows);
        if granted == 0 {
            self.readers.push_back(open);
            return Ok(false);
        }
        let shape = &self.shape.sources[open.source];
        let read = open.reader.read(granted).map_err(|error| error.at(shape.place()))?;
        self.board.allowance.spend(granted, records_in(&read));
        self.graph.spent(open.source, begun);
        match read {
            Read::Batch(read) => {
                (open.idle_since, open.moved) = (None, true);
                let split = (open.source, Arc::clone(&open.id));
                self.readers.push_back(open);
                self.push(split, read)?;
                Ok(true)
            }
            Read::Idle => {
                open.idle_since.get_or_insert_with(Instant::now);
                self.readers.push_back(open);
                Ok(false)
            }
            Read::Skipping => {
                open.idle_since = None;
                self.readers.push_back(open);
                Ok(true)
            }
            Read::End => {
                let state = SplitState { position: open.reader.position(), done: true };
                self.done.push(MovedSplit { source: open.source, id: open.id, state });
                self.board.finished_split(self.index, shape.is_endless);
                Ok(true)
            }
        }
    }

    fn push(&mut self, split: SplitKey, read: SourceBatch) -> Result<()> {
        let (source, rows, bytes) = (split.0, read.records(), read.bytes);
        self.graph.read_from(Some(split));
        let rejects = self.graph.push(source, read)?;
        failpoint::hit("lane-after-batch");
        self.board.add(self.epoch, Figures { rows, rejects, bytes });
        Ok(())
    }

    /// Prepares this lane's part of its epoch, reports to the coordinator and continues with the
    /// next.
    fn close(&mut self, last: bool) -> Result<()> {
        let open = |open: &OpenReader| OpenSplit { key: (open.source, Arc::clone(&open.id)), idle_since: open.idle_since };
        let open: Vec<OpenSplit> = self.readers.iter().map(open).collect();
        let at_end = self.board.is_end(self.epoch);
        let mut end = EpochEnd { exchange: &mut self.exchange, board: self.board, open: &open, at_end };
        let Some(part) = self.graph.close(&mut end)? else { return Ok(()) };
        let mut progress = std::mem::take(&mut self.done);
        for open in self.readers.iter_mut().filter(|open| open.moved) {
            open.moved = false;
            let state = SplitState { position: open.reader.position(), done: false };
            progress.push(MovedSplit { source: open.source, id: Arc::clone(&open.id), state });
        }
        self.send(Report::Epoch(LaneEpoch { lane: self.index, epoch: self.epoch, last, part, progress }));
        self.epoch += 1;
        Ok(())
    }
}

/// How many source records were read, good and bad ones.
fn records_in(read: &Read) -> u64 {
    match read {
        Read::Batch(read) => read.records(),
        Read::Idle | Read::Skipping | Read::End => 0,
    }
}
