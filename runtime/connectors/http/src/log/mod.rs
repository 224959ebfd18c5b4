//! The log of accepted requests: files in a folder, written by one thread, read by one lane.
//!
//! # Files
//! * `segment-00000000000000000000`: entries, from the record of that number on. A segment that has
//!   become large is followed by another one.
//! * `keys-00000000000000000000`: the keys of requests of a segment that was removed.
//! * `id`: which log this is. `read-to`: how far every sink has committed, for a state that knows of no progress.
//!
//! # What survives
//! Entries are written in blocks with a checksum. One block is synced before the next one is written, and before its requests are answered.
//! So after a crash only the last block can be torn, and none of its requests was answered: it is cut off. Anything else that does not match
//! its checksum is damage, and an error.

mod block;
mod files;
mod keys;
mod recover;
mod scan;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use uuid::Uuid;
use wasmill_engine::codes::THREADS;
use wasmill_engine::{Error, Result};
use wasmill_gateway::{Record, Refusal, RefusalKind, RequestKey};

pub use block::{Entry, LoggedRecord};
use keys::{Keys, Known};
pub(crate) use scan::Cursor;

/// Entries that wait to be written, at most.
const MAX_PENDING_BYTES: usize = 64 << 20;
/// A segment is followed by another one once it has so many bytes.
const SEGMENT_BYTES: u64 = 32 << 20;

/// The limits of a log.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of records that are not committed yet.
    pub max_bytes: u64,
    /// How long keys of requests are remembered.
    pub keep_keys: Duration,
}

/// A log that is open for writing, and locked.
pub struct Log {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread that writes, requests and the reader share.
struct Shared {
    folder: PathBuf,
    id: Uuid,
    limits: Limits,
    inner: Mutex<Inner>,
    /// Something is to be written, or trimmed, or the log is to be closed.
    work: Condvar,
    durable: watch::Sender<Durable>,
    _lock: File,
}

/// How far the log is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Durable {
    /// The number of the next record that will be.
    next: u64,
    /// Why nothing will be written any more.
    failed: Option<String>,
}

struct Inner {
    /// The number of the next record.
    next: u64,
    /// Encoded entries that are not written.
    pending: Vec<u8>,
    /// The bytes of entries that are being written.
    in_flight: usize,
    keys: Keys,
    /// Of each block that is not committed: the record behind it, and the bytes of the log up to there.
    blocks: VecDeque<(u64, u64)>,
    /// All bytes that were ever written, and those of them that are committed.
    written: u64,
    committed: u64,
    /// Everything before this record may be removed.
    trim_to: Option<u64>,
    /// First records and lengths of the segments.
    segments: BTreeMap<u64, u64>,
    is_closing: bool,
}

/// A request that was taken, and lies in the log once [`Log::durable`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The number of its first record.
    pub first: u64,
    /// How many records it has.
    pub count: u32,
}

