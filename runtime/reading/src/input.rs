//! The bytes of a file in order, after decompression.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmill_engine::{Error, Result};

use super::content::{Content, Cursor, Noted, Unreadable};
use super::damage::damaged;
use super::gunzip::Gunzip;
use crate::codes::UNREADABLE;
use wasmill_formats::Compression;

/// So much is read in one go.
const STEP_BYTES: usize = 1 << 20;

/// A reader that passes over what was read before comes back after about this long.
pub const SKIP_TIME: Duration = Duration::from_millis(30);
/// This much is skipped between two checks of the clock: a millisecond or less.
const SKIP_BYTES: usize = 256 << 10;

/// The bytes of a file, from some offset on.
pub struct Input {
    path: PathBuf,
    kind: Kind,
    /// What stopped the last call of `append` when it had something to give.
    failed: Option<Error>,
}

enum Kind {
    Plain { content: Content, offset: u64 },
    Packed { stream: Box<dyn Read + Send>, packed: Arc<AtomicU64>, unreadable: Unreadable, reported: u64, skip: Skip },
}

/// What lies before the offset at which a compressed file was opened.
struct Skip {
    offset: u64,
    done: u64,
}

/// Counts the compressed bytes that a decompressor takes.
struct Counted {
    content: Noted<Cursor>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Input {
    /// The bytes from `offset` on. A compressed file is decompressed from its start to get there, by [`Input::skip`].
    pub fn open(content: Content, path: &Path, compression: Compression, offset: u64) -> Result<Self> {
        if compression == Compression::None {
            return Ok(Self { path: path.to_owned(), kind: Kind::Plain { content, offset }, failed: None });
        }
        let failed = |error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE);
        let packed = Arc::new(AtomicU64::new(0));
        let unreadable = Unreadable::default();
        let content = Noted { inner: Cursor::new(content, 0), unreadable: unreadable.clone() };
        let counted = Counted { content, count: Arc::clone(&packed) };
        let stream: Box<dyn Read + Send> = match compression {
            Compression::Zstd => Box::new(zstd::Decoder::new(counted).map_err(failed)?),
            _ => Box::new(Gunzip::new(std::io::BufReader::with_capacity(128 << 10, counted))),
        };
        // Skipped bytes count as read: they were, and a source counts all of such a file as bytes
        // to read.
        let kind = Kind::Packed { stream, packed, unreadable, reported: 0, skip: Skip { offset, done: 0 } };
        Ok(Self { path: path.to_owned(), kind, failed: None })
    }

    /// Passes over what lies before the offset, for [`SKIP_TIME`]. True once the next byte is the one at the offset.
    ///
    /// # Errors
    /// Environment: the file can't be read, or ends before the offset.
    pub fn skip(&mut self) -> Result<bool> {
        let Kind::Packed { stream, unreadable, skip: Skip { offset, done }, .. } = &mut self.kind else { return Ok(true) };
        if done == offset {
            return Ok(true);
        }
        let begun = Instant::now();
        let mut passed = vec![0; SKIP_BYTES];
        while *done < *offset && begun.elapsed() < SKIP_TIME {
            let most = usize::try_from(*offset - *done).unwrap_or(SKIP_BYTES).min(SKIP_BYTES);
            match stream.read(&mut passed[..most]) {
                Ok(0) => {
                    let how = format!("it was read up to byte {offset} and now unpacks to {done} bytes");
                    return Err(super::identity::changed(&self.path, &how));
                }
                Ok(read) => *done += read as u64,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unpack_failed(&self.path, error, unreadable)),
            }
        }
        Ok(done == offset)
    }

    /// Appends at least `wanted` bytes, or all remaining ones; returns true at their end. Reads no
    /// more than some 1 MiB above that. Bytes before a failure are returned first, and the next
    /// call fails.
    pub fn append(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> Result<bool> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while !self.skip()? {}
        let before = buffer.len();
        while buffer.len() - before < wanted {
            let step = (wanted - (buffer.len() - before)).clamp(4 << 10, STEP_BYTES);
            match self.step(buffer, step) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if buffer.len() > before => {
                    self.failed = Some(error);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn step(&mut self, buffer: &mut Vec<u8>, step: usize) -> Result<usize> {
        match &mut self.kind {
            Kind::Plain { content, offset } => {
                let read = content.append(buffer, step, *offset);
                let read = read.map_err(|error| Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE))?;
                *offset += read as u64;
                Ok(read)
            }
            Kind::Packed { stream, unreadable, .. } => {
                let before = buffer.len();
                buffer.reserve(step);
                let read = stream.take(step as u64).read_to_end(buffer);
                let read = read.map_err(|error| unpack_failed(&self.path, error, unreadable))?;
                debug_assert_eq!(buffer.len(), before + read);
                Ok(read)
            }
        }
    }

    /// The compressed bytes that were taken since the last call; `None` for a plain file.
    pub fn packed_bytes(&mut self) -> Option<u64> {
        match &mut self.kind {
            Kind::Plain { .. } => None,
            Kind::Packed { packed, reported, .. } => {
                let now = packed.load(Ordering::Relaxed);
                Some(now - std::mem::replace(reported, now))
            }
        }
    }
}

fn unpack_failed(path: &Path, error: std::io::Error, unreadable: &Unreadable) -> Error {
    if unreadable.is_set() {
        return Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE);
    }
    damaged(
        format!("cannot unpack {}: {error}", path.display()),
        "the file is damaged, truncated, still being written, or not compressed as its name or `compression` declares",
    )
}
