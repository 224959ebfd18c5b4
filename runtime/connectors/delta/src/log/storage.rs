//! The files of a log: read, listed, put once, removed. There are two kinds: files of a folder and
//! objects of a bucket.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use wasmill_engine::{Error, Result};

use super::Put;
use crate::codes::{DAMAGED, UNREADABLE};
use crate::place::Place;
use crate::staging::STAGING;
use wasmill_connect::durable::{create_folder, parent_of, rename_new, sync_folder, write_new};
use wasmill_engine::codes::DISK;
use wasmill_objects::{Bucket, Object, S3Uri};

/// A file of a log.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) written: SystemTime,
}

/// The log of one table.
pub(super) enum Storage {
    Folder { table: PathBuf, log: PathBuf },
    Bucket { bucket: Arc<Bucket>, log: S3Uri },
}

impl Storage {
    /// The log of the table at a place; it need not exist.
    pub(super) fn of(place: &Place) -> Self {
        match place {
            Place::Folder(table) => Self::Folder { log: table.join("_delta_log"), table: table.clone() },
            Place::Bucket(bucket, table) => {
                let log = S3Uri { bucket: table.bucket.clone(), key: table.below("_delta_log") };
                Self::Bucket { bucket: Arc::clone(bucket), log }
            }
        }
    }

    /// Whether some file's name satisfies the predicate.
    pub(super) fn any(&self, is: impl Fn(&str) -> bool) -> Result<bool> {
        match self {
            Self::Folder { .. } => Ok(self.list()?.iter().any(|listed| is(&listed.name))),
            Self::Bucket { bucket, log } => bucket.any(&log.key, |object| is(object.name())),
        }
    }

    /// All files; none if there is no log.
    pub(super) fn list(&self) -> Result<Vec<Listed>> {
        match self {
            Self::Folder { log, .. } => list_folder(log),
            Self::Bucket { bucket, log } => {
                let listed = |object: Object| Listed { name: object.name().to_owned(), written: object.modified };
                Ok(bucket.list(&log.key)?.into_iter().map(listed).collect())
            }
        }
    }

    /// A file's text; none if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>> {
        match self {
            Self::Folder { log, .. } => match fs::read_to_string(log.join(name)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::io(format!("read {}", log.join(name).display()), error).or_code(UNREADABLE)),
            },
            Self::Bucket { bucket, log } => {
                let Some(bytes) = bucket.read(&log.below(name))? else { return Ok(None) };
                let text = String::from_utf8(bytes.into());
                text.map(Some).map_err(|_| Error::environment(format!("{log}/{name} is damaged: it is not UTF-8")).code(DAMAGED))
            }
        }
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        match self {
            Self::Folder { log, .. } => Ok(log.join(name).exists()),
            Self::Bucket { bucket, log } => Ok(bucket.metadata(&log.below(name))?.is_some()),
        }
    }

    /// Puts a file, durably and whole, unless there is one of that name.
    pub(super) fn put_new(&self, name: &str, text: &str, draft: &str) -> Result<Put> {
        match self {
            Self::Folder { table, log } => put_file(table, log, name, text, draft),
            Self::Bucket { bucket, log } => match bucket.write_new(&log.below(name), &Bytes::copy_from_slice(text.as_bytes()))? {
                wasmill_objects::Put::Done => Ok(Put::Done),
                wasmill_objects::Put::Taken => Ok(Put::Taken),
            },
        }
    }

    /// Makes durable what others have put here.
    pub(super) fn sync(&self) -> Result<()> {
        match self {
            Self::Folder { log, .. } => sync_folder(log),
            Self::Bucket { .. } => Ok(()),
        }
    }

    /// Removes files.
    pub(super) fn remove(&self, names: Vec<String>) -> Result<()> {
        match self {
            Self::Folder { log, .. } => names.iter().try_for_each(|name| {
                let path = log.join(name);
                fs::remove_file(&path).map_err(|error| Error::io(format!("remove {}", path.display()), error))
            }),
            Self::Bucket { bucket, log } => bucket.remove(names.iter().map(|name| log.below(name))),
        }
    }
}

fn list_folder(folder: &Path) -> Result<Vec<Listed>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| Error::io(format!("list {}", folder.display()), error).or_code(UNREADABLE))?,
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(format!("list {}", folder.display()), error).or_code(UNREADABLE))?;
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| Error::io(format!("read the metadata of {}", entry.path().display()), error))?;
        listed.push(Listed { name: entry.file_name().to_string_lossy().into_owned(), written });
    }
    Ok(listed)
}

fn put_file(table: &Path, log: &Path, name: &str, text: &str, draft: &str) -> Result<Put> {
    let staged = table.join(STAGING).join(format!("{draft}.log"));
    create_folder(log)?;
    create_folder(parent_of(&staged))?;
    write_new(&staged, text.as_bytes())?;
    let path = log.join(name);
    let renamed = rename_new(&staged, &path);
    if renamed.is_err() {
        // Never part of the log; what can't be removed now is removed by the next start.
        let _ = fs::remove_file(&staged);
    }
    match renamed {
        Ok(()) => sync_folder(log).map(|()| Put::Done),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Taken),
        Err(error) => Err(Error::io(format!("write {}", path.display()), error).or_code(DISK)),
    }
}
