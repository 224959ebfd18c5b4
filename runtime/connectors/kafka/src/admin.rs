//! Requests about topics: create, delete, describe. They go through a client that others share, so
//! that its tokens and its broker health serve them too.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;
use wasmill_engine::{Error, Result};

use super::client::Client;
use crate::codes::TOPIC_NAME;

/// A topic to create.
#[derive(Debug, Clone)]
pub(super) struct NewTopic<'a> {
    pub name: &'a str,
    /// `None`: the brokers' default.
    pub partitions: Option<i32>,
    /// The replication factor; `None`: the brokers' default.
    pub replication: Option<i32>,
    /// Its configuration, where that is not the brokers' default.
    pub config: Vec<(String, String)>,
}

/// A value of a topic's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    /// None where it is secret.
    pub value: Option<String>,
    /// It is not the default.
    pub is_set: bool,
}

/// Why the brokers did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: RDKafkaErrorCode,
    pub text: String,
}

impl Refusal {
    fn new(code: rd::rd_kafka_resp_err_t, text: *const c_char) -> Self {
        let code = RDKafkaErrorCode::from(code);
        // SAFETY: librdkafka's texts are null or end with a zero, and live as long as the result
        // that is being read.
        let text = unsafe { owned(text) };
        Self { code, text: if text.is_empty() { code.to_string() } else { text } }
    }
}

const NO_ERROR: rd::rd_kafka_resp_err_t = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// Creates a topic.
pub(super) fn create(client: &Client, topic: &NewTopic<'_>, wait: Duration) -> Result<Result<(), Refusal>> {
    let name = text(topic.name)?;
    let config = topic.config.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<Vec<_>>>()?;
    let mut why: [c_char; 512] = [0; 512];
    // SAFETY: the name ends with a zero and is copied, and `why` has the length that is passed.
    let mut made = unsafe {
        let (partitions, replication) = (topic.partitions.unwrap_or(-1), topic.replication.unwrap_or(-1));
        rd::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication, why.as_mut_ptr(), why.len())
    };
    if made.is_null() {
        return Ok(Err(Refusal::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG, why.as_ptr())));
    }
    for (name, value) in &config {
        // SAFETY: the topic is owned and alive; both texts end with a zero and are copied.
        unsafe { rd::rd_kafka_NewTopic_set_config(made, name.as_ptr(), value.as_ptr()) };
    }
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS;
    let asked = ask(
        client,
        (operation, wait),
        |native, options, queue| {
            // SAFETY: all pointers are alive for the call, which copies what it needs.
            unsafe { rd::rd_kafka_CreateTopics(native, &mut made, 1, options, queue) }
        },
        |event| {
            // SAFETY: the event is alive, and its results with it.
            unsafe {
                let result = rd::rd_kafka_event_CreateTopics_result(event);
                let mut count = 0;
                let topics = if result.is_null() { ptr::null_mut() } else { rd::rd_kafka_CreateTopics_result_topics(result, &mut count) };
                of_topic(topics, count)
            }
        },
    );
    // SAFETY: it is ours and not used after this.
    unsafe { rd::rd_kafka_NewTopic_destroy(made) };
    Ok(asked)
}

/// Removes a topic.
pub(super) fn delete(client: &Client, topic: &str, wait: Duration) -> Result<Result<(), Refusal>> {
    let name = text(topic)?;
    // SAFETY: the name ends with a zero and is copied.
    let mut doomed = unsafe { rd::rd_kafka_DeleteTopic_new(name.as_ptr()) };
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETETOPICS;
    let asked = ask(
        client,
        (operation, wait),
        |native, options, queue| {
            // SAFETY: all pointers are alive for the call, which copies what it needs.
            unsafe { rd::rd_kafka_DeleteTopics(native, &mut doomed, 1, options, queue) }
        },
        |event| {
            // SAFETY: the event is alive, and its results with it.
            unsafe {
                let result = rd::rd_kafka_event_DeleteTopics_result(event);
                let mut count = 0;
                let topics = if result.is_null() { ptr::null_mut() } else { rd::rd_kafka_DeleteTopics_result_topics(result, &mut count) };
                of_topic(topics, count)
            }
        },
    );
    // SAFETY: it is ours and not used after this.
    unsafe { rd::rd_kafka_DeleteTopic_destroy(doomed) };
    Ok(asked)
}

