//! Where a table lies: in a folder of this machine or in a bucket.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use wasmill_engine::{Error, Result};

use super::config::{DeltaConfig, Location};
use wasmill_objects::{Bucket, RetryTime, S3Uri};

/// The place of one table that can be reached.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder, absolute.
    Folder(PathBuf),
    /// A prefix of a bucket.
    Bucket(Arc<Bucket>, S3Uri),
}

impl Place {
    /// The place of a configuration.
    pub(crate) fn open(config: &DeltaConfig, patience: RetryTime) -> Result<Self> {
        match config.location()? {
            Location::Folder(folder) => Self::folder(&folder),
            Location::S3(uri) => {
                Ok(Self::Bucket(Bucket::open(&uri.bucket, &config.connection.clone().unwrap_or_default(), patience)?, uri))
            }
        }
    }

    /// A folder, which need not exist.
    pub(crate) fn folder(folder: &Path) -> Result<Self> {
        let failed = |error| Error::io(format!("find {}", folder.display()), error);
        let folder = std::path::absolute(folder).map_err(failed)?;
        Ok(Self::Folder(without_parents(&folder)))
    }
}

/// An absolute path without `..`, which no URL may hold. A link that a `..` follows is resolved first, as the system does it.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(_, uri) => uri.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_lead_where_the_system_would_go() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
        assert_eq!(without_parents(&root.join("a/../t")), root.join("t"));
        assert_eq!(without_parents(&root.join("link/../t")), root.join("a/t"), "next to the target of the link");
        assert_eq!(without_parents(&root.join("none/../t")), root.join("t"));
        assert_eq!(without_parents(Path::new("/../t")), Path::new("/t"));
        assert_eq!(without_parents(&root.join("link/t")), root.join("link/t"));
    }
}
