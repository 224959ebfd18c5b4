//! The queue of one partition, and the messages taken from it: with [`super::shared_queue`], the only place that touches librdkafka's memory.

use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use wasmill_engine::{Error, Records, Result};

use super::client::Client;
use super::shared_queue::{Place, SharedQueue};
use crate::codes::REQUEST_FAILED;

/// A partition that is being fetched, with a queue of its own or with a share of its client's.
pub(super) struct PartitionQueue {
    client: Arc<Client>,
    name: CString,
    topic: NonNull<rd::rd_kafka_topic_t>,
    partition: i32,
    /// Its client's own queues are all taken: it shares one.
    shares: bool,
    started: bool,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for PartitionQueue {}

impl PartitionQueue {
    /// Starts to fetch at an offset.
    pub fn open(client: &Arc<Client>, topic: &str, partition: i32, offset: i64) -> Result<Self> {
        let name = CString::new(topic).map_err(|_| Error::bug(format!("the topic {topic:?} has a zero in its name")))?;
        // SAFETY: the client lives as long as the queue, `name` ends with a zero, and no
        // configuration is passed.
        let handle = unsafe { rd::rd_kafka_topic_new(client.native(), name.as_ptr(), ptr::null_mut()) };
        let topic = NonNull::new(handle).ok_or_else(|| failed("open", topic, partition))?;
        let shares = !client.claim_queue();
        let mut queue = Self { client: Arc::clone(client), name, topic, partition, shares, started: false };
        queue.start(offset)?;
        Ok(queue)
    }

    fn start(&mut self, offset: i64) -> Result<()> {
        let (topic, partition) = (self.topic.as_ptr(), self.partition);
        let begun = match self.shared()? {
            // SAFETY: the topic's handle is owned and alive, and so is the queue.
            Some(shared) => shared.join(self.place(), |queue| unsafe { rd::rd_kafka_consume_start_queue(topic, partition, offset, queue) }),
            // SAFETY: the topic's handle is owned and alive.
            None => unsafe { rd::rd_kafka_consume_start(topic, partition, offset) },
        };
        self.started = begun == 0;
        if self.started { Ok(()) } else { Err(failed("read", &self.name.to_string_lossy(), self.partition)) }
    }

    fn stop(&mut self) {
        let (topic, partition) = (self.topic.as_ptr(), self.partition);
        let stop = || {
            // SAFETY: the topic's handle is owned and alive; this was started.
            unsafe { rd::rd_kafka_consume_stop(topic, partition) };
        };
        if std::mem::take(&mut self.started) {
            match self.shared() {
                Ok(Some(shared)) => shared.leave(self.place(), stop),
                _ => stop(),
            }
        }
    }

    fn shared(&self) -> Result<Option<&SharedQueue>> {
        if self.shares { self.client.shared_queue().map(Some) } else { Ok(None) }
    }

    fn place(&self) -> Place {
        (self.topic.as_ptr() as usize, self.partition)
    }

    /// Continues at another offset. What was fetched and not taken is dropped.
    pub fn restart(&mut self, offset: i64) -> Result<()> {
        self.stop();
        self.start(offset)
    }

    /// Takes messages, at most this many; returns fewer when this much time has passed.
    pub fn take(&mut self, messages: &mut Messages, at_most: usize, wait: Duration) -> usize {
        if let Ok(Some(shared)) = self.shared() {
            return shared.take(self.place(), &mut messages.messages, at_most, wait);
        }
        let before = messages.messages.len();
        messages.messages.reserve(at_most);
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: there is room for `at_most` pointers behind the vector's end, a non-null pointer
        // has the layout of a pointer, and librdkafka writes as many non-null ones as it returns.
        // They are owned here until they are destroyed.
        unsafe {
            let end = messages.messages.as_mut_ptr().add(before).cast::<*mut rd::rd_kafka_message_t>();
            let taken = rd::rd_kafka_consume_batch(self.topic.as_ptr(), self.partition, wait, end, at_most);
            let taken = usize::try_from(taken).unwrap_or(0).min(at_most);
            messages.messages.set_len(before + taken);
            taken
        }
    }

    /// An empty list for messages of this queue.
    pub fn messages(&self) -> Messages {
        Messages { messages: Vec::new(), client: Arc::clone(&self.client) }
    }

