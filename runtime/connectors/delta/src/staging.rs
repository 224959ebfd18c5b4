//! Data files between their first row and their commit.
//!
//! In a folder they lie in a hidden folder of the table and are renamed to their place. In a bucket
//! they are uploads at their place, which are invisible until they are completed. Either way the
//! prepared commit holds all that another process needs to publish them.

mod folder;
mod uploads;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use wasmill_engine::{Error, Result, Token};

use self::folder::FolderStaging;
pub(crate) use self::uploads::UploadStaging;
use super::place::Place;
use super::prepared::DataFile;
use wasmill_connect::durable::{longest_name, owner_name, written};
use wasmill_connect::staged::{StagedMark, number};
use wasmill_engine::codes::DISK;
use wasmill_engine::disk::WriteBehind;
use wasmill_lake::Limits;
use wasmill_objects::{ObjectWriter, UploadEpoch, Uploading};

/// The folder of a table in which files await their commit. Delta's readers and its vacuum skip
/// names that begin with `_`.
pub(super) const STAGING: &str = "_wasmill";

/// The longest name of a data file, in bytes: numbers as long as they can be.
const LONGEST_FILE_NAME: usize = 180;
/// The longest path of a file that the system supports, in bytes.
const LONGEST_PATH: usize = 4095;

/// What one sink of one pipeline has not committed yet.
#[derive(Clone)]
pub(crate) enum Staging {
    /// In a hidden folder of the table.
    Folder(FolderStaging),
    /// As uploads.
    Uploads(Arc<UploadStaging>),
}

impl Staging {
    /// The staging of one sink of one pipeline. Touches nothing.
    pub(crate) fn new(place: &Place, pipeline: &str, sink: &str) -> Self {
        match place {
            Place::Folder(table) => Self::Folder(FolderStaging::new(table.clone(), &owner_name(pipeline, sink))),
            Place::Bucket(bucket, table) => Self::Uploads(Arc::new(UploadStaging::new(bucket, table, pipeline, sink))),
        }
    }

    /// How long the folders of partitions may be, which lie below the table.
    pub(crate) fn limits(&self) -> Limits {
        match self {
            Self::Folder(staging) => {
                let table = staging.table();
                let path = LONGEST_PATH.saturating_sub(table.as_os_str().len() + 1 + LONGEST_FILE_NAME);
                Limits { name: longest_name(table), path, place: "this file system" }
            }
            Self::Uploads(uploads) => {
                let (bucket, table) = uploads.table();
                Limits { name: bucket.longest_name(), path: wasmill_objects::longest_folder(table, LONGEST_FILE_NAME), place: "this store" }
            }
        }
    }

    /// Where rows wait for which memory has no room; none where the table is not on this machine.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(staging) => Some(staging.folder().to_path_buf()),
            Self::Uploads(_) => None,
        }
    }

    /// The most data files that a lane opens before the epoch's end.
    pub(crate) fn max_open_files(&self) -> usize {
        match self {
            Self::Folder(_) => 32,
            // Each fills a part in memory.
            Self::Uploads(_) => 12,
        }
    }

    /// The prefix of a data file's name, by which left-over files are recognised.
    pub(crate) fn mark(&self) -> String {
        match self {
            Self::Folder(_) => String::new(),
            Self::Uploads(uploads) => format!("{}-", uploads.owner()),
        }
    }

    /// Starts a data file of an epoch. `folder` ends with a slash, or is empty.
    pub(crate) fn create(&self, epoch: UploadEpoch, folder: &str, name: &str) -> Result<DataOutput> {
        match self {
            Self::Folder(staging) => staging.create(name),
            Self::Uploads(uploads) => Ok(DataOutput::Object(uploads.create(epoch, folder, name))),
        }
    }

    /// Keeps what is still on its way until the commit is prepared.
    pub(crate) fn keep(&self, uploading: Vec<Uploading>) {
        if let Self::Uploads(uploads) = self {
            uploads.keep(uploading);
        }
    }

    /// Makes files durable, and completes their entries in the prepared commit.
    pub(crate) fn settle(&self, files: &mut [DataFile]) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.settle(files),
            Self::Uploads(uploads) => uploads.settle(files),
        }
    }

    /// Moves files to the place in their log entries, durably. Files that were moved before are
    /// fine.
    pub(crate) fn publish(&self, files: &[DataFile]) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.publish(files),
            Self::Uploads(uploads) => uploads.publish(files),
        }
    }

    /// Removes published files that are in no version.
    pub(crate) fn withdraw(&self, files: &[DataFile]) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.withdraw(files),
            Self::Uploads(uploads) => {
                let (bucket, table) = uploads.table();
                bucket.remove(files.iter().map(|file| table.below(&file.path)))
            }
        }
    }

    /// Removes what processes before this claim left. Files with names of earlier versions, which
    /// do not hold the incarnation, count only where the table's token is of the claim's
    /// (`is_ours`).
    pub(crate) fn clean_up(&self, claim: &Token, is_ours: bool) -> Result<()> {
        let is_left_over = |name: &str| is_left_over(name, &self.mark(), claim, is_ours);
        match self {
            Self::Folder(staging) => staging.clean_up(is_left_over),
            Self::Uploads(uploads) => uploads.clean_up(claim),
        }
    }

    /// Removes everything, where no other process can have the same owner.
    pub(crate) fn clear(&self, claim: &Token) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.clear(),
            Self::Uploads(uploads) => uploads.clean_up(claim),
        }
    }
}

