//! Types of objects and uploads that do not need a client.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wasmill_engine::{Token, WriterContext};

/// The metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was put.
    pub modified: SystemTime,
    /// Distinguishes this content from others of its key, where the store reports it.
    pub etag: Option<String>,
}

impl Object {
    /// The last part of its key.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// The result of a conditional put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is there with these bytes, put by this call.
    Done,
    /// Another one has its name.
    Taken,
}

/// How long to retry when a store does not respond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryTime {
    /// A user waits for the response: some seconds.
    Check,
    /// A pipeline runs and an outage should not end it: for so long.
    Run(Duration),
}

impl RetryTime {
    /// The default: five minutes.
    pub const RUN: Self = Self::Run(Duration::from_secs(300));
}

/// What a run does in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Lists and reads.
    Read,
    /// Lists, reads and writes, with conditions.
    Write,
}

/// An upload that has all of its parts and waits to be completed. A prepared commit holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The store's response for each part, in order.
    pub parts: Vec<String>,
}

/// An upload to complete.
#[derive(Debug, Clone, Copy)]
pub struct Completion<'a> {
    /// The object's key.
    pub key: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// Its parts.
    pub upload: &'a Upload,
}

/// The epoch that an upload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadEpoch {
    /// The life of the pipeline's state.
    pub incarnation: Uuid,
    /// The epoch.
    pub epoch: u64,
    /// The epoch that the writing process had claimed; none where it is unknown.
    pub claim: Option<u64>,
}

impl UploadEpoch {
    /// The epoch of a token.
    pub fn of(token: &Token) -> Self {
        Self { incarnation: token.incarnation, epoch: token.epoch, claim: None }
    }

    /// The epoch that a writer writes.
    pub fn of_writer(context: &WriterContext) -> Self {
        Self { incarnation: context.incarnation, epoch: context.epoch, claim: None }
    }

    /// Whether it can't be committed any more once another process has claimed an epoch: its own
    /// epoch is not later, or it is of an earlier process. Lanes are ahead of the epoch that is
    /// being committed.
    #[cfg_attr(not(feature = "aws"), allow(dead_code))]
    pub(crate) fn is_left_over(&self, claim: &Self) -> bool {
        self.incarnation == claim.incarnation && (self.epoch <= claim.epoch || self.claim.is_some_and(|under| under < claim.epoch))
    }
}
