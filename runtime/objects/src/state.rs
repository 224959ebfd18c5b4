//! A pipeline's state in a bucket: one object per epoch, put only if there is none.
//!
//! There is no lock. The process that started last has claimed the latest epoch, and every other
//! one finds its next epoch taken.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_engine::codes::{STATE_DAMAGED, STATE_TAKEN_OVER};
use wasmill_engine::{Checkpoint, Depot, Error, Put as CheckpointPut, Result, StateStore};

use super::depot::S3Depot;
use super::{Bucket, Object, Put, RetryTime, S3Config, S3Uri, failed};

/// Checkpoints of one pipeline below a prefix.
///
/// `epoch-0000000042.json` is the checkpoint of epoch 42. `committed-0000000042` notes that its
/// commits are done, and holds the digest of that checkpoint. A note that outlives its checkpoint
/// does not apply to the next one of this number. The latest three checkpoints are kept.
/// `last-run.json` has the facts of the last run. What lies deeper is the depot.
pub struct S3State {
    bucket: Arc<Bucket>,
    folder: S3Uri,
    depot: S3Depot,
    /// The checkpoint that this process put last.
    put: Mutex<Option<LastPut>>,
    /// Distinguishes this process's checkpoints from others': two that claim the same epoch would
    /// write the same bytes.
    writer: Uuid,
}

/// Opens the state of a pipeline below an address, as [`S3State::open`] does.
///
/// # Errors
/// As [`S3State::open`].
pub fn open_state(state: &str, pipeline: &str) -> Result<Box<dyn StateStore>> {
    Ok(Box::new(S3State::open(state, pipeline)?))
}

struct LastPut {
    epoch: u64,
    digest: String,
}

const KEPT_CHECKPOINTS: u64 = 3;
/// The prefix of the name of a checkpoint.
const CHECKPOINT: &str = "epoch-";
/// The facts of the last run.
const LAST_RUN: &str = "last-run.json";
/// The prefix of the name of a note.
const NOTE: &str = "committed-";

impl S3State {
    /// The state of a pipeline below an address. Credentials come from AWS's chain, the endpoint
    /// and the region from its usual variables.
    ///
    /// # Errors
    /// The address is not one, or the store can't be set up. Nothing is sent to it yet.
    pub fn open(state: &str, pipeline: &str) -> Result<Self> {
        Self::open_with(state, pipeline, &S3Config::default())
    }

    /// The same with a configuration of its own.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(state: &str, pipeline: &str, config: &S3Config) -> Result<Self> {
        // Wasmill 0.1 took the address of the state for a folder of the disk, where sinks kept what waits for its commit.
        let left_behind = Path::new(state).join(pipeline);
        let state = S3Uri::parse(state)?;
        let bucket = Bucket::open(&state.bucket, config, RetryTime::RUN)?;
        let key = state.below(pipeline);
        let folder = S3Uri { key, ..state };
        let depot = S3Depot::new(Arc::clone(&bucket), folder.clone(), left_behind);
        Ok(Self { bucket, folder, depot, put: Mutex::default(), writer: Uuid::new_v4() })
    }

    fn checkpoint_key(&self, epoch: u64) -> String {
        self.folder.below(&format!("{CHECKPOINT}{epoch:010}.json"))
    }

    fn note_key(&self, epoch: u64) -> String {
        self.folder.below(&format!("{NOTE}{epoch:010}"))
    }

    /// The objects directly in the state whose names have this prefix. The depot comes after them
    /// in the list, and is not read.
    fn named(&self, beginning: &str) -> Result<Vec<Object>> {
        let prefix = self.folder.below(beginning);
        let mut found = Vec::new();
        let list = self.bucket.list_while(&self.folder.key, Some(&prefix), |object| {
            let is_one = object.key.starts_with(&prefix);
            found.extend(is_one.then_some(object));
            is_one
        });
        self.bucket.wait(list).map_err(|failure| failed(format_args!("list {}", self.bucket.shown(&prefix)), &failure))?;
        Ok(found)
    }

    /// The epochs of all checkpoints, in increasing order.
    fn epochs(&self) -> Result<Vec<u64>> {
        let epoch = |object: &Object| object.name().strip_prefix(CHECKPOINT)?.strip_suffix(".json")?.parse::<u64>().ok();
        let mut epochs: Vec<u64> = self.named(CHECKPOINT)?.iter().filter_map(epoch).collect();
        epochs.sort_unstable();
        Ok(epochs)
    }

    /// Removes the checkpoints of epochs and their notes.
    fn remove(&self, epochs: impl Iterator<Item = u64>) -> Result<()> {
        // Copying a state may stop in the middle when the process is killed. The checkpoint goes
        // last: only what has one is found again.
        self.bucket.remove(epochs.flat_map(|epoch| [self.note_key(epoch), self.checkpoint_key(epoch)]))
    }

    fn last_put(&self) -> parking_lot::MutexGuard<'_, Option<LastPut>> {
        self.put.lock()
    }

    /// Whether a note is of the checkpoint that is there. Notes of Wasmill 0.1 are empty: such a one is if it was written after it.
    fn reads_committed(&self, epoch: u64) -> Result<bool> {
        let (note, checkpoint) = (self.note_key(epoch), self.checkpoint_key(epoch));
        let Some(noted) = self.bucket.read(&note)? else { return Ok(false) };
        if noted.is_empty() {
            let (note, checkpoint) = (self.bucket.metadata(&note)?, self.bucket.metadata(&checkpoint)?);
            return Ok(note.zip(checkpoint).is_some_and(|(note, checkpoint)| note.modified >= checkpoint.modified));
        }
        let digest = self.bucket.read(&checkpoint)?.and_then(|bytes| Checkpoint::digest_in(&bytes));
        Ok(digest.is_some_and(|digest| digest.as_bytes() == noted))
    }
}

