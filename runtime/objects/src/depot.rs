//! The depot of a state in a bucket: objects next to the checkpoints.
//!
//! A small file is one put. A large one is a multipart upload that sealing completes. What a
//! process leaves that ends before is found by listing objects and by the notes of uploads. Wasmill
//! 0.1 kept such files on the disk of the machine that ran it, in a folder named after the address
//! of the state. They are read there where the bucket has none.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::{Buf, Bytes};
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;
use wasmill_engine::depot::{Verified, damaged, gone, is_left_over, is_of_another};
use wasmill_engine::disk::Digested;
use wasmill_engine::{Depot, DepotFile, DepotKey, DepotWriter, EpochId, Error, LocalDepot, Result, failpoint};

use super::failure::Failure;
use super::object::When;
use super::{Bucket, Completion, ObjectWriter, S3Uri, UploadEpoch, UploadNotes, Uploading, failed};

/// A file of at most this many bytes is one put.
const SMALL_BYTES: usize = 8 << 20;
/// This many bytes are fetched at once, and as many are prefetched.
const FETCH_BYTES: u64 = 8 << 20;

/// Files below a prefix.
#[derive(Clone)]
pub(super) struct S3Depot {
    bucket: Arc<Bucket>,
    folder: S3Uri,
    /// What was finished and is not sealed, by key.
    unsealed: Arc<Mutex<HashMap<String, Unsealed>>>,
    /// The notes of uploads, by folder.
    notes: Arc<Mutex<HashMap<String, Arc<UploadNotes>>>>,
    /// Where Wasmill 0.1 kept the files of this state.
    left_behind: LocalDepot,
}

/// A finished file on its way.
enum Unsealed {
    Small(Receiver<Result<(), Failure>>),
    Large(Uploading),
}

impl S3Depot {
    /// The depot below a prefix. `left_behind` is the folder in which Wasmill 0.1 kept its files. Touches nothing.
    pub fn new(bucket: Arc<Bucket>, folder: S3Uri, left_behind: PathBuf) -> Self {
        Self { bucket, folder, unsealed: Arc::default(), notes: Arc::default(), left_behind: LocalDepot::new(left_behind) }
    }

    fn key(&self, name: &str) -> String {
        self.folder.below(name)
    }

    fn unsealed(&self) -> MutexGuard<'_, HashMap<String, Unsealed>> {
        self.unsealed.lock()
    }

    /// The names of the objects below a folder, in increasing order.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.bucket.list(&self.key(folder))?;
        Ok(listed.iter().filter_map(|object| self.name_of(&object.key)).map(str::to_owned).collect())
    }

    fn name_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        if self.folder.key.is_empty() { Some(key) } else { key.strip_prefix(&self.folder.key)?.strip_prefix('/') }
    }

    fn notes(&self, folder: &str) -> Arc<UploadNotes> {
        let mut notes = self.notes.lock();
        let own = notes.entry(folder.to_owned()).or_insert_with(|| UploadNotes::new(&self.bucket, &self.folder, "depot", folder));
        Arc::clone(own)
    }
}

impl Depot for S3Depot {
    fn create(&self, key: &DepotKey<'_>) -> Result<Box<dyn DepotWriter>> {
        let name = key.name();
        let (notes, epoch) = (self.notes(key.folder), UploadEpoch { incarnation: key.incarnation, epoch: key.epoch, claim: None });
        let content = Content { notes, epoch, key: self.key(&name), size: 0, small: Vec::new(), large: None };
        Ok(Box::new(S3Writer { depot: self.clone(), name, content: Digested::new(content) }))
    }

    fn seal(&self, files: &[DepotFile]) -> Result<()> {
        let mut uploads = Vec::new();
        for file in files {
            let key = self.key(&file.name);
            let unsealed = self.unsealed().remove(&key);
            match unsealed {
                Some(Unsealed::Small(put)) => {
                    received(put)?.map_err(|failure| failed(format_args!("write {}", self.bucket.shown(&key)), &failure))?;
                }
                Some(Unsealed::Large(mut uploading)) => uploads.push((key, file.bytes, uploading.wait()?, Arc::clone(uploading.notes()))),
                None => return Err(Error::bug(format!("{} is sealed, and this process has not written it", self.bucket.shown(&key)))),
            }
        }
        self.bucket.complete_uploads(uploads.iter().map(|(key, size, upload, _)| Completion { key, size: *size, upload }))?;
        for (key, .., notes) in &uploads {
            notes.settled(key);
            notes.sweep();
        }
        Ok(())
    }

