//! The depot of a state in a folder of a local disk.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;
use uuid::Uuid;

use super::depot::{Depot, DepotFile, DepotKey, DepotWriter, EpochId, Verified, damaged, gone, is_left_over, is_of_another};
use crate::codes::DISK;
use crate::disk::{Digested, Unsynced, WriteBehind, create_folder, sync_folder};
use crate::{Error, Result, failpoint};

/// Files below a folder, which is created with the first of them.
#[derive(Debug, Clone)]
pub struct LocalDepot {
    root: PathBuf,
    unsynced: Arc<Unsynced>,
}

impl LocalDepot {
    /// The depot below a folder. Touches nothing.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), unsynced: Arc::default() }
    }

    /// Whether a file exists.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The names of the files directly in a folder, in increasing order, and those of its folders.
    fn entries(&self, folder: &str) -> Result<(Vec<String>, Vec<String>)> {
        let path = self.path(folder);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((files, folders)),
            other => other.map_err(|error| failed("list", &path, error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &path, error))?;
            // Names of the depot are ASCII: any other is not its own.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(name),
                Ok(kind) if kind.is_file() => files.push(name),
                _ => {}
            }
        }
        files.sort_unstable();
        Ok((files, folders))
    }
}

impl Depot for LocalDepot {
    fn create(&self, key: &DepotKey<'_>) -> Result<Box<dyn DepotWriter>> {
        create_folder(&self.path(key.folder))?;
        let name = key.name();
        let path = self.path(&name);
        let file = File::create_new(&path).map_err(|error| failed("create", &path, error))?;
        let kept = TempPath::try_from_path(path.clone()).map_err(|error| failed("create", &path, error))?;
        let file = Digested::new(WriteBehind::new(file));
        Ok(Box::new(LocalWriter { path, kept, name, file, unsynced: Arc::clone(&self.unsynced) }))
    }

    fn seal(&self, files: &[DepotFile]) -> Result<()> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for file in files {
            let path = self.path(&file.name);
            if !self.unsynced.sync(&path).map_err(|error| failed("sync", &path, error))? {
                return Err(Error::bug(format!("{} is sealed, and this process has not written it", path.display())));
            }
            let folder = path.parent().unwrap_or(&self.root).to_path_buf();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    fn open(&self, file: &DepotFile) -> Result<Box<dyn Read + Send>> {
        let opened = self.open_at_random(file)?;
        Ok(Box::new(Verified::new(opened, file, self.shown(&file.name))))
    }

    fn open_at_random(&self, file: &DepotFile) -> Result<File> {
        let path = self.path(&file.name);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone(&path.display().to_string())),
            other => other.map_err(|error| failed("read", &path, error))?,
        };
        let length = opened.metadata().map_err(|error| failed("read", &path, error))?.len();
        if length != file.bytes {
            let what = format!("it has {length} bytes, and {} were prepared", file.bytes);
            return Err(damaged(&path.display().to_string(), &what));
        }
        Ok(opened)
    }

    /// Beside the state: there is room for what the state may become.
    fn scratch(&self) -> Result<File> {
        create_folder(&self.root)?;
        tempfile::tempfile_in(&self.root).map_err(|error| failed("create a temporary file in", &self.root, error))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|error| failed("read", &path, error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.entries(folder)?.0)
    }

    fn remove(&self, names: &[String]) -> Result<()> {
        for name in names {
            let path = self.path(name);
            self.unsynced.forget(&path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.map_err(|error| failed("remove", &path, error))?,
            }
        }
        Ok(())
    }

    fn clean(&self, folder: &str, claim: EpochId, keeps: &dyn Fn(&str) -> bool) -> Result<()> {
        let names: Vec<String> = self.list(folder)?.into_iter().filter(|name| is_left_over(name, claim) && !keeps(name)).collect();
        failpoint::hit("sink-clean-up");
        self.remove(&names)
    }

    fn clear_others(&self, incarnation: Uuid) -> Result<()> {
        // Checkpoints, notes and the lock lie besides the folders, and belong to the store.
        let (_, mut folders) = self.entries("")?;
        while let Some(folder) = folders.pop() {
            let (mut files, deeper) = self.entries(&folder)?;
            files.retain(|name| is_of_another(name, incarnation));
            self.remove(&files)?;
            folders.extend(deeper);
        }
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn folder(&self) -> Option<&Path> {
        // That of a check lies nowhere.
        (!self.root.as_os_str().is_empty()).then_some(&self.root)
    }
}

/// Writes one file. Its path is removed when it is dropped unfinished.
struct LocalWriter {
    path: PathBuf,
    kept: TempPath,
    name: String,
    file: Digested<WriteBehind>,
    unsynced: Arc<Unsynced>,
}

