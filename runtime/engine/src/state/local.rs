//! A pipeline's state in a folder of a local disk: one file an epoch, one lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Checkpoint, Put, StateStore};
use crate::{Error, Result};

/// Checkpoints of one pipeline in a folder, locked for this process while it lives.
///
/// `epoch-0000000042.json` is the checkpoint of epoch 42; `committed-0000000042` notes that its commits are done. The newest three
/// checkpoints are kept.
pub struct LocalState {
    folder: PathBuf,
    /// Held for its lock; the kernel lets go of it when the process ends, however it ends.
    _lock: Option<File>,
}

const KEPT_CHECKPOINTS: u64 = 3;

impl LocalState {
    /// Opens the state of a pipeline under a state folder, makes it if need be, and locks it.
    ///
    /// # Errors
    /// Another process has it, or the folder can't be written.
    pub fn open(state: &Path, pipeline: &str) -> Result<Self> {
        let folder = state.join(pipeline);
        let shown = folder.display();
        fs::create_dir_all(&folder).map_err(|error| not_writable(&folder, error))?;
        let path = folder.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| not_writable(&folder, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = lock.read_to_string(&mut owner);
                let owner = owner.trim();
                let who = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
                return Err(Error::environment(format!("another process{who} is running pipeline `{pipeline}` with the state in {shown}"))
                    .hint("wait for it, stop it, or give this run a state folder of its own with --state"));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(format_args!("lock {}", path.display()), error)),
        }
        let note = |lock: &mut File| lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        note(&mut lock).map_err(|error| not_writable(&folder, error))?;
        Ok(Self { folder, _lock: Some(lock) })
    }

    /// Opens the state for reading only, without a lock: `None` if there is none.
    pub fn look(state: &Path, pipeline: &str) -> Option<Self> {
        let folder = state.join(pipeline);
        folder.is_dir().then_some(Self { folder, _lock: None })
    }

    fn checkpoint_path(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("epoch-{epoch:010}.json"))
    }

    fn note_path(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("committed-{epoch:010}"))
    }

    /// The epochs of all checkpoints, in increasing order.
    fn epochs(&self) -> Result<Vec<u64>> {
        let failed = |error| Error::io(format_args!("list {}", self.folder.display()), error);
        let mut epochs = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            epochs.extend(name.to_str().and_then(|name| name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn write_new(&self, epoch: u64, bytes: &[u8]) -> std::io::Result<Put> {
        let mut staging = tempfile::Builder::new().prefix(".epoch-").tempfile_in(&self.folder)?;
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

    /// Best effort: an old checkpoint that stays does no harm.
    fn prune(&self, newest: u64, epochs: &[u64]) {
        for &epoch in epochs.iter().filter(|&&epoch| epoch + KEPT_CHECKPOINTS <= newest) {
            let _ = fs::remove_file(self.checkpoint_path(epoch));
            let _ = fs::remove_file(self.note_path(epoch));
        }
    }
}

fn not_writable(folder: &Path, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull => "free some space; the next run goes on where this one stopped",
        _ => "checkpoints are kept there; make it writable, or choose another folder with --state",
    };
    Error::io(format_args!("write to the state folder {}", folder.display()), error).hint(hint)
}

impl StateStore for LocalState {
    fn latest(&self) -> Result<Option<Checkpoint>> {
        let Some(epoch) = self.epochs()?.pop() else { return Ok(None) };
        let path = self.checkpoint_path(epoch);
        let bytes = fs::read(&path).map_err(|error| Error::io(format_args!("read the checkpoint {}", path.display()), error))?;
        let checkpoint = Checkpoint::decode(&bytes).map_err(|what| {
            Error::environment(format!("the checkpoint {} is damaged: {what}", path.display())).hint(
                "restore it from a backup, or begin anew with `wasmill state reset` (rows that the sinks hold already would then come again)",
            )
        })?;
        if checkpoint.epoch != epoch {
            return Err(Error::environment(format!("the checkpoint {} says that it is of epoch {}", path.display(), checkpoint.epoch))
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
        // Old checkpoints are removed, so a process that slept could find its epoch's name free again; but then
        // there is a newer one, and there was before its own put ended.
        let epochs = self.epochs()?;
        if epochs.last().is_some_and(|&newest| newest > epoch) {
            let _ = fs::remove_file(self.checkpoint_path(epoch));
            return Ok(Put::Taken);
        }
        self.prune(epoch, &epochs);
        Ok(Put::Done)
    }

    fn note_committed(&self, epoch: u64) {
        let _ = File::create(self.note_path(epoch));
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        self.note_path(epoch).exists()
    }

    fn clear(&self) -> Result<()> {
        for epoch in self.epochs()? {
            let path = self.checkpoint_path(epoch);
            fs::remove_file(&path).map_err(|error| Error::io(format_args!("remove {}", path.display()), error))?;
            let _ = fs::remove_file(self.note_path(epoch));
        }
        self.sync_folder().map_err(|error| not_writable(&self.folder, error))
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
        Checkpoint { pipeline: "p".into(), incarnation: Uuid::nil(), epoch, sources: BTreeMap::new(), sinks: BTreeMap::new() }
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
    fn a_second_process_is_told_who_has_it() {
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
}
