//! Objects on their way into a bucket: uploaded in parts while they are written, visible only when their upload is completed.
//!
//! The parts and the upload's id are all that another process needs to complete it, so a checkpoint
//! can hold them. An upload that no checkpoint names is found by the note that was written before
//! it began ([`UploadNotes`]), and aborted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_async::time::StaticTimeSource;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use wasmill_engine::{Error, Result};

use super::bucket::AT_ONCE;
use super::failure::{Failure, Kind};
use super::notes::UploadNotes;
use super::request::pauses_between_checks;
use super::{Bucket, Completion, Upload, UploadEpoch, failed};
use crate::codes::{OBJECT_TAKEN, UPLOAD_GONE};

/// The size of a part; the last one may be smaller. S3 takes at most 10,000 of them, 78 GiB, and none but the last below 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// How many parts of one object may wait or be in flight: what its writer holds in memory besides
/// the part that it fills.
const PARTS_AHEAD: usize = 2;
/// How many parts a process sends at once.
const SENDS_AT_ONCE: usize = 16;
/// How often an upload that is neither there nor completed is checked again: another process may be
/// completing it right now.
const CHECKS: usize = 6;
/// How often a key is noted whose upload the store rejects because the note is too old.
const NOTES_OF_A_KEY: u32 = 3;

/// What the last parts of ended objects may hold together until they are sent, in KiB. Their
/// writers are gone and no longer bound them.
const MAX_LAST_PARTS_KIB: usize = 64 << 10;

static LAST_PARTS: Semaphore = Semaphore::const_new(MAX_LAST_PARTS_KIB);

enum Message {
    /// A part, and its share of what all last parts may have.
    Part(Bytes, Option<SemaphorePermit<'static>>),
    /// There are no more parts. Without it, what was sent is aborted.
    Finish,
}

/// Takes the bytes of one object.
pub struct ObjectWriter {
    notes: Arc<UploadNotes>,
    key: String,
    part: Vec<u8>,
    size: u64,
    /// `None` once it is finished or aborted.
    task: Option<Task>,
}

struct Task {
    parts: mpsc::Sender<Message>,
    done: JoinHandle<Result<Option<Upload>>>,
}

/// An object whose last parts may still be on their way.
pub struct Uploading {
    notes: Arc<UploadNotes>,
    key: String,
    done: Option<JoinHandle<Result<Option<Upload>>>>,
}

impl ObjectWriter {
    /// Starts an object of an epoch. The upload begins in the background, after its key is noted.
    pub fn create(notes: &Arc<UploadNotes>, epoch: UploadEpoch, key: String) -> Self {
        let (parts, received) = mpsc::channel(PARTS_AHEAD);
        let done = notes.bucket().threads.spawn(send(Arc::clone(notes), epoch, key.clone(), received));
        Self { notes: Arc::clone(notes), key, part: Vec::new(), size: 0, task: Some(Task { parts, done }) }
    }

    /// How many bytes it has taken.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory that wait for their part to be full.
    pub fn held_back(&self) -> usize {
        self.part.capacity()
    }

    /// Its address, for readers.
    pub fn shown(&self) -> String {
        self.notes.bucket().shown(&self.key)
    }

    /// Ends the object: the last part goes, and need not have arrived.
    pub fn finish(&mut self) -> Result<Uploading> {
        let last = std::mem::take(&mut self.part);
        if !last.is_empty() || self.size == 0 {
            let share = self.notes.bucket().wait(LAST_PARTS.acquire_many(u32::try_from(last.len() >> 10).unwrap_or(u32::MAX)));
            self.send(Message::Part(last.into(), share.ok()))?;
        }
        self.send(Message::Finish)?;
        let done = self.task.take().map(|task| task.done);
        Ok(Uploading { notes: Arc::clone(&self.notes), key: self.key.clone(), done })
    }

