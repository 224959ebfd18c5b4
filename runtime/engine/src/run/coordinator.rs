//! The coordinator: starts the lanes, finds splits for them, collects their epochs and has them committed in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::board::{Board, Snapshot};
use super::commit::{Commits, fenced};
use super::committer::{ClosedEpoch, Committed, Committer};
use super::exchange::Exchange;
use super::graph::EpochPart;
use super::judge::Judge;
use super::lane::{Lane, LaneEpoch, LaneStart, Report, Shared};
use super::ledger::entries;
use super::shape::{Shape, SourceShape, Sources};
use super::splits::SourceSplit;
use super::stage_states::Resume;
use crate::codes::THREADS;
use crate::counts::NodeCounts;
use crate::{Checkpoint, Counts, Error, Event, NodeSummary, Observer, Progress, Progression, Result, StateStore, StopSignal, Summary};

/// How long the coordinator sleeps at most: a stop signal is seen within this time.
const TICK: Duration = Duration::from_millis(50);
/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How often the sources of a stream list new splits, and those of a run that ends with its input
/// and has not found all of them.
const DISCOVER_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Coordinator<'p> {
    shape: Arc<Shape>,
    sources: Arc<Sources>,
    store: Arc<dyn StateStore>,
    observer: &'p dyn Observer,
    checkpoint: Arc<Checkpoint>,
    /// The totals of each source when the run began.
    restored: Vec<Progress>,
    /// The epoch that is collected now; later ones wait in `pending`.
    epoch: u64,
    pending: BTreeMap<u64, Vec<LaneEpoch>>,
    lanes_ended: usize,
    /// Epochs that the committer has and has not reported yet.
    committing: usize,
    counts: NodeCounts,
    judge: Judge,
    /// An epoch was refused: its dead letters are being committed, then the run ends.
    refused: bool,
    epochs: u64,
    stopped: bool,
    begun: Instant,
    reported: Instant,
    discovered: Instant,
}

/// Ends the lanes when the coordinator ends, even by a panic: the scope of their threads waits for
/// them.
struct AbortOnDrop<'b>(&'b Board);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<'p> Coordinator<'p> {
    pub fn new(
        shape: Arc<Shape>,
        sources: Arc<Sources>,
        store: Arc<dyn StateStore>,
        observer: &'p dyn Observer,
        checkpoint: Checkpoint,
    ) -> Self {
        let epoch = checkpoint.epoch + 1;
        let restore = |source: &SourceShape| match shape.epoch.whole_run {
            true => Progress::new(),
            false => checkpoint.sources.get(&*source.name).map(entries).unwrap_or_default(),
        };
        let now = Instant::now();
        Self {
            restored: shape.sources.iter().map(restore).collect(),
            epoch,
            pending: BTreeMap::new(),
            lanes_ended: 0,
            committing: 0,
            counts: shape.zero_counts(),
            judge: Judge::new(&shape),
            refused: false,
            epochs: 0,
            stopped: false,
            begun: now,
            reported: now,
            discovered: now,
            checkpoint: Arc::new(checkpoint),
            shape,
            sources,
            store,
            observer,
        }
    }

    /// Runs to the end of the sources, a stop, or the first error.
    pub fn run(mut self, stop: &StopSignal) -> Result<Summary> {
        let first = self.epoch;
        let board = Board::new(self.shape.lanes, first, self.shape.epoch).with_limit(self.shape.limit);
        self.discover(&board)?;
        let (sender, receiver) = unbounded();
        let incarnation = self.checkpoint.incarnation;
        let shape = Arc::clone(&self.shape);
        let resume = Resume::of(&shape, &*self.store, &self.checkpoint);
        let commits = Commits::new(Arc::clone(&shape), Arc::clone(&self.sources), Arc::clone(&self.store), Arc::clone(&self.checkpoint));
        let committer = Committer::start(commits, sender.clone())?;
        std::thread::scope(|scope| -> Result<()> {
            let _lanes_end = AbortOnDrop(&board);
            for (index, exchange) in Exchange::of_lanes(shape.lanes).into_iter().enumerate() {
                let (reports, shared) = (sender.clone(), Shared { shape: &shape, resume: resume.as_ref(), board: &board });
                let body = move || lane_body(LaneStart { index, incarnation, epoch: first }, shared, exchange, &reports);
                let spawned = std::thread::Builder::new().name(format!("lane-{index}")).spawn_scoped(scope, body);
                spawned.map_err(|error| Error::io("start a lane's thread", error).or_code(THREADS))?;
            }
            self.supervise(&board, &committer, &receiver, stop)
        })?;
        drop(committer);
        Ok(self.summary())
    }

