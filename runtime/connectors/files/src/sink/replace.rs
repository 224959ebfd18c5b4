//! What a sink that overwrites does with the files that are there: its own go, others stop it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wasmill_connect::durable::{parent_of, remove_file, sync_folders};
use wasmill_engine::{Error, Result};

use super::commit::Committer;
use crate::codes::OTHER_FILES;

impl Committer {
    /// Removes files of the sink, durably, and the folders of partitions that are empty then.
    pub(super) fn remove(&self, paths: &[String]) -> Result<()> {
        let places: Vec<PathBuf> = paths.iter().map(|path| self.folder.join(path)).collect();
        places.iter().try_for_each(|place| remove_file(place))?;
        let mut changed: BTreeSet<&Path> = places.iter().map(|place| parent_of(place)).collect();
        for folder in changed.clone() {
            // One that still holds something stays.
            for folder in folder.ancestors().take_while(|folder| *folder != self.folder && folder.starts_with(&self.folder)) {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
                changed.insert(parent_of(folder));
            }
        }
        sync_folders(changed.into_iter().filter(|folder| folder.is_dir()))
    }

    /// Fails if readers of the folder find files that are not of the sink's last commit: they would take them for its rows.
    pub(super) fn check_alone(&self) -> Result<()> {
        let own: BTreeSet<PathBuf> = self.own_files()?.into_iter().map(|file| self.folder.join(file.path)).collect();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let failed = |error| Error::io(format!("list {}", folder.display()), error);
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let (name, path) = (entry.file_name(), entry.path());
                if [b".", b"_"].iter().any(|hidden| name.as_encoded_bytes().starts_with(*hidden)) {
                    continue;
                }
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(path);
                } else if !own.contains(&path) {
                    return Err(other_file(&self.folder, &path));
                }
            }
        }
        Ok(())
    }
}

fn other_file(folder: &Path, path: &Path) -> Error {
    Error::environment(format!("{} overwrites, and {} is not of its last run", folder.display(), path.display())).code(OTHER_FILES).hint(
        "a reader of the folder would take it for a part of the results: move it away, or write into a folder that only this sink has",
    )
}
