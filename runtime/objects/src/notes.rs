//! The uploads that a sink has begun, noted in the bucket before each begins.
//!
//! A process that is killed leaves uploads behind, which take space and are invisible. Stores
//! differ in how they list them: MinIO does so for a whole key and not for a prefix. So the keys
//! are noted. What is left over is found by the notes of earlier processes, key by key.
//!
//! A note is an object below `_wasmill/` with some keys of one epoch. Keys that arrive while
//! another note is written share the next one. It is removed with the commit that completes its
//! uploads, or by the clean-up of a later start.
//!
//! # When a later start may remove a note
//! A process may be suspended between its note and the request for the upload, and continue at any
//! time. So the request is signed with the time of the note: stores reject signatures that are more
//! than 15 minutes old. Once a note is older than [`KEPT`], no upload of it can begin any more, and
//! any upload that has begun is in the store's list. A younger note stays, even if no upload is
//! found for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wasmill_engine::{Error, Result};

use super::bucket::AT_ONCE;
use super::failure::{Failure, Kind};
use super::listing::PendingUpload;
use super::object::When;
use super::{Bucket, Completion, S3Uri, UploadEpoch, failed};
use wasmill_connect::durable::owner_name;

const FORMAT: u32 = 1;

/// An older note may be removed by another process. Stores accept requests whose signature is up to
/// 15 minutes old; the rest is for clocks that differ.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// What a note holds.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    /// Whole keys of the bucket.
    keys: Vec<String>,
    /// When it was written, in seconds since 1970, by the clock of its process. Notes of earlier versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_unix_seconds: Option<u64>,
}

/// A note that was found.
struct Found {
    keys: Vec<String>,
    /// When it was written.
    written: SystemTime,
}

impl Found {
    /// Whether an upload of it may still begin. A time in the future comes from a wrong clock.
    fn is_young(&self, now: SystemTime) -> bool {
        now.duration_since(self.written).map_or(true, |age| age < KEPT)
    }
}

/// Notes by their own keys.
type Noted = BTreeMap<String, Found>;

/// A note of this process.
struct Own {
    /// Keys of uploads that are neither completed nor aborted.
    keys: BTreeSet<String>,
    /// When it was written, in whole seconds.
    written: SystemTime,
}

/// The notes of one sink of one pipeline at one place.
pub struct UploadNotes {
    bucket: Arc<Bucket>,
    folder: S3Uri,
    /// Held while a note is written.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(UploadEpoch, String)>,
    /// This process's notes by their keys.
    notes: BTreeMap<String, Own>,
    /// Keys that may have an upload whose id is unknown, because a response was lost.
    unclear: BTreeSet<String>,
}

impl UploadNotes {
    /// The notes of a sink that writes below a place. Sends no request.
    pub fn new(bucket: &Arc<Bucket>, place: &S3Uri, pipeline: &str, sink: &str) -> Arc<Self> {
        Self::in_folder(bucket, place, &format!("_wasmill/{}", owner_name(pipeline, sink)))
    }

    /// All notes of any sink that writes below a place. Sends no request.
    pub(super) fn of_all(bucket: &Arc<Bucket>, place: &S3Uri) -> Arc<Self> {
        Self::in_folder(bucket, place, "_wasmill")
    }

    fn in_folder(bucket: &Arc<Bucket>, place: &S3Uri, folder: &str) -> Arc<Self> {
        let folder = S3Uri { bucket: place.bucket.clone(), key: place.below(folder) };
        Arc::new(Self { bucket: Arc::clone(bucket), folder, turn: tokio::sync::Mutex::default(), state: Mutex::default() })
    }

