//! The files that this run has found, and the entry of a checkpoint that covers those that are
//! done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use wasmill_engine::{Error, Progress, Result, Split, SplitId};

use super::follow::Found;
use super::position::{Done, Position, Restored, split_id};
use crate::rows::{TableFile, TableRows};

/// The known files of a table.
#[derive(Default)]
pub(super) struct Known {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    done: Option<Done>,
    /// The files of each version that was read and is not done, in the order of their paths.
    versions: BTreeMap<u64, Vec<SplitId>>,
    files: HashMap<SplitId, (Arc<TableRows>, TableFile)>,
    /// The bytes of everything that was found to be read, as long as all of it is known.
    bytes: Option<u64>,
    any: bool,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Restores a checkpoint's progress, or notes where this run begins.
    pub(super) fn restore(&self, restored: &Restored, base: u64, table: &str) {
        let nothing = || Done { table: table.to_owned(), base, through: None, files: 0 };
        self.state().done = Some(restored.done.clone().unwrap_or_else(nothing));
    }

    /// Adds the result of a poll; returns the splits to read.
    pub(super) fn add(&self, found: Vec<Found>, restored: &Progress) -> Result<Vec<Split>> {
        let (mut splits, mut bytes) = (Vec::new(), Some(0));
        let mut state = self.state();
        for Found { version, table, files } in found {
            let Some(done) = &state.done else { return Err(Error::bug("a table is read without a beginning")) };
            let (table_id, base) = (done.table.clone(), done.base);
            // Those that are done and have no entry of their own any more.
            let passed = if next_version(done) == Some(version) { done.files } else { 0 };
            let ids: Vec<SplitId> = files.iter().map(|file| split_id(version, file.path())).collect();
            for (id, file) in ids.iter().zip(files).skip(passed) {
                let begun = restored.get(id);
                if begun.is_some_and(|state| state.done) {
                    continue;
                }
                let position = match begun {
                    Some(state) => Position::read(id, &state.position)?,
                    None => Position { table: table_id.clone(), base, row: 0 },
                };
                bytes = bytes.filter(|_| file.rows().is_some()).map(|sum| sum + file.size());
                splits.push(Split { id: Arc::clone(id), position: position.to_value() });
                let Some(table) = &table else { return Err(Error::bug("files of a version that was not opened")) };
                state.files.insert(Arc::clone(id), (Arc::clone(table), file));
            }
            state.versions.insert(version, ids);
        }
        let before = if state.any { state.bytes } else { Some(0) };
        (state.bytes, state.any) = (before.zip(bytes).map(|(before, new)| before + new), true);
        Ok(splits)
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.state().bytes
    }

    /// A found file.
    pub(super) fn file(&self, id: &SplitId) -> Result<(Arc<TableRows>, TableFile)> {
        self.state().files.get(id).cloned().ok_or_else(|| Error::bug(format!("{id} was never listed")))
    }

    /// Gathers everything that is done, as far as nothing before it is not.
    pub(super) fn compact(&self, progress: &mut Progress) -> Result<()> {
        let mut state = self.state();
        let State { done: Some(done), versions, files, .. } = &mut *state else { return Ok(()) };
        let before = done.clone();
        while let Some((&version, ids)) = versions.first_key_value() {
            let passed = if next_version(done) == Some(version) { done.files } else { 0 };
            let is_done = |id: &&SplitId| progress.get(*id).is_some_and(|state| state.done);
            let more = ids.iter().skip(passed).take_while(is_done).count();
            for id in ids.iter().skip(passed).take(more) {
                progress.remove(id);
                files.remove(id);
            }
            if passed + more < ids.len() {
                done.files = passed + more;
                break;
            }
            (done.through, done.files) = (Some(version), 0);
            versions.pop_first();
        }
        if *done != before {
            done.insert(progress);
        }
        Ok(())
    }
}

/// The version whose files are counted by `done.files`.
fn next_version(done: &Done) -> Option<u64> {
    done.through.map_or(Some(done.base), |through| through.checked_add(1))
}
