//! Names, folders and renames that survive a crash: what sinks share that stage files and publish them at commit.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use wasmill_engine::codes::DISK;
use wasmill_engine::disk::Unsynced;
pub use wasmill_engine::disk::{create_folder, parent_of, sync_folder};
use wasmill_engine::{Error, Result};

/// The name of what one sink of one pipeline owns, fit for a file and never the name of another's.
/// Every byte other than an ASCII letter, a digit, `-` or `_` is written as `%XX`.
pub fn owner_name(pipeline: &str, sink: &str) -> String {
    format!("{}.{}", escape(pipeline), escape(sink))
}

/// `text` with everything but ASCII letters, digits, `-` and `_` written as `%XX`.
pub fn escape(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The longest name, in bytes, that a file or a folder may have below a place, which need not
/// exist.
pub fn longest_name(place: &Path) -> usize {
    const USUAL: usize = 255;
    let existing = place.ancestors().find(|folder| folder.exists());
    let longest = existing.and_then(|folder| rustix::fs::statvfs(folder).ok()).map(|system| system.f_namemax as usize);
    longest.filter(|longest| *longest > 0).unwrap_or(USUAL).min(USUAL)
}

/// Creates folders and their missing parents, each durable in its own parent: all of them in about
/// the time of one.
pub fn create_folders<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let mut changed = BTreeSet::new();
    for folder in folders {
        let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => changed.insert(parent_of(folder).to_path_buf()),
                // Another process may be about to sync its name: it counts only once that is done.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {
                    changed.insert(parent_of(folder).to_path_buf())
                }
                Err(error) => return Err(Error::io(format!("create the folder {}", folder.display()), error).or_code(DISK)),
            };
        }
    }
    sync_folders(changed.iter().map(PathBuf::as_path))
}

/// Files of this process that are written to their end and not durable yet, by their paths, which
/// no other file ever has.
static WRITTEN: LazyLock<Unsynced> = LazyLock::new(Unsynced::default);

/// Takes the descriptor of a file that is written to its end: [`sync_file`] must use the one that
/// wrote it.
pub fn written(path: &Path, file: File) -> Result<()> {
    WRITTEN.add(path.to_path_buf(), file).map_err(|error| not_durable(path, error))
}

/// Makes a file's bytes durable.
pub fn sync_file(path: &Path) -> Result<()> {
    let sync = || if WRITTEN.sync(path)? { Ok(()) } else { File::open(path)?.sync_all() };
    sync().map_err(|error| not_durable(path, error))
}

fn not_durable(path: &Path, error: io::Error) -> Error {
    Error::io(format!("make {} durable", path.display()), error).or_code(DISK)
}

/// Makes the bytes of files durable, several at once.
pub fn sync_files(files: &[PathBuf]) -> Result<()> {
    at_once(files, |file| sync_file(file))
}

/// Makes the names in folders durable, several at once.
pub fn sync_folders<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    at_once(&folders.into_iter().collect::<Vec<_>>(), |folder| sync_folder(folder))
}

/// Does something with each item on several threads. A disk takes about as long for several requests as for one.
fn at_once<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    const THREADS: usize = 16;
    if items.len() < 2 {
        return items.iter().try_for_each(work);
    }
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                failed.lock().get_or_insert(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS.min(items.len())).for_each(|_| drop(scope.spawn(run))));
    failed.into_inner().map_or(Ok(()), Err)
}

/// Writes a new file and makes its bytes durable. Its name becomes durable with [`sync_folder`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(path)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(|error| Error::io(format!("write {}", path.display()), error).or_code(DISK))
}

/// Renames a file without ever replacing another: `ErrorKind::AlreadyExists` if there is one.
/// Atomic; made durable by [`sync_folder`].
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems (NFS, FUSE) rename only with replacing; a hard link is as exclusive there.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => other.map_err(io::Error::from),
    }
}

/// Removes a file. A missing file is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(|error| Error::io(format!("remove {}", path.display()), error).or_code(DISK)),
    }
}

/// Removes the files directly in a folder, and then the folder. Missing ones are fine.
pub fn remove_folder_of_files(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| Error::io(format!("list {}", folder.display()), error))?,
    };
    for entry in entries {
        remove_file(&entry.map_err(|error| Error::io(format!("list {}", folder.display()), error))?.path())?;
    }
    // A writer of a process that is being replaced may just have created a file: the folder stays
    // then, which is harmless.
    let _ = fs::remove_dir(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_with_dots_in_their_names_stay_apart() {
        assert_ne!(owner_name("a.b", "c"), owner_name("a", "b.c"));
        assert_eq!(owner_name("pin-to_delta", "../x"), "pin-to_delta.%2E%2E%2Fx");
    }

    #[test]
    fn a_file_becomes_durable_through_the_descriptor_that_was_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "a").unwrap();
        // What can't become durable takes the place of a file whose write-back failed.
        written(&path, File::from(std::os::fd::OwnedFd::from(io::pipe().unwrap().1))).unwrap();
        assert!(sync_file(&path).unwrap_err().message().contains("durable"));
        sync_file(&path).unwrap();
    }

    #[test]
    fn a_rename_never_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        write_new(&a, b"a").unwrap();
        write_new(&b, b"b").unwrap();
        assert_eq!(rename_new(&a, &b).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&b).unwrap(), b"b");
        assert_eq!(rename_new(&folder.path().join("c"), &b).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn folders_are_made_with_their_parents() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x/y/z");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        assert!(deep.is_dir());
        let many: Vec<PathBuf> = (0..40).map(|n| folder.path().join(format!("many/{}/{n}", n % 3))).collect();
        create_folders(many.iter().map(PathBuf::as_path)).unwrap();
        create_folders(many.iter().map(PathBuf::as_path)).unwrap();
        assert!(many.iter().all(|folder| folder.is_dir()));
    }

    #[test]
    fn what_can_not_be_made_durable_is_an_error_among_many() {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<PathBuf> = (0..40).map(|n| folder.path().join(n.to_string())).collect();
        files.iter().for_each(|file| fs::write(file, b"x").unwrap());
        sync_files(&files).unwrap();
        files.push(folder.path().join("missing"));
        let error = sync_files(&files).unwrap_err();
        assert!(error.message().contains("missing"), "{error}");
    }
}