    fn open(&self, file: &DepotFile) -> Result<Box<dyn Read + Send>> {
        let key = self.key(&file.name);
        let shown = self.bucket.shown(&key);
        let head = {
            let (bucket, key) = (Arc::clone(&self.bucket), key.clone());
            begin(&self.bucket, async move { bucket.head(&key).await })
        };
        let found = received(head)?.map_err(|failure| failed(format_args!("read the metadata of {shown}"), &failure))?;
        match found {
            Some(object) if object.size != file.bytes => {
                Err(damaged(&shown, &format!("it has {} bytes, and {} were prepared", object.size, file.bytes)))
            }
            Some(object) => {
                let fetched =
                    Fetched { bucket: Arc::clone(&self.bucket), key, size: object.size, begun: 0, ahead: None, bytes: Bytes::new() };
                Ok(Box::new(Verified::new(fetched, file, shown)))
            }
            None if self.left_behind.has(&file.name) => self.left_behind.open(file),
            None => Err(gone(&shown)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.bucket.read(&self.key(name))? {
            Some(bytes) => Ok(Some(bytes.into())),
            None => self.left_behind.read(name),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.names(folder)
    }

    fn remove(&self, names: &[String]) -> Result<()> {
        for name in names {
            // What is still on its way would arrive when it has been removed.
            let unsealed = self.unsealed().remove(&self.key(name));
            match unsealed {
                Some(Unsealed::Small(put)) => drop(received(put)?),
                Some(Unsealed::Large(uploading)) => uploading.abort(),
                None => {}
            }
        }
        self.bucket.remove(names.iter().map(|name| self.key(name)))?;
        self.left_behind.remove(names)
    }

    fn clean(&self, folder: &str, claim: EpochId, keeps: &dyn Fn(&str) -> bool) -> Result<()> {
        let goes = |name: &str| is_left_over(name, claim) && !keeps(name);
        let names: Vec<String> = self.names(folder)?.into_iter().filter(|name| goes(name)).collect();
        failpoint::hit("sink-clean-up");
        self.bucket.remove(names.iter().map(|name| self.key(name)))?;
        let EpochId { incarnation, epoch } = claim;
        // A left-over note may name a file of an earlier incarnation.
        let keeps_upload = |key: &str| self.name_of(key).is_none_or(keeps);
        self.notes(folder).clean_up(UploadEpoch { incarnation, epoch, claim: None }, |upload| keeps_upload(&upload.key))?;
        self.left_behind.clean(folder, claim, keeps)
    }

    fn clear_others(&self, incarnation: Uuid) -> Result<()> {
        // Checkpoints and notes lie next to the folders, and belong to the store.
        let is_one = |name: &str| name.contains('/') && is_of_another(name, incarnation);
        let listed = self.bucket.list(&self.folder.key)?;
        let keys = listed.into_iter().map(|object| object.key).filter(|key| self.name_of(key).is_some_and(is_one));
        self.bucket.remove(keys)?;
        UploadNotes::of_all(&self.bucket, &self.folder).clear_others(incarnation)?;
        self.left_behind.clear_others(incarnation)
    }

    fn shown(&self, name: &str) -> String {
        self.bucket.shown(&self.key(name))
    }
}

/// Begins a request. Waiting for it with [`received`] works on every thread, also where this one
/// drives asynchronous work already.
fn begin<T: Send + 'static>(bucket: &Bucket, request: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    bucket.threads.spawn(async move {
        let _ = sender.send(request.await);
    });
    receiver
}

fn received<T>(receiver: Receiver<T>) -> Result<T> {
    receiver.recv().map_err(|_| Error::bug("a request to the store ended without an outcome"))
}

/// Writes one file.
struct S3Writer {
    depot: S3Depot,
    name: String,
    content: Digested<Content>,
}

/// The bytes of a file that is being written: held back while they are few.
struct Content {
    notes: Arc<UploadNotes>,
    epoch: UploadEpoch,
    key: String,
    size: u64,
    small: Vec<u8>,
    large: Option<ObjectWriter>,
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.large {
            Some(object) => object.write(bytes)?,
            None if self.small.len() + bytes.len() <= SMALL_BYTES => {
                self.small.extend_from_slice(bytes);
                bytes.len()
            }
            none => {
                let object = none.insert(ObjectWriter::create(&self.notes, self.epoch, self.key.clone()));
                object.write_all(&std::mem::take(&mut self.small))?;
                object.write(bytes)?
            }
        };
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for S3Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DepotWriter for S3Writer {
    fn finish(self: Box<Self>) -> Result<DepotFile> {
        let Self { depot, name, content } = *self;
        let (sha256, content) = content.finish();
        let Content { notes, key, size, small, large, .. } = content;
        let bucket = notes.bucket();
        let unsealed = match large {
            Some(mut object) => Unsealed::Large(object.finish()?),
            None => {
                let (storing, key, bytes) = (Arc::clone(bucket), key.clone(), Bytes::from(small));
                Unsealed::Small(begin(bucket, async move { storing.put(&key, &bytes, When::Always).await }))
            }
        };
        depot.unsealed().insert(key, unsealed);
        Ok(DepotFile { name, bytes: size, sha256 })
    }
}

/// Reads an object from front to back, one range ahead.
struct Fetched {
    bucket: Arc<Bucket>,
    key: String,
    size: u64,
    /// Up to where ranges were requested.
    begun: u64,
    ahead: Option<Receiver<Result<Bytes, Failure>>>,
    bytes: Bytes,
}

impl Fetched {
    fn fetch(&mut self) {
        let range = self.begun..self.size.min(self.begun + FETCH_BYTES);
        if range.is_empty() {
            return;
        }
        self.begun = range.end;
        let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
        self.ahead = Some(begin(&self.bucket, async move { bucket.get(&key, Some(range), None).await.map(|(_, bytes)| bytes) }));
    }
}

impl Read for Fetched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            if self.ahead.is_none() {
                self.fetch();
            }
            let Some(ahead) = self.ahead.take() else { return Ok(0) };
            let fetched = received(ahead).map_err(io::Error::other)?;
            let shown = || self.bucket.shown(&self.key);
            self.bytes = fetched.map_err(|failure| io::Error::other(failed(format_args!("read {}", shown()), &failure)))?;
            self.fetch();
        }
        let read = into.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut into[..read]);
        Ok(read)
    }
}
