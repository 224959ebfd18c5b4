//! The coordinator: starts the lanes, finds splits for them, collects their epochs and has them committed in order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::board::Board;
use super::commit::Committer;
use super::lane::{Lane, LaneEpoch, Report};
use super::shape::{Shape, Sources};
use crate::counts::{BREAKER_MIN_ROWS, Breaker, NodeCounts};
use crate::{
    Checkpoint, Counts, Error, Event, Mode, NodeSummary, Observer, Progress, Progression, Result, StateStore, StopSignal, Summary,
};

/// How long the coordinator sleeps at most: a stop signal is seen within this time.
const TICK: Duration = Duration::from_millis(50);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How often the sources of a stream are asked for new splits, and those of a batch that has not found all of them.
const DISCOVER_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Coordinator<'p> {
    shape: &'p Shape,
    sources: &'p Sources,
    observer: &'p dyn Observer,
    committer: Committer<'p>,
    /// What each source had done when the run began.
    restored: Vec<Progress>,
    /// The epoch that is collected now; later ones wait in `pending`.
    epoch: u64,
    pending: BTreeMap<u64, Vec<LaneEpoch>>,
    lanes_ended: usize,
    counts: NodeCounts,
    breakers: Vec<(&'static str, usize, Breaker)>,
    epochs: u64,
    stopped: bool,
    begun: Instant,
    told: Instant,
    looked: Instant,
}

impl<'p> Coordinator<'p> {
    pub fn new(
        shape: &'p Shape,
        sources: &'p Sources,
        store: &'p dyn StateStore,
        observer: &'p dyn Observer,
        checkpoint: Checkpoint,
    ) -> Self {
        let epoch = checkpoint.epoch + 1;
        let restore = |(name, _): &(std::sync::Arc<str>, f64)| match shape.epoch.whole_run {
            true => Progress::new(),
            false => checkpoint.sources.get(&**name).cloned().unwrap_or_default(),
        };
        let sources_breakers = shape.sources.iter().enumerate().map(|(index, (_, share))| ("source", index, Breaker::new(*share)));
        let stage_breakers = shape.stages.iter().enumerate().map(|(index, node)| ("stage", index, Breaker::new(node.max_reject_share)));
        let now = Instant::now();
        Self {
            shape,
            sources,
            observer,
            restored: shape.sources.iter().map(restore).collect(),
            committer: Committer::new(shape, sources, store, checkpoint),
            epoch,
            pending: BTreeMap::new(),
            lanes_ended: 0,
            counts: shape.zero_counts(),
            breakers: sources_breakers.chain(stage_breakers).collect(),
            epochs: 0,
            stopped: false,
            begun: now,
            told: now,
            looked: now,
        }
    }

    /// Runs to the end of the sources, a stop, or the first error.
    pub fn run(mut self, stop: &StopSignal) -> Result<Summary> {
        let first = self.epoch;
        let board = Board::new(self.shape.lanes, first, self.shape.epoch);
        self.look(&board)?;
        let (sender, receiver) = unbounded();
        let incarnation = self.committer.checkpoint().incarnation;
        std::thread::scope(|scope| -> Result<()> {
            for index in 0..self.shape.lanes {
                let (reports, at) = (sender.clone(), (self.shape, &board));
                let body = move || lane_body((index, first, incarnation), at, &reports);
                let spawned = std::thread::Builder::new().name(format!("lane-{index}")).spawn_scoped(scope, body);
                if let Err(error) = spawned {
                    board.abort();
                    return Err(Error::io("start a lane's thread", error));
                }
            }
            let supervised = self.supervise(&board, &receiver, stop);
            if supervised.is_err() || self.lanes_ended < self.shape.lanes {
                board.abort();
            }
            supervised
        })
        .map_err(|error| self.committer.explain(error))?;
        Ok(self.summary())
    }

