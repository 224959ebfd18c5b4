//! A pipeline's state in a folder of a local disk: one file per epoch, one lock.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::Value;

use super::lock::{FolderLock, not_writable};
use super::{Checkpoint, Depot, LocalDepot, Put, StateStore};
use crate::codes::STATE_DAMAGED;
use crate::{Error, Result};

/// Checkpoints of one pipeline in a folder, locked for this process while it lives.
///
/// `epoch-0000000042.json` is the checkpoint of epoch 42. `committed-0000000042` notes that its
/// commits are done, and holds the digest of that checkpoint. A note that outlives its checkpoint
/// does not apply to the next one of this number. The latest three checkpoints are kept.
/// `last-run.json` has the facts of the last run. Folders besides them are the depot.
pub struct LocalState {
    folder: PathBuf,
    depot: LocalDepot,
    /// Held while the state is open for writing.
    _lock: Option<FolderLock>,
}

const KEPT_CHECKPOINTS: u64 = 3;
/// The facts of the last run.
const LAST_RUN: &str = "last-run.json";
/// The prefix of the name of a checkpoint that is being written.
const UNFINISHED: &str = ".epoch-";
/// The prefix of the name of a note.
const NOTE: &str = "committed-";
/// The longest first line of a checkpoint.
const MAX_HEADER_BYTES: u64 = 4096;

impl LocalState {
    /// Opens the state of a pipeline under a state folder, creates it if need be, and locks it.
    ///
    /// # Errors
    /// Another process has it, or the folder can't be written.
    pub fn open(state: &Path, pipeline: &str) -> Result<Self> {
        let folder = state.join(pipeline);
        fs::create_dir_all(&folder).map_err(|error| not_writable(&folder, error))?;
        let lock = FolderLock::take(&folder, &format!("pipeline `{pipeline}`"))?;
        let state = Self::at(folder, Some(lock));
        state.remove_unfinished();
        Ok(state)
    }

    /// Opens the state for reading only, without a lock; `None` if there is none.
    pub fn open_read_only(state: &Path, pipeline: &str) -> Option<Self> {
        let folder = state.join(pipeline);
        folder.is_dir().then(|| Self::at(folder, None))
    }

    fn at(folder: PathBuf, lock: Option<FolderLock>) -> Self {
        Self { depot: LocalDepot::new(&folder), folder, _lock: lock }
    }

    /// Removes what killed processes left while they wrote a checkpoint. Under the lock no other
    /// process writes one. Best effort.
    fn remove_unfinished(&self) {
        for name in self.names().into_iter().flatten().filter(|name| name.starts_with(UNFINISHED)) {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn checkpoint_path(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("epoch-{epoch:010}.json"))
    }

    fn note_path(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("{NOTE}{epoch:010}"))
    }

