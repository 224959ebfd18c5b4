//! The ledger of retired splits: pieces in the depot, each written once and named by checkpoints, merged now and then.
//!
//! What a checkpoint holds of a source, and what an epoch must write, would otherwise grow with
//! every split ever read. Entries of splits that need none collect in the checkpoint until they
//! suffice for a piece. Pieces of about the same size are merged in the background, so that there
//! are few of them for any number of splits. A later checkpoint names the merged piece. A piece is
//! removed when no kept checkpoint names it.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::obsolete::ObsoleteFiles;
use super::shape::{Shape, Sources};
use crate::codes::{STATE_DAMAGED, STATE_NOT_WRITABLE, STATE_OF_OTHER_SOURCE, THREADS};
use crate::depot::{EpochId, is_left_over};
use crate::{Checkpoint, Depot, DepotFile, DepotKey, Error, Progress, RecordForm, Result, Retired, SplitId, SplitState, StateStore};

/// The entry of a source's progress that names the pieces of what it does not name itself. No split has such a name.
pub const RETIRED: &str = "@retired";
/// The folder of the depot.
const FOLDER: &str = "retired";
/// A piece has at least this many records.
const PIECE_RECORDS: usize = 256;
/// The entries that a checkpoint may hold before the ledger checks whether they suffice for a
/// piece.
const MAX_ENTRIES: usize = 512;
/// This many pieces of one tier are merged; each tier's pieces are up to this many times as large
/// as those of the tier below.
const TIER: usize = 8;

/// The pieces of all sources.
pub(crate) struct Ledger {
    depot: Arc<dyn Depot>,
    /// The merge of each source's pieces that is under way.
    merging: Vec<Option<JoinHandle<Result<Merged>>>>,
    obsolete: ObsoleteFiles,
    /// Nothing was retired in this run yet.
    first: bool,
}

/// Pieces, and the one that holds the same.
struct Merged {
    inputs: Vec<DepotFile>,
    output: DepotFile,
}

#[derive(Serialize, Deserialize)]
struct Pieces {
    pieces: Vec<DepotFile>,
}

/// The first line of a piece.
#[derive(Serialize, Deserialize)]
struct Header {
    wasmill_retired: u32,
    key_bytes: usize,
    record_bytes: usize,
}

/// What a source receives about its splits that have entries.
pub(crate) fn entries(progress: &Progress) -> Progress {
    let mut entries = progress.clone();
    entries.remove(RETIRED);
    entries
}

/// Passes the records of its retired splits to each source.
///
/// # Errors
/// Environment: a piece is gone or damaged, or of another source.
pub(crate) fn restore(shape: &Shape, sources: &Sources, store: &dyn StateStore, checkpoint: &Checkpoint) -> Result<()> {
    for (shape_of, source) in shape.sources.iter().zip(sources) {
        let pieces = checkpoint.sources.get(&*shape_of.name).map(pieces).transpose()?.unwrap_or_default();
        if pieces.is_empty() || shape.epoch.whole_run {
            continue;
        }
        let here = |error: Error| error.at(shape_of.place());
        let mut source = source.lock();
        let Some(form) = source.record_form() else {
            return Err(here(
                Error::environment("the state is of a source of another kind")
                    .code(STATE_OF_OTHER_SOURCE)
                    .hint("give the new source another name, or start over with `wasmill state reset`"),
            ));
        };
        source.restore(read_all(&*store.depot(), form, &pieces).map_err(here)?);
    }
    Ok(())
}

/// The pieces that hold what a source's progress does not name, for readers.
///
/// # Errors
/// Environment: their list is damaged.
pub fn retired_pieces(progress: &Progress) -> Result<Vec<DepotFile>> {
    pieces(progress)
}

fn pieces(progress: &Progress) -> Result<Vec<DepotFile>> {
    let Some(state) = progress.get(RETIRED) else { return Ok(Vec::new()) };
    let pieces = Pieces::deserialize(&state.position)
        .map_err(|error| Error::environment(format!("the checkpoint's list of pieces is damaged: {error}")).code(STATE_DAMAGED));
    pieces.map(|pieces| pieces.pieces)
}

