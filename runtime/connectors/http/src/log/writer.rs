//! The thread that writes a log: everything that has come meanwhile in one block and one sync.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use wasmill_engine::codes::DISK;
use wasmill_engine::disk::sync_folder;
use wasmill_engine::{Error, Result, failpoint};

use super::block::{BLOCK_HEADER_BYTES, HEADER_BYTES, block_header, header};
use super::{Inner, SEGMENT_BYTES, Shared, files, millis, now_millis};

/// Writes blocks.
pub(super) struct Writer {
    shared: Arc<Shared>,
    open: Option<Open>,
    /// The segment to go on with.
    last: Option<u64>,
    /// The first record of the next block.
    next: u64,
}

/// The segment that is written.
struct Open {
    first: u64,
    file: File,
    length: u64,
}

/// What the thread does next.
enum Task {
    Write { entries: Vec<u8>, first: u64, next: u64 },
    Trim(u64),
    End,
}

impl Writer {
    /// Goes on with a segment, if there is one, and a record.
    pub(super) fn new(shared: Arc<Shared>, last: Option<u64>, next: u64) -> Self {
        Self { shared, open: None, last, next }
    }

    /// Writes until the log is closed, or a write fails in a way that leaves open what is durable.
    pub(super) fn run(mut self) {
        loop {
            match self.wait(self.next) {
                Task::End => return,
                Task::Trim(record) => {
                    if let Err(error) = self.trim(record) {
                        tracing::warn!("the log of requests is not trimmed: {error}");
                    }
                }
                Task::Write { entries, first: from, next } => match self.write(&entries, from) {
                    Ok(written) => {
                        // Durable, and nobody knows it yet.
                        failpoint::hit("http-log-before-answer");
                        let mut inner = self.shared.inner.lock();
                        inner.written += written;
                        inner.in_flight = 0;
                        let end = inner.written;
                        inner.blocks.push_back((next, end));
                        drop(inner);
                        self.next = next;
                        self.shared.durable.send_modify(|durable| durable.next = next);
                    }
                    Err(error) => return self.fail(from, &error),
                },
            }
        }
    }

    /// Nothing is taken any more. Whether the last block is durable is unknown: the next start finds out.
    fn fail(&self, from: u64, error: &Error) {
        tracing::error!("the log of requests failed: {error}");
        self.shared.inner.lock().keys.forget_from(from);
        self.shared.durable.send_modify(|durable| durable.failed = Some(error.to_string()));
    }

    fn wait(&self, first: u64) -> Task {
        let mut inner = self.shared.inner.lock();
        loop {
            if !inner.pending.is_empty() {
                let entries = std::mem::take(&mut inner.pending);
                inner.in_flight = entries.len();
                return Task::Write { entries, first, next: inner.next };
            }
            if let Some(record) = inner.trim_to.take() {
                return Task::Trim(record);
            }
            if inner.is_closing {
                return Task::End;
            }
            self.shared.work.wait(&mut inner);
        }
    }

    /// Writes a block and makes it durable; returns its bytes.
    fn write(&mut self, entries: &[u8], first: u64) -> Result<u64> {
        let segment_bytes = SEGMENT_BYTES.min(self.shared.limits.max_bytes / 4).max(4096);
        if self.open.as_ref().is_some_and(|open| open.length >= segment_bytes) {
            (self.open, self.last) = (None, None);
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open_segment(first)?,
        };
        let open = self.open.insert(open);
        let path = || files::segment(&self.shared.folder, open.first).display().to_string();
        let mut block = Vec::with_capacity(BLOCK_HEADER_BYTES + entries.len());
        block.extend_from_slice(&block_header(entries));
        block.extend_from_slice(entries);
        let written = open.file.write_all(&block).and_then(|()| {
            failpoint::hit("http-log-before-sync");
            open.file.sync_data()
        });
        written.map_err(|error| Error::io(format_args!("write {}", path()), error).or_code(DISK))?;
        open.length += block.len() as u64;
        let (first, length) = (open.first, open.length);
        self.shared.inner.lock().segments.insert(first, length);
        Ok(block.len() as u64)
    }

    fn open_segment(&mut self, first: u64) -> Result<Open> {
        let folder = &self.shared.folder;
        if let Some(last) = self.last.take() {
            let path = files::segment(folder, last);
            let file = OpenOptions::new().append(true).open(&path);
            let file = file.and_then(|file| Ok((file.metadata()?.len(), file)));
            let (length, file) = file.map_err(|error| Error::io(format_args!("open {}", path.display()), error).or_code(DISK))?;
            return Ok(Open { first: last, file, length });
        }
        let path = files::segment(folder, first);
        let create = || -> io::Result<File> {
            let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            file.write_all(&header(self.shared.id, first))?;
            file.sync_all()?;
            Ok(file)
        };
        let file = create().map_err(|error| Error::io(format_args!("create {}", path.display()), error).or_code(DISK))?;
        sync_folder(folder)?;
        Ok(Open { first, file, length: HEADER_BYTES as u64 })
    }

    /// Removes segments whose records are all before one. Their keys are kept for as long as they count.
    fn trim(&self, record: u64) -> Result<()> {
        let folder = &self.shared.folder;
        files::replace(&folder.join("read-to"), super::recover::read_to(record).as_bytes())?;
        failpoint::hit("http-log-after-read-to");
        let after = now_millis() - millis(self.shared.limits.keep_keys);
        let doomed = {
            let mut inner = self.shared.inner.lock();
            inner.keys.forget(after);
            doomed(&inner, record)
        };
        for (first, end) in doomed {
            let keys = files::keys(folder, first);
            // The lock is held while a small file is written: rarely, and shorter than a sync of a block.
            let mut inner = self.shared.inner.lock();
            inner.keys.save(&keys, first..end)?;
            inner.segments.remove(&first);
            drop(inner);
            failpoint::hit("http-log-after-keys");
            files::remove(&files::segment(folder, first))?;
            failpoint::hit("http-log-after-trim");
        }
        self.remove_old_keys(after)
    }

    fn remove_old_keys(&self, after: i64) -> Result<()> {
        for first in files::list(&self.shared.folder)?.1 {
            let path = files::keys(&self.shared.folder, first);
            if !super::keys::Keys::default().load(&path, after)? {
                files::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Segments that end at or before a record, and are not the last: first records and the records behind.
fn doomed(inner: &Inner, record: u64) -> Vec<(u64, u64)> {
    let firsts: Vec<u64> = inner.segments.keys().copied().collect();
    firsts.windows(2).filter(|pair| pair[1] <= record).map(|pair| (pair[0], pair[1])).collect()
}