    fn names(&self) -> Result<Vec<String>> {
        let failed = |error| Error::io(format_args!("list {}", self.folder.display()), error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// The epochs of all checkpoints, in increasing order.
    fn epochs(&self) -> Result<Vec<u64>> {
        let mut epochs: Vec<u64> = self.names()?.iter().filter_map(|name| checkpoint_epoch(name)).collect();
        epochs.sort_unstable();
        Ok(epochs)
    }

    /// What distinguishes the checkpoint of an epoch from every other one.
    fn digest(&self, epoch: u64) -> Option<String> {
        let mut header = Vec::new();
        File::open(self.checkpoint_path(epoch)).ok()?.take(MAX_HEADER_BYTES).read_to_end(&mut header).ok()?;
        Checkpoint::digest_in(&header)
    }

    /// Notes of Wasmill 0.1 are empty. Such a one is of the checkpoint that is there if it was written after it.
    fn is_younger(&self, note: &Path, epoch: u64) -> bool {
        let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
        modified(note).zip(modified(&self.checkpoint_path(epoch))).is_some_and(|(note, checkpoint)| note >= checkpoint)
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn write_new(&self, epoch: u64, bytes: &[u8]) -> std::io::Result<Put> {
        let mut staging = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        staging.write_all(bytes)?;
        staging.as_file().sync_all()?;
        match renameat_with(CWD, staging.path(), CWD, self.checkpoint_path(epoch), RenameFlags::NOREPLACE) {
            Ok(()) => {
                // The file has its new name: there is no temporary one to remove any more.
                let _ = staging.keep();
            }
            Err(rustix::io::Errno::EXIST) => return Ok(Put::Taken),
            Err(error) => return Err(error.into()),
        }
        self.sync_folder()?;
        Ok(Put::Done)
    }

    /// Removes old checkpoints, and old notes, also of checkpoints that are gone. Best effort: what
    /// stays is harmless.
    fn prune(&self, newest: u64, names: &[String]) {
        for name in names {
            if checkpoint_epoch(name).or_else(|| note_epoch(name)).is_some_and(|epoch| epoch + KEPT_CHECKPOINTS <= newest) {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
    }
}

fn checkpoint_epoch(name: &str) -> Option<u64> {
    name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse().ok()
}

fn note_epoch(name: &str) -> Option<u64> {
    name.strip_prefix(NOTE)?.parse().ok()
}

impl StateStore for LocalState {
    fn latest(&self) -> Result<Option<Checkpoint>> {
        let Some(epoch) = self.epochs()?.pop() else { return Ok(None) };
        let path = self.checkpoint_path(epoch);
        let bytes = fs::read(&path).map_err(|error| Error::io(format_args!("read the checkpoint {}", path.display()), error))?;
        let checkpoint = Checkpoint::decode(&bytes).map_err(|what| {
            Error::environment(format!("the checkpoint {} is damaged: {what}", path.display())).code(STATE_DAMAGED).hint(
                "restore it from a backup, or start over with `wasmill state reset` (rows that the sinks hold already are then written again)",
            )
        })?;
        if checkpoint.epoch != epoch {
            return Err(Error::environment(format!("the checkpoint {} is labelled epoch {}", path.display(), checkpoint.epoch))
                .code(STATE_DAMAGED)
                .hint("checkpoints must not be renamed; restore the folder from a backup"));
        }
        Ok(Some(checkpoint))
    }

    fn put(&self, checkpoint: &Checkpoint) -> Result<Put> {
        let epoch = checkpoint.epoch;
        let bytes = checkpoint.encode()?;
        if self.write_new(epoch, &bytes).map_err(|error| not_writable(&self.folder, error))? == Put::Taken {
            return Ok(Put::Taken);
        }
        // Old checkpoints are removed, so a suspended process could find its epoch's name free
        // again. But then there is a newer one, and it was there before its own put ended.
        let names = self.names()?;
        if names.iter().filter_map(|name| checkpoint_epoch(name)).any(|newest| newest > epoch) {
            let _ = fs::remove_file(self.checkpoint_path(epoch));
            return Ok(Put::Taken);
        }
        self.prune(epoch, &names);
        Ok(Put::Done)
    }

    fn note_committed(&self, epoch: u64) {
        let Some(digest) = self.digest(epoch) else { return };
        let _ = fs::write(self.note_path(epoch), digest);
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        let path = self.note_path(epoch);
        match fs::read_to_string(&path) {
            Ok(noted) if noted.is_empty() => self.is_younger(&path, epoch),
            Ok(noted) => self.digest(epoch).is_some_and(|digest| digest == noted),
            Err(_) => false,
        }
    }

    fn note_run(&self, run: &Value) -> Result<()> {
        let written = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder).and_then(|mut staging| {
            staging.write_all(run.to_string().as_bytes())?;
            staging.as_file().sync_all()?;
            staging.persist(self.folder.join(LAST_RUN))?;
            Ok(())
        });
        written.map_err(|error| not_writable(&self.folder, error))
    }

    fn last_run(&self) -> Result<Option<Value>> {
        let path = self.folder.join(LAST_RUN);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Error::environment(format!("{} can't be read: {error}", path.display()))
                    .code(STATE_DAMAGED)
                    .hint("remove it: the next run writes it again, and no run needs it")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
        }
    }

    fn newest_epoch(&self) -> Result<Option<u64>> {
        Ok(self.epochs()?.pop())
    }

    fn forget_before(&self, first: &Checkpoint) -> Result<()> {
        let remove = |path: PathBuf| match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(format_args!("remove {}", path.display()), error)),
            _ => Ok(()),
        };
        let older = self.epochs()?.into_iter().filter(|older| *older < first.epoch);
        older.map(|older| self.checkpoint_path(older)).try_for_each(remove)?;
        self.names()?.iter().filter(|name| note_epoch(name).is_some()).try_for_each(|name| remove(self.folder.join(name)))?;
        self.sync_folder().map_err(|error| not_writable(&self.folder, error))?;
        self.depot.clear_others(first.incarnation)
    }

    fn depot(&self) -> Arc<dyn Depot> {
        Arc::new(self.depot.clone())
    }

    fn location(&self) -> String {
        self.folder.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;

    fn checkpoint(epoch: u64) -> Checkpoint {
        Checkpoint {
            pipeline: "p".into(),
            incarnation: Uuid::nil(),
            epoch,
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }

    #[test]
    fn one_epoch_is_put_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        assert_eq!(state.put(&checkpoint(1)).unwrap(), Put::Done);
        assert_eq!(state.put(&checkpoint(1)).unwrap(), Put::Taken);
        assert_eq!(state.latest().unwrap().unwrap().epoch, 1);
    }

    #[test]
    fn an_epoch_that_was_pruned_is_still_taken() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        for epoch in 1..=9 {
            assert_eq!(state.put(&checkpoint(epoch)).unwrap(), Put::Done);
        }
        assert!(!state.checkpoint_path(2).exists());
        assert_eq!(state.put(&checkpoint(2)).unwrap(), Put::Taken);
        assert_eq!(state.latest().unwrap().unwrap().epoch, 9);
    }

    #[test]
    fn a_second_process_gets_the_holder_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let _first = LocalState::open(folder.path(), "p").unwrap();
        let error = LocalState::open(folder.path(), "p").err().unwrap();
        assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
        LocalState::open(folder.path(), "q").unwrap();
    }

