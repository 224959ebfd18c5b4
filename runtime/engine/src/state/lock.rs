//! The lock of a folder: one process at a time works in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use crate::codes::{STATE_IN_USE, STATE_NOT_WRITABLE};
use crate::{Error, Result};

/// A folder that is locked for this process while this value lives. The file `lock` in it holds the number of the process. The kernel releases the lock when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder that exists. `what` names its work in messages: "pipeline `pins`".
    ///
    /// # Errors
    /// Another process has it, or the folder can't be written.
    pub fn take(folder: &Path, what: &str) -> Result<Self> {
        let shown = folder.display();
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| not_writable(folder, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let owner = owner.trim();
                let holder = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
                return Err(Error::environment(format!("another process{holder} is running {what} with the state in {shown}"))
                    .code(STATE_IN_USE)
                    .hint("wait for it, stop it, or give this run a state folder of its own with --state"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::io(format_args!("lock {}", path.display()), error).or_code(STATE_NOT_WRITABLE));
            }
        }
        let note = |file: &mut File| file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        note(&mut file).map_err(|error| not_writable(folder, error))?;
        Ok(Self { _file: file })
    }
}

/// The error of a state folder that can't be written.
pub(super) fn not_writable(folder: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull => "free some space; the next run resumes where this one stopped",
        _ => "checkpoints are kept there; make it writable, or choose another folder with --state",
    };
    Error::io(format_args!("write to the state folder {}", folder.display()), error).or_code(STATE_NOT_WRITABLE).hint(hint)
}
