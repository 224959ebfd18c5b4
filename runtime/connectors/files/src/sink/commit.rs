//! Commits files into a folder: the token by compare-and-set, then the names.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Token, failpoint};

use wasmill_connect::codes::TOKEN_DAMAGED;
use wasmill_connect::digest::{Digested, sha256};
use wasmill_connect::durable::{
    create_folder, create_folders, escape, owner_name, parent_of, remove_file, rename_new, sync_folder, sync_folders, write_new,
};
use wasmill_connect::prepared;
use wasmill_connect::staged::{StagedMark, number};
use wasmill_connect::token::{Step, compare};
use wasmill_engine::codes::{DISK, PREPARED_FILE_DAMAGED, PREPARED_FILE_GONE};

use super::config::FilesWriteMode;
use crate::codes::{COMMIT_LOCKED, NAME_TAKEN};

/// The hidden folder below a target.
const HIDDEN: &str = ".wasmill";

/// How long a commit waits for another process that holds the token's lock; it is held for some milliseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// A file that awaits its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagedFile {
    /// Its name in the staging folder.
    pub staged: String,
    /// Its name from the target folder, which partitions have folders in.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// The digest of its bytes.
    pub sha256: String,
}

/// A prepared commit as a checkpoint keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    format: u32,
    files: Vec<StagedFile>,
}

/// The format of commits that add files.
const ADDING: u32 = 1;
/// The format of commits that replace the files of the one before, which earlier versions don't know.
const REPLACING: u32 = 2;

impl Prepared {
    /// A prepared commit of these files.
    pub(super) fn new(files: Vec<StagedFile>, write: FilesWriteMode) -> Self {
        let format = match write {
            FilesWriteMode::Append => ADDING,
            FilesWriteMode::Overwrite => REPLACING,
        };
        Self { format, files }
    }

    /// Reads one from a checkpoint.
    pub(super) fn read(value: &Value) -> Result<Self> {
        let replaces = value.get("format").and_then(Value::as_u64) == Some(u64::from(REPLACING));
        prepared::read(value, if replaces { REPLACING } else { ADDING })
    }

    /// Its form in a checkpoint.
    pub(super) fn to_value(&self) -> Result<Value> {
        prepared::write(self)
    }
}

/// The sink's token, and the files that became its own with it.
#[derive(Debug, Serialize, Deserialize)]
struct TokenFile {
    format: u32,
    incarnation: Uuid,
    epoch: u64,
    #[serde(flatten)]
    decided: Decided,
}

/// What a token has decided about files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Decided {
    /// Those that become visible.
    files: Vec<StagedFile>,
    /// The paths, from the target folder, of those that go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
}

impl TokenFile {
    fn committed(&self) -> Committed {
        Committed { incarnation: self.incarnation, epoch: self.epoch }
    }
}

/// One sink's view of its folder.
pub(super) struct Committer {
    pub(super) folder: PathBuf,
    staging: PathBuf,
    token: PathBuf,
    lock: PathBuf,
}

impl Committer {
    /// The view of one sink of one pipeline; the folder need not exist.
    pub(super) fn new(folder: PathBuf, pipeline: &str, sink: &str) -> Self {
        let (hidden, owner) = (folder.join(HIDDEN), owner_name(pipeline, sink));
        let beside = |extension: &str| hidden.join(format!("{owner}.{extension}"));
        Self { staging: hidden.join(&owner), token: beside("json"), lock: beside("lock"), folder }
    }

    /// Where files wait for their commit.
    pub(super) fn staging(&self) -> &Path {
        &self.staging
    }

    /// The sink's token.
    pub(super) fn committed(&self) -> Result<Option<Committed>> {
        Ok(self.read_token()?.map(|token| token.committed()))
    }

    /// Fails if a file could not take its name.
    pub(super) fn check(&self, prepared: &Prepared) -> Result<()> {
        prepared.files.iter().try_for_each(|file| {
            let (staged, path) = (self.staging.join(&file.staged), self.folder.join(&file.path));
            match fs::symlink_metadata(&path) {
                Ok(_) => self.same(&path, file),
                Err(error) if error.kind() == ErrorKind::NotFound => match fs::metadata(&staged) {
                    Ok(found) => is_whole(&staged, found.len(), file),
                    Err(error) if error.kind() == ErrorKind::NotFound => Err(gone(&staged, &path)),
                    Err(error) => Err(Error::io(format!("read the metadata of {}", staged.display()), error)),
                },
                Err(error) => Err(Error::io(format!("read the metadata of {}", path.display()), error)),
            }
        })
    }

