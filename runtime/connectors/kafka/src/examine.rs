//! Examines a cluster: whether the brokers respond and accept the credentials, the topics exist,
//! and they can be read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::error::RDKafkaErrorCode as Code;
use wasmill_connect::Retry;
use wasmill_engine::{Error, Result};

use super::client::{Client, Health, fetching};
use super::cluster::{Cluster, Place, Topic, offsets};
use super::queue::PartitionQueue;
use super::sink::{KafkaSinkConfig, topic_findings};
use super::{KafkaConfig, token::Tokens};
use crate::codes::{ACCESS_DENIED, REQUEST_FAILED, TOPIC_MISSING};
use wasmill_connect::examine::Finding;

/// How long the brokers may take for their first response.
const TIMEOUT: &str = "10s";
/// How long a record, or the end of a partition, may take.
const READ: Duration = Duration::from_secs(10);

/// Examines the topics of a source. No group is joined, and no offset committed.
pub fn examine_source(config: &KafkaConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    let examined = examine(config, &mut findings);
    findings.extend(examined.err().map(Finding::Bad));
    findings
}

/// Examines the topics of a sink: that of its rows, and that of its token. No producer is fenced,
/// and nothing is written.
pub fn examine_sink(config: &KafkaSinkConfig) -> Vec<Finding> {
    let examine = || {
        config.check()?;
        let (reading, begun) = (KafkaConfig { retry: Retry::of(TIMEOUT), ..config.reading() }, Instant::now());
        let tokens = Tokens::of(reading.connection.security.as_ref()).map(Arc::new);
        let cluster = Cluster::start(&reading, "doctor", "wasmill-doctor", &Arc::default(), tokens.as_ref())?;
        let topics = cluster.topics()?;
        let mut findings =
            vec![Finding::good(format!("the brokers {} respond ({} ms)", config.connection.brokers, begun.elapsed().as_millis()))];
        findings.extend(topic_findings(config, &reading, &cluster, &topics)?);
        Ok(findings)
    };
    examine().unwrap_or_else(|error: Error| vec![Finding::Bad(error)])
}

fn examine(config: &KafkaConfig, findings: &mut Vec<Finding>) -> Result<()> {
    config.check()?;
    let quick = KafkaConfig { retry: Retry::of(TIMEOUT), ..config.clone() };
    let health: Arc<Health> = Arc::default();
    let tokens = Tokens::of(config.connection.security.as_ref()).map(Arc::new);
    let begun = Instant::now();
    let cluster = Cluster::start(&quick, "doctor", "wasmill-doctor", &health, tokens.as_ref())?;
    let topics = cluster.topics()?;
    findings.push(Finding::good(format!("the brokers {} respond ({} ms)", config.connection.brokers, begun.elapsed().as_millis())));
    for missing in config.topics.iter().filter(|name| !topics.contains_key(*name)) {
        findings.push(Finding::Bad(
            Error::environment(format!("the topic {missing} does not exist"))
                .code(TOPIC_MISSING)
                .hint(format!("correct the name, or create it: wasmill topics create {missing} --brokers {}", config.connection.brokers)),
        ));
    }
    if topics.is_empty() && config.pattern.is_some() {
        findings.push(Finding::doubt(
            format!("no topic matches {} yet", config.topics_in_words()),
            "a stream waits for one, and a batch stops; is the pattern right?",
        ));
    }
    let client = Arc::new(Client::start(&fetching(&quick, "doctor", 1), &health, tokens.as_ref())?);
    for (name, topic) in &topics {
        findings.push(topic_finding(&cluster, &client, name, topic).unwrap_or_else(Finding::Bad));
    }
    Ok(())
}

fn topic_finding(cluster: &Cluster, client: &Arc<Client>, name: &str, topic: &Topic) -> Result<Finding> {
    let places: Vec<Place> = topic.partitions.iter().map(|partition| (name.to_owned(), *partition)).collect();
    let (begins, ends) = (cluster.begins(&places)?, offsets(client, &places, Offset::End)?);
    if let Some(place) = places.first() {
        let end = ends.get(place).copied().unwrap_or(0);
        try_to_read(client, place, begins.get(place).copied().unwrap_or(0).max(end - 1))?;
    }
    let offsets: u64 = places.iter().map(|place| length(&begins, &ends, place)).sum();
    let count = topic.partitions.len();
    let partitions = if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") };
    Ok(Finding::good(format!("the topic {name} can be read: {partitions}, {offsets} offsets")))
}

fn length(begins: &HashMap<Place, i64>, ends: &HashMap<Place, i64>, place: &Place) -> u64 {
    let of = |all: &HashMap<Place, i64>| all.get(place).copied().unwrap_or(0);
    u64::try_from(of(ends) - of(begins)).unwrap_or(0)
}

/// Reads once at an offset: a record or the end of the partition are fine, a refusal is reported.
fn try_to_read(client: &Arc<Client>, (topic, partition): &Place, offset: i64) -> Result<()> {
    let mut queue = PartitionQueue::open(client, topic, *partition, offset)?;
    let mut messages = queue.messages();
    let deadline = Instant::now() + READ;
    while Instant::now() < deadline {
        if queue.take(&mut messages, 1, Duration::from_millis(100)) == 0 {
            continue;
        }
        return match messages.get(messages.len() - 1).error() {
            None | Some((Code::PartitionEOF | Code::OffsetOutOfRange | Code::AutoOffsetReset, _)) => Ok(()),
            Some((Code::TopicAuthorizationFailed, _)) => Err(Error::environment(format!("the topic {topic} must not be read by us"))
                .code(ACCESS_DENIED)
                .hint("the principal needs READ on the topic, and READ on the group whose offsets follow")),
            Some((_, text)) => Err(Error::environment(format!("the topic {topic} can't be read: {text}")).code(REQUEST_FAILED)),
        };
    }
    Err(Error::environment(format!("the partition {partition} of the topic {topic} returns neither a record nor its end within 10 s"))
        .code(REQUEST_FAILED)
        .hint("is the broker that leads it reachable under the address that it advertises?"))
}
