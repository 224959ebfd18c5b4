//! Prefetches small objects, in the order in which they will be read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use wasmill_engine::{Error, Result, SplitId};

use super::object::{Found, Ranged, Whole, fetch};
use crate::codes::STORE_ANSWER;
use wasmill_objects::Bucket;
use wasmill_reading::Content;

/// Objects up to this size are fetched whole, and ahead.
const SMALL_BYTES: u64 = 4 << 20;
/// At most this many objects are prefetched.
const MAX_OBJECTS: usize = 64;
/// At most this many bytes are prefetched.
const MAX_BYTES: u64 = 32 << 20;

/// What is expected, in order, and what is on its way.
#[derive(Default)]
pub(super) struct Ahead {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Objects that were not requested yet and whose fetch has not begun, in order.
    expected: VecDeque<(SplitId, Arc<Bucket>, Found)>,
    begun: HashMap<SplitId, (u64, JoinHandle<Result<Bytes>>)>,
    /// The bytes of all fetches that have begun.
    bytes: u64,
}

impl Ahead {
    /// Announces an object that will be requested after those announced before.
    pub(super) fn expect(&self, id: &SplitId, bucket: Arc<Bucket>, object: Found) {
        self.state.lock().expected.push_back((Arc::clone(id), bucket, object));
    }

    /// The bytes of an object. Waits for them if it is small; starts to fetch those after it.
    pub(super) fn take(&self, id: &SplitId, bucket: &Arc<Bucket>, object: &Found) -> Result<Content> {
        let begun = self.state.lock().ask(id);
        if object.size > SMALL_BYTES {
            return Ok(Content::Remote(Arc::new(Ranged::new(Arc::clone(bucket), object.clone()))));
        }
        let bytes = match begun {
            Some(begun) => bucket.wait(begun).map_err(|error| Error::bug(format!("fetching {id} broke: {error}")))??,
            None => bucket.wait(fetch(bucket, object, None))?,
        };
        if bytes.len() as u64 != object.size {
            return Err(
                Error::environment(format!("the store gave {} bytes of {id}, which has {}", bytes.len(), object.size)).code(STORE_ANSWER)
            );
        }
        Ok(Content::Remote(Arc::new(Whole(bytes))))
    }
}

impl State {
    /// Takes an object out, if it is in flight, and starts others.
    fn ask(&mut self, id: &SplitId) -> Option<JoinHandle<Result<Bytes>>> {
        let begun = self.begun.remove(id).map(|(size, begun)| {
            self.bytes -= size;
            begun
        });
        // Objects are requested in about their order: it is near the front.
        if begun.is_none()
            && let Some(at) = self.expected.iter().position(|(expected, ..)| expected == id)
        {
            self.expected.remove(at);
        }
        while self.begun.len() < MAX_OBJECTS && self.bytes < MAX_BYTES {
            let Some((id, bucket, object)) = self.expected.pop_front() else { break };
            if object.size > SMALL_BYTES {
                continue;
            }
            let (size, threads) = (object.size, bucket.threads().clone());
            let begun = threads.spawn(async move { fetch(&bucket, &object, None).await });
            self.bytes += size;
            self.begun.insert(id, (size, begun));
        }
        begun
    }
}
