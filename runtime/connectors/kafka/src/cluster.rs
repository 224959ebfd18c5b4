//! A source's requests to the cluster: which topics there are, how far their partitions reach, and
//! which offsets to commit for the group.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use regex::Regex;
use wasmill_engine::{Error, Result};

use super::client::{Client, Health, options};
use super::codes::{ACCESS_DENIED, BROKERS_AWAY, BROKERS_REFUSE, REQUEST_FAILED};
use super::config::KafkaConfig;
use super::token::Tokens;

/// How long one request may take during a run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the brokers may take to respond for the first time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    /// Its id; empty where the brokers give none.
    pub id: String,
    /// Its partitions, in order.
    pub partitions: Vec<i32>,
    /// Whether writing into it is permitted; true where the brokers do not report it.
    pub may_write: bool,
}

/// A partition by topic and number.
pub(super) type Place = (String, i32);

/// The client for requests and commits. It never fetches.
pub(super) struct Cluster {
    client: Client,
    health: Arc<Health>,
    tokens: Option<Arc<Tokens>>,
    brokers: String,
    topics: Vec<String>,
    pattern: Option<Regex>,
    connected: AtomicBool,
    patience: Duration,
}

impl Cluster {
    /// Starts the client; no request is sent yet.
    pub fn start(config: &KafkaConfig, name: &str, group: &str, health: &Arc<Health>, tokens: Option<&Arc<Tokens>>) -> Result<Self> {
        let mut client = options(config, name);
        // The ends of partitions include open transactions here; readers request them again
        // without.
        client.set("group.id", group).set("isolation.level", "read_uncommitted");
        let client = Client::start(&client, health, tokens)?;
        let (topics, pattern) = (config.topics.clone(), config.regex()?);
        Ok(Self {
            client,
            health: Arc::clone(health),
            tokens: tokens.cloned(),
            brokers: config.connection.brokers.clone(),
            topics,
            pattern,
            connected: AtomicBool::new(false),
            patience: config.retry.time()?,
        })
    }

