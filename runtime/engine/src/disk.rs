//! Files on a local disk that have to be durable: written behind, digested, and made durable through the descriptor that wrote them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::codes::DISK;
use crate::{Error, Result};

/// After how many bytes writing to disk is started.
const STEP_BYTES: u64 = 1 << 20;
/// Descriptors whose file is not yet durable. One more is made durable at once.
const MAX_WAITING: usize = 256;

/// Creates a folder and its missing parents, each durable in its own parent.
///
/// # Errors
/// One of them can't be created.
pub fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent_of(folder);
    create_folder(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(Error::io(format_args!("create the folder {}", folder.display()), error).or_code(DISK)),
    }
}

/// The folder that `path` lies in; a bare name lies in the working directory.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Syncs the names in a folder: of files that were created, renamed or removed in it.
///
/// # Errors
/// They may not be on the disk.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io(format_args!("sync the folder {}", folder.display()), error).or_code(DISK))
}

/// A file that is written from front to back and synced once it is whole. The kernel alone would
/// keep its bytes in memory for seconds, and an epoch would wait for all of them at its end.
#[derive(Debug)]
pub struct WriteBehind {
    file: File,
    written: u64,
    /// Up to where writing to disk was started.
    begun: u64,
}

impl WriteBehind {
    /// Takes an empty file.
    pub fn new(file: File) -> Self {
        Self { file, written: 0, begun: 0 }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The file, whose bytes are with the operating system but may not be durable.
    pub fn into_file(self) -> File {
        self.file
    }

    /// A second descriptor of the same open file: it reports the errors of writing back that the first one would.
    ///
    /// # Errors
    /// The process has too many descriptors.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Write for WriteBehind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        if self.written - self.begun >= STEP_BYTES {
            begin(&self.file, self.begun, self.written - self.begun);
            self.begun = self.written;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Starts writing some bytes to disk, without waiting. Errors are reported when the file is made
/// durable.
#[cfg(target_os = "linux")]
fn begin(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: the descriptor is open as long as `file`, and the call touches no memory of this
    // process.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(not(target_os = "linux"))]
fn begin(_: &File, _: u64, _: u64) {}

/// A reader or writer that computes the SHA-256 of what passes through it.
#[derive(Debug)]
pub struct Digested<F> {
    file: F,
    digest: Sha256,
}

impl<F> Digested<F> {
    /// Takes a file at its front.
    pub fn new(file: F) -> Self {
        Self { file, digest: Sha256::new() }
    }

    /// The digest of everything that went through, in lower-case hexadecimal, and the file.
    pub fn finish(self) -> (String, F) {
        (hex::encode(self.digest.finalize()), self.file)
    }
}

impl<F: Read> Digested<F> {
    /// Reads what is left, and returns the digest of all of it in lower-case hexadecimal.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn read_out(&mut self) -> io::Result<String> {
        io::copy(self, &mut io::sink())?;
        Ok(hex::encode(self.digest.finalize_reset()))
    }
}

impl<F: Read> Read for Digested<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.digest.update(&into[..read]);
        Ok(read)
    }
}

impl<F: Write> Write for Digested<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Files that were written and are not durable yet, each with the descriptor that wrote it.
///
/// The kernel reports a write-back error once, to the descriptors that were open then. A file that
/// was closed and reopened can therefore pass an `fsync` although some of its bytes never reached
/// the disk.
#[derive(Debug, Default)]
pub struct Unsynced {
    /// `None`: it is durable already.
    files: Mutex<HashMap<PathBuf, Option<File>>>,
}

impl Unsynced {
    /// Takes a file that is written to its end.
    ///
    /// # Errors
    /// Too many files are waiting already, and this one can't be made durable now.
    pub fn add(&self, path: PathBuf, file: File) -> io::Result<()> {
        let is_full = self.lock().values().flatten().count() >= MAX_WAITING;
        let waiting = if is_full { file.sync_all().map(|()| None)? } else { Some(file) };
        self.lock().insert(path, waiting);
        Ok(())
    }

    /// Syncs and closes a file that was added. False if it was never added, so that nothing is
    /// known about it.
    ///
    /// # Errors
    /// Some of its bytes may not be on the disk.
    pub fn sync(&self, path: &Path) -> io::Result<bool> {
        let waiting = self.lock().remove(path);
        match waiting {
            Some(file) => file.map_or(Ok(()), |file| file.sync_all()).map(|()| true),
            None => Ok(false),
        }
    }

    /// Closes a file that is no longer needed.
    pub fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Option<File>>> {
        self.files.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "abc", from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn folders_are_created_with_their_parents() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x/y/z");
        create_folder(&deep).unwrap();
        create_folder(&deep).unwrap();
        assert!(deep.is_dir());
    }

    #[test]
    fn everything_arrives_in_order() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..3 * STEP_BYTES + 7).map(|index| (index % 251) as u8).collect();
        let mut behind = WriteBehind::new(file.reopen().unwrap());
        for chunk in bytes.chunks(100_000) {
            behind.write_all(chunk).unwrap();
        }
        assert_eq!(behind.written(), bytes.len() as u64);
        assert!(behind.written() - behind.begun < STEP_BYTES, "nearly all of it is on its way to the disk");
        let mut read = Vec::new();
        io::Read::read_to_end(file.as_file_mut(), &mut read).unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn what_went_through_has_one_digest_both_ways() {
        let mut written = Digested::new(Vec::new());
        written.write_all(b"ab").unwrap();
        written.write_all(b"c").unwrap();
        let (digest, bytes) = written.finish();
        assert_eq!((digest.as_str(), bytes.as_slice()), (ABC, b"abc".as_slice()));
        let mut read = Digested::new(bytes.as_slice());
        read.read_exact(&mut [0]).unwrap();
        assert_eq!(read.read_out().unwrap(), ABC);
    }

    #[test]
    fn a_file_becomes_durable_through_the_descriptor_that_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let unsynced = Unsynced::default();
        // A descriptor of something that can't become durable takes the place of one whose
        // write-back failed.
        std::fs::write(&path, "a").unwrap();
        unsynced.add(path.clone(), File::from(std::os::fd::OwnedFd::from(io::pipe().unwrap().1))).unwrap();
        assert_eq!(unsynced.sync(&path).unwrap_err().raw_os_error(), Some(22), "not that of the file of this name");
        assert!(!unsynced.sync(&path).unwrap(), "a file that was never added is not taken for durable");
    }

    #[test]
    fn many_files_hold_a_bounded_number_of_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let unsynced = Unsynced::default();
        let path = |number: usize| folder.path().join(number.to_string());
        for number in 0..MAX_WAITING + 10 {
            unsynced.add(path(number), File::create_new(path(number)).unwrap()).unwrap();
        }
        assert_eq!(unsynced.lock().values().flatten().count(), MAX_WAITING);
        assert!((0..MAX_WAITING + 10).all(|number| unsynced.sync(&path(number)).unwrap()));
    }
}
