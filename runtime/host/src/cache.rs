//! Compiled plugins on disk. Loading machine code trusts it completely. So the folder is private to
//! its user, and every entry is checked against a digest before use.
//!
//! The folder is shared by all processes of its user. Reading takes no lock: an entry appears
//! whole, by a rename, and stays readable for every process that has opened it. Writing takes the
//! folder's lock, so a temporary file found under the lock was left by a killed writer. The least
//! recently used entries are removed when the folder has grown too large.

use std::fs::{File, FileTimes};
use std::hash::{Hash, Hasher};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::error::HostError;

const DIGEST_BYTES: usize = 32;

/// The largest entry that is read. Machine code takes some four times the size of its WebAssembly.
const MAX_ENTRY_BYTES: u64 = 1 << 30;

/// How the names of entries end.
const ENTRY: &str = ".cwasm";

/// Prefixes of files that are still being written; the second is that of earlier versions.
const WRITING: [&str; 2] = [".writing-", ".tmp"];

/// A folder of compiled plugins.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    max_bytes: u64,
}

impl Cache {
    /// Opens the folder, or creates it; rejects one that others could write into. It keeps at most
    /// `max_bytes`.
    pub fn open(folder: PathBuf, max_bytes: u64) -> Result<Self, HostError> {
        let io = |source| HostError::io(format!("use the plugin cache {}", folder.display()), source);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io)?;
        let metadata = std::fs::metadata(&folder).map_err(io)?;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user || metadata.mode() & 0o077 != 0 {
            return Err(HostError::environment(format!(
                "the plugin cache {} is not private (owner {}, mode {:o}): code that others can change would be run. Give it to user {user} \
                 with mode 700, or name another folder",
                folder.display(),
                metadata.uid(),
                metadata.mode() & 0o777
            )));
        }
        Ok(Self { folder, max_bytes })
    }

    /// The key of a plugin's compiled form: its digest and everything that compilation depends on
    /// (wasmtime's version, the engine's settings, the processor's features).
    pub fn key(engine: &Engine, digest: &str) -> String {
        let mut key = KeyHasher(Sha256::new());
        key.write(digest.as_bytes());
        engine.precompile_compatibility_hash().hash(&mut key);
        hex::encode(key.0.finalize())
    }

    /// The compiled form, if there is an intact one. Damage is reported and then treated as absence.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.path(key);
        match read(&path) {
            Ok(found) => found,
            Err(reason) => {
                tracing::warn!(target: "wasmill::host", entry = %path.display(), reason, "a compiled plugin in the cache is damaged; compiling again");
                None
            }
        }
    }

    /// Keeps a compiled form. A cache that can't be written only costs time, so the failure is only
    /// logged.
    pub fn put(&self, key: &str, compiled: &[u8]) {
        if let Err(error) = self.write(key, compiled) {
            tracing::warn!(target: "wasmill::host", folder = %self.folder.display(), %error, "cannot keep a compiled plugin");
        }
    }

    fn write(&self, key: &str, compiled: &[u8]) -> std::io::Result<()> {
        let needed = (DIGEST_BYTES + compiled.len()) as u64;
        if needed > self.max_bytes {
            tracing::warn!(target: "wasmill::host", bytes = needed, limit = self.max_bytes, "a compiled plugin is larger than the cache");
            return Ok(());
        }
        // Closing the folder releases the lock, also when this process is killed.
        let lock = File::open(&self.folder)?;
        lock.lock()?;
        let path = self.path(key);
        self.make_room(&path, needed)?;
        let mut file = tempfile::Builder::new().prefix(WRITING[0]).tempfile_in(&self.folder)?;
        file.write_all(&Sha256::digest(compiled))?;
        file.write_all(compiled)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes files of killed writers, and the least recently used entries until `needed` bytes
    /// fit besides the others. Called under the lock. `replaced` is about to be written again.
    fn make_room(&self, replaced: &Path, needed: u64) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if WRITING.iter().any(|start| name.starts_with(start)) {
                remove(&entry.path())?;
            } else if name.ends_with(ENTRY) && entry.path() != replaced {
                let metadata = entry.metadata()?;
                let used = metadata.accessed().unwrap_or(SystemTime::UNIX_EPOCH).max(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
                entries.push((used, metadata.len(), entry.path()));
            }
        }
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        entries.sort();
        for (_, bytes, path) in entries {
            if total.saturating_add(needed) <= self.max_bytes {
                break;
            }
            remove(&path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}{ENTRY}"))
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// `Ok(None)`: there is no such entry.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > MAX_ENTRY_BYTES {
        return Err(format!("it has {length} bytes"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    (&file).take(MAX_ENTRY_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let Some((digest, compiled)) = bytes.split_first_chunk::<DIGEST_BYTES>() else { return Err("it is cut short".to_owned()) };
    if Sha256::digest(compiled).as_slice() != digest {
        return Err("its digest differs".to_owned());
    }
    // Set explicitly, because most file systems record reads once a day at most. On one that can't,
    // the entry looks older than it is.
    let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
    bytes.drain(..DIGEST_BYTES);
    Ok(Some(bytes))
}

/// Feeds everything that is hashed to SHA-256, so that the key is the same in every process.
struct KeyHasher(Sha256);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