    /// The bucket.
    pub fn bucket(&self) -> &Arc<Bucket> {
        &self.bucket
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Notes a key whose upload is about to begin. When this has returned, the note is durable.
    /// Returns its time, with which the request for the upload must be signed.
    pub async fn note(&self, epoch: UploadEpoch, key: &str) -> Result<SystemTime, Failure> {
        let own = (epoch, key.to_owned());
        self.lock().waiting.push(own.clone());
        let _turn = self.turn.lock().await;
        let taken = {
            let mut state = self.lock();
            if !state.waiting.contains(&own) {
                // It is in a note that another thread wrote meanwhile.
                if let Some(written) = state.newest(key) {
                    return Ok(written);
                }
                state.waiting.push(own.clone());
            }
            let (taken, rest) = std::mem::take(&mut state.waiting).into_iter().partition(|(other, _)| *other == epoch);
            state.waiting = rest;
            taken
        };
        let written = self.write(epoch, &taken).await;
        if written.is_err() {
            // Each of the others tries by itself.
            self.lock().waiting.extend(taken.into_iter().filter(|other| *other != own));
        }
        written
    }

    async fn write(&self, epoch: UploadEpoch, uploads: &[(UploadEpoch, String)]) -> Result<SystemTime, Failure> {
        let name = self.folder.below(&name_of(epoch));
        let keys: Vec<String> = uploads.iter().map(|(_, key)| key.clone()).collect();
        let (written, content) = content(keys.clone())?;
        self.bucket.put(&name, &content, When::Always).await?;
        self.lock().notes.insert(name, Own { keys: keys.into_iter().collect(), written });
        Ok(written)
    }

    /// The key may have another upload, whose response was lost: its note stays for the clean-up of
    /// the next start.
    pub fn doubt(&self, key: &str) {
        self.lock().unclear.insert(key.to_owned());
    }

    /// The upload that this process began under a key is completed or aborted.
    pub(super) fn settled(&self, key: &str) {
        let mut state = self.lock();
        if !state.unclear.contains(key) {
            for note in state.notes.values_mut() {
                note.keys.remove(key);
            }
        }
    }

    /// Makes objects visible, and removes the notes of which nothing is left. Objects that exist
    /// already are fine.
    pub fn complete(&self, uploads: Vec<Completion<'_>>) -> Result<()> {
        self.bucket.complete_uploads(uploads.iter().copied())?;
        uploads.iter().for_each(|upload| self.settled(upload.key));
        self.sweep();
        Ok(())
    }

    /// Removes the notes of which nothing is left. Best effort: the clean-up of the next start finds that nothing is left of them.
    pub(super) fn sweep(&self) {
        let done: Vec<String> = {
            let mut state = self.lock();
            let done: Vec<String> = state.notes.iter().filter(|(_, own)| own.keys.is_empty()).map(|(note, _)| note.clone()).collect();
            done.iter().for_each(|note| drop(state.notes.remove(note)));
            done
        };
        if !done.is_empty()
            && let Err(error) = self.bucket.remove(done)
        {
            tracing::debug!(%error, "notes of uploads that are done were not removed");
        }
    }

    /// Aborts what processes of the claim's incarnation began for epochs up to the claimed one,
    /// except what `keeps` names. Notes under which an upload may still begin stay for a later
    /// start.
    ///
    /// A process that is suspended here does not harm its successor, even where both use the same
    /// keys. A successor notes a key before it begins an upload, and the notes are read after the
    /// uploads were listed.
    pub fn clean_up(&self, claim: UploadEpoch, keeps: impl Fn(&PendingUpload) -> bool) -> Result<()> {
        self.abort(|noted| noted.is_left_over(&claim), keeps).map(drop)
    }

    /// Aborts everything that is noted by other incarnations, for a state that is reset. Notes
    /// under which an upload may still begin become this incarnation's, because its starts read no
    /// others.
    pub(super) fn clear_others(&self, incarnation: Uuid) -> Result<()> {
        let young = self.abort(|noted| noted.incarnation != incarnation, |_| false)?;
        let epoch = UploadEpoch { incarnation, epoch: 0, claim: None };
        let taken_over = young.into_iter().map(|(note, found)| async move {
            let folder = note.rsplit_once('/').map_or("", |(folder, _)| folder);
            let (_, content) = content(found.keys)?;
            self.bucket.put(&format!("{folder}/{}", name_of(epoch)), &content, When::Always).await?;
            Ok::<_, Failure>(note)
        });
        let taken_over = futures::stream::iter(taken_over).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>();
        let taken_over = self.bucket.wait(taken_over);
        let taken_over = taken_over
            .map_err(|failure| failed(format_args!("take over the notes in {}", self.bucket.shown(&self.folder.key)), &failure))?;
        if taken_over.is_empty() { Ok(()) } else { self.bucket.remove(taken_over) }
    }

    /// Returns the notes that stay because an upload of them may still begin.
    fn abort(&self, is_ours: impl Fn(UploadEpoch) -> bool, keeps: impl Fn(&PendingUpload) -> bool) -> Result<Noted> {
        // Before the lists: what is too old now was too old then.
        let now = SystemTime::now();
        let (ours, _) = self.read(&is_ours)?;
        let keys: BTreeSet<&String> = ours.values().flat_map(|note| &note.keys).collect();
        let found = self.pending(keys)?;
        let later = if found.is_empty() { Noted::new() } else { self.read(&is_ours)?.1 };
        // A key that a successor uses too: the owner of an upload is unknown, and a later clean-up
        // decides.
        let shared: BTreeSet<&String> = later.values().flat_map(|note| &note.keys).collect();
        let (kept, left): (Vec<_>, Vec<_>) = found.into_iter().partition(|upload| keeps(upload) || shared.contains(&upload.key));
        for upload in &left {
            self.bucket.abort_upload(&upload.key, &upload.id)?;
        }
        let stays = |key: &String| shared.contains(key) || kept.iter().any(|upload| upload.key == *key);
        let (young, old): (Noted, Noted) = ours.into_iter().partition(|(_, note)| note.is_young(now));
        let done = old.into_iter().filter(|(_, note)| !note.keys.iter().any(stays));
        let done: Vec<String> = done.map(|(note, _)| note).collect();
        if !done.is_empty() {
            self.bucket.remove(done)?;
        }
        if !left.is_empty() {
            tracing::info!(place = %self.folder, aborted = left.len(), "uploads that were never committed were aborted");
        }
        Ok(young)
    }

    /// The uploads of these keys.
    fn pending(&self, keys: BTreeSet<&String>) -> Result<Vec<PendingUpload>> {
        let list = keys.into_iter().map(|key| async move {
            let listed = self.bucket.uploads_of(key).await;
            listed.map_err(|failure| failed(format_args!("list the uploads of {}", self.bucket.shown(key)), &failure))
        });
        let lists = self.bucket.wait(futures::stream::iter(list).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>())?;
        Ok(lists.into_iter().flatten().collect())
    }

    /// The notes with their keys: those that are ours, and all others.
    fn read(&self, is_ours: impl Fn(UploadEpoch) -> bool) -> Result<(Noted, Noted)> {
        let listed = self.bucket.list(&self.folder.key)?;
        let read = listed.into_iter().map(|note| async move {
            let found = self.bucket.find(&note.key).await;
            let found = found.map_err(|failure| failed(format_args!("read {}", self.bucket.shown(&note.key)), &failure))?;
            Ok::<_, Error>((note, found.map(|(_, bytes)| bytes)))
        });
        let read = self.bucket.wait(futures::stream::iter(read).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>())?;
        let (mut ours, mut others) = (Noted::new(), Noted::new());
        for (note, bytes) in read {
            // Its process removed it since it was listed.
            let Some(bytes) = bytes else { continue };
            match (epoch_of(note.name()), serde_json::from_slice::<Content>(&bytes)) {
                (Some(epoch), Ok(content)) if content.format == FORMAT => {
                    let written = content.written_unix_seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
                    let found = Found { keys: content.keys, written: written.unwrap_or(note.modified) };
                    if is_ours(epoch) { &mut ours } else { &mut others }.insert(note.key, found);
                }
                _ => tracing::warn!("the note {} of uploads is not understood and stays", self.bucket.shown(&note.key)),
            }
        }
        Ok((ours, others))
    }
}

impl State {
    /// The time of the latest note that holds a key.
    fn newest(&self, key: &str) -> Option<SystemTime> {
        self.notes.values().filter(|note| note.keys.contains(key)).map(|note| note.written).max()
    }
}

/// The content of a note that is written now, and its time.
fn content(keys: Vec<String>) -> Result<(SystemTime, Bytes), Failure> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let content = serde_json::to_vec(&Content { format: FORMAT, keys, written_unix_seconds: Some(seconds) });
    let content = content.map_err(|error| Failure::of_nonsense(format!("a note is no JSON: {error}")))?;
    Ok((UNIX_EPOCH + Duration::from_secs(seconds), Bytes::from(content)))
}

