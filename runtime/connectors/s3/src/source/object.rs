//! An object as it was found, how far it was read, and its bytes by ranges.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;
use wasmill_engine::{Error, Result};

use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_objects::Kind;
use wasmill_objects::{Bucket, Object, failed};
use wasmill_reading::ReadAt;

use crate::codes::OBJECT_CHANGED;

/// How much of a large object is fetched at once; one such piece is fetched ahead.
const PIECE_BYTES: u64 = 8 << 20;

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) etag: String,
}

impl Found {
    pub(super) fn new(bucket: &str, object: Object) -> Self {
        let Object { key, size, modified, etag } = object;
        // A store without ETags identifies changes by time and size alone.
        let etag = etag.unwrap_or_else(|| modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string());
        Self { bucket: bucket.to_owned(), key, size, etag }
    }

    /// Its address, which names its split.
    pub(super) fn id(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// The bucket and the key of an object by its address. A key may be odd: slashes side by side, `..`, blanks at its ends, control characters.
pub(super) fn place_of(id: &str) -> Result<(&str, &str)> {
    let place = id.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    place.ok_or_else(|| Error::bug(format!("{id:?} is not the address of an object")))
}

/// How far an object has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The next record's place: a byte offset after decompression, or a row number of a Parquet file.
    pub(super) offset: u64,
    /// The object as it was.
    pub(super) size: u64,
    pub(super) etag: String,
    /// Whether nothing can follow, whatever the offset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ended: bool,
}

impl Position {
    pub(super) fn to_value(&self) -> Value {
        let mut value = serde_json::json!({ "offset": self.offset, "size": self.size, "etag": self.etag });
        if self.ended {
            value["ended"] = true.into();
        }
        value
    }

    pub(super) fn read(id: &str, value: &Value) -> Result<Self> {
        if !id.starts_with("s3://") {
            return Err(Error::environment(format!("{id:?} in the checkpoint is not an object in S3"))
                .code(STATE_OF_OTHER_SOURCE)
                .hint("has the source been replaced by one of another kind?"));
        }
        Self::deserialize(value).map_err(|error| {
            Error::environment(format!("the checkpoint's position of {id} is not understood: {error}")).code(STATE_OF_OTHER_SOURCE)
        })
    }
}

/// The error of an object that has changed.
pub(super) fn changed(id: &str) -> Error {
    Error::environment(format!("{id} changed since it was read: its ETag or its size is another"))
        .code(OBJECT_CHANGED)
        .hint("put the original object back, or give the new content a new key; `wasmill state reset` drops the progress and starts over")
}

/// Fetches a range of an object, or all of it, if it is still the one that was found.
pub(super) async fn fetch(bucket: &Bucket, object: &Found, range: Option<Range<u64>>) -> Result<Bytes> {
    match bucket.get(&object.key, range, Some(&object.etag)).await {
        Ok((_, bytes)) => Ok(bytes),
        Err(failure) if failure.kind == Kind::Unmet => Err(changed(&object.id())),
        Err(failure) => Err(failed(format_args!("read {}", object.id()), &failure)),
    }
}

/// A large object, by pieces.
pub(super) struct Ranged {
    bucket: Arc<Bucket>,
    object: Arc<Found>,
    state: Mutex<Pieces>,
}

#[derive(Default)]
struct Pieces {
    /// Where the present piece begins.
    start: u64,
    piece: Bytes,
    /// The one behind it, on its way.
    next: Option<(u64, JoinHandle<Result<Bytes>>)>,
}

impl Ranged {
    pub(super) fn new(bucket: Arc<Bucket>, object: Found) -> Self {
        Self { bucket, object: Arc::new(object), state: Mutex::default() }
    }

    fn begin(&self, start: u64) -> JoinHandle<Result<Bytes>> {
        let (bucket, object) = (Arc::clone(&self.bucket), Arc::clone(&self.object));
        let range = start..(start + PIECE_BYTES).min(object.size);
        self.bucket.threads().spawn(async move { fetch(&bucket, &object, Some(range)).await })
    }
}

impl ReadAt for Ranged {
    fn size(&self) -> u64 {
        self.object.size
    }

    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes> {
        if offset >= self.object.size || wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut state = self.state.lock();
        let at_hand = state.start..state.start + state.piece.len() as u64;
        if !at_hand.contains(&offset) {
            let start = offset - offset % PIECE_BYTES;
            let piece = match state.next.take() {
                Some((ahead, piece)) if ahead == start => piece,
                _ => self.begin(start),
            };
            let piece = self.bucket.wait(piece).map_err(io::Error::other)?.map_err(io::Error::other)?;
            let behind = start + piece.len() as u64;
            // Only what is read in order is worth reading ahead.
            let in_order = start == 0 || start == at_hand.end;
            state.next = (in_order && behind < self.object.size && !piece.is_empty()).then(|| (behind, self.begin(behind)));
            (state.start, state.piece) = (start, piece);
        }
        let from = usize::try_from(offset - state.start).unwrap_or(usize::MAX);
        if from >= state.piece.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the store gave fewer bytes than the object has"));
        }
        Ok(state.piece.slice(from..state.piece.len().min(from.saturating_add(wanted))))
    }
}

/// A small object, all of it.
pub(super) struct Whole(pub(super) Bytes);

impl ReadAt for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, wanted: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        Ok(self.0.slice(from..self.0.len().min(from.saturating_add(wanted))))
    }
}