impl Log {
    /// Opens the log of a folder, creates it if need be, and locks it. `committed` is the record up to which a checkpoint has read it.
    ///
    /// # Errors
    /// Environment: another process has it, it is damaged, or it lacks what the checkpoint has read.
    pub fn open(folder: &Path, limits: Limits, committed: Option<(Uuid, u64)>) -> Result<Self> {
        let recovered = recover::open(folder, limits, committed)?;
        let (durable, _) = watch::channel(Durable { next: recovered.next, failed: None });
        let inner = Inner {
            next: recovered.next,
            pending: Vec::new(),
            in_flight: 0,
            keys: recovered.keys,
            blocks: recovered.blocks,
            written: recovered.written,
            committed: recovered.committed,
            trim_to: None,
            segments: recovered.segments,
            is_closing: false,
        };
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            id: recovered.id,
            limits,
            inner: Mutex::new(inner),
            work: Condvar::new(),
            durable,
            _lock: recovered.lock,
        });
        let writer = writer::Writer::new(Arc::clone(&shared), recovered.last, recovered.next);
        let thread = std::thread::Builder::new().name("http-log".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|error| Error::io("start the thread of a log", error).or_code(THREADS))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Which log it is.
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// The number of the next record that will be durable.
    pub fn next(&self) -> u64 {
        self.shared.durable.borrow().next
    }

    /// Why nothing can be written any more.
    pub(crate) fn failure(&self) -> Option<String> {
        self.shared.durable.borrow().failed.clone()
    }

    /// Takes a request. A key that was seen before, with the same request, takes nothing and returns the records of that time.
    ///
    /// # Errors
    /// The log is full or failed, or the key belongs to another request.
    pub fn take(&self, name: &str, records: &[Record], key: Option<RequestKey>) -> Result<Taken, Refusal> {
        let now = now_millis();
        let mut inner = self.shared.inner.lock();
        if inner.is_closing {
            return Err(Refusal::new(RefusalKind::Unavailable, "the pipeline is stopping; retry later"));
        }
        if let Some(failed) = &self.shared.durable.borrow().failed {
            return Err(Refusal::new(RefusalKind::Unavailable, format!("the log of the pipeline failed: {failed}")));
        }
        if let Some(key) = &key {
            inner.keys.forget(now - millis(self.shared.limits.keep_keys));
            if let Some(known) = inner.keys.find(&key.key) {
                return match known.request == key.request {
                    true => Ok(Taken { first: known.first, count: known.count }),
                    false => Err(Refusal::new(RefusalKind::KeyReused, "the Idempotency-Key was used for another body")),
                };
            }
            if inner.keys.is_full() {
                return Err(Refusal::new(RefusalKind::Full, "there are too many keys of requests to remember; retry later"));
            }
        }
        let before = inner.pending.len();
        let unread = inner.written - inner.committed + (before + inner.in_flight) as u64;
        let size = block::size(name, records);
        if unread + size as u64 > self.shared.limits.max_bytes || before + size > MAX_PENDING_BYTES.max(size) {
            return Err(full(size as u64 > self.shared.limits.max_bytes));
        }
        let taken = Taken { first: inner.next, count: u32::try_from(records.len()).unwrap_or(u32::MAX) };
        block::put_entry(&mut inner.pending, taken.first, now, name, records, key.as_ref());
        inner.next += records.len() as u64;
        if let Some(key) = key {
            inner.keys.add(key.key, Known { request: key.request, first: taken.first, count: taken.count, at: now });
        }
        drop(inner);
        self.shared.work.notify_one();
        Ok(taken)
    }

    /// Waits until a request that was taken is durable.
    ///
    /// # Errors
    /// The log failed: it may or may not be.
    pub async fn durable(&self, taken: Taken) -> Result<(), Refusal> {
        let end = taken.first + u64::from(taken.count);
        let mut durable = self.shared.durable.subscribe();
        let state = durable.wait_for(|durable| durable.next >= end || durable.failed.is_some()).await;
        match state {
            Ok(state) if state.next >= end => Ok(()),
            Ok(state) => {
                let why = state.failed.clone().unwrap_or_default();
                Err(Refusal::new(RefusalKind::Unavailable, format!("the log of the pipeline failed: {why}")))
            }
            Err(_) => Err(Refusal::new(RefusalKind::Unavailable, "the pipeline is stopping; retry later")),
        }
    }

    /// Removes, soon, what lies wholly before a record that every sink has committed.
    pub fn trim(&self, record: u64) {
        let mut inner = self.shared.inner.lock();
        while let Some(&(end, bytes)) = inner.blocks.front()
            && end <= record
        {
            inner.blocks.pop_front();
            inner.committed = bytes;
        }
        inner.trim_to = Some(record);
        drop(inner);
        self.shared.work.notify_one();
    }

    /// Where a source begins that knows of no progress.
    pub(crate) fn begin(&self) -> Result<u64> {
        let start = self.shared.inner.lock().segments.keys().next().copied();
        recover::begin(&self.shared.folder, &(start.unwrap_or_else(|| self.next())..self.next()))
    }

    /// Where its files lie.
    #[cfg(test)]
    fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Takes no more requests, and waits until those that were taken are written.
    pub fn close(&self) {
        self.shared.inner.lock().is_closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a log has that is not open for writing: its id, the record to begin with, and the number behind the last. `None` if there is none.
///
/// # Errors
/// Environment: it is damaged, or lacks what the checkpoint has read.
pub(crate) fn extent_of(folder: &Path, committed: Option<(Uuid, u64)>) -> Result<Option<(Uuid, u64, u64)>> {
    let Some(extent) = recover::extent(folder, committed)? else { return Ok(None) };
    let begin = committed.map_or_else(|| recover::begin(folder, &extent.records), |(_, record)| Ok(record))?;
    Ok(Some((extent.id, begin, extent.records.end)))
}

fn full(never_fits: bool) -> Refusal {
    if never_fits {
        return Refusal::new(RefusalKind::TooLarge, "the request is larger than the log of the pipeline may be (`max_log`)");
    }
    Refusal::new(RefusalKind::Full, "the pipeline has not read what it has accepted before; retry later")
}

fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod damaged;
#[cfg(test)]
mod tests;
