//! The objects that a lane writes in one epoch: open ones by key, and finished ones whose last
//! parts may still be in flight.

use std::collections::HashMap;
use std::hash::Hash;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use serde_json::Value;
use wasmill_engine::Result;

use super::{Destination, PreparedObject};
use wasmill_connect::prepared;
use wasmill_formats::RecordWriter;
use wasmill_objects::{ObjectWriter, Uploading};

/// The most objects that a lane opens before the epoch's end: each fills a part in memory.
pub(super) const MAX_OPEN_OBJECTS: usize = 12;

/// Creates the encoder of an object.
pub(super) type Encode = Box<dyn Fn(Counted) -> Result<Box<dyn RecordWriter<Counted>>> + Send>;

/// The objects of one lane. Dropping it unprepared aborts them.
pub(super) struct Objects<K> {
    destination: Destination,
    encode: Encode,
    /// The size in bytes at which an object is ended.
    target_size: u64,
    open: HashMap<K, Open>,
    done: Vec<(PreparedObject, Uploading)>,
}

struct Open {
    path: String,
    rows: u64,
    written: Arc<AtomicU64>,
    writer: Box<dyn RecordWriter<Counted>>,
}

impl<K: Clone + Ord + Hash> Objects<K> {
    /// No objects yet.
    pub(super) fn new(destination: Destination, encode: Encode, target_size: u64) -> Self {
        Self { destination, encode, target_size, open: HashMap::new(), done: Vec::new() }
    }

    /// Whether the object of a key is open.
    pub(super) fn is_open(&self, key: &K) -> bool {
        self.open.contains_key(key)
    }

    /// How many objects are open.
    pub(super) fn open_objects(&self) -> usize {
        self.open.len()
    }

    /// How many rows the open object of a key has.
    pub(super) fn rows(&self, key: &K) -> u64 {
        self.open.get(key).map_or(0, |open| open.rows)
    }

    /// Writes rows into the open object of a key, or into a new one with the key that `path`
    /// returns.
    pub(super) fn write(&mut self, key: &K, records: &RecordBatch, path: impl FnOnce() -> String) -> Result<()> {
        if !self.open.contains_key(key) {
            let (path, written) = (path(), Arc::new(AtomicU64::new(0)));
            let Destination { notes, epoch, place, .. } = &self.destination;
            let output = Counted { object: ObjectWriter::create(notes, *epoch, place.below(&path)), written: Arc::clone(&written) };
            let open = Open { path, rows: 0, written, writer: (self.encode)(output)? };
            self.open.insert(key.clone(), open);
        }
        let Some(open) = self.open.get_mut(key) else { return Ok(()) };
        open.writer.write(records).map_err(|error| error.at(open.path.clone()))?;
        open.rows += records.num_rows() as u64;
        let size = open.written.load(Ordering::Relaxed) + open.writer.buffered_bytes() as u64;
        if size >= self.target_size { self.finish(key) } else { Ok(()) }
    }

    /// Ends the open object of a key, if there is one.
    pub(super) fn finish(&mut self, key: &K) -> Result<()> {
        let Some(open) = self.open.remove(key) else { return Ok(()) };
        let mut output = open.writer.finish().map_err(|error| error.at(open.path.clone()))?;
        let uploading = output.object.finish()?;
        let object = PreparedObject { path: open.path, size: output.object.size(), rows: open.rows, upload: None };
        self.done.push((object, uploading));
        Ok(())
    }

    /// Ends all objects, and returns them.
    pub(super) fn prepare(&mut self) -> Result<Value> {
        let mut keys: Vec<K> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.finish(&key)?;
        }
        let (objects, uploading): (Vec<PreparedObject>, Vec<Uploading>) = std::mem::take(&mut self.done).into_iter().unzip();
        let mut pending = self.destination.pending.lock();
        pending.extend(uploading.into_iter().map(|uploading| (uploading.key().to_owned(), uploading)));
        drop(pending);
        prepared::write(&objects)
    }
}

impl<K> Drop for Objects<K> {
    /// What was not prepared will never be committed. Best effort: the next start aborts what stays. Open objects give themselves up.
    fn drop(&mut self) {
        std::mem::take(&mut self.done).into_iter().for_each(|(_, uploading)| uploading.abort());
    }
}

/// An object that keeps count of what goes into it.
pub(super) struct Counted {
    object: ObjectWriter,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.object.write(bytes)?;
        self.written.fetch_add(taken as u64, Ordering::Relaxed);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}