impl Write for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(io::Error::other(failed("write", &self.path, error))),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DepotWriter for LocalWriter {
    fn finish(self: Box<Self>) -> Result<DepotFile> {
        let Self { path, kept, name, file, unsynced } = *self;
        let (sha256, file) = file.finish();
        let bytes = file.written();
        unsynced.add(path.clone(), file.into_file()).map_err(|error| failed("sync", &path, error))?;
        kept.keep().map_err(|kept| failed("keep", &path, kept.error))?;
        Ok(DepotFile { name, bytes, sha256 })
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let is_full = error.kind() == ErrorKind::StorageFull;
    let error = Error::io(format_args!("{what} the prepared file {}", path.display()), error).or_code(DISK);
    if is_full { error.hint("an epoch's rows wait there for their commit: free some space, or end epochs earlier") } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(incarnation: Uuid, epoch: u64) -> DepotKey<'static> {
        DepotKey { folder: "spool/p.s", incarnation, epoch, kind: "rows" }
    }

    fn write(depot: &LocalDepot, key: &DepotKey<'_>, bytes: &[u8]) -> DepotFile {
        let mut writer = depot.create(key).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn all(depot: &LocalDepot, file: &DepotFile) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        depot.open(file)?.read_to_end(&mut bytes).map_err(|error| Error::io("read", error))?;
        Ok(bytes)
    }

    #[test]
    fn another_process_reads_what_was_sealed_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let depot = LocalDepot::new(folder.path());
        let file = write(&depot, &key(Uuid::now_v7(), 1), b"some rows");
        depot.seal(std::slice::from_ref(&file)).unwrap();
        let other = LocalDepot::new(folder.path());
        assert_eq!(all(&other, &file).unwrap(), b"some rows");
        assert_eq!(other.read(&file.name).unwrap().unwrap(), b"some rows");
        assert_eq!(other.list("spool/p.s").unwrap(), std::slice::from_ref(&file.name));
        other.remove(&[file.name.clone(), file.name.clone()]).unwrap();
        assert!(all(&depot, &file).unwrap_err().message().contains("is gone"));
        assert_eq!((depot.read(&file.name).unwrap(), depot.list("nowhere").unwrap()), (None, Vec::new()));
    }

    #[test]
    fn a_folder_of_the_working_directory_is_as_good_as_any() {
        let here = tempfile::tempdir_in(".").unwrap();
        let depot = LocalDepot::new(Path::new(here.path().file_name().unwrap()));
        let file = write(&depot, &key(Uuid::now_v7(), 1), b"some rows");
        depot.seal(std::slice::from_ref(&file)).unwrap();
        assert_eq!(all(&depot, &file).unwrap(), b"some rows");
    }

    #[test]
    fn a_file_that_was_touched_is_never_taken_for_whole() {
        let folder = tempfile::tempdir().unwrap();
        let depot = LocalDepot::new(folder.path());
        let file = write(&depot, &key(Uuid::now_v7(), 1), b"some rows");
        for (touched, what) in [(b"some rowS".as_slice(), "does not match its digest"), (b"some row", "has 8 bytes, and 9 were prepared")] {
            fs::write(depot.path(&file.name), touched).unwrap();
            let error = all(&depot, &file).unwrap_err();
            assert!(error.message().contains(what), "{error}");
        }
    }

    #[test]
    fn only_what_this_process_wrote_can_be_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&LocalDepot::new(folder.path()), &key(Uuid::now_v7(), 1), b"rows");
        assert!(LocalDepot::new(folder.path()).seal(&[file]).is_err());
    }

    #[test]
    fn a_dropped_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let depot = LocalDepot::new(folder.path());
        drop(depot.create(&key(Uuid::now_v7(), 1)).unwrap());
        assert_eq!(depot.list("spool/p.s").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn cleaning_spares_successors_other_lives_and_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let depot = LocalDepot::new(folder.path());
        let (mine, other) = (Uuid::now_v7(), Uuid::now_v7());
        let left = write(&depot, &key(mine, 5), b"left").name;
        let kept = write(&depot, &key(mine, 4), b"named by a checkpoint").name;
        let spared = [write(&depot, &key(mine, 6), b"a successor's").name, write(&depot, &key(other, 1), b"after a reset").name];
        depot.clean("spool/p.s", EpochId { incarnation: mine, epoch: 5 }, &|name| name == kept).unwrap();
        let stays = depot.list("spool/p.s").unwrap();
        assert!(!stays.contains(&left) && stays.contains(&kept) && spared.iter().all(|name| stays.contains(name)), "{stays:?}");
        fs::write(folder.path().join("epoch-1.json"), "a checkpoint").unwrap();
        depot.clear_others(other).unwrap();
        assert_eq!(depot.list("spool/p.s").unwrap(), [spared[1].as_str()], "a process of the new life may run already");
        assert!(folder.path().join("epoch-1.json").exists());
    }
}
