//! The state of one lane: its runs, and the files of the depot that hold them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::codes::STATE_DAMAGED;
use wasmill_engine::{Depot, DepotFile, Error, KeyedStart, Result, failpoint};
use wasmill_keyed::codes::RUN_DAMAGED;
use wasmill_keyed::key::{KeyGroups, owned};
use wasmill_keyed::run::{Run, RunWriter, store};
use wasmill_keyed::windows::{NEVER, Windows};
use wasmill_keyed::{Aggregate, Compaction, compact, pick};

use super::store::{Scratch, StateFiles, open_in, read_whole};

/// A file, and what of it is state: its entries of some key groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    #[serde(flatten)]
    pub file: DepotFile,
    /// The first key group, and the one behind the last. The others have been merged into another file since.
    key_groups: (u16, u16),
    /// The side of the stage: a join has two.
    #[serde(default, skip_serializing_if = "is_first")]
    pub side: usize,
    /// The checksum of its run, by which another run in its place is found when it is opened. `None`: it was written before parts had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<u64>,
}

fn is_first(side: &usize) -> bool {
    *side == 0
}

/// The parts of a state. Those of all lanes stand one lane after the other: of each key group there are the parts of one lane, from the oldest to the
/// newest.
pub fn parts_of(state: &Value) -> Result<Vec<Part>> {
    Vec::<Part>::deserialize(state).map_err(|error| {
        Error::environment(format!("the checkpoint's list of a stage's files is not understood: {error}")).code(STATE_DAMAGED)
    })
}

pub fn to_state(parts: &[Part]) -> Result<Value> {
    serde_json::to_value(parts).map_err(|error| Error::bug(format!("a list of files can't be written as JSON: {error}")))
}

/// The state after an epoch, from what each lane holds then.
pub fn next_state(changes: &[Value]) -> Result<Option<Value>> {
    let mut parts = Vec::new();
    for change in changes {
        parts.extend(parts_of(change)?);
    }
    if parts.is_empty() { Ok(None) } else { to_state(&parts).map(Some) }
}

/// The files that a state names, each once.
pub fn files(state: &Value) -> Result<Vec<DepotFile>> {
    Ok(parts_by_file(state)?.into_iter().map(|part| part.file).collect())
}

/// One part of each file that a state names.
fn parts_by_file(state: &Value) -> Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for part in parts_of(state)? {
        if parts.iter().all(|known| known.file != part.file) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// What the state of a stage amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// How many files it has.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Keys by window, at most: a key that lies in several files counts in each, and so do keys that have moved to another file.
    pub entries: u64,
    /// The end of the oldest window, in microseconds since 1970; `None` without windows.
    pub oldest_window: Option<i64>,
}

/// Reads what a state amounts to from the ends of its files.
///
/// # Errors
/// A file is gone or damaged, or can't be read.
pub fn examine(state: &Value, depot: &dyn Depot) -> Result<Held> {
    let mut held = Held::default();
    parts_by_file(state)?.iter().try_for_each(|part| held.add(part, depot))?;
    Ok(held)
}

impl Held {
    /// Adds a file, by its end.
    fn add(&mut self, Part { file, checksum, .. }: &Part, depot: &dyn Depot) -> Result<()> {
        let windows = Run::windows_of(&*open_in(depot, file)?, *checksum)?;
        self.files += 1;
        self.bytes += file.bytes;
        self.entries += windows.iter().map(|window| window.entries).sum::<u64>();
        let oldest = windows.iter().map(|window| window.end).min().filter(|&end| end != NEVER);
        self.oldest_window = self.oldest_window.into_iter().chain(oldest).min();
        Ok(())
    }
}

/// A state whose files were read whole.
pub struct Verified {
    /// What its whole files amount to.
    pub held: Held,
    /// What is wrong with the others: one is gone, has another length, or its bytes are not those that were written.
    pub damaged: Vec<Error>,
}