    /// Makes a prepared commit visible.
    pub(super) fn commit(&self, token: &Token, prepared: &Prepared) -> Result<CommitOutcome> {
        failpoint::hit("files-commit-before-token");
        let (outcome, decided) = self.move_token(token, prepared)?;
        failpoint::hit("files-commit-after-token");
        // Also where the token was set already: the process that set it may have ended right after.
        // Its files count, whatever this commit holds.
        self.publish(&decided)?;
        failpoint::hit("files-commit-after-rename");
        Ok(outcome)
    }

    /// Moves the token, and returns what is decided with it.
    fn move_token(&self, token: &Token, prepared: &Prepared) -> Result<(CommitOutcome, Decided)> {
        let _locked = self.lock()?;
        let current = self.read_token()?;
        if compare(current.as_ref().map(TokenFile::committed).as_ref(), token)? == Step::Already {
            return Ok((CommitOutcome::Already, current.map(|token| token.decided).unwrap_or_default()));
        }
        self.check(prepared)?;
        let before = current.filter(|_| prepared.format == REPLACING).map(|token| token.decided.files).unwrap_or_default();
        let replaced = before.into_iter().map(|file| file.path).collect();
        let decided = Decided { files: prepared.files.clone(), replaced };
        self.write_token(token, decided.clone())?;
        Ok((CommitOutcome::Done, decided))
    }

    /// Sets the token. What a commit before it left half done is finished first: it was decided.
    pub(super) fn adopt(&self, token: &Token) -> Result<()> {
        let _locked = self.lock()?;
        let decided = self.read_token()?.map(|current| current.decided).unwrap_or_default();
        self.publish(&decided)?;
        // They stay the sink's own, which an overwrite replaces.
        self.write_token(token, Decided { replaced: Vec::new(), ..decided })
    }