pub(super) fn read_all(depot: &dyn Depot, form: RecordForm, pieces: &[DepotFile]) -> Result<Retired> {
    let mut records = Vec::new();
    for piece in pieces {
        let failed = |error: std::io::Error| Error::io(format_args!("read {}", depot.shown(&piece.name)), error);
        let mut bytes = Vec::new();
        depot.open(piece)?.read_to_end(&mut bytes).map_err(failed)?;
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let header = serde_json::from_slice::<Header>(&bytes[..end]);
        let fits =
            |header: &Header| header.wasmill_retired == 1 && (header.key_bytes, header.record_bytes) == (form.key_bytes, form.record_bytes);
        if !header.is_ok_and(|header| fits(&header)) {
            return Err(Error::environment(format!("{} is not a list of this source's splits", depot.shown(&piece.name)))
                .code(STATE_OF_OTHER_SOURCE)
                .hint("has the source been replaced by one of another kind, or was it written by a newer version of wasmill?"));
        }
        records.extend_from_slice(bytes.get(end + 1..).unwrap_or_default());
    }
    Retired::new(form, &records)
}

fn write(depot: &dyn Depot, of: EpochId, form: RecordForm, records: &Retired) -> Result<DepotFile> {
    let mut file = depot.create(&DepotKey { folder: FOLDER, incarnation: of.incarnation, epoch: of.epoch, kind: "splits" })?;
    let header = Header { wasmill_retired: 1, key_bytes: form.key_bytes, record_bytes: form.record_bytes };
    let mut line = serde_json::to_vec(&header).map_err(|error| Error::bug(format!("a header can't be written as JSON: {error}")))?;
    line.push(b'\n');
    file.write_all(&line)
        .and_then(|()| file.write_all(records.as_bytes()))
        .map_err(|error| Error::io("write a list of splits", error).or_code(STATE_NOT_WRITABLE))?;
    let file = file.finish()?;
    depot.seal(std::slice::from_ref(&file))?;
    Ok(file)
}

impl Ledger {
    /// The ledger of a run that begins with a claim.
    ///
    /// # Errors
    /// The depot can't be listed.
    pub fn new(shape: &Shape, depot: Arc<dyn Depot>, claim: &Checkpoint) -> Result<Self> {
        let mut named = HashSet::new();
        for progress in claim.sources.values() {
            named.extend(pieces(progress)?.into_iter().map(|piece| piece.name));
        }
        let of = EpochId { incarnation: claim.incarnation, epoch: claim.epoch };
        // The checkpoints before the claim may name some of them.
        let left: Vec<String> = depot.list(FOLDER)?.into_iter().filter(|name| is_left_over(name, of) && !named.contains(name)).collect();
        let merging = shape.sources.iter().map(|_| None).collect();
        let mut obsolete = ObsoleteFiles::new(Arc::clone(&depot), "lists of retired splits");
        obsolete.add(claim.epoch, left);
        Ok(Self { depot, merging, obsolete, first: true })
    }

    /// Removes entries that need not stay from the new checkpoint. Those of `moved` splits that are
    /// not done stay, because they move again soon.
    ///
    /// # Errors
    /// A piece can't be written, or the source does not understand an entry.
    pub fn retire(&mut self, shape: &Shape, sources: &Sources, next: &mut Checkpoint, moved: &HashSet<(usize, SplitId)>) -> Result<()> {
        let of = EpochId { incarnation: next.incarnation, epoch: next.epoch };
        for (index, (shape, source)) in shape.sources.iter().zip(sources).enumerate() {
            let Some(progress) = next.sources.get_mut(&*shape.name) else { continue };
            let here = |error: Error| error.at(shape.place());
            let (form, candidates) = {
                let source = source.lock();
                let Some(form) = source.record_form() else { continue };
                let is_due = self.first || progress.len() > MAX_ENTRIES;
                let stays = |id: &SplitId| moved.contains(&(index, SplitId::clone(id)));
                (form, if is_due { candidates(&**source, progress, stays).map_err(here)? } else { Candidates::default() })
            };
            let mut pieces = pieces(progress).map_err(here)?;
            let before = pieces.len();
            let was_merged = self.take_merged(index, of.epoch, &mut pieces);
            if candidates.records.len() >= PIECE_RECORDS * form.record_bytes {
                let records = Retired::new(form, &candidates.records).map_err(here)?;
                pieces.push(write(&*self.depot, of, form, &records).map_err(here)?);
                candidates.ids.iter().for_each(|id| drop(progress.remove(id)));
            }
            if was_merged || pieces.len() != before {
                let position = serde_json::to_value(Pieces { pieces: pieces.clone() });
                let position = position.map_err(|error| Error::bug(format!("a list of pieces can't be written as JSON: {error}")))?;
                progress.insert(RETIRED.into(), SplitState { position, done: true });
            }
            if self.merging[index].is_none() {
                self.merging[index] = begin_merge(&self.depot, of, form, &pieces)?;
            }
        }
        self.first = false;
        Ok(())
    }

