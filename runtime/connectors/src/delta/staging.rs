//! Data files between their first row and their commit.
//!
//! In a folder they lie in a hidden folder of the table and are renamed to their place. In a bucket they are uploads at their place, which
//! nobody sees until they are completed. Either way the prepared commit says all that another process needs to publish them.

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
use crate::durable::{owner_name, written};
use crate::s3::{ObjectWriter, UploadEpoch, Uploading};
use crate::write_behind::WriteBehind;

/// The folder of a table in which files wait for their commit. Delta's readers and its vacuum pass over names that begin with `_`.
pub(super) const STAGING: &str = "_wasmill";

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

    /// The most data files that a lane may have open.
    pub(crate) fn max_open_files(&self) -> usize {
        match self {
            Self::Folder(_) => 32,
            // Each fills a part in memory.
            Self::Uploads(_) => 12,
        }
    }

    /// What is put between the lane and the rest of a data file's name, so that what is left over is recognised.
    pub(crate) fn mark(&self) -> String {
        match self {
            Self::Folder(_) => String::new(),
            Self::Uploads(uploads) => format!("{}-", uploads.owner()),
        }
    }

    /// Begins a data file of an epoch. `folder` ends with a slash, or is empty.
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

    /// Makes files durable, and completes what the prepared commit says of them.
    pub(crate) fn settle(&self, files: &mut [DataFile]) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.settle(files),
            Self::Uploads(uploads) => uploads.settle(files),
        }
    }

    /// Moves files to where the log will say that they are, durably. What was moved before is fine.
    pub(crate) fn publish(&self, files: &[DataFile]) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.publish(files),
            Self::Uploads(uploads) => uploads.publish(files),
        }
    }

    /// Removes what earlier processes left.
    pub(crate) fn clean_up(&self, claim: &Token) -> Result<()> {
        match self {
            Self::Folder(staging) => staging.clean_up(),
            Self::Uploads(uploads) => uploads.clean_up(claim),
        }
    }
}

/// Where the bytes of a data file go.
pub(crate) enum DataOutput {
    /// A file in the staging folder.
    File(WriteBehind, PathBuf),
    /// An object.
    Object(ObjectWriter),
}

impl DataOutput {
    /// Its name, for people.
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

    /// Ends it: its size, and what of it is still on its way.
    pub(crate) fn finish(&mut self) -> Result<(u64, Option<Uploading>)> {
        match self {
            Self::File(file, path) => {
                let shared = file.share().map_err(|error| Error::io(format!("write {}", path.display()), error))?;
                written(path, shared)?;
                Ok((file.written(), None))
            }
            Self::Object(object) => {
                let uploading = object.finish()?;
                Ok((object.size(), Some(uploading)))
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