    fn send(&mut self, message: Message) -> Result<()> {
        let Some(task) = &self.task else { return Err(Error::bug(format!("{} was written to after its end", self.shown()))) };
        if task.parts.blocking_send(message).is_ok() {
            return Ok(());
        }
        // The receiver of parts is gone: the task has the reason.
        let done = self.task.take().map(|task| task.done);
        let mut failed = Uploading { notes: Arc::clone(&self.notes), key: self.key.clone(), done };
        match failed.wait() {
            Err(error) => Err(error),
            Ok(_) => Err(Error::bug(format!("the upload of {} ended before its last part", self.shown()))),
        }
    }
}

impl io::Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.size += taken as u64;
        if self.part.len() == PART_BYTES {
            let part = std::mem::take(&mut self.part);
            self.send(Message::Part(part.into(), None)).map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter {
    /// Best effort: what stays is aborted by the next start.
    fn drop(&mut self) {
        if let Some(Task { parts, done }) = self.task.take() {
            drop(parts);
            let _ = self.notes.bucket().wait(async { tokio::time::timeout(Duration::from_secs(5), done).await });
        }
    }
}

impl Uploading {
    /// Where it is noted.
    pub fn notes(&self) -> &Arc<UploadNotes> {
        &self.notes
    }

    /// The object's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Waits until all parts have arrived.
    pub fn wait(&mut self) -> Result<Upload> {
        let bug = |why: &str| Error::bug(format!("the upload of {} {why}", self.notes.bucket().shown(&self.key)));
        let Some(done) = self.done.take() else { return Err(bug("was waited for twice")) };
        match self.notes.bucket().wait(done) {
            Ok(Ok(Some(upload))) => Ok(upload),
            Ok(Ok(None)) => Err(bug("was aborted")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(bug(&format!("broke: {error}"))),
        }
    }

    /// Aborts the object. Best effort: what stays is aborted by the next start.
    pub fn abort(mut self) {
        if let Ok(upload) = self.wait()
            && self.notes.bucket().abort_upload(&self.key, &upload.id).is_ok()
        {
            self.notes.settled(&self.key);
        }
    }
}

static SENDS: Semaphore = Semaphore::const_new(SENDS_AT_ONCE);

/// Notes a key and begins its upload. While the process is suspended between the two, another one
/// may remove the note. Then the store rejects the request, and the key is noted again.
async fn begin(notes: &UploadNotes, epoch: UploadEpoch, key: &str) -> Result<String, Failure> {
    let mut noted = 0;
    loop {
        let written = notes.note(epoch, key).await?;
        noted += 1;
        let begun = {
            let _permit = SENDS.acquire().await;
            notes.bucket().begin_upload(key, Some(written)).await
        };
        match begun {
            Ok(begun) => {
                if !begun.is_only {
                    notes.doubt(key);
                }
                return Ok(begun.id);
            }
            // An attempt before the rejected one may have begun an upload.
            Err(failure) if failure.kind == Kind::Skewed && noted < NOTES_OF_A_KEY => notes.doubt(key),
            Err(failure) => return Err(failure),
        }
    }
}

/// Sends the parts of one object as they come; aborts its upload if they end without their end.
async fn send(notes: Arc<UploadNotes>, epoch: UploadEpoch, key: String, mut parts: mpsc::Receiver<Message>) -> Result<Option<Upload>> {
    let bucket = notes.bucket();
    let failed = |failure: Failure| failed(format_args!("write {}", bucket.shown(&key)), &failure);
    let Some(Message::Part(first, share)) = parts.recv().await else { return Ok(None) };
    let id = begin(&notes, epoch, &key).await.map_err(failed)?;
    let put = |index: usize, part: Bytes, share: Option<SemaphorePermit<'static>>| {
        let (key, id) = (&key, &id);
        async move {
            let (_permit, _share) = (SENDS.acquire().await, share);
            bucket.put_part(key, id, index, &part).await.map(|part| (index, part))
        }
    };
    let mut sending = FuturesUnordered::new();
    sending.push(put(0, first, share));
    let (mut count, mut ended) = (1, false);
    let mut sent: Vec<(usize, String)> = Vec::new();
    let outcome = loop {
        tokio::select! {
            message = parts.recv(), if !ended && sending.len() < PARTS_AHEAD => match message {
                Some(Message::Part(part, share)) => {
                    sending.push(put(count, part, share));
                    count += 1;
                }
                Some(Message::Finish) => ended = true,
                None => break Ok(false),
            },
            Some(part) = sending.next() => match part {
                Ok(part) => sent.push(part),
                Err(error) => break Err(error),
            },
            else => break Ok(true),
        }
    };
    drop(sending);
    if !matches!(outcome, Ok(true)) && bucket.drop_upload(&key, &id).await.is_ok() {
        notes.settled(&key);
    }
    if !outcome.map_err(failed)? {
        return Ok(None);
    }
    sent.sort_by_key(|(index, _)| *index);
    Ok(Some(Upload { id, parts: sent.into_iter().map(|(_, part)| part).collect() }))
}

/// An upload that has begun.
pub struct Begun {
    /// Its id.
    pub id: String,
    /// It is the only one of its key: no response was lost.
    is_only: bool,
}

impl Bucket {
    /// Makes objects visible. Those that are there already are fine: no other process uses their
    /// names.
    pub fn complete_uploads<'a>(&self, uploads: impl IntoIterator<Item = Completion<'a>>) -> Result<()> {
        let complete = uploads.into_iter().map(|upload| self.complete(upload));
        let complete = futures::stream::iter(complete).buffer_unordered(AT_ONCE).collect::<Vec<Result<()>>>();
        self.wait(complete).into_iter().collect()
    }

    pub(crate) async fn complete(&self, Completion { key, size, upload }: Completion<'_>) -> Result<()> {
        let failed = |failure: Failure| failed(format_args!("complete {}", self.shown(key)), &failure);
        let mut pauses = pauses_between_checks(CHECKS - 1);
        loop {
            let Err(failure) = self.end_upload(key, upload).await else { return Ok(()) };
            match self.head(key).await.map_err(failed)? {
                Some(found) if found.size == size => return Ok(()),
                Some(found) => {
                    return Err(Error::environment(format!("{} has {} bytes instead of {size}", self.shown(key), found.size))
                        .code(OBJECT_TAKEN)
                        .hint("another program wrote an object of that name; nothing was removed"));
                }
                None => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None if failure.kind == Kind::NoUpload => return Err(gone(&self.shown(key))),
                    None => return Err(failed(failure)),
                },
            }
        }
    }

