//! Data files as uploads at their place in a bucket, completed by the commit.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmill_engine::{Error, Result, Token, failpoint};

use crate::prepared::DataFile;
use wasmill_connect::codes::PREPARED_ELSEWHERE;
use wasmill_connect::digest::owner;
use wasmill_objects::{Bucket, Completion, ObjectWriter, S3Uri, UploadEpoch, UploadNotes, Uploading};

/// The staging of one sink of one pipeline.
pub(crate) struct UploadStaging {
    notes: Arc<UploadNotes>,
    table: S3Uri,
    owner: String,
    /// Files of lanes that have prepared and whose last parts may still be on their way, by their keys.
    pending: Mutex<HashMap<String, Uploading>>,
}

impl UploadStaging {
    pub(super) fn new(bucket: &Arc<Bucket>, table: &S3Uri, pipeline: &str, sink: &str) -> Self {
        let notes = UploadNotes::new(bucket, table, pipeline, sink);
        Self { notes, table: table.clone(), owner: owner(pipeline, sink), pending: Mutex::default() }
    }

    /// The bucket and the table in it.
    pub(super) fn table(&self) -> (&Bucket, &S3Uri) {
        (self.notes.bucket(), &self.table)
    }

    /// Part of the name of each of its files, and of no other sink's.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    pub(super) fn create(&self, epoch: UploadEpoch, folder: &str, name: &str) -> ObjectWriter {
        ObjectWriter::create(&self.notes, epoch, self.table.below(&format!("{folder}{name}")))
    }

    pub(super) fn keep(&self, uploading: Vec<Uploading>) {
        let mut pending = self.pending.lock();
        pending.extend(uploading.into_iter().map(|uploading| (uploading.key().to_owned(), uploading)));
    }

    /// Waits for the last parts.
    pub(super) fn settle(&self, files: &mut [DataFile]) -> Result<()> {
        for file in files {
            let key = self.table.below(&file.path);
            let uploading = self.pending.lock().remove(&key);
            let mut uploading = uploading.ok_or_else(|| Error::bug(format!("no upload of {key} is open")))?;
            file.upload = Some(uploading.wait()?);
        }
        Ok(())
    }

    pub(super) fn publish(&self, files: &[DataFile]) -> Result<()> {
        let keys: Vec<String> = files.iter().map(|file| self.table.below(&file.path)).collect();
        let completions = files.iter().zip(&keys).map(|(file, key)| match &file.upload {
            Some(upload) => Ok(Completion { key, size: file.size, upload }),
            None => Err(Error::environment(format!("the prepared commit has no upload of {key}"))
                .code(PREPARED_ELSEWHERE)
                .hint("has the table been moved to another kind of place? Put it back, or start over with `wasmill state reset`")),
        });
        self.notes.complete(completions.collect::<Result<Vec<_>>>()?)
    }

    pub(super) fn clean_up(&self, claim: &Token) -> Result<()> {
        failpoint::hit("sink-clean-up");
        self.notes.clean_up(UploadEpoch::of(claim), |_| false)
    }
}