    /// The end of the partition as the last fetch saw it.
    pub fn known_end(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, the name ends with a zero, and both numbers outlive the
        // call, which only reads a cache.
        let code =
            unsafe { rd::rd_kafka_get_watermark_offsets(self.client.native(), self.name.as_ptr(), self.partition, &mut low, &mut high) };
        (code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        self.stop();
        if !self.shares {
            self.client.release_queue();
        }
        // SAFETY: the handle is owned and alive, and not used after this.
        unsafe { rd::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

fn failed(what: &str, topic: &str, partition: i32) -> Error {
    // SAFETY: it reads a number of this thread.
    let code = RDKafkaErrorCode::from(unsafe { rd::rd_kafka_last_error() });
    Error::environment(format!("cannot {what} the partition {partition} of the topic {topic}: {code}")).code(REQUEST_FAILED)
}

/// Messages of one partition, in order. They, and the memory of the fetch that they came with, live until this is dropped.
pub(super) struct Messages {
    messages: Vec<NonNull<rd::rd_kafka_message_t>>,
    /// Must outlive them.
    client: Arc<Client>,
}

// SAFETY: the messages belong to this value alone, nothing writes into them any more, and librdkafka destroys them on any thread.
unsafe impl Send for Messages {}
// SAFETY: see above; through a shared reference they are only read. Headers, which are parsed on
// first access, need an exclusive one.
unsafe impl Sync for Messages {}

impl Messages {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Message<'_> {
        // SAFETY: the pointer is of a message that is owned and lives as long as `self`.
        Message(unsafe { self.messages[index].as_ref() })
    }

    /// The headers of one, in order, repeated ones too.
    pub fn headers(&mut self, index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        let mut all = Vec::new();
        let mut headers = ptr::null_mut();
        // SAFETY: the message is owned and borrowed exclusively; the headers and what they point to
        // belong to it and are copied here.
        unsafe {
            let code = rd::rd_kafka_message_headers(self.messages[index].as_ptr(), &mut headers);
            if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
                return all;
            }
            for header in 0..rd::rd_kafka_header_cnt(headers) {
                let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
                let code = rd::rd_kafka_header_get_all(headers, header, &mut name, &mut value, &mut size);
                if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                    continue;
                }
                let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size).to_vec());
                all.push((CStr::from_ptr(name).to_string_lossy().into_owned(), value));
            }
        }
        all
    }

    /// Takes the first messages out.
    pub fn split_to(&mut self, count: usize) -> Self {
        let rest = self.messages.split_off(count);
        Self { messages: std::mem::replace(&mut self.messages, rest), client: Arc::clone(&self.client) }
    }

    /// Keeps those that `keep` names, in its order, which never decreases; frees the others.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut index = 0;
        self.messages.retain(|message| {
            let kept = keep.get(index).copied().unwrap_or(true);
            index += 1;
            if !kept {
                // SAFETY: the message is ours and is taken out of the list.
                unsafe { rd::rd_kafka_message_destroy(message.as_ptr()) };
            }
            kept
        });
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: the message is owned; its client is alive until the last field is dropped.
            unsafe { rd::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} messages", self.messages.len())
    }
}

impl Records for Messages {
    fn count(&self) -> usize {
        self.len()
    }

    fn position(&self, index: usize) -> u64 {
        u64::try_from(self.get(index).offset()).unwrap_or_default()
    }

    fn bytes(&self, index: usize) -> Option<Bytes> {
        self.get(index).value().map(Bytes::copy_from_slice)
    }
}

/// A message, or news of its partition in the form of one.
pub(super) struct Message<'a>(&'a rd::rd_kafka_message_t);

impl<'a> Message<'a> {
    /// What is wrong, if it is not a record.
    pub fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        if self.0.err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: the message is alive; the text is null or ends with a zero, and is copied.
        let text = unsafe {
            let text = rd::rd_kafka_message_errstr(self.0);
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        Some((self.0.err.into(), text))
    }

    /// Its offset; for the end of a partition, the offset of the record that would come next.
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// Its value; none for a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: where it is not null it points to as many bytes, which live as long as the message.
        (!self.0.payload.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.0.payload.cast::<u8>(), self.0.len) })
    }

    /// Its key.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        (!self.0.key.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.0.key.cast::<u8>(), self.0.key_len) })
    }

    /// Its time in milliseconds since 1970, by the producer or by the broker.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` outlives the call.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.0, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time >= 0).then_some(time)
    }

    /// How many bytes it has, key and value.
    pub fn size(&self) -> usize {
        self.value().map_or(0, <[u8]>::len) + self.key().map_or(0, <[u8]>::len)
    }
}