    #[test]
    fn a_damaged_checkpoint_is_an_error_and_never_an_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        state.put(&checkpoint(1)).unwrap();
        state.put(&checkpoint(2)).unwrap();
        let bytes = fs::read(state.checkpoint_path(2)).unwrap();
        fs::write(state.checkpoint_path(2), &bytes[..bytes.len() / 2]).unwrap();
        let error = state.latest().unwrap_err();
        assert!(error.message().contains("epoch-0000000002.json is damaged"), "{error}");
    }

    #[test]
    fn a_note_holds_nothing_about_another_checkpoint_of_its_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        state.put(&checkpoint(7)).unwrap();
        state.note_committed(7);
        assert!(state.is_noted_committed(7));
        // A process that is killed while it prunes or clears leaves the note alone.
        fs::remove_file(state.checkpoint_path(7)).unwrap();
        assert!(!state.is_noted_committed(7), "of a checkpoint that is gone");
        state.put(&Checkpoint { incarnation: Uuid::now_v7(), ..checkpoint(7) }).unwrap();
        assert!(!state.is_noted_committed(7), "of another life");
    }

    #[test]
    fn clearing_and_pruning_take_notes_without_a_checkpoint_too() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        fs::write(state.note_path(2), "").unwrap();
        state.put(&checkpoint(6)).unwrap();
        assert!(!state.note_path(2).exists());
        fs::write(state.note_path(9), "").unwrap();
        state.put(&checkpoint(7)).unwrap();
        state.forget_before(&checkpoint(7)).unwrap();
        assert!(!state.note_path(9).exists());
        assert_eq!((state.epochs().unwrap(), state.newest_epoch().unwrap()), (vec![7], Some(7)));
    }

    #[test]
    fn empty_notes_of_the_first_version_count_if_they_are_younger_than_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        fs::write(state.note_path(1), "").unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        File::options().write(true).open(state.note_path(1)).unwrap().set_modified(long_ago).unwrap();
        state.put(&checkpoint(1)).unwrap();
        assert!(!state.is_noted_committed(1), "it was there before the checkpoint");
        fs::write(state.note_path(1), "").unwrap();
        assert!(state.is_noted_committed(1));
    }

    #[test]
    fn what_a_killed_process_left_half_written_is_removed_under_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        drop(LocalState::open(folder.path(), "p").unwrap());
        let half = folder.path().join("p/.epoch-AbCdEf");
        fs::write(&half, "{").unwrap();
        LocalState::open_read_only(folder.path(), "p").unwrap();
        assert!(half.exists(), "a read-only open takes no lock, and removes nothing");
        let state = LocalState::open(folder.path(), "p").unwrap();
        assert!(!half.exists());
        fs::write(&half, "{").unwrap();
        assert!(LocalState::open(folder.path(), "p").is_err());
        assert!(half.exists(), "another process may be writing it");
        drop(state);
    }

    #[test]
    fn the_depot_lies_beside_the_checkpoints_and_goes_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let state = LocalState::open(folder.path(), "p").unwrap();
        let key = super::super::DepotKey { folder: "spool/p.s", incarnation: Uuid::nil(), epoch: 1, kind: "rows" };
        let file = state.depot().create(&key).unwrap().finish().unwrap();
        state.depot().seal(std::slice::from_ref(&file)).unwrap();
        assert!(folder.path().join("p").join(&file.name).is_file());
        state.forget_before(&Checkpoint { incarnation: Uuid::now_v7(), ..checkpoint(1) }).unwrap();
        assert!(!folder.path().join("p").join(&file.name).exists());
    }
}
