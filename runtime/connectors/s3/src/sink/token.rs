//! The sink's token: one small object, replaced only by a process that has read its present
//! content.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Token};

use super::{FORMAT, PreparedObject};
use crate::codes::STORE_ANSWER;
use wasmill_connect::codes::TOKEN_DAMAGED;
use wasmill_connect::durable::owner_name;
use wasmill_connect::token::Step;
use wasmill_objects::When;
use wasmill_objects::{Bucket, S3Uri, failed};

/// How often a token is read and put again when others were faster or a response was lost.
const ATTEMPTS: u32 = 20;

/// What the object holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    format: u32,
    incarnation: Uuid,
    epoch: u64,
    /// Makes each attempt's bytes unique: this identifies one whose response was lost.
    attempt: Uuid,
    /// The objects that became the sink's own with it.
    pub(super) files: Vec<PreparedObject>,
}

impl Content {
    pub(super) fn committed(&self) -> Committed {
        Committed { incarnation: self.incarnation, epoch: self.epoch }
    }
}

/// The token as it is stored.
pub(super) struct StoredToken {
    pub(super) content: Content,
    /// Identifies this state of the object.
    etag: String,
}

/// The token of one sink of one pipeline.
pub(super) struct TokenObject {
    bucket: Arc<Bucket>,
    key: String,
}

impl TokenObject {
    pub(super) fn new(bucket: Arc<Bucket>, place: &S3Uri, pipeline: &str, sink: &str) -> Self {
        Self { bucket, key: place.below(&format!("_wasmill/{}.json", owner_name(pipeline, sink))) }
    }

    /// The object's key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The present token.
    pub(super) fn read(&self) -> Result<Option<StoredToken>> {
        let shown = self.bucket.shown(&self.key);
        let found = self.bucket.wait(self.bucket.find(&self.key)).map_err(|failure| failed(format_args!("read {shown}"), &failure))?;
        let Some((object, bytes)) = found else { return Ok(None) };
        let etag = object.etag.ok_or_else(|| Error::environment(format!("the store returns no ETag of {shown}")).code(STORE_ANSWER))?;
        let damaged = |what: String| {
            Error::environment(format!("the sink's token {shown} is damaged: {what}"))
                .code(TOKEN_DAMAGED)
                .hint("restore the object; without it, it is unknown what is committed")
        };
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if content.format == FORMAT {
            Ok(Some(StoredToken { content, etag }))
        } else {
            Err(damaged(format!("unknown format {}", content.format)))
        }
    }

    /// Moves the token, if `decide` agrees to its present state. Returns the objects that are
    /// decided with it.
    pub(super) fn advance(
        &self,
        token: &Token,
        files: &[PreparedObject],
        decide: impl Fn(Option<&Committed>) -> Result<Step>,
    ) -> Result<(CommitOutcome, Vec<PreparedObject>)> {
        let content =
            Content { format: FORMAT, incarnation: token.incarnation, epoch: token.epoch, attempt: Uuid::new_v4(), files: files.to_vec() };
        let bytes = serde_json::to_vec(&content).map_err(|error| Error::bug(format!("a token is no JSON: {error}")))?;
        let bytes = Bytes::from(bytes);
        for attempt in 0..ATTEMPTS {
            let current = self.read()?;
            let mine = current.as_ref().is_some_and(|current| current.content.attempt == content.attempt);
            if mine {
                return Ok((CommitOutcome::Done, content.files));
            }
            if decide(current.as_ref().map(|current| current.content.committed()).as_ref())? == Step::Already {
                return Ok((CommitOutcome::Already, current.map(|current| current.content.files).unwrap_or_default()));
            }
            let when = current.as_ref().map_or(When::Absent, |current| When::Is(&current.etag));
            match self.bucket.wait(self.bucket.put(&self.key, &bytes, when)) {
                Ok(()) => return Ok((CommitOutcome::Done, content.files)),
                Err(failure) if failure.is_refusal() || attempt + 1 == ATTEMPTS => {
                    return Err(failed(format_args!("write {}", self.bucket.shown(&self.key)), &failure));
                }
                // Another process was faster, or the response was lost: the present object decides.
                Err(_) => std::thread::sleep(Duration::from_millis(u64::from(attempt * attempt) + Uuid::new_v4().as_u128() as u64 % 20)),
            }
        }
        Err(Error::bug("a token was neither moved nor refused"))
    }
}
