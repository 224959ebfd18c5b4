//! The depot: files of a pipeline's state besides its checkpoints, for what is too large to be
//! written with every checkpoint.
//!
//! A file belongs to the epoch in which it was written. Its name begins with that epoch, holds the
//! incarnation, and ends in a UUID, so it is written once and no two processes share one. It
//! becomes state when a checkpoint, or a prepared commit in one, names it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{DISK, PREPARED_FILE_DAMAGED, PREPARED_FILE_GONE};
use crate::disk::Digested;
use crate::{Error, Result};

/// A finished file, as a checkpoint keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DepotFile {
    /// Its name in the depot: a folder, a slash, and what [`DepotKey::name`] returned.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// The purpose of a file of a depot.
#[derive(Debug, Clone, Copy)]
pub struct DepotKey<'a> {
    /// The folder of its owner: parts of a path in ASCII letters, digits, `.`, `-`, `_` and `%`,
    /// with slashes between them.
    pub folder: &'a str,
    /// The life of the pipeline's state.
    pub incarnation: Uuid,
    /// The epoch that it belongs to.
    pub epoch: u64,
    /// What it holds, as the ending of its name: `rows`.
    pub kind: &'a str,
}

impl DepotKey<'_> {
    /// A name in the depot that no other file has: `{folder}/{epoch}-{incarnation}-{uuid}.{kind}`.
    pub fn name(&self) -> String {
        let Self { folder, incarnation, epoch, kind } = self;
        format!("{folder}/{epoch:010}-{}-{}.{kind}", incarnation.simple(), Uuid::new_v4().simple())
    }
}

/// An epoch in one life of a pipeline's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochId {
    /// The life.
    pub incarnation: Uuid,
    /// The number of the epoch.
    pub epoch: u64,
}

/// The epoch that a file belongs to, and the incarnation where its name holds one. Names of Wasmill
/// 0.1 have none.
pub fn epoch_of(name: &str) -> Option<(u64, Option<Uuid>)> {
    let mut parts = name.rsplit('/').next()?.splitn(3, '-');
    let epoch = parts.next().filter(|epoch| epoch.len() >= 10)?.parse().ok()?;
    let incarnation = parts.next().filter(|part| part.len() == 32).and_then(|part| Uuid::try_parse(part).ok());
    Some((epoch, incarnation))
}

/// Files besides the checkpoints of one pipeline, on the disk or in the bucket that holds these.
///
/// # Contract
/// * A file does not exist before it is sealed, or exists without being named. Once sealed it is
///   durable and never changes.
/// * Another process that opens the same state finds every sealed file, on any machine.
/// * Methods may be called from asynchronous tasks and block there for as long as a disk or a store takes.
pub trait Depot: Send + Sync {
    /// Starts a file under a new name.
    ///
    /// # Errors
    /// It can't be created.
    fn create(&self, key: &DepotKey<'_>) -> Result<Box<dyn DepotWriter>>;

    /// Makes files durable that writers of this process have finished. Called once per file, before
    /// a checkpoint names it.
    ///
    /// # Errors
    /// Some of their bytes may not be durable.
    fn seal(&self, files: &[DepotFile]) -> Result<()>;

    /// Opens a sealed file at its front. Its length is compared at once, its digest when it has
    /// been read to its end. After an error there, none of its bytes may be used. Errors of the
    /// reader hold an [`Error`], which [`Error::io`] takes out.
    ///
    /// # Errors
    /// Environment: it is gone, or has another length.
    fn open(&self, file: &DepotFile) -> Result<Box<dyn Read + Send>>;

    /// Opens a sealed file for reading at any place: itself where it lies on a disk, else a copy that vanishes with the handle. A copy has been
    /// verified whole; of a file on the disk only the length has been compared.
    ///
    /// # Errors
    /// As [`Depot::open`], or the copy can't be written.
    fn open_at_random(&self, file: &DepotFile) -> Result<File> {
        let (mut content, mut copy) = (self.open(file)?, self.scratch()?);
        io::copy(&mut content, &mut copy)
            .map_err(|error| Error::io(format_args!("copy {}", self.shown(&file.name)), error).or_code(DISK))?;
        Ok(copy)
    }

    /// A file without a name, for what has to be read back by this process alone. Its room is free again when it is closed, or the process ends.
    ///
    /// # Errors
    /// It can't be created.
    fn scratch(&self) -> Result<File> {
        tempfile::tempfile().map_err(|error| Error::io("create a temporary file", error).or_code(DISK))
    }

    /// Reads a small file whose length and digest are not recorded; `None` if it does not exist.
    ///
    /// # Errors
    /// It can't be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// The names of the files of a folder, in increasing order. Files that are not sealed may be among them.
    ///
    /// # Errors
    /// The folder can't be listed.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes files. One that is gone is fine.
    ///
    /// # Errors
    /// One could not be removed.
    fn remove(&self, names: &[String]) -> Result<()>;

    /// Removes files of a folder whose processes ended before they sealed or committed them: those
    /// of the claim's incarnation up to and including its epoch, unless `keeps`.
    ///
    /// # Errors
    /// The folder can't be listed, or a file can't be removed.
    fn clean(&self, folder: &str, claim: EpochId, keeps: &dyn Fn(&str) -> bool) -> Result<()>;

    /// Removes all files but those of an incarnation, for `wasmill state reset`: a process of the new incarnation may run already.
    ///
    /// # Errors
    /// Some could not be removed.
    fn clear_others(&self, incarnation: Uuid) -> Result<()>;

    /// Where a file lies, for readers.
    fn shown(&self, name: &str) -> String;

    /// The folder that it is, where that is one of this machine: for files that their owner keeps itself, such as a log that is appended to.
    fn folder(&self) -> Option<&Path> {
        None
    }
}

/// Writes one file of a depot from front to back. Dropping it unfinished removes what was written.
pub trait DepotWriter: Write + Send {
    /// Ends the file. [`Depot::seal`] makes it durable; a lane does not wait for this.
    ///
    /// # Errors
    /// The last bytes can't be written.
    fn finish(self: Box<Self>) -> Result<DepotFile>;
}

/// Reads a file and verifies at its end that it is what was sealed.
pub struct Verified<R> {
    content: Digested<R>,
    sha256: String,
    shown: String,
    ended: bool,
}

impl<R: Read> Verified<R> {
    /// Reads `content`, which has to be that of `file` and is called `shown` in errors.
    pub fn new(content: R, file: &DepotFile, shown: String) -> Self {
        Self { content: Digested::new(content), sha256: file.sha256.clone(), shown, ended: false }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended || into.is_empty() {
            return Ok(0);
        }
        let shown = &self.shown;
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ => io::Error::other(Error::io(format_args!("read the prepared file {shown}"), error)),
        };
        let read = self.content.read(into).map_err(failed)?;
        if read == 0 {
            if self.content.read_out().map_err(failed)? != self.sha256 {
                return Err(io::Error::other(damaged(shown, "its content does not match its digest")));
            }
            self.ended = true;
        }
        Ok(read)
    }
}

