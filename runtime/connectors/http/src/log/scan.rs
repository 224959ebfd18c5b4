//! Reads segments block by block.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;
use wasmill_engine::codes::DISK;
use wasmill_engine::{Error, Result};

use super::block::{BLOCK_HEADER_BYTES, Entry, HEADER_BYTES, entries, header, matches, read_block_header};
use super::files;
use super::recover::damaged;

/// One segment, open for reading.
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    /// Where the next block begins.
    pub at: u64,
}

/// What lies at the place of the next block.
pub(super) enum Found {
    /// A block.
    Block(Vec<Entry>),
    /// The end of the file.
    End,
    /// Something else: the end of a block that was being written, or damage.
    Torn,
}

impl Segment {
    /// Opens a segment. `None` if it is cut off in its beginning: it was being created.
    pub(super) fn open(folder: &Path, id: Uuid, first: u64) -> Result<Option<Self>> {
        let path = files::segment(folder, first);
        let file = File::open(&path).map_err(|error| failed(&path, error))?;
        let mut found = [0; HEADER_BYTES];
        let read = read_at(&file, &mut found, 0).map_err(|error| failed(&path, error))?;
        if read < HEADER_BYTES {
            return Ok(None);
        }
        if found != header(id, first) {
            return Err(damaged(&path, "its beginning is not that of this log"));
        }
        Ok(Some(Self { path, file, at: HEADER_BYTES as u64 }))
    }

    /// The next block.
    pub(super) fn next(&mut self) -> Result<Found> {
        let mut beginning = [0; BLOCK_HEADER_BYTES];
        let read = read_at(&self.file, &mut beginning, self.at).map_err(|error| failed(&self.path, error))?;
        if read == 0 {
            return Ok(Found::End);
        }
        let Some((length, checksum)) = read_block_header(&beginning[..read]) else { return Ok(Found::Torn) };
        // Before memory is taken for what the file says.
        let end = self.at + (BLOCK_HEADER_BYTES + length) as u64;
        if end > self.length()? {
            return Ok(Found::Torn);
        }
        let mut bytes = vec![0; length];
        let read = read_at(&self.file, &mut bytes, self.at + BLOCK_HEADER_BYTES as u64).map_err(|error| failed(&self.path, error))?;
        if read < length || !matches(&bytes, checksum) {
            return Ok(Found::Torn);
        }
        let entries = entries(Bytes::from(bytes)).ok_or_else(|| damaged(&self.path, "a block holds something else than requests"))?;
        self.at = end;
        Ok(Found::Block(entries))
    }

    /// Everything from the next block on.
    pub(super) fn rest(&self) -> Result<Vec<u8>> {
        let length = usize::try_from(self.length()?.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let read = read_at(&self.file, &mut bytes, self.at).map_err(|error| failed(&self.path, error))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| failed(&self.path, error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads until the buffer or the file is at its end.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::io(format_args!("read {}", path.display()), error).or_code(DISK)
}

/// Reads a log from a record on, over its segments.
pub(crate) struct Cursor {
    folder: PathBuf,
    id: Uuid,
    segment: Option<Segment>,
    /// The first record of the next block.
    next: u64,
    /// Where it begins: earlier records of the first block are left out.
    from: u64,
}

impl Cursor {
    /// Reads from a record on, which the log must have, or which is its next.
    pub(crate) fn new(folder: &Path, id: Uuid, from: u64) -> Result<Self> {
        let (segments, _) = files::list(folder)?;
        let first = segments.iter().rev().find(|first| **first <= from).copied();
        let segment = first.map(|first| Segment::open(folder, id, first)).transpose()?.flatten();
        Ok(Self { folder: folder.to_path_buf(), id, segment, next: first.unwrap_or(from), from })
    }

    /// The entries of the next block, which must be durable.
    pub(crate) fn next(&mut self) -> Result<Vec<Entry>> {
        loop {
            let segment = match &mut self.segment {
                Some(segment) => segment,
                None => self.segment.insert(self.open()?),
            };
            match segment.next()? {
                Found::Torn => {
                    return Err(damaged(segment.path(), &format!("the block at byte {} does not match its checksum", segment.at)));
                }
                Found::End => self.segment = None,
                Found::Block(entries) => {
                    let last = entries.last().map(|entry| entry.first + entry.records.len() as u64);
                    let is_next = entries.first().is_some_and(|entry| entry.first == self.next);
                    let Some(end) = last.filter(|_| is_next) else {
                        return Err(damaged(segment.path(), &format!("record {} is not where it belongs", self.next)));
                    };
                    self.next = end;
                    if end > self.from {
                        return Ok(entries);
                    }
                }
            }
        }
    }

    fn open(&self) -> Result<Segment> {
        Segment::open(&self.folder, self.id, self.next)?
            .ok_or_else(|| damaged(&files::segment(&self.folder, self.next), "it is cut off in its beginning"))
    }
}