    fn supervise(&mut self, board: &Board, committer: &Committer, reports: &Receiver<Report>, stop: &StopSignal) -> Result<()> {
        loop {
            match reports.recv_timeout(TICK) {
                Ok(Report::Failed(error)) if self.refused => tracing::debug!(%error, "a lane failed after an epoch was refused"),
                Ok(Report::Failed(error)) => return Err(self.explain(error)),
                Ok(Report::NotCommitted(error)) => return Err(error),
                Ok(Report::Epoch(part)) => self.collect(part, board, committer),
                Ok(Report::Committed(committed)) => self.committed(committed, board),
                Ok(Report::Idle) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("the lanes and the committer ended without a report")),
            }
            if self.lanes_ended == self.shape.lanes && self.committing == 0 {
                self.report_progress(board, true);
                return Ok(());
            }
            board.tick();
            if stop.is_set() && !self.stopped {
                self.stopped = true;
                self.observer.on(Event::Stopping);
                if self.shape.epoch.whole_run {
                    return Ok(());
                }
                board.close_last(false);
            }
            // What a rehearsal has read is all that there is: nothing resumes behind it.
            if board.is_exhausted() || board.allowance.is_spent() {
                board.close_last(board.is_exhausted() || self.shape.is_rehearsal);
            }
            let discovers = !self.shape.ends() || !board.is_complete();
            if discovers && !self.stopped && !self.refused && self.discovered.elapsed() >= DISCOVER_EVERY {
                self.discovered = Instant::now();
                self.discover(board)?;
            }
            self.report_progress(board, false);
        }
    }

    /// Explains a lane's failure if another process has taken over, which may have removed what
    /// this one had staged.
    fn explain(&self, error: Error) -> Error {
        // Of the epochs that the committer has, the last one may be noted already.
        match self.store.latest() {
            Ok(Some(newest)) if newest.epoch >= self.epoch => fenced(&self.shape.name, newest.epoch).caused_by(error),
            _ => error,
        }
    }

    /// Lists new splits of every source, and queues them in turns, so that no source waits for
    /// another to end.
    fn discover(&self, board: &Board) -> Result<()> {
        let mut found = Vec::new();
        let mut complete = true;
        for (index, source) in self.sources.iter().enumerate() {
            let here = |error: Error| error.at(self.shape.sources[index].place());
            let mut source = source.lock();
            let discovery = source.discover(&self.restored[index]).map_err(here)?;
            complete &= discovery.complete;
            found.extend(discovery.splits.into_iter().enumerate().map(|(turn, split)| (turn, SourceSplit { source: index, split })));
        }
        found.sort_by_key(|(turn, split)| (*turn, split.source));
        board.offer(found.into_iter().map(|(_, split)| split), |source| self.shape.sources[source].is_endless, complete);
        Ok(())
    }

    fn collect(&mut self, part: LaneEpoch, board: &Board, committer: &Committer) {
        self.lanes_ended += usize::from(part.last);
        self.pending.entry(part.epoch).or_default().push(part);
        while !self.refused && self.pending.get(&self.epoch).is_some_and(|parts| parts.len() == self.shape.lanes) {
            let parts = self.pending.remove(&self.epoch).unwrap_or_default();
            self.close(parts, board, committer);
            self.epoch += 1;
        }
    }

    /// Judges one epoch of all lanes and passes it to the committer.
    fn close(&mut self, mut lanes: Vec<LaneEpoch>, board: &Board, committer: &Committer) {
        lanes.sort_by_key(|lane| lane.lane);
        let mut counts = self.shape.zero_counts();
        lanes.iter().for_each(|lane| counts += &lane.part.counts);
        // One lane has collected them, another one knows what became of them.
        for (index, change) in lanes.iter().flat_map(|lane| lane.part.stages.iter().enumerate()) {
            if let Some(change) = change {
                counts.stages[index].release(change.passed, change.filtered);
            }
        }
        lanes.iter_mut().for_each(|lane| self.judge.add(std::mem::take(&mut lane.part.reasons)));
        let is_last = lanes.iter().all(|lane| lane.last);
        // A run that was limited is a sample: the first reject among a few records is no evidence
        // about the rest.
        let at_end = is_last && self.shape.ends() && !self.stopped && !board.allowance.is_spent();
        let refused = self.judge.judge(&self.shape, &counts, self.epoch, at_end);
        let nothing = lanes.iter().all(is_empty);
        if nothing && is_last && refused.is_none() {
            // No epoch of this process follows, so that the numbers have no gap.
            return;
        }
        if refused.is_some() {
            self.refused = true;
            board.abort();
        }
        self.committing += 1;
        committer.commit(ClosedEpoch { epoch: self.epoch, lanes, counts, refused });
    }

    fn committed(&mut self, committed: Committed, board: &Board) {
        let Committed { epoch, counts, took, checkpoint } = committed;
        self.committing -= 1;
        board.committed(epoch);
        self.checkpoint = checkpoint;
        self.report_committed();
        self.epochs += 1;
        self.counts += &counts;
        let rows = counts.sources.iter().map(|counts| counts.rows_in).sum();
        self.observer.on(Event::EpochCommitted { epoch, rows, took });
    }

    /// Reports to each source how far the epochs go that every sink has.
    fn report_committed(&self) {
        if self.shape.is_rehearsal {
            return;
        }
        for (source, shape) in self.sources.iter().zip(&self.shape.sources) {
            if let Some(progress) = self.checkpoint.sources.get(&*shape.name) {
                source.lock().committed(progress);
            }
        }
    }

    fn report_progress(&mut self, board: &Board, at_once: bool) {
        if !at_once && self.reported.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.reported = Instant::now();
        let Snapshot { read, epoch, committed_epoch, splits_waiting, splits_open } = board.snapshot();
        let known = |source: &parking_lot::Mutex<Box<dyn crate::Source>>| source.lock().known_bytes();
        let bytes_known = self.sources.iter().map(known).sum();
        let behind = |source: &parking_lot::Mutex<Box<dyn crate::Source>>| {
            let source = source.lock();
            (source.rows_behind(), source.behind())
        };
        let behind: Vec<_> = self.sources.iter().map(behind).collect();
        let rows_behind = behind.iter().filter_map(|(rows, _)| *rows).reduce(|one, other| one + other);
        let longest = behind.iter().filter_map(|(_, time)| *time).max();
        let milliseconds_behind = longest.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.observer.on(Event::Progress(&Progression {
            rows: read.rows,
            bytes: read.bytes,
            bytes_known,
            rows_behind,
            milliseconds_behind,
            rejects: read.rejects,
            epoch,
            committed_epoch,
            splits_waiting,
            splits_open,
        }));
    }

    fn summary(&self) -> Summary {
        let node = |kind, name: &std::sync::Arc<str>, counts: &Counts| NodeSummary { kind, name: name.clone(), counts: *counts };
        let mut nodes: Vec<NodeSummary> = Vec::new();
        nodes.extend(self.shape.sources.iter().zip(&self.counts.sources).map(|(source, counts)| node("source", &source.name, counts)));
        nodes.extend(self.shape.stages.iter().zip(&self.counts.stages).map(|(stage, counts)| node("stage", &stage.name, counts)));
        nodes.extend(self.shape.sinks.iter().zip(&self.counts.sinks).enumerate().map(|(index, (sink, counts))| {
            let kind = if self.shape.dead_letters == Some(index) { "dead letters" } else { "sink" };
            node(kind, &sink.name, counts)
        }));
        let notes = self.shape.sources.iter().zip(self.sources.iter()).flat_map(|(shape, source)| {
            let notes = source.lock().notes();
            notes.into_iter().map(|note| (Arc::clone(&shape.name), note))
        });
        let notes = notes.collect();
        let (mode, stopped, epochs) = (self.shape.mode, self.stopped, self.epochs);
        Summary { pipeline: self.shape.name.clone(), mode, stopped, epochs, time: self.begun.elapsed(), nodes, notes }
    }
}

/// Whether an epoch has nothing of a lane.
fn is_empty(lane: &LaneEpoch) -> bool {
    let EpochPart { parts, stages, .. } = &lane.part;
    let keeps_state = stages.iter().flatten().all(|change| change.state.is_none());
    lane.progress.is_empty() && parts.iter().all(Option::is_none) && keeps_state
}

/// The body of a lane's thread. Errors and panics become reports, because nothing inspects the
/// thread itself.
fn lane_body(start: LaneStart, shared: Shared<'_>, exchange: Exchange, reports: &Sender<Report>) {
    let work = || Lane::open(start, shared, exchange, reports.clone()).and_then(Lane::run);
    let failed = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(panic) => super::panicked(&format!("lane {}", start.index), &*panic)
            .hint("this is a bug in wasmill; nothing of the open epoch was committed, the next run repeats it"),
    };
    let _ = reports.send(Report::Failed(failed));
}