    /// Begins an upload. With a time, every attempt is signed with it: the store rejects attempts
    /// more than 15 minutes later.
    pub(super) async fn begin_upload(&self, key: &str, signed: Option<SystemTime>) -> Result<Begun, Failure> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let attempts = AtomicU32::new(0);
        let begin = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            let request = request.clone().customize();
            match signed {
                // The client would correct the time by what it has learned of the store's clock.
                Some(time) => {
                    request.config_override(Builder::new().time_source(StaticTimeSource::new(time)).disable_clock_skew_correction(true))
                }
                None => request,
            }
            .send()
        };
        let id = self.ask(begin).await?.upload_id;
        let id = id.ok_or_else(|| Failure::of_nonsense("the store's response has no upload id"))?;
        Ok(Begun { id, is_only: attempts.into_inner() == 1 })
    }

    /// Sends a part, counted from 0. The store's response is needed to complete the upload.
    pub(super) async fn put_part(&self, key: &str, id: &str, index: usize, part: &Bytes) -> Result<String, Failure> {
        let put = || {
            let put = self.client.upload_part().bucket(&self.name).key(key).upload_id(id);
            put.part_number(number(index)).body(part.clone().into()).send()
        };
        self.ask(put).await?.e_tag.ok_or_else(|| Failure::of_nonsense("the store's response has no ETag of a part"))
    }

    async fn end_upload(&self, key: &str, upload: &Upload) -> Result<(), Failure> {
        let parts = upload.parts.iter().enumerate();
        let parts = parts.map(|(index, etag)| CompletedPart::builder().part_number(number(index)).e_tag(etag).build()).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(&upload.id).multipart_upload(parts);
        self.ask(|| request.clone().send()).await.map(drop)
    }

    /// Drops an upload. One that is gone is fine.
    pub(super) async fn drop_upload(&self, key: &str, id: &str) -> Result<(), Failure> {
        let request = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(id);
        match self.ask(|| request.clone().send()).await {
            Err(failure) if !failure.is_missing() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Aborts an upload. One that is gone is fine.
    pub fn abort_upload(&self, key: &str, id: &str) -> Result<()> {
        self.wait(self.drop_upload(key, id)).map_err(|failure| failed(format_args!("abort the upload of {}", self.shown(key)), &failure))
    }
}

/// The number of a part in requests.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

/// The error of a prepared object of which the store has neither the upload nor the object.
pub fn gone(shown: &str) -> Error {
    Error::environment(format!("a prepared object is gone: the store has neither {shown} nor its upload")).code(UPLOAD_GONE).hint(
        "its upload was aborted: by another program, by a lifecycle rule of the bucket, or by the store's own limit \
            (MinIO's `stale_uploads_expiry` is 24 hours); `wasmill state reset` starts over and reads everything again",
    )
}