    fn supervise(&mut self, board: &Board, reports: &Receiver<Report>, stop: &StopSignal) -> Result<()> {
        loop {
            match reports.recv_timeout(TICK) {
                Ok(Report::Failed(error)) => return Err(error),
                Ok(Report::Epoch(part)) => self.collect(part, board)?,
                Ok(Report::Idle) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("the lanes ended without a word")),
            }
            if self.lanes_ended == self.shape.lanes {
                self.tell(board, true);
                return Ok(());
            }
            board.tick();
            if stop.is_set() && !self.stopped {
                self.stopped = true;
                self.observer.on(Event::Stopping);
                if self.shape.epoch.whole_run {
                    return Ok(());
                }
                board.close_last();
            }
            if board.is_exhausted() {
                board.close_last();
            }
            let looks = self.shape.mode == Mode::Stream || !board.is_complete();
            if looks && !self.stopped && self.looked.elapsed() >= DISCOVER_EVERY {
                self.looked = Instant::now();
                self.look(board)?;
            }
            self.tell(board, false);
        }
    }

    /// Asks every source for splits, and puts them into the queue in turns, so that no source waits for another to end.
    fn look(&self, board: &Board) -> Result<()> {
        let mut found = Vec::new();
        let mut complete = true;
        for (index, source) in self.sources.iter().enumerate() {
            let here = |error: Error| error.at(format!("source {}", self.shape.sources[index].0));
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            let discovery = source.discover(&self.restored[index]).map_err(here)?;
            complete &= discovery.complete;
            found.extend(discovery.splits.into_iter().enumerate().map(|(turn, split)| (turn, (index, split))));
        }
        found.sort_by_key(|(turn, (index, _))| (*turn, *index));
        board.offer(found.into_iter().map(|(_, split)| split), complete);
        Ok(())
    }

    fn collect(&mut self, part: LaneEpoch, board: &Board) -> Result<()> {
        self.lanes_ended += usize::from(part.last);
        self.pending.entry(part.epoch).or_default().push(part);
        while self.pending.get(&self.epoch).is_some_and(|parts| parts.len() == self.shape.lanes) {
            let parts = self.pending.remove(&self.epoch).unwrap_or_default();
            self.finish(parts)?;
            board.committed(self.epoch);
            self.epoch += 1;
        }
        Ok(())
    }

    /// Judges and commits one epoch of all lanes.
    fn finish(&mut self, mut parts: Vec<LaneEpoch>) -> Result<()> {
        parts.sort_by_key(|part| part.lane);
        let mut counts = self.shape.zero_counts();
        parts.iter().for_each(|part| counts += &part.part.counts);
        self.judge(&counts)?;
        let nothing = parts.iter().all(|part| part.progress.is_empty() && part.part.parts.iter().all(Option::is_none));
        if nothing {
            return Ok(());
        }
        let took = self.committer.commit(self.epoch, parts)?;
        self.tell_sources();
        self.epochs += 1;
        self.counts += &counts;
        let rows = counts.sources.iter().map(|counts| counts.rows_in).sum();
        self.observer.on(Event::EpochCommitted { epoch: self.epoch, rows, took });
        Ok(())
    }

    /// Tells each source how far the epochs go that every sink has.
    fn tell_sources(&self) {
        for (source, (name, _)) in self.sources.iter().zip(&self.shape.sources) {
            if let Some(progress) = self.committer.checkpoint().sources.get(&**name) {
                source.lock().unwrap_or_else(PoisonError::into_inner).committed(progress);
            }
        }
    }

    fn judge(&mut self, counts: &NodeCounts) -> Result<()> {
        for (kind, index, breaker) in &mut self.breakers {
            let (counts, name, limit) = match *kind {
                "source" => (&counts.sources[*index], &self.shape.sources[*index].0, self.shape.sources[*index].1),
                _ => (&counts.stages[*index], &self.shape.stages[*index].name, self.shape.stages[*index].max_reject_share),
            };
            if let Some(share) = breaker.judge(counts) {
                return Err(Error::environment(format!(
                    "{:.1} % of its rows were rejected, and max_reject_share allows {:.1} %; epoch {} is not committed",
                    share * 100.0,
                    limit * 100.0,
                    self.epoch
                ))
                .at(format!("{kind} {name}"))
                .hint(format!(
                    "look at a few of its rows first: the input may not be what the {kind} expects; raise max_reject_share if such a share \
                     is normal (judged from {BREAKER_MIN_ROWS} rows on)"
                )));
            }
        }
        Ok(())
    }

    fn tell(&mut self, board: &Board, at_once: bool) {
        if !at_once && self.told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.told = Instant::now();
        let (epoch, committed_epoch, splits_waiting, splits_open) = board.figures();
        let figure = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
        let (rows, bytes, rejects) = (figure(&board.rows), figure(&board.bytes), figure(&board.rejects));
        let known = |source: &std::sync::Mutex<Box<dyn crate::Source>>| source.lock().unwrap_or_else(PoisonError::into_inner).known_bytes();
        let bytes_known = self.sources.iter().map(known).sum();
        let behind = |source: &std::sync::Mutex<Box<dyn crate::Source>>| {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner);
            (source.rows_behind(), source.behind())
        };
        let behind: Vec<_> = self.sources.iter().map(behind).collect();
        let rows_behind = behind.iter().filter_map(|(rows, _)| *rows).reduce(|one, other| one + other);
        let longest = behind.iter().filter_map(|(_, time)| *time).max();
        let milliseconds_behind = longest.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.observer.on(Event::Progress(&Progression {
            rows,
            bytes,
            bytes_known,
            rows_behind,
            milliseconds_behind,
            rejects,
            epoch,
            committed_epoch,
            splits_waiting,
            splits_open,
        }));
    }

    fn summary(&self) -> Summary {
        let node = |kind, name: &std::sync::Arc<str>, counts: &Counts| NodeSummary { kind, name: name.clone(), counts: *counts };
        let mut nodes: Vec<NodeSummary> = Vec::new();
        nodes.extend(self.shape.sources.iter().zip(&self.counts.sources).map(|((name, _), counts)| node("source", name, counts)));
        nodes.extend(self.shape.stages.iter().zip(&self.counts.stages).map(|(stage, counts)| node("stage", &stage.name, counts)));
        nodes.extend(self.shape.sinks.iter().zip(&self.counts.sinks).enumerate().map(|(index, (sink, counts))| {
            let kind = if self.shape.dead_letters == Some(index) { "dead letters" } else { "sink" };
            node(kind, &sink.name, counts)
        }));
        let (mode, stopped, epochs) = (self.shape.mode, self.stopped, self.epochs);
        Summary { pipeline: self.shape.name.clone(), mode, stopped, epochs, time: self.begun.elapsed(), nodes }
    }
}

/// What a lane's thread does: errors and panics become reports, because nobody looks at the thread itself.
fn lane_body(start: (usize, u64, uuid::Uuid), at: (&Shape, &Board), reports: &Sender<Report>) {
    let work = || Lane::open(start, at, reports.clone()).and_then(Lane::run);
    let failed = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
            Error::bug(format!("lane {} panicked: {}", start.0, message.unwrap_or_else(|| "no message".to_owned())))
                .hint("this is a bug in wasmill; nothing of the open epoch was committed, the next run repeats it")
        }
    };
    let _ = reports.send(Report::Failed(failed));
}