    /// The client, for other questions.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How the brokers are.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// The credentials with which other clients of these brokers connect.
    pub fn tokens(&self) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref()
    }

    /// The topics that the source reads, as they are now. Those that do not exist are left out.
    pub fn topics(&self) -> Result<BTreeMap<String, Topic>> {
        let connected = self.connected.load(Ordering::Relaxed);
        let limit = if connected { REQUEST_TIMEOUT } else { CONNECT_TIMEOUT.min(self.patience) };
        let deadline = Instant::now() + limit;
        let found = loop {
            match self.request_topics(deadline) {
                Ok(found) => break found,
                Err(error) => {
                    if let Some(refused) = self.client.health().refused().filter(|_| !connected) {
                        return Err(Error::environment(format!("the Kafka brokers {} refuse the connection: {refused}", self.brokers))
                            .code(BROKERS_REFUSE)
                            .hint("check `security`: name, password, mechanism and certificates"));
                    }
                    if !is_passing(&error) || Instant::now() >= deadline {
                        return Err(self.unreachable(&error, limit));
                    }
                }
            }
        };
        self.connected.store(true, Ordering::Relaxed);
        self.client.health().up();
        Ok(found)
    }

    fn unreachable(&self, error: &KafkaError, limit: Duration) -> Error {
        let last = self.client.health().last();
        match error.rdkafka_error_code().is_some_and(|code| !is_passing_code(code)) {
            true => Error::environment(format!("the Kafka brokers {} refuse to describe the topics: {error}", self.brokers))
                .code(ACCESS_DENIED)
                .hint("the principal needs DESCRIBE on the topics, and READ or WRITE"),
            false => Error::environment(format!("no Kafka broker of {} responded within {} s: {last}", self.brokers, limit.as_secs()))
                .code(BROKERS_AWAY)
                .hint("are the addresses right, and do the brokers advertise addresses that can be reached from here? `security` must fit the port"),
        }
    }

    fn request_topics(&self, deadline: Instant) -> Result<BTreeMap<String, Topic>, KafkaError> {
        // Short requests: in between, refusals are noticed.
        let wait = deadline.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(100), Duration::from_secs(2));
        let Some(pattern) = &self.pattern else { return self.describe(&self.topics, wait) };
        let metadata = self.client.consumer().fetch_metadata(None, wait)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let names: Vec<String> = names.filter(|name| !name.starts_with("__") && pattern.is_match(name)).collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.describe(&names, wait)
    }

    fn describe(&self, names: &[String], wait: Duration) -> Result<BTreeMap<String, Topic>, KafkaError> {
        let names: Vec<CString> = names.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let native = self.client.native();
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client lives as long as `self`; the names end with a zero and are copied by
        // the collection; queue, options and collection are created here, checked by librdkafka,
        // and destroyed here, as is the event after its last use.
        unsafe {
            let queue = rd::rd_kafka_queue_new(native);
            let options = rd::rd_kafka_AdminOptions_new(native, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
            let mut why = [0 as c_char; 256];
            rd::rd_kafka_AdminOptions_set_request_timeout(options, millis, why.as_mut_ptr(), why.len());
            let unable = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
            if !unable.is_null() {
                rd::rd_kafka_error_destroy(unable);
            }
            let collection = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd::rd_kafka_DescribeTopics(native, collection, options, queue);
            let event = rd::rd_kafka_queue_poll(queue, millis.saturating_add(1000));
            let described = described(event);
            if !event.is_null() {
                rd::rd_kafka_event_destroy(event);
            }
            rd::rd_kafka_TopicCollection_destroy(collection);
            rd::rd_kafka_AdminOptions_destroy(options);
            rd::rd_kafka_queue_destroy(queue);
            described
        }
    }

    /// The oldest offsets that are there.
    pub fn begins(&self, places: &[Place]) -> Result<HashMap<Place, i64>> {
        offsets(&self.client, places, Offset::Beginning)
    }

    /// The ends, with the records of open transactions.
    pub fn ends(&self, places: &[Place]) -> Result<HashMap<Place, i64>> {
        offsets(&self.client, places, Offset::End)
    }

    /// The offsets of the first records that are not older than a time; the end where there are
    /// none.
    pub fn at_time(&self, places: &[Place], millis: i64) -> Result<HashMap<Place, i64>> {
        offsets(&self.client, places, Offset::Offset(millis))
    }

    /// Commits offsets for the group. The result is reported later.
    pub fn commit(&self, offsets: &[(&str, i32, i64)]) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (topic, partition, offset) in offsets {
            if let Err(error) = list.add_partition_offset(topic, *partition, Offset::Offset(*offset)) {
                self.client.health().commit(Err(error));
            }
        }
        if let Err(error) = self.client.consumer().commit(&list, CommitMode::Async) {
            self.client.health().commit(Err(error));
        }
    }
}

/// Connects a new client and announces a topic to it. A request that needs the leaders of
/// partitions would otherwise make librdkafka search for them without a connection, and then again
/// after most of a second. Errors are reported by the next request.
pub(super) fn introduce(client: &Client, topic: &str) {
    let _ = client.consumer().fetch_metadata(Some(topic), REQUEST_TIMEOUT);
}

