//! The names of the files of a log, and small files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use wasmill_engine::codes::DISK;
use wasmill_engine::disk::sync_folder;
use wasmill_engine::{Error, Result};

const SEGMENT: &str = "segment-";
const KEYS: &str = "keys-";
/// The extension of files that are being written.
const UNFINISHED: &str = "unfinished";

/// The path of the segment that begins with a record.
pub(super) fn segment(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{SEGMENT}{first:020}"))
}

/// The path of the keys of that segment.
pub(super) fn keys(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{KEYS}{first:020}"))
}

/// The first records of the segments of a folder, and those of files of keys, in order.
pub(super) fn list(folder: &Path) -> Result<(Vec<u64>, Vec<u64>)> {
    let failed = |error| Error::io(format_args!("list {}", folder.display()), error).or_code(DISK);
    let (mut segments, mut keys) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((segments, keys)),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = |prefix: &str| name.strip_prefix(prefix).filter(|rest| rest.len() == 20).and_then(|rest| rest.parse::<u64>().ok());
        segments.extend(number(SEGMENT));
        keys.extend(number(KEYS));
    }
    segments.sort_unstable();
    keys.sort_unstable();
    Ok((segments, keys))
}

/// Replaces a small file; durable when it returns.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let write = || -> io::Result<()> {
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|error| Error::io(format_args!("write {}", path.display()), error).or_code(DISK))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes what a process left behind that was killed within [`replace`].
pub(super) fn remove_unfinished(folder: &Path) -> Result<()> {
    let failed = |error| Error::io(format_args!("list {}", folder.display()), error).or_code(DISK);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Reads a small file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(DISK)),
    }
}

/// Removes a file. A missing one is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    wasmill_connect::durable::remove_file(path)
}
