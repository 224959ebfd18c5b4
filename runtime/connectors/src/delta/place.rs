//! Where a table lies: in a folder of this machine or in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmill_engine::{Error, Result};

use super::config::{DeltaConfig, Location};
use crate::s3::{Bucket, Patience, S3Uri};

/// The place of one table, which can be reached.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder, absolute.
    Folder(PathBuf),
    /// A prefix of a bucket.
    Bucket(Arc<Bucket>, S3Uri),
}

impl Place {
    /// The place that a configuration names.
    pub(crate) fn open(config: &DeltaConfig, patience: Patience) -> Result<Self> {
        match config.location()? {
            Location::Folder(folder) => Self::folder(&folder),
            Location::S3(uri) => Ok(Self::Bucket(Bucket::open(&uri.bucket, &config.s3.clone().unwrap_or_default(), patience)?, uri)),
        }
    }

    /// A folder, which need not exist.
    pub(crate) fn folder(folder: &Path) -> Result<Self> {
        std::path::absolute(folder).map(Self::Folder).map_err(|error| Error::io(format!("find {}", folder.display()), error))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(_, uri) => uri.fmt(f),
        }
    }
}
