//! The test broker: topics of a test's own, and producers of every kind.

#![allow(dead_code)]

#[path = "../../../../tests/ports/mod.rs"]
pub mod ports;
#[path = "../../../../tests/proxy/mod.rs"]
mod proxy;
mod server;

#[allow(unused_imports)]
pub use proxy::Proxy;
#[allow(unused_imports)]
pub use server::Broker;

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

/// Every wait for the broker ends. One that was killed takes its time to come back on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A variable that the servers' starter sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs the real servers; run it with `tests/servers/servers.py run -- …` or `make test`")
    })
}

/// The plain listener.
pub fn address() -> String {
    variable("WASMILL_TEST_KAFKA")
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("the broker answers") })
}

fn admin() -> AdminClient<DefaultClientContext> {
    admin_of(&address())
}

fn admin_of(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

/// A topic of the test's own.
pub fn topic(partitions: i32) -> String {
    let name = unique("t");
    create(&name, partitions);
    name
}

/// Makes a topic by name.
pub fn create(name: &str, partitions: i32) {
    create_at(&address(), name, partitions);
}

/// Makes a topic of other brokers, as soon as they are there.
pub fn create_at(brokers: &str, name: &str, partitions: i32) {
    let deadline = Instant::now() + PATIENCE;
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("max.message.bytes", "16777216");
    // One of this name may still be going.
    loop {
        match wait(admin_of(brokers).create_topics([&topic], &AdminOptions::new())).as_deref() {
            Ok([Ok(_)]) => break,
            other => assert!(Instant::now() < deadline, "{name} can't be made: {other:?}"),
        }
    }
    until(|| partitions_at(brokers, name) == partitions as usize);
}

/// How many partitions the brokers tell of.
fn partitions_of(name: &str) -> usize {
    partitions_at(&address(), name)
}

fn partitions_at(brokers: &str, name: &str) -> usize {
    let metadata = admin_of(brokers).inner().fetch_metadata(Some(name), PATIENCE).unwrap();
    let topic = &metadata.topics()[0];
    let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
    if topic.error().is_some() { 0 } else { led }
}

/// Removes a topic, and waits until it is gone.
pub fn delete(name: &str) {
    wait(admin().delete_topics(&[name], &AdminOptions::new())).unwrap()[0].clone().unwrap();
    until(|| partitions_of(name) == 0);
}

/// Lets a topic have so many partitions.
pub fn grow(name: &str, partitions: usize) {
    wait(admin().create_partitions([&NewPartitions::new(name, partitions)], &AdminOptions::new())).unwrap()[0].clone().unwrap();
    until(|| partitions_of(name) == partitions);
}

/// Removes the records before an offset, as retention would.
pub fn remove_before(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    wait(admin().delete_records(&list, &AdminOptions::new())).unwrap();
}

/// Waits until something is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub time: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Seen {
    /// Its value as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap()).unwrap()
    }
}

/// All committed records of a topic, by partition and offset.
pub fn committed(topic: &str) -> Vec<Seen> {
    read_at(&address(), topic, "read_committed")
}

/// All records of a topic of these brokers, by partition and offset, as one with this isolation sees them.
pub fn read_at(brokers: &str, topic: &str, isolation: &str) -> Vec<Seen> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", unique("reader")).set("isolation.level", isolation);
    config.set("enable.partition.eof", "true").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "50");
    config.set("receive.message.max.bytes", "200000000");
    let consumer: BaseConsumer = config.create().unwrap();
    let partitions = partitions_at(brokers, topic);
    let mut places = TopicPartitionList::new();
    for partition in 0..partitions {
        places.add_partition_offset(topic, partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&places).unwrap();
    let (mut ended, mut all) = (std::collections::BTreeSet::new(), Vec::new());
    let mut deadline = Instant::now() + PATIENCE;
    while ended.len() < partitions {
        assert!(Instant::now() < deadline, "the topic {topic} can't be read to its end");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            // A broker that is away comes back.
            Some(Err(_)) => {}
            Some(Ok(message)) => {
                deadline = Instant::now() + PATIENCE;
                let headers =
                    message.headers().map(|headers| headers.iter().map(|one| (one.key.to_owned(), one.value.unwrap().to_vec())).collect());
                all.push(Seen {
                    partition: message.partition(),
                    offset: message.offset(),
                    time: message.timestamp().to_millis(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers.unwrap_or_default(),
                });
            }
        }
    }
    all.sort_by_key(|record| (record.partition, record.offset));
    all
}

/// Makes a topic with a configuration of its own.
pub fn create_with(name: &str, partitions: i32, config: &[(&str, &str)]) {
    let topic =
        config.iter().fold(NewTopic::new(name, partitions, TopicReplication::Fixed(1)), |topic, (key, value)| topic.set(key, value));
    wait(admin().create_topics([&topic], &AdminOptions::new())).unwrap()[0].clone().unwrap();
    until(|| partitions_of(name) == partitions as usize);
}

/// The value of a topic's configuration.
pub fn configuration(topic: &str, name: &str) -> Option<String> {
    let asked = wait(admin().describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new())).unwrap();
    asked[0].as_ref().unwrap().get(name).and_then(|entry| entry.value.clone())
}

/// A producer.
pub struct Producer(BaseProducer);

impl Producer {
    /// With these options besides the usual ones.
    pub fn new(options: &[(&str, &str)]) -> Self {
        Self::at(&address(), options)
    }

    /// The same for other brokers.
    pub fn at(brokers: &str, options: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("message.max.bytes", "16777216").set("linger.ms", "5");
        config.set("queue.buffering.max.kbytes", "1048576");
        for (key, value) in options {
            config.set(*key, *value);
        }
        Self(config.create().unwrap())
    }

    /// With transactions.
    pub fn transactional() -> Self {
        let producer = Self::new(&[("transactional.id", &unique("tx"))]);
        producer.0.init_transactions(PATIENCE).unwrap();
        producer
    }

    /// Sends a value.
    pub fn send(&self, topic: &str, partition: i32, value: &[u8]) {
        self.send_all_of(topic, partition, None, Some(value), &[], None);
    }

    /// Sends a record of which everything is said.
    pub fn send_all_of(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
        time: Option<i64>,
    ) {
        let all = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: *value }));
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
        record.key = key;
        record.payload = value;
        record.timestamp = time;
        record.headers = (!headers.is_empty()).then_some(all);
        let deadline = Instant::now() + PATIENCE;
        // A full queue empties while it is polled.
        while let Err((error, again)) = self.0.send(record) {
            assert!(Instant::now() < deadline, "{error}");
            self.0.poll(Duration::from_millis(10));
            record = again;
        }
    }

    /// Waits until all of it is there.
    pub fn flush(&self) {
        self.0.flush(PATIENCE).unwrap();
    }

    /// Begins with transactions: earlier producers of the same name are fenced.
    pub fn init(&self) {
        self.0.init_transactions(PATIENCE).unwrap();
    }

    pub fn try_commit(&self) -> rdkafka::error::KafkaResult<()> {
        self.0.commit_transaction(PATIENCE)
    }

    pub fn begin(&self) {
        self.0.begin_transaction().unwrap();
    }

    pub fn commit(&self) {
        self.0.commit_transaction(PATIENCE).unwrap();
    }

    pub fn abort(&self) {
        self.flush();
        self.0.abort_transaction(PATIENCE).unwrap();
    }
}