    /// Replaces pieces by the merged piece that holds them, if one is ready.
    fn take_merged(&mut self, index: usize, epoch: u64, pieces: &mut Vec<DepotFile>) -> bool {
        let Some(merging) = self.merging[index].take_if(|merging| merging.is_finished()) else { return false };
        match merging.join() {
            Ok(Ok(Merged { inputs, output })) if inputs.iter().all(|input| pieces.contains(input)) => {
                pieces.retain(|piece| !inputs.contains(piece));
                pieces.push(output);
                let names = inputs.into_iter().map(|input| input.name).collect();
                self.obsolete.add(epoch, names);
                true
            }
            // An overwriting run has dropped them.
            Ok(Ok(Merged { output, .. })) => {
                self.obsolete.add(epoch, vec![output.name]);
                false
            }
            // The pieces are still there: the merge is retried.
            Ok(Err(error)) => {
                tracing::warn!(%error, "lists of retired splits could not be merged; retrying");
                false
            }
            Err(_) => {
                tracing::warn!("a merge of lists of retired splits panicked; retrying");
                false
            }
        }
    }

    /// An epoch's checkpoint has been put. Best effort: a piece that stays is harmless.
    pub fn noted(&mut self, epoch: u64) {
        self.obsolete.noted(epoch);
    }
}

/// Entries that need not stay, and their records.
#[derive(Default)]
struct Candidates {
    ids: Vec<SplitId>,
    records: Vec<u8>,
}

fn candidates(source: &dyn crate::Source, progress: &Progress, stays: impl Fn(&SplitId) -> bool) -> Result<Candidates> {
    let mut candidates = Candidates::default();
    for (id, state) in progress.iter().filter(|(id, state)| &***id != RETIRED && (state.done || !stays(id))) {
        if source.retire(id, state, &mut candidates.records)? {
            candidates.ids.push(SplitId::clone(id));
        }
    }
    Ok(candidates)
}

/// The pieces to be merged: the oldest of the smallest tier that is full.
fn full_tier(form: RecordForm, pieces: &[DepotFile]) -> Option<Vec<DepotFile>> {
    let tier = |piece: &DepotFile| {
        let records = usize::try_from(piece.bytes).unwrap_or(usize::MAX) / form.record_bytes;
        (records / PIECE_RECORDS).max(1).ilog(TIER)
    };
    let of = |wanted: u32| pieces.iter().filter(|piece| tier(piece) == wanted).cloned().collect::<Vec<_>>();
    let mut tiers: Vec<u32> = pieces.iter().map(tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers.into_iter().map(of).find(|pieces| pieces.len() >= TIER)
}

fn begin_merge(depot: &Arc<dyn Depot>, of: EpochId, form: RecordForm, pieces: &[DepotFile]) -> Result<Option<JoinHandle<Result<Merged>>>> {
    let Some(inputs) = full_tier(form, pieces) else { return Ok(None) };
    let depot = Arc::clone(depot);
    let merge = move || {
        let records = read_all(&*depot, form, &inputs)?;
        let output = write(&*depot, of, form, &records)?;
        Ok(Merged { inputs, output })
    };
    let thread = std::thread::Builder::new().name("merge-retired".to_owned()).spawn(merge);
    thread.map(Some).map_err(|error| Error::io("start a thread that merges lists of splits", error).or_code(THREADS))
}
