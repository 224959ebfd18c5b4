//! A pipeline's state in a bucket: one object an epoch, put only if there is none.
//!
//! There is no lock: the process that started last has claimed the newest epoch, and every other one finds its next epoch taken.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;
use wasmill_engine::{Checkpoint, Error, Put as CheckpointPut, Result, StateStore};

use super::{Bucket, Patience, Put, S3Config, S3Uri};

/// Checkpoints of one pipeline below a prefix.
///
/// `epoch-0000000042.json` is the checkpoint of epoch 42; `committed-0000000042` notes that its commits are done. The newest three
/// checkpoints are kept.
pub struct S3State {
    bucket: Arc<Bucket>,
    folder: S3Uri,
    /// Tells this process's checkpoints from others': two that claim the same epoch would write the same bytes.
    writer: Uuid,
}

const KEPT_CHECKPOINTS: u64 = 3;

impl S3State {
    /// The state of a pipeline below an address. Who to be comes from AWS's chain, the endpoint and the region from its usual variables.
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
        let state = S3Uri::parse(state)?;
        let bucket = Bucket::open(&state.bucket, config, Patience::Run)?;
        let key = state.below(pipeline);
        Ok(Self { bucket, folder: S3Uri { key, ..state }, writer: Uuid::new_v4() })
    }

    fn checkpoint_key(&self, epoch: u64) -> String {
        self.folder.below(&format!("epoch-{epoch:010}.json"))
    }

    fn note_key(&self, epoch: u64) -> String {
        self.folder.below(&format!("committed-{epoch:010}"))
    }

    /// The epochs of all checkpoints, in increasing order.
    fn epochs(&self) -> Result<Vec<u64>> {
        let epoch = |name: &str| name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse::<u64>().ok();
        let listed = self.bucket.list(&self.folder.key)?;
        let mut epochs: Vec<u64> = listed.iter().filter_map(|object| epoch(object.name())).collect();
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn remove(&self, epochs: impl Iterator<Item = u64>) -> Result<()> {
        self.bucket.remove(epochs.flat_map(|epoch| [self.checkpoint_key(epoch), self.note_key(epoch)]))
    }
}

impl StateStore for S3State {
    fn latest(&self) -> Result<Option<Checkpoint>> {
        let Some(epoch) = self.epochs()?.pop() else { return Ok(None) };
        let key = self.checkpoint_key(epoch);
        let shown = self.bucket.shown(&key);
        let bytes = self.bucket.read(&key)?.ok_or_else(|| {
            Error::environment(format!("the checkpoint {shown} was removed while it was read"))
                .hint("another process runs this pipeline; leave it running, or stop it and start again")
        })?;
        let checkpoint = Checkpoint::decode(&bytes).map_err(|what| {
            Error::environment(format!("the checkpoint {shown} is damaged: {what}")).hint(
                "restore it from a backup or an older version of the object, or begin anew with `wasmill state reset` (rows that the sinks \
                 hold already would then come again)",
            )
        })?;
        if checkpoint.epoch != epoch {
            return Err(Error::environment(format!("the checkpoint {shown} says that it is of epoch {}", checkpoint.epoch))
                .hint("checkpoints must not be renamed; restore them from a backup"));
        }
        Ok(Some(checkpoint))
    }

    fn put(&self, checkpoint: &Checkpoint) -> Result<CheckpointPut> {
        let epoch = checkpoint.epoch;
        let mut bytes = checkpoint.encode()?;
        // Readers stop where the checkpoint's own header says that it ends.
        bytes.extend_from_slice(format!("{}\n", json!({ "writer": self.writer })).as_bytes());
        if self.bucket.write_new(&self.checkpoint_key(epoch), &Bytes::from(bytes))? == Put::Taken {
            return Ok(CheckpointPut::Taken);
        }
        // Old checkpoints are removed, so a process that slept could find its epoch's name free again; but then
        // there is a newer one, and there was before its own put ended.
        let epochs = self.epochs()?;
        if epochs.last().is_some_and(|&newest| newest > epoch) {
            let _ = self.remove(std::iter::once(epoch));
            return Ok(CheckpointPut::Taken);
        }
        // Best effort: an old checkpoint that stays does no harm.
        let _ = self.remove(epochs.into_iter().filter(|old| old + KEPT_CHECKPOINTS <= epoch));
        Ok(CheckpointPut::Done)
    }

    fn note_committed(&self, epoch: u64) {
        if let Err(error) = self.bucket.write(&self.note_key(epoch), &Bytes::new()) {
            tracing::debug!(epoch, %error, "the note that an epoch is committed was not written");
        }
    }

    fn is_noted_committed(&self, epoch: u64) -> bool {
        matches!(self.bucket.look(&self.note_key(epoch)), Ok(Some(_)))
    }

    fn clear(&self) -> Result<()> {
        self.remove(self.epochs()?.into_iter())
    }

    fn location(&self) -> String {
        self.folder.to_string()
    }
}