/// The configuration of a topic.
pub(super) fn configuration(client: &Client, topic: &str, wait: Duration) -> Result<Result<Vec<Entry>, Refusal>> {
    let name = text(topic)?;
    // SAFETY: the name ends with a zero and is copied.
    let mut resource = unsafe { rd::rd_kafka_ConfigResource_new(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr()) };
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
    let asked = ask(
        client,
        (operation, wait),
        |native, options, queue| {
            // SAFETY: all pointers are alive for the call, which copies what it needs.
            unsafe { rd::rd_kafka_DescribeConfigs(native, &mut resource, 1, options, queue) }
        },
        |event| {
            // SAFETY: the event is alive, and its results with it.
            unsafe {
                let result = rd::rd_kafka_event_DescribeConfigs_result(event);
                let mut count = 0;
                let all =
                    if result.is_null() { ptr::null_mut() } else { rd::rd_kafka_DescribeConfigs_result_resources(result, &mut count) };
                if all.is_null() || count != 1 {
                    return Err(Refusal::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__BAD_MSG, ptr::null()));
                }
                entries(*all)
            }
        },
    );
    // SAFETY: it is ours and not used after this.
    unsafe { rd::rd_kafka_ConfigResource_destroy(resource) };
    Ok(asked)
}

/// Sends a request and waits for its result, whose event lives while it is read.
fn ask<T>(
    client: &Client,
    (operation, wait): (rd::rd_kafka_admin_op_t, Duration),
    send: impl FnOnce(*mut rd::rd_kafka_t, *const rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
    read: impl FnOnce(*mut rd::rd_kafka_event_t) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let native = client.native();
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives as long as this call; queue, options and event are created here and
    // destroyed here after their last use.
    unsafe {
        let queue = rd::rd_kafka_queue_new(native);
        let options = rd::rd_kafka_AdminOptions_new(native, operation);
        let mut why: [c_char; 256] = [0; 256];
        rd::rd_kafka_AdminOptions_set_request_timeout(options, millis, why.as_mut_ptr(), why.len());
        send(native, options, queue);
        let event = rd::rd_kafka_queue_poll(queue, millis.saturating_add(1000));
        let answer = if event.is_null() {
            Err(Refusal::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT, ptr::null()))
        } else {
            let code = rd::rd_kafka_event_error(event);
            let answer = if code == NO_ERROR { read(event) } else { Err(Refusal::new(code, rd::rd_kafka_event_error_string(event))) };
            rd::rd_kafka_event_destroy(event);
            answer
        };
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// # Safety
/// `topics` is null or a list of that many results that are alive.
unsafe fn of_topic(topics: *mut *const rd::rd_kafka_topic_result_t, count: usize) -> Result<(), Refusal> {
    if topics.is_null() || count != 1 {
        return Err(Refusal::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__BAD_MSG, ptr::null()));
    }
    // SAFETY: there is one result, and it is alive.
    unsafe {
        match rd::rd_kafka_topic_result_error(*topics) {
            code if code == NO_ERROR => Ok(()),
            code => Err(Refusal::new(code, rd::rd_kafka_topic_result_error_string(*topics))),
        }
    }
}

/// # Safety
/// The resource is alive.
unsafe fn entries(resource: *const rd::rd_kafka_ConfigResource_t) -> Result<Vec<Entry>, Refusal> {
    // SAFETY: what a resource holds lives as long as it, and is copied.
    unsafe {
        let code = rd::rd_kafka_ConfigResource_error(resource);
        if code != NO_ERROR {
            return Err(Refusal::new(code, rd::rd_kafka_ConfigResource_error_string(resource)));
        }
        let mut count = 0;
        let all = rd::rd_kafka_ConfigResource_configs(resource, &mut count);
        let entry = |index: usize| {
            let entry = *all.add(index);
            let value = rd::rd_kafka_ConfigEntry_value(entry);
            let is_set = rd::rd_kafka_ConfigEntry_is_default(entry) == 0;
            Entry { name: owned(rd::rd_kafka_ConfigEntry_name(entry)), value: (!value.is_null()).then(|| owned(value)), is_set }
        };
        Ok((0..count).map(entry).collect())
    }
}

/// # Safety
/// The text is null or ends with a zero.
unsafe fn owned(text: *const c_char) -> String {
    // SAFETY: it is checked, and promised.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() } }
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::configuration(format!("{text:?} has a zero in it")).code(TOPIC_NAME))
}
