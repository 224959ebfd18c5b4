//! One queue for many partitions of a client, so that the records waiting for its readers are
//! bounded for any number of partitions.
//!
//! librdkafka stops fetching all partitions that share a queue once the queue is full. A reader of
//! one of them takes what is next in the queue, and puts records of other partitions into their
//! boxes. Boxes are bounded together: while they are full, readers get only what lies in their own.
//! So every partition must be read in turn, as lanes of a stream do.

use std::collections::HashMap;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::bindings as rd;
use rdkafka::types::RDKafka;
use wasmill_engine::{Error, Result};

/// Records in boxes together are at most about this large, plus what one poll of the queue returns.
const BOXED_BYTES: usize = 4 << 20;
/// What a record takes in memory besides its key and value, about.
const RECORD_BYTES: usize = 256;
/// This many records are taken from the queue at once.
const RECORDS_AT_ONCE: usize = 1000;

/// A partition of a client: its topic's handle, of which librdkafka has one per topic, and its number.
pub(super) type Place = (usize, i32);
/// A message that belongs to the holder.
pub(super) type RawMessage = NonNull<rd::rd_kafka_message_t>;

/// The queue and the boxes.
pub(super) struct SharedQueue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    /// Held while taking from the queue, and while a partition joins, leaves or moves.
    turn: Mutex<()>,
    boxes: Mutex<Boxes>,
    /// Something was laid into boxes.
    laid: Condvar,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for SharedQueue {}
// SAFETY: see above.
unsafe impl Sync for SharedQueue {}

#[derive(Default)]
struct Boxes {
    of: HashMap<Place, Vec<RawMessage>>,
    bytes: usize,
}

// SAFETY: the messages belong to the boxes alone, and librdkafka destroys them on any thread.
unsafe impl Send for Boxes {}

impl Boxes {
    fn lay(&mut self, message: RawMessage) {
        let place = place_of(message);
        match self.of.get_mut(&place) {
            Some(messages) => {
                messages.push(message);
                self.bytes += size(message);
            }
            // Its reader has gone.
            None => destroy(message),
        }
    }

    /// Takes the first messages of a box.
    fn take(&mut self, place: Place, at_most: usize, into: &mut Vec<RawMessage>) -> usize {
        let Some(messages) = self.of.get_mut(&place) else { return 0 };
        let taken = messages.len().min(at_most);
        into.extend(messages.drain(..taken).inspect(|message| self.bytes = self.bytes.saturating_sub(size(*message))));
        taken
    }

    fn empty(&mut self, place: Place) {
        let mut gone = Vec::new();
        self.take(place, usize::MAX, &mut gone);
        gone.into_iter().for_each(destroy);
    }
}

impl SharedQueue {
    /// A queue of a client.
    ///
    /// # Safety
    /// The client outlives it.
    pub(super) unsafe fn new(client: *mut RDKafka) -> Result<Self> {
        // SAFETY: the client is alive.
        let queue = NonNull::new(unsafe { rd::rd_kafka_queue_new(client) }).ok_or_else(|| Error::bug("librdkafka created no queue"))?;
        Ok(Self { queue, turn: Mutex::default(), boxes: Mutex::default(), laid: Condvar::new() })
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.boxes.lock()
    }

    /// Routes the messages of a partition here. `start` makes librdkafka fetch it into the queue.
    /// What lies in its box is of an earlier start.
    pub(super) fn join<T>(&self, place: Place, start: impl FnOnce(*mut rd::rd_kafka_queue_t) -> T) -> T {
        let _turn = self.turn.lock();
        let mut boxes = self.boxes();
        boxes.empty(place);
        boxes.of.entry(place).or_default();
        drop(boxes);
        start(self.queue.as_ptr())
    }

    /// Removes a partition; `stop` ends librdkafka's fetching.
    pub(super) fn leave(&self, place: Place, stop: impl FnOnce()) {
        let _turn = self.turn.lock();
        stop();
        let mut boxes = self.boxes();
        boxes.empty(place);
        boxes.of.remove(&place);
    }

    /// Takes messages of a partition, at most this many. Waits this long for the first one, unless
    /// it must wait for other readers.
    pub(super) fn take(&self, place: Place, into: &mut Vec<RawMessage>, at_most: usize, wait: Duration) -> usize {
        let deadline = Instant::now() + wait;
        let mut polled = false;
        loop {
            let mut boxes = self.boxes();
            let taken = boxes.take(place, at_most, into);
            let left = deadline.saturating_duration_since(Instant::now());
            if taken > 0 || (polled && left.is_zero()) {
                return taken;
            }
            let turn = self.turn.try_lock();
            if turn.is_some() && boxes.bytes >= BOXED_BYTES {
                return 0;
            }
            if turn.is_some() {
                drop(boxes);
                self.distribute(left);
            } else {
                self.laid.wait_for(&mut boxes, left);
                drop(boxes);
            }
            drop(turn);
            polled = true;
        }
    }

    /// Takes what is in the queue, or what comes first, and lays it into boxes.
    fn distribute(&self, wait: Duration) {
        let mut messages = self.next(RECORDS_AT_ONCE, Duration::ZERO);
        if messages.is_empty() && !wait.is_zero() {
            // With room for more it would wait for more.
            messages = self.next(1, wait);
        }
        if messages.is_empty() {
            return;
        }
        let mut boxes = self.boxes();
        messages.into_iter().for_each(|message| boxes.lay(message));
        drop(boxes);
        self.laid.notify_all();
    }

    fn next(&self, at_most: usize, wait: Duration) -> Vec<RawMessage> {
        let mut messages: Vec<*mut rd::rd_kafka_message_t> = vec![ptr::null_mut(); at_most];
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is ours and alive, and there is room for `at_most` pointers.
        let taken = unsafe { rd::rd_kafka_consume_batch_queue(self.queue.as_ptr(), wait, messages.as_mut_ptr(), at_most) };
        messages.truncate(usize::try_from(taken).unwrap_or(0));
        messages.into_iter().filter_map(NonNull::new).collect()
    }
}

impl Drop for SharedQueue {
    fn drop(&mut self) {
        let places: Vec<Place> = self.boxes().of.keys().copied().collect();
        places.into_iter().for_each(|place| self.boxes().empty(place));
        // SAFETY: the queue is ours and not used after this.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

fn place_of(message: RawMessage) -> Place {
    // SAFETY: the message is ours and alive.
    let message = unsafe { message.as_ref() };
    (message.rkt as usize, message.partition)
}

fn size(message: RawMessage) -> usize {
    // SAFETY: the message is ours and alive.
    let message = unsafe { message.as_ref() };
    message.len + message.key_len + RECORD_BYTES
}

fn destroy(message: RawMessage) {
    // SAFETY: the message is ours and not used after this.
    unsafe { rd::rd_kafka_message_destroy(message.as_ptr()) };
}