    /// Removes what processes before this claim left, but for the files that the token has decided about.
    pub(super) fn clean_up(&self, claim: &Token) -> Result<()> {
        let listing = |error| Error::io(format!("list {}", self.staging.display()), error);
        let entries = match fs::read_dir(&self.staging) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.map_err(listing)?.collect::<io::Result<Vec<_>>>().map_err(listing)?,
        };
        let decided = self.own_files()?;
        failpoint::hit("sink-clean-up");
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| decided.iter().all(|file| file.staged != **name)) else { continue };
            let left = StagedMark::parse(name).is_some_and(|mark| mark.is_left_over(claim));
            if left || is_left_over_by_earlier_versions(name, claim) {
                remove_file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The files of the commit that the token is of.
    pub(super) fn own_files(&self) -> Result<Vec<StagedFile>> {
        Ok(self.read_token()?.map(|token| token.decided.files).unwrap_or_default())
    }

    /// Removes the files that go and gives staged files their names, durably. A missing staged file had its name before, whatever became of it since.
    /// A reader that comes meanwhile finds some of the new rows, and never rows of two commits of which one replaces the other.
    fn publish(&self, decided: &Decided) -> Result<()> {
        let Decided { files, replaced } = decided;
        if !replaced.is_empty() {
            self.remove(replaced)?;
            failpoint::hit("files-commit-after-removal");
        }
        let places: Vec<PathBuf> = files.iter().map(|file| self.folder.join(&file.path)).collect();
        let folders: BTreeSet<&Path> = places.iter().map(|place| parent_of(place)).collect();
        create_folders(folders.iter().copied())?;
        for (file, to) in files.iter().zip(&places) {
            let from = self.staging.join(&file.staged);
            if let Ok(found) = fs::symlink_metadata(&from) {
                is_whole(&from, found.len(), file)?;
            }
            match rename_new(&from, to) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    self.same(to, file)?;
                    // An equal file has the name, and this one is not needed.
                    let _ = fs::remove_file(&from);
                }
                Err(error) => return Err(Error::io(format!("move {} to {}", from.display(), to.display()), error).or_code(DISK)),
            }
        }
        sync_folders(folders)
    }

    /// Fails unless a file is the one in the commit.
    fn same(&self, path: &Path, file: &StagedFile) -> Result<()> {
        let digest = sha256_of(path, file.size).map_err(|error| Error::io(format!("read {}", path.display()), error))?;
        if digest.as_deref() == Some(file.sha256.as_str()) {
            return Ok(());
        }
        Err(Error::environment(format!("{} exists and holds something else", path.display()))
            .code(NAME_TAKEN)
            .hint("move it away; this sink never replaces a file"))
    }

    fn read_token(&self) -> Result<Option<TokenFile>> {
        let bytes = match fs::read(&self.token) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Error::io(format!("read {}", self.token.display()), error))?,
        };
        let damaged = |what: &dyn std::fmt::Display| {
            Error::environment(format!("the sink's token {} is damaged: {what}", self.token.display()))
                .code(TOKEN_DAMAGED)
                .hint("restore the file; without it, it is unknown what is committed")
        };
        let token: TokenFile = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        if [ADDING, REPLACING].contains(&token.format) {
            Ok(Some(token))
        } else {
            Err(damaged(&format!("unknown format {}", token.format)))
        }
    }

    /// Replaces the token, durably. Under the lock.
    fn write_token(&self, token: &Token, decided: Decided) -> Result<()> {
        // A version that does not know of files that go would leave them beside the new ones.
        let format = if decided.replaced.is_empty() { ADDING } else { REPLACING };
        let content = TokenFile { format, incarnation: token.incarnation, epoch: token.epoch, decided };
        let json = serde_json::to_vec(&content).map_err(|error| Error::bug(format!("a token is no JSON: {error}")))?;
        create_folder(&self.staging)?;
        let staged = self.staging.join(format!("{}.token", StagedMark::of_commit(token)));
        write_new(&staged, &json)?;
        fs::rename(&staged, &self.token).map_err(|error| Error::io(format!("write {}", self.token.display()), error).or_code(DISK))?;
        sync_folder(&self.folder.join(HIDDEN))
    }

    /// Takes the lock under which the token moves; it ends with the returned file, or with the process.
    fn lock(&self) -> Result<File> {
        create_folder(&self.folder.join(HIDDEN))?;
        let failed = |error: io::Error| Error::io(format!("lock {}", self.lock.display()), error).or_code(DISK);
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::environment(format!("another process holds {} for too long", self.lock.display()))
                        .code(COMMIT_LOCKED)
                        .hint("is a process of this pipeline suspended during its commit? Let it continue, or end it"));
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

/// Fails unless a staged file has the size that was prepared: what becomes visible is whole.
fn is_whole(staged: &Path, size: u64, file: &StagedFile) -> Result<()> {
    if size == file.size {
        return Ok(());
    }
    Err(Error::environment(format!("{} has {size} bytes, and {} were written", staged.display(), file.size))
        .code(PREPARED_FILE_DAMAGED)
        .hint("another program changed it; restore it, or give these rows up with `wasmill state reset`"))
}

/// Whether a name of earlier versions, `<sink>-<epoch>-<lane>-<number>-<digest>`, is of this claim's life and of an epoch up to it. The digest is of
/// pipeline, sink and incarnation.
fn is_left_over_by_earlier_versions(name: &str, claim: &Token) -> bool {
    let digest = sha256([claim.pipeline.as_bytes(), &[0], claim.sink.as_bytes(), &[0], claim.incarnation.as_bytes()]);
    let mut parts = name.split('.').next().unwrap_or_default().rsplitn(5, '-');
    let (owner, _, _, epoch) = (parts.next(), parts.next(), parts.next(), parts.next());
    let sink = parts.next();
    sink == Some(&escape(&claim.sink))
        && owner == Some(&digest[..8])
        && epoch.and_then(number::<u64>).is_some_and(|epoch| epoch <= claim.epoch)
}

fn gone(staged: &Path, path: &Path) -> Error {
    Error::environment(format!("a prepared file is gone: it is neither {} nor {}", staged.display(), path.display()))
        .code(PREPARED_FILE_GONE)
        .hint("another program removed it; restore it, or drop these rows with `wasmill state reset`")
}

/// The digest of a file of this size; none if it has another.
fn sha256_of(path: &Path, size: u64) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    if file.metadata()?.len() != size {
        return Ok(None);
    }
    Digested::new(file).read_out().map(Some)
}