/// Whether a file of this name was left by a process before this claim. `mark` is in the names of
/// one owner's files.
fn is_left_over(name: &str, mark: &str, claim: &Token, is_ours: bool) -> bool {
    match StagedMark::parse(name) {
        Some(staged) => (mark.is_empty() || name.starts_with(&format!("part-{mark}"))) && staged.is_left_over(claim),
        None => is_ours && epoch_of_earlier_versions(name, mark).is_some_and(|epoch| epoch <= claim.epoch),
    }
}

/// The epoch in a name as earlier versions gave it: `part-<epoch>-<lane>-<mark><uuid>.parquet`.
fn epoch_of_earlier_versions(name: &str, mark: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("part-")?.strip_suffix(".parquet")?.splitn(3, '-');
    let (epoch, lane, rest) = (parts.next()?, parts.next()?, parts.next()?);
    uuid::Uuid::try_parse(rest.strip_prefix(mark)?).ok()?;
    number::<usize>(lane)?;
    number(epoch)
}

/// A data file that was written to its end.
pub(crate) struct FinishedOutput {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// The part of it that is still in flight.
    pub(crate) upload: Option<Uploading>,
}

/// Where the bytes of a data file go.
pub(crate) enum DataOutput {
    /// A file in the staging folder.
    File(WriteBehind, PathBuf),
    /// An object.
    Object(ObjectWriter),
}

impl DataOutput {
    /// Its name, for readers.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(_, path) => path.display().to_string(),
            Self::Object(object) => object.shown(),
        }
    }

    /// Bytes of memory that it holds back.
    pub(crate) fn held_back(&self) -> usize {
        match self {
            Self::File(..) => 0,
            Self::Object(object) => object.held_back(),
        }
    }

    /// Ends it.
    pub(crate) fn finish(&mut self) -> Result<FinishedOutput> {
        match self {
            Self::File(file, path) => {
                let shared = file.share().map_err(|error| Error::io(format!("write {}", path.display()), error).or_code(DISK))?;
                written(path, shared)?;
                Ok(FinishedOutput { size: file.written(), upload: None })
            }
            Self::Object(object) => {
                let upload = Some(object.finish()?);
                Ok(FinishedOutput { size: object.size(), upload })
            }
        }
    }
}

impl Write for DataOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.write(bytes),
            Self::Object(object) => object.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file, _) => file.flush(),
            Self::Object(object) => object.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn names_of_earlier_versions_are_left_over_only_where_they_are_ours() {
        let claim = Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::nil(), epoch: 6, previous: 0 };
        let left = |name: &str, mark: &str, is_ours: bool| is_left_over(name, mark, &claim, is_ours);
        let uuid = "6dd9fd0e-5ad7-4bd4-a5a0-1e8bf4ec8ec5";
        let (folder, upload) = (format!("part-0000000006-0-{uuid}.parquet"), format!("part-0000000006-0-0123456789abcdef-{uuid}.parquet"));
        assert!(left(&folder, "", true) && !left(&folder, "", false));
        assert!(left(&upload, "0123456789abcdef-", true) && !left(&upload, "0123456789abcdee-", true) && !left(&upload, "", true));
        assert!(!left(&folder.replace("06-", "07-"), "", true), "a later epoch may be a successor's");
        for name in ["part-optimize-6dd9fd0e-5ad7-4bd4-a5a0-1e8bf4ec8ec5.parquet", "part-1-0-x.parquet", "1.log", "x.parquet"] {
            assert!(!left(name, "", true), "{name}");
        }
        let new = format!("part-0123456789abcdef-{}.parquet", StagedMark::of_commit(&claim));
        assert!(left(&new, "0123456789abcdef-", false) && !left(&new, "fedcba9876543210-", true));
    }
}