/// A new name for a note of an epoch.
fn name_of(epoch: UploadEpoch) -> String {
    let UploadEpoch { incarnation, epoch, claim } = epoch;
    let claim = claim.map(|claim| format!("c{claim}-")).unwrap_or_default();
    format!("{}-{epoch:010}-{claim}{}.json", incarnation.simple(), Uuid::new_v4().simple())
}

/// The epoch in the name of a note.
fn epoch_of(name: &str) -> Option<UploadEpoch> {
    let mut parts = name.strip_suffix(".json")?.split('-');
    let (incarnation, epoch) = (Uuid::try_parse(parts.next()?).ok()?, parts.next()?.parse().ok()?);
    let claim = parts.next().and_then(|claim| claim.strip_prefix('c')?.parse().ok()).filter(|_| parts.next().is_some());
    Some(UploadEpoch { incarnation, epoch, claim })
}

impl Bucket {
    /// The first of these uploads of which neither the upload nor its object is there.
    pub fn find_missing<'a>(&self, uploads: impl IntoIterator<Item = Completion<'a>>) -> Result<Option<&'a str>> {
        let checks = uploads.into_iter().map(|upload| async move {
            let there = self.has_upload_or_object(upload).await;
            let there = there.map_err(|failure| failed(format_args!("read the upload of {}", self.shown(upload.key)), &failure))?;
            Ok::<_, Error>((!there).then_some(upload.key))
        });
        let checked = self.wait(futures::stream::iter(checks).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>())?;
        Ok(checked.into_iter().flatten().next())
    }

    async fn has_upload_or_object(&self, upload: Completion<'_>) -> Result<bool, Failure> {
        let request = self.client.list_parts().bucket(&self.name).key(upload.key).upload_id(&upload.upload.id).max_parts(1);
        match self.ask(|| request.clone().send()).await {
            Ok(_) => Ok(true),
            Err(failure) if matches!(failure.kind, Kind::NoUpload | Kind::NoObject) => {
                Ok(self.head(upload.key).await?.is_some_and(|found| found.size == upload.size))
            }
            // Nothing follows for the upload where the response does not decide: its completion
            // will.
            Err(failure) if failure.is_refusal() => Ok(true),
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_its_epoch() {
        let incarnation = Uuid::from_u128(7);
        let name = format!("{}-{:010}-{}.json", incarnation.simple(), 42, Uuid::new_v4().simple());
        assert_eq!(epoch_of(&name), Some(UploadEpoch { incarnation, epoch: 42, claim: None }));
        let name = format!("{}-{:010}-c41-{}.json", incarnation.simple(), 42, Uuid::new_v4().simple());
        assert_eq!(epoch_of(&name), Some(UploadEpoch { incarnation, epoch: 42, claim: Some(41) }));
        assert_eq!(epoch_of(&name_of(UploadEpoch { incarnation, epoch: 3, claim: Some(2) })).unwrap().claim, Some(2));
        for other in ["", "x.json", "p.s.json", "00000000000000000000000000000007-x-y.json"] {
            assert_eq!(epoch_of(other), None, "{other}");
        }
    }
    #[test]
    fn a_note_is_young_while_a_request_that_is_signed_with_its_time_may_be_taken() {
        let now = SystemTime::now();
        let note = |written| Found { keys: Vec::new(), written };
        assert!(note(now).is_young(now) && note(now - Duration::from_secs(45 * 60)).is_young(now));
        assert!(!note(now - KEPT).is_young(now) && !note(UNIX_EPOCH).is_young(now));
        assert!(note(now + KEPT).is_young(now), "a wrong clock must not make a note old");
    }

    #[test]
    fn notes_of_earlier_versions_have_no_time() {
        let old: Content = serde_json::from_str(r#"{"format":1,"keys":["a/b"]}"#).unwrap();
        assert_eq!((old.keys, old.written_unix_seconds), (vec!["a/b".to_owned()], None));
        let (written, bytes) = content(vec!["a".to_owned()]).unwrap();
        let new: Content = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(written, UNIX_EPOCH + Duration::from_secs(new.written_unix_seconds.unwrap()));
    }
}
