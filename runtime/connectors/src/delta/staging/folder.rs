//! Data files in a hidden folder of the table, renamed to their place by the commit.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wasmill_engine::{Error, Result};

use super::{DataOutput, STAGING};
use crate::delta::prepared::DataFile;
use crate::durable::{create_folder, parent_of, remove_folder_of_files, rename_new, sync_file, sync_folder};
use crate::write_behind::WriteBehind;

/// The staging of one sink of one pipeline.
#[derive(Clone)]
pub(crate) struct FolderStaging {
    table: PathBuf,
    staging: PathBuf,
}

impl FolderStaging {
    pub(super) fn new(table: PathBuf, owner: &str) -> Self {
        Self { staging: table.join(STAGING).join(owner), table }
    }

    pub(super) fn create(&self, name: &str) -> Result<DataOutput> {
        create_folder(&self.staging)?;
        let path = self.staging.join(name);
        let file = File::create_new(&path).map_err(|error| Error::io(format!("create {}", path.display()), error))?;
        Ok(DataOutput::File(WriteBehind::new(file), path))
    }

    /// Gives a file up. Best effort: the next start removes what stays.
    pub(crate) fn discard(&self, name: &str) {
        let _ = fs::remove_file(self.staging.join(name));
    }

    pub(super) fn settle(&self, files: &[DataFile]) -> Result<()> {
        for file in files {
            sync_file(&self.staging.join(&file.staged))?;
        }
        if files.is_empty() { Ok(()) } else { sync_folder(&self.staging) }
    }

    pub(super) fn publish(&self, files: &[DataFile]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for file in files {
            let (from, to) = (self.staging.join(&file.staged), self.table.join(&file.path));
            let folder = parent_of(&to);
            if folders.insert(folder.to_path_buf()) {
                create_folder(folder)?;
            }
            match rename_new(&from, &to) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => published(&from, &to, file)?,
                Err(error) => return Err(Error::io(format!("move {} to {}", from.display(), to.display()), error)),
            }
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    pub(super) fn clean_up(&self) -> Result<()> {
        remove_folder_of_files(&self.staging)
    }
}

/// Fails unless a file that could not be moved is there already.
fn published(from: &Path, to: &Path, file: &DataFile) -> Result<()> {
    match fs::metadata(to) {
        Ok(found) if found.len() == file.size => Ok(()),
        Ok(found) => Err(Error::environment(format!("{} has {} bytes instead of {}", to.display(), found.len(), file.size))
            .hint("somebody changed the table's files; nothing was removed")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::environment(format!("a prepared file is gone: it is neither in {} nor in {}", from.display(), to.display()))
                .hint("somebody removed it; restore it, or give these rows up with `wasmill state reset`"))
        }
        Err(error) => Err(Error::io(format!("look at {}", to.display()), error)),
    }
}
