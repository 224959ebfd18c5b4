//! Data files in a hidden folder of the table, renamed to their place by the commit.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wasmill_engine::{Error, Result, failpoint};

use super::{DataOutput, STAGING};
use crate::codes::FILE_TAKEN;
use crate::prepared::DataFile;
use wasmill_connect::durable::{
    create_folder, create_folders, parent_of, remove_file, remove_folder_of_files, rename_new, sync_files, sync_folder, sync_folders,
};
use wasmill_engine::codes::{DISK, PREPARED_FILE_DAMAGED, PREPARED_FILE_GONE};
use wasmill_engine::disk::WriteBehind;

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

    /// The table.
    pub(super) fn table(&self) -> &Path {
        &self.table
    }

    /// Where files wait for their commit.
    pub(super) fn folder(&self) -> &Path {
        &self.staging
    }

    pub(super) fn create(&self, name: &str) -> Result<DataOutput> {
        create_folder(&self.staging)?;
        let path = self.staging.join(name);
        let file = File::create_new(&path).map_err(|error| Error::io(format!("create {}", path.display()), error).or_code(DISK))?;
        Ok(DataOutput::File(WriteBehind::new(file), path))
    }

    /// Aborts a file. Best effort: the next start removes what stays.
    pub(crate) fn discard(&self, name: &str) {
        let _ = fs::remove_file(self.staging.join(name));
    }

    pub(super) fn settle(&self, files: &[DataFile]) -> Result<()> {
        sync_files(&files.iter().map(|file| self.staging.join(&file.staged)).collect::<Vec<_>>())?;
        if files.is_empty() { Ok(()) } else { sync_folder(&self.staging) }
    }

    pub(super) fn publish(&self, files: &[DataFile]) -> Result<()> {
        let places: Vec<PathBuf> = files.iter().map(|file| self.table.join(&file.path)).collect();
        let folders: BTreeSet<&Path> = places.iter().map(|place| parent_of(place)).collect();
        create_folders(folders.iter().copied())?;
        for (file, to) in files.iter().zip(&places) {
            let from = self.staging.join(&file.staged);
            if let Ok(found) = fs::symlink_metadata(&from) {
                is_whole(&from, found.len(), file)?;
            }
            match rename_new(&from, to) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => published(&from, to, file)?,
                Err(error) => return Err(Error::io(format!("move {} to {}", from.display(), to.display()), error).or_code(DISK)),
            }
        }
        sync_folders(folders)
    }

    pub(super) fn withdraw(&self, files: &[DataFile]) -> Result<()> {
        files.iter().try_for_each(|file| match fs::remove_file(self.table.join(&file.path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", self.table.join(&file.path).display()), error).or_code(DISK))
            }
            _ => Ok(()),
        })
    }

    pub(super) fn clean_up(&self, is_left_over: impl Fn(&str) -> bool) -> Result<()> {
        let listing = |error| Error::io(format!("list {}", self.staging.display()), error);
        let entries = match fs::read_dir(&self.staging) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.map_err(listing)?.collect::<io::Result<Vec<_>>>().map_err(listing)?,
        };
        failpoint::hit("sink-clean-up");
        // The folder stays: a successor may be about to create a file in it.
        let left = entries.iter().filter(|entry| entry.file_name().to_str().is_some_and(&is_left_over));
        left.map(|entry| entry.path()).try_for_each(|path| remove_file(&path))
    }

    pub(super) fn clear(&self) -> Result<()> {
        remove_folder_of_files(&self.staging)
    }
}

/// Fails unless a staged file has the size that was prepared: what becomes a part of the table is whole.
fn is_whole(staged: &Path, size: u64, file: &DataFile) -> Result<()> {
    if size == file.size {
        return Ok(());
    }
    Err(Error::environment(format!("{} has {size} bytes, and {} were written", staged.display(), file.size))
        .code(PREPARED_FILE_DAMAGED)
        .hint("another program changed it; restore it, or give these rows up with `wasmill state reset`"))
}

/// Fails unless a file that could not be moved is there already.
fn published(from: &Path, to: &Path, file: &DataFile) -> Result<()> {
    match fs::metadata(to) {
        Ok(found) if found.len() == file.size => Ok(()),
        Ok(found) => Err(Error::environment(format!("{} has {} bytes instead of {}", to.display(), found.len(), file.size))
            .code(FILE_TAKEN)
            .hint("another program changed the table's files; nothing was removed")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::environment(format!("a prepared file is gone: it is neither in {} nor in {}", from.display(), to.display()))
                .code(PREPARED_FILE_GONE)
                .hint("another program removed it; restore it, or drop these rows with `wasmill state reset`"))
        }
        Err(error) => Err(Error::io(format!("read the metadata of {}", to.display()), error)),
    }
}
