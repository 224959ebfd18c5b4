//! Where the bytes of a file lie: on a disk, or in a store that is read by ranges.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use rustix::buffer::spare_capacity;

/// The bytes of something that does not change while it is read.
pub trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Some bytes from `offset` on: at least one and at most `wanted`, none only at the end.
    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes>;
}

/// The bytes of a file.
pub enum Content {
    /// On a disk.
    File(File),
    /// In a store.
    Remote(Arc<dyn ReadAt>),
}

impl Content {
    /// Appends bytes from `offset` on, at most `step` or the room in the buffer. Returns how many;
    /// none only at the end.
    pub fn append(&self, buffer: &mut Vec<u8>, step: usize, offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => {
                buffer.reserve(step);
                loop {
                    match rustix::io::pread(file, spare_capacity(buffer), offset) {
                        Err(rustix::io::Errno::INTR) => {}
                        other => return Ok(other?),
                    }
                }
            }
            Self::Remote(remote) => {
                let bytes = remote.read_at(offset, step)?;
                buffer.extend_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
    }

    /// Another handle on the same bytes.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::File(file) => Self::File(file.try_clone()?),
            Self::Remote(remote) => Self::Remote(Arc::clone(remote)),
        })
    }
}

/// Reads content in order.
pub struct Cursor {
    content: Content,
    offset: u64,
}

impl Cursor {
    pub fn new(content: Content, offset: u64) -> Self {
        Self { content, offset }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.content {
            Content::File(file) => file.read_at(buffer, self.offset)?,
            Content::Remote(remote) => {
                let bytes = remote.read_at(self.offset, buffer.len())?;
                buffer[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }
        };
        self.offset += read as u64;
        Ok(read)
    }
}

impl Length for Content {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.metadata().map_or(0, |metadata| metadata.len()),
            Self::Remote(remote) => remote.size(),
        }
    }
}

impl Content {
    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Remote(remote) => {
                let first = remote.read_at(start, length)?;
                if first.len() == length {
                    return Ok(first);
                }
                let mut bytes = Vec::with_capacity(length);
                bytes.extend_from_slice(&first);
                while bytes.len() < length {
                    let more = remote.read_at(start + bytes.len() as u64, length - bytes.len())?;
                    if more.is_empty() {
                        return Err(ParquetError::EOF(format!("{} of {length} bytes are there", bytes.len())));
                    }
                    bytes.extend_from_slice(&more);
                }
                Ok(bytes.into())
            }
        }
    }
}

/// Notes whether reading failed: a decoder's error is then not evidence of damage.
#[derive(Clone, Default)]
pub struct Unreadable(Arc<AtomicBool>);

impl Unreadable {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note<T, E>(&self, result: Result<T, E>, failed: impl FnOnce(&E) -> bool) -> Result<T, E> {
        result.inspect_err(|error| {
            self.0.fetch_or(failed(error), Ordering::Relaxed);
        })
    }
}

/// Something that is read, with a note on whether that failed.
pub struct Noted<R> {
    pub(super) inner: R,
    pub(super) unreadable: Unreadable,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.unreadable.note(read, |error| error.kind() != io::ErrorKind::Interrupted)
    }
}

impl Length for Noted<Content> {
    fn len(&self) -> u64 {
        self.inner.len()
    }
}

impl ChunkReader for Noted<Content> {
    type T = BufReader<Noted<Cursor>>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let inner = Cursor::new(self.inner.try_clone()?, start);
        Ok(BufReader::new(Noted { inner, unreadable: self.unreadable.clone() }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // Bytes that are missing are damage, those that can't be read are not.
        self.unreadable.note(self.inner.get_bytes(start, length), |error| matches!(error, ParquetError::External(_)))
    }
}