impl StateStore for S3State {
    fn latest(&self) -> Result<Option<Checkpoint>> {
        let Some(epoch) = self.epochs()?.pop() else { return Ok(None) };
        let key = self.checkpoint_key(epoch);
        let shown = self.bucket.shown(&key);
        let bytes = self.bucket.read(&key)?.ok_or_else(|| {
            Error::environment(format!("the checkpoint {shown} was removed while it was read"))
                .code(STATE_TAKEN_OVER)
                .hint("another process runs this pipeline; leave it running, or stop it and start again")
        })?;
        let checkpoint = Checkpoint::decode(&bytes).map_err(|what| {
            Error::environment(format!("the checkpoint {shown} is damaged: {what}")).code(STATE_DAMAGED).hint(
                "restore it from a backup or an older version of the object, or start over with `wasmill state reset` (rows \
                    that the sinks hold already are then written again)",
            )
        })?;
        if checkpoint.epoch != epoch {
            return Err(Error::environment(format!("the checkpoint {shown} is labelled epoch {}", checkpoint.epoch))
                .code(STATE_DAMAGED)
                .hint("checkpoints must not be renamed; restore them from a backup"));
        }
        Ok(Some(checkpoint))
    }

    fn put(&self, checkpoint: &Checkpoint) -> Result<CheckpointPut> {
        let epoch = checkpoint.epoch;
        let mut bytes = checkpoint.encode()?;
        let digest = Checkpoint::digest_in(&bytes);
        // Readers stop where the checkpoint's own header ends it.
        bytes.extend_from_slice(format!("{}\n", json!({ "writer": self.writer })).as_bytes());
        if self.bucket.write_new(&self.checkpoint_key(epoch), &Bytes::from(bytes))? == Put::Taken {
            return Ok(CheckpointPut::Taken);
        }
        // Old checkpoints are removed, so a suspended process could find its epoch's name free
        // again. But then there is a newer one, and it was there before its own put ended.
        let epochs = self.epochs()?;
        if epochs.last().is_some_and(|&newest| newest > epoch) {
            let _ = self.remove(std::iter::once(epoch));
            return Ok(CheckpointPut::Taken);
        }
        // Best effort: an old checkpoint that stays is harmless.
        let _ = self.remove(epochs.into_iter().filter(|old| old + KEPT_CHECKPOINTS <= epoch));
        *self.last_put() = digest.map(|digest| LastPut { epoch, digest });
        Ok(CheckpointPut::Done)
    }

    fn note_committed(&self, epoch: u64) {
        let digest = self.last_put().as_ref().filter(|put| put.epoch == epoch).map(|put| put.digest.clone());
        let Some(digest) = digest else { return };
        if let Err(error) = self.bucket.write(&self.note_key(epoch), &Bytes::from(digest)) {
            tracing::debug!(epoch, %error, "the note that an epoch is committed was not written");
        }
        // A process that was suspended since its checkpoint may write the note when a successor has
        // removed the checkpoint already. Nothing would remove the note.
        if let Ok(None) = self.bucket.metadata(&self.checkpoint_key(epoch)) {
            let _ = self.bucket.remove([self.note_key(epoch)]);
        }
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        self.reads_committed(epoch).unwrap_or(false)
    }

    fn note_run(&self, run: &Value) -> Result<()> {
        self.bucket.write(&self.folder.below(LAST_RUN), &Bytes::from(run.to_string()))
    }

    fn last_run(&self) -> Result<Option<Value>> {
        let key = self.folder.below(LAST_RUN);
        let Some(bytes) = self.bucket.read(&key)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::environment(format!("{} can't be read: {error}", self.bucket.shown(&key)))
                .code(STATE_DAMAGED)
                .hint("remove it: the next run writes it again, and no run needs it")
        })
    }

    fn newest_epoch(&self) -> Result<Option<u64>> {
        Ok(self.epochs()?.pop())
    }

    fn forget_before(&self, first: &Checkpoint) -> Result<()> {
        let notes = self.named(NOTE)?.into_iter().map(|note| note.key);
        self.remove(self.epochs()?.into_iter().filter(|older| *older < first.epoch))?;
        self.bucket.remove(notes)?;
        self.depot.clear_others(first.incarnation)
    }

    fn depot(&self) -> Arc<dyn Depot> {
        Arc::new(self.depot.clone())
    }

    fn location(&self) -> String {
        self.folder.to_string()
    }
}