/// Offsets of partitions, as this client's isolation sees them.
pub(super) fn offsets(client: &Client, places: &[Place], what: Offset) -> Result<HashMap<Place, i64>> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::environment(format!("the brokers do not return the offsets of the partitions: {error}"))
            .code(REQUEST_FAILED)
            .hint("is a broker down that leads some of them? The principal needs DESCRIBE on the topics")
    };
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition_offset(topic, *partition, what).map_err(|error| failed(&error))?;
        }
        let asked = client.consumer().offsets_for_times(list, REQUEST_TIMEOUT).and_then(|answer| offsets_of(&answer));
        match asked {
            Ok(answer) => return Ok(answer),
            // A new partition has no leader for a moment.
            Err(error) if Instant::now() < deadline && (is_passing(&error) || is_unknown(&error)) => {
                let topics: BTreeSet<&str> = places.iter().map(|(topic, _)| topic.as_str()).collect();
                for topic in topics.into_iter().filter(|_| is_unknown(&error)) {
                    // Whatever the result: this client must learn of a partition that another one
                    // has found.
                    let _ = client.consumer().fetch_metadata(Some(topic), Duration::from_secs(2));
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

fn offsets_of(list: &TopicPartitionList) -> Result<HashMap<Place, i64>, KafkaError> {
    let element = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error()?;
        // No record is so young: the caller takes the end.
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
        Ok(((element.topic().to_owned(), element.partition()), offset))
    };
    list.elements().into_iter().map(element).collect()
}

/// # Safety
/// `event` is null or an event that is alive.
unsafe fn described(event: *mut rd::rd_kafka_event_t) -> Result<BTreeMap<String, Topic>, KafkaError> {
    if event.is_null() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
    }
    let none = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
    let mut found = BTreeMap::new();
    // SAFETY: what the event holds lives as long as it; every pointer is checked or promised by librdkafka, and everything is copied.
    unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != none {
            return Err(KafkaError::MetadataFetch(code.into()));
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::BadMessage));
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic = *topics.add(index);
            match rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(topic)) {
                code if code == none => {}
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => continue,
                code => return Err(KafkaError::MetadataFetch(code.into())),
            }
            let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
            found.insert(name, Topic { id: topic_id(topic), partitions: partitions(topic), may_write: may_write(topic) });
        }
    }
    Ok(found)
}

/// # Safety
/// The description is alive.
unsafe fn may_write(topic: *const rd::rd_kafka_TopicDescription_t) -> bool {
    use rd::rd_kafka_AclOperation_t as Operation;
    let mut count = 0;
    // SAFETY: the list is null, or has `count` elements and lives as long as the description.
    unsafe {
        let operations = rd::rd_kafka_TopicDescription_authorized_operations(topic, &mut count);
        let writes = [Operation::RD_KAFKA_ACL_OPERATION_WRITE, Operation::RD_KAFKA_ACL_OPERATION_ALL];
        operations.is_null() || (0..count).any(|index| writes.contains(&*operations.add(index)))
    }
}

/// # Safety
/// The description is alive.
unsafe fn topic_id(topic: *const rd::rd_kafka_TopicDescription_t) -> String {
    // SAFETY: the id lives as long as the description, and its text as long as the id.
    unsafe {
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() || (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id)) == (0, 0) {
            return String::new();
        }
        let text = rd::rd_kafka_Uuid_base64str(id);
        if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}

/// # Safety
/// The description is alive.
unsafe fn partitions(topic: *const rd::rd_kafka_TopicDescription_t) -> Vec<i32> {
    let mut count = 0;
    // SAFETY: the list has `count` elements and lives as long as the description.
    let mut all: Vec<i32> = unsafe {
        let list = rd::rd_kafka_TopicDescription_partitions(topic, &mut count);
        (0..count).map(|index| rd::rd_kafka_TopicPartitionInfo_partition(*list.add(index))).collect()
    };
    all.sort_unstable();
    all
}

fn is_passing(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_none_or(is_passing_code)
}

fn is_unknown(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    error
        .rdkafka_error_code()
        .is_some_and(|code| matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition))
}

/// Whether waiting may help.
pub(super) fn is_passing_code(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::NotCoordinator
            | Code::NetworkException
            | Code::BrokerNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::KafkaStorageError
            | Code::OffsetNotAvailable
            | Code::ReplicaNotAvailable
            | Code::WaitingForCoordinator
            | Code::Outdated
            | Code::TimedOutQueue
    )
}