/// Reads the files of a state whole.
///
/// # Errors
/// The state is damaged, or a file can't be read for another reason.
pub fn verify(state: &Value, depot: &dyn Depot) -> Result<Verified> {
    let mut verified = Verified { held: Held::default(), damaged: Vec::new() };
    for part in parts_by_file(state)? {
        match read_whole(depot, &part.file).and_then(|()| verified.held.add(&part, depot)) {
            Ok(()) => {}
            Err(error) if error.kind() == Some(RUN_DAMAGED) => verified.damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(verified)
}

/// A run of the state. It holds keys of this lane alone, even where its file holds others.
struct StateRun {
    run: Arc<Run>,
    part: Part,
    /// Its file was written in this epoch.
    is_new: bool,
}

/// What stays after an epoch.
pub struct Stays<'r> {
    /// Of the state's runs and of the new ones, those that stay.
    pub kept: &'r [Arc<Run>],
    /// The new runs of all lanes.
    pub new: &'r [Arc<Run>],
    /// A run that the lane has made, newer than those.
    pub added: Option<Arc<Run>>,
    /// What ends before it has expired.
    pub watermark: i64,
}

/// What a lane keeps of one side of its stage.
pub struct LaneState {
    /// Merges entries of a key.
    aggregate: Arc<dyn Aggregate>,
    windows: Windows,
    lane: usize,
    own: KeyGroups,
    side: usize,
    files: Arc<StateFiles>,
    scratch: Arc<Scratch>,
    /// From the oldest to the newest.
    runs: Vec<StateRun>,
}

impl LaneState {
    /// The state of a side that a lane begins with.
    ///
    /// # Errors
    /// A file is gone or damaged, or can't be read.
    pub fn open(aggregate: Arc<dyn Aggregate>, windows: Windows, side: usize, start: &KeyedStart) -> Result<Self> {
        let KeyedStart { lane, lanes, incarnation, epoch, .. } = *start;
        let depot = || Arc::<dyn Depot>::clone(&start.depot);
        let (files, scratch) = (Arc::new(StateFiles::new(depot(), incarnation, epoch)), Arc::new(Scratch(depot())));
        let mut state = Self { aggregate, windows, lane, own: owned(lane, lanes), side, files, scratch, runs: Vec::new() };
        let parts = start.state.as_ref().map_or(Ok(Vec::new()), parts_of)?;
        for part in parts.into_iter().filter(|part| part.side == side) {
            state.open_part(part)?;
        }
        Ok(state)
    }

    /// Adds what the lane has of a part. Where the file holds keys of others, too, the lane's own are copied into a file without a name: that happens once,
    /// after the number of lanes has changed.
    fn open_part(&mut self, part: Part) -> Result<()> {
        let groups = part.key_groups.0.max(self.own.start)..part.key_groups.1.min(self.own.end);
        if groups.is_empty() {
            return Ok(());
        }
        let file = match part.checksum {
            Some(_) => self.files.open(&part.file)?,
            None => self.files.open_verified(&part.file)?,
        };
        let mut run = Arc::new(Run::open(file, self.aggregate.state_schema(), part.checksum)?);
        let checksum = run.checksum();
        if !run.is_within(&groups) {
            let writer = RunWriter::in_file(self.aggregate.state_schema(), &*self.scratch)?;
            let what = Compaction { key_groups: groups.clone(), first_end: i64::MIN };
            run = Arc::new(compact(&*self.aggregate, self.lane, &[run], &what, writer)?);
        }
        let part = Part { key_groups: (groups.start, groups.end), checksum, ..part };
        self.runs.push(StateRun { run, part, is_new: false });
        Ok(())
    }

    /// Where runs go that no other process will need.
    pub fn scratch(&self) -> Arc<Scratch> {
        Arc::clone(&self.scratch)
    }

    /// Its runs, from the oldest to the newest.
    pub fn runs(&self) -> Vec<Arc<Run>> {
        self.runs.iter().map(|held| Arc::clone(&held.run)).collect()
    }

    /// Keeps what stays after an epoch, as files. Returns what the lane holds then.
    ///
    /// # Errors
    /// A run can't be read or written.
    pub fn keep(&mut self, stays: Stays<'_>) -> Result<Vec<Part>> {
        let Stays { kept, new, added, watermark } = stays;
        let stays = |run: &Arc<Run>| kept.iter().any(|kept| Arc::ptr_eq(kept, run));
        self.runs.retain(|held| stays(&held.run));
        let new: Vec<Arc<Run>> = new.iter().filter(|run| stays(run)).cloned().collect();
        if !new.is_empty() {
            let merged = self.merge(&new, watermark)?;
            self.runs.extend(merged);
        }
        match added {
            None => {}
            Some(added) if added.file().is_none() => {
                let run = store(&added, &*self.files)?;
                let part = self.part_of(&run)?;
                failpoint::hit("keyed-after-run");
                self.runs.push(StateRun { run, part, is_new: true });
            }
            // It was too large for memory, and lies in a file that no other process could open.
            Some(added) => {
                let merged = self.merge(&[added], watermark)?;
                self.runs.extend(merged);
            }
        }
        self.compact(watermark)?;
        self.files.begin_next_epoch();
        self.runs.iter_mut().for_each(|held| held.is_new = false);
        Ok(self.runs.iter().map(|held| held.part.clone()).collect())
    }

    fn compact(&mut self, watermark: i64) -> Result<()> {
        let sizes: Vec<u64> = self.runs.iter().map(|held| held.run.size_bytes()).collect();
        let Some(range) = pick(&sizes) else { return Ok(()) };
        let runs: Vec<Arc<Run>> = self.runs[range.clone()].iter().map(|held| Arc::clone(&held.run)).collect();
        let merged = self.merge(&runs, watermark)?;
        failpoint::hit("keyed-in-compaction");
        // A file of an earlier epoch is named by the checkpoints before this one; one of this epoch by none.
        for replaced in self.runs.splice(range, merged) {
            if replaced.is_new {
                self.files.discard(&replaced.part.file)?;
            }
        }
        Ok(())
    }

    /// What runs hold of the keys of this lane, in one new file; `None`: nothing.
    fn merge(&self, runs: &[Arc<Run>], watermark: i64) -> Result<Option<StateRun>> {
        let ends = runs.iter().flat_map(|run| run.windows()).map(|window| window.end);
        let first_end = ends.filter(|&end| !self.windows.has_expired(end, watermark)).min().unwrap_or(i64::MAX);
        let writer = RunWriter::in_file(self.aggregate.state_schema(), &*self.files)?;
        let run = compact(&*self.aggregate, self.lane, runs, &Compaction { key_groups: self.own.clone(), first_end }, writer)?;
        let part = self.part_of(&run)?;
        failpoint::hit("keyed-after-run");
        if run.entries() == 0 {
            self.files.discard(&part.file)?;
            return Ok(None);
        }
        Ok(Some(StateRun { run: Arc::new(run), part, is_new: true }))
    }

    /// A run that this lane has written, as state.
    fn part_of(&self, run: &Run) -> Result<Part> {
        let file = run.file().ok_or_else(|| Error::bug("a run of the state has no file"))?;
        let file = self.files.take_written(file.name())?;
        Ok(Part { file, key_groups: (self.own.start, self.own.end), side: self.side, checksum: run.checksum() })
    }
}
