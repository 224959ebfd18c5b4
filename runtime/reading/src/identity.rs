//! How a file, and positions in it, are recognised again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Error, Result};

use crate::codes::{CHANGED, UNREADABLE};

/// This much of a file's start is in its digest.
pub const HEAD_BYTES: u64 = 4096;

/// The identity of a file when it was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its first `head_bytes` bytes, cut to 16 bytes and written in hexadecimal digits.
    pub head: String,
    /// 4,096, or as many as there were.
    pub head_bytes: u64,
}

/// How far a split of a file has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The next record's place: a byte offset after decompression, or a row number in a Parquet row group.
    pub offset: u64,
    /// The file as it was.
    #[serde(flatten)]
    pub file: Identity,
    /// Whether nothing can follow, whatever the offset: a JSON array has ended, or broke.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

impl Identity {
    /// The identity of an open file.
    pub fn of(file: &File, path: &Path) -> Result<Self> {
        let size = file.metadata().map_err(|error| failed(path, error))?.len();
        let head_bytes = size.min(HEAD_BYTES);
        Ok(Self { size, head: digest(file, head_bytes, path)?, head_bytes })
    }

    /// Opens a file and computes its identity.
    pub fn open(path: &Path) -> Result<(File, Self)> {
        let file = File::open(path).map_err(|error| failed(path, error))?;
        let identity = Self::of(&file, path)?;
        Ok((file, identity))
    }

    /// Whether the present file is the recorded one, possibly grown.
    pub fn is_start_of(&self, file: &File, path: &Path) -> Result<bool> {
        let size = file.metadata().map_err(|error| failed(path, error))?.len();
        // The checkpoint is not trusted here: it must not cause a whole file to be read.
        let head_bytes = self.head_bytes.min(HEAD_BYTES);
        Ok(size >= self.size.max(head_bytes) && digest(file, head_bytes, path)? == self.head)
    }
}

fn digest(file: &File, head_bytes: u64, path: &Path) -> Result<String> {
    let mut head = vec![0; head_bytes as usize];
    file.read_exact_at(&mut head, 0).map_err(|error| failed(path, error))?;
    Ok(hex::encode(&Sha256::digest(&head)[..16]))
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE)
}

impl Position {
    /// As a checkpoint keeps it.
    pub fn to_value(&self) -> Value {
        let Identity { size, head, head_bytes } = &self.file;
        let mut value = serde_json::json!({ "offset": self.offset, "size": size, "head": head, "head_bytes": head_bytes });
        if self.ended {
            value["ended"] = true.into();
        }
        value
    }

    /// From a checkpoint.
    ///
    /// # Errors
    /// Environment: it is not one.
    pub fn from_value(value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|error| {
            Error::environment(format!("the checkpoint's position of a file is not understood: {error}"))
                .code(STATE_OF_OTHER_SOURCE)
                .caused_by(error)
        })
    }
}

/// The error of a file that differs from its checkpoint.
pub fn changed(path: &Path, how: &str) -> Error {
    Error::environment(format!("{} changed since it was read: {how}", path.display()))
        .code(CHANGED)
        .hint("put the original file back, or give the new content a new name; `wasmill state reset` drops the progress and starts over")
}