/// Whether a file may be a left-over of a process that ended, in the sense of [`Depot::clean`].
pub fn is_left_over(name: &str, claim: EpochId) -> bool {
    epoch_of(name).is_some_and(|(epoch, by)| epoch <= claim.epoch && by.is_none_or(|by| by == claim.incarnation))
}

/// Whether a file's name is one of a depot. Other files in its folders are left alone.
fn is_ours(name: &str) -> bool {
    epoch_of(name).is_some() || name.ends_with(".put")
}

/// Whether a file belongs to another incarnation. Files whose names hold none do.
pub fn is_of_another(name: &str, incarnation: Uuid) -> bool {
    is_ours(name) && epoch_of(name).and_then(|(_, its)| its) != Some(incarnation)
}

/// The error for a missing file.
pub fn gone(shown: &str) -> Error {
    Error::environment(format!("a prepared file is gone: {shown}"))
        .code(PREPARED_FILE_GONE)
        .hint("something removed it; restore it, or give its rows up and start over with `wasmill state reset`")
}

/// The error for a file that is not what was sealed.
pub fn damaged(shown: &str, what: &str) -> Error {
    Error::environment(format!("the prepared file {shown} is damaged: {what}"))
        .code(PREPARED_FILE_DAMAGED)
        .hint("nothing of it was committed; restore it, or give its rows up and start over with `wasmill state reset`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_its_epoch_and_incarnation_and_is_never_that_of_another() {
        let incarnation = Uuid::now_v7();
        let key = DepotKey { folder: "spool/p-1.s", incarnation, epoch: 42, kind: "rows" };
        let name = key.name();
        assert!(name.starts_with("spool/p-1.s/0000000042-") && name.ends_with(".rows"), "{name}");
        assert_ne!(name, key.name());
        assert_eq!(epoch_of(&name), Some((42, Some(incarnation))));
        let far = DepotKey { epoch: 12_345_678_901, ..key }.name();
        assert_eq!(epoch_of(&far), Some((12_345_678_901, Some(incarnation))));
    }

    #[test]
    fn names_of_the_first_version_tell_their_epoch_only() {
        assert_eq!(epoch_of("spool/p.s/0000000007-1-5e0a1bd4-9a3e-4c3c-8f7e-000000000000.rows"), Some((7, None)));
        assert_eq!(epoch_of("spool/p.s/x.rows"), None);
    }

    #[test]
    fn only_files_of_the_same_incarnation_up_to_an_epoch_are_left_over() {
        let (mine, other) = (Uuid::now_v7(), Uuid::now_v7());
        let name = |incarnation, epoch| DepotKey { folder: "f", incarnation, epoch, kind: "rows" }.name();
        let claim = EpochId { incarnation: mine, epoch: 5 };
        assert!(is_left_over(&name(mine, 5), claim));
        assert!(!is_left_over(&name(mine, 6), claim));
        assert!(!is_left_over(&name(other, 4), claim));
        assert!(is_left_over("f/0000000005-0-x.rows", claim), "0.1 had no incarnation in its names");
        assert!(!is_left_over("f/notes.txt", claim));
    }
}
