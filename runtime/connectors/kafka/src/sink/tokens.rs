//! The sink's token: a record of a compacted topic, written in the same transaction as the rows.
//!
//! All records of one sink have one key, and go into partition 0. The latest committed one counts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wasmill_engine::{Committed, Error, Result, Token};

use super::failure::Failure;
use super::target::Target;
use crate::admin::{self, NewTopic};
use crate::client::{Client, fetching};
use crate::cluster::{Cluster, Place, is_passing_code};
use crate::codes::{COMMITS_TOPIC, REQUEST_FAILED};
use crate::config::{Isolation, KafkaConfig};
use crate::queue::PartitionQueue;
use wasmill_connect::codes::TOKEN_DAMAGED;
use wasmill_connect::durable::{escape, owner_name};

const FORMAT: u32 = 1;
const PARTITION: i32 = 0;
/// How long the brokers may take to respond to one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one poll of the topic waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// After this long, a wait for a transaction to end checks whose transaction it is.
const BLOCKED_AFTER: Duration = Duration::from_millis(200);
const MESSAGES: usize = 1000;
/// A topic is missing when this many reads in a row do not find it.
const METADATA_READS: u32 = 3;

/// What a token's record holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    format: u32,
    incarnation: Uuid,
    epoch: u64,
    /// Makes each commit's record unique: this identifies a commit whose response was lost.
    pub(super) attempt: Uuid,
}

impl Content {
    pub(super) fn new(token: &Token, attempt: Uuid) -> Self {
        Self { format: FORMAT, incarnation: token.incarnation, epoch: token.epoch, attempt }
    }

    pub(super) fn committed(&self) -> Committed {
        Committed { incarnation: self.incarnation, epoch: self.epoch }
    }

    /// The record's value.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::bug(format!("a token is no JSON: {error}")))
    }

    fn read(bytes: &[u8], topic: &str) -> Result<Self> {
        let damaged = |what: String| {
            Error::environment(format!("the sink's token in the topic {topic} is damaged: {what}"))
                .code(TOKEN_DAMAGED)
                .hint("another program writes there; without the token, it is unknown what is committed")
        };
        let content: Self = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if content.format == FORMAT { Ok(content) } else { Err(damaged(format!("unknown format {}", content.format))) }
    }
}

/// The key of the token of one sink of one pipeline in one topic.
pub(super) fn key(pipeline: &str, sink: &str, topic: &str) -> String {
    format!("{}/{topic}", owner_name(pipeline, sink))
}

/// The name of the producers of a key: of all that have it, the one that came up last can write.
pub(super) fn transactional_id(key: &str) -> String {
    format!("wasmill-{key}")
}

/// Reads and creates the topic of tokens.
pub(super) struct Tokens<'a> {
    pub(super) topic: &'a str,
    pub(super) config: &'a KafkaConfig,
    pub(super) cluster: &'a Cluster,
}

impl Tokens<'_> {
    /// Whether the topic is there; one that would lose tokens is an error.
    pub(super) fn is_present(&self) -> Result<bool, Failure> {
        if !is_present(self.cluster, self.topic)? {
            return Ok(false);
        }
        let policy = match admin::configuration(self.cluster.client(), self.topic, REQUEST_TIMEOUT)? {
            Ok(entries) => entries.into_iter().find(|entry| entry.name == "cleanup.policy").and_then(|entry| entry.value),
            // It was created with more permissions: its configuration can't be verified here, and
            // is trusted.
            Err(refusal) if refusal.code == RDKafkaErrorCode::TopicAuthorizationFailed => None,
            Err(refusal) => {
                return Err(Failure::of_code("read the metadata of the topic of the sink's token", refusal.code, &refusal.text));
            }
        };
        match policy.as_deref() {
            None | Some("compact") => Ok(true),
            Some(policy) => Err(Error::environment(format!(
                "the topic {} of the sink's token has cleanup.policy={policy}: it would delete tokens",
                self.topic
            ))
            .code(COMMITS_TOPIC)
            .hint("set cleanup.policy=compact, or name another `commits_topic`")
            .into()),
        }
    }

    /// Creates the topic if it is missing, as safe as the topic of the rows.
    pub(super) fn create(&self, target: &Target) -> Result<(), Failure> {
        if self.is_present()? {
            return Ok(());
        }
        let mut config = vec![
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            // Every start reads all of it, so superseded tokens should be removed within the hour.
            ("segment.ms".to_owned(), "600000".to_owned()),
            ("min.cleanable.dirty.ratio".to_owned(), "0.1".to_owned()),
        ];
        config.extend(target.min_in_sync.iter().map(|count| ("min.insync.replicas".to_owned(), count.clone())));
        let topic = NewTopic { name: self.topic, partitions: Some(1), replication: Some(target.replication), config };
        match admin::create(self.cluster.client(), &topic, REQUEST_TIMEOUT)? {
            Err(refusal) if refusal.code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(Failure::of_code(&format!("create the topic {} of the sink's token", self.topic), refusal.code, &refusal.text))
            }
            // A new partition has no leader for a moment: reading waits for it.
            _ => Ok(()),
        }
    }

    /// The latest committed token of a key; the topic exists.
    ///
    /// Readers of committed records stop before the first open transaction of any
    /// producer. If no record of this key lies behind that point, the last one before it is the result.
    /// If the record right there has this key, its transaction is the open one, and it has
    /// committed nothing yet. Otherwise that transaction must end: `free` receives the keys of
    /// those that are in the way.
    pub(super) fn read(
        &self,
        key: &str,
        deadline: Instant,
        mut free: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<Option<Content>, Failure> {
        let (begin, end) = self.range().map_err(Failure::passing)?;
        let mut reading = Reading::open(self, Isolation::ReadCommitted, begin)?;
        let (mut newest, mut moved, mut reported): (Option<Content>, _, _) = (None, Instant::now(), false);
        while reading.next < end {
            let before = reading.next;
            reading.take(|_, found, value| {
                if found == key.as_bytes() {
                    newest = value.map(|value| Content::read(value, self.topic)).transpose()?;
                }
                Ok(())
            })?;
            if reading.next > before {
                moved = Instant::now();
            } else if Instant::now() >= deadline {
                return Err(self.held_up());
            } else if moved.elapsed() >= BLOCKED_AFTER && reading.end == Some(before) {
                // Slow brokers have not reported an end: nothing follows from their silence.
                let held_up = self.keys(before, end, deadline)?;
                let own: Vec<i64> = held_up.iter().filter(|(_, found)| *found == key).map(|(offset, _)| *offset).collect();
                if own.is_empty() || own == [before] {
                    return Ok(newest);
                }
                if !std::mem::replace(&mut reported, true) {
                    tracing::warn!(
                        topic = self.topic,
                        "the sink's token waits for a transaction of a process that has ended, or is at work"
                    );
                }
                let holders: BTreeSet<&String> = held_up.iter().map(|(_, holder)| holder).filter(|holder| *holder != key).collect();
                holders.into_iter().try_for_each(|holder| free(holder))?;
                moved = Instant::now();
            }
        }
        Ok(newest)
    }

    fn held_up(&self) -> Failure {
        Failure::late(&format!("read the sink's token: a transaction holds up the topic {}", self.topic))
    }

    fn range(&self) -> Result<(i64, i64)> {
        let place: [Place; 1] = [(self.topic.to_owned(), PARTITION)];
        // An unknown end must never be taken for an empty topic.
        let of = |all: std::collections::HashMap<Place, i64>| {
            let known = all.get(&place[0]).copied().filter(|offset| *offset >= 0);
            known.ok_or_else(|| {
                Error::environment(format!("the brokers do not return the offsets of the topic {}", self.topic)).code(REQUEST_FAILED)
            })
        };
        Ok((of(self.cluster.begins(&place)?)?, of(self.cluster.ends(&place)?)?))
    }

    /// The records from `begin` to `end` by offset and key, including those of open transactions.
    fn keys(&self, begin: i64, end: i64, deadline: Instant) -> Result<Vec<(i64, String)>, Failure> {
        let mut reading = Reading::open(self, Isolation::ReadUncommitted, begin)?;
        let mut keys = Vec::new();
        while reading.next < end {
            if Instant::now() >= deadline {
                return Err(self.held_up());
            }
            reading.take(|offset, key, _| {
                keys.extend(String::from_utf8(key.to_vec()).map(|key| (offset, key)));
                Ok(())
            })?;
        }
        Ok(keys)
    }
}

/// Whether a topic is there. Brokers that start know less for a moment.
pub(super) fn is_present(cluster: &Cluster, topic: &str) -> Result<bool, Failure> {
    for read in 1..=METADATA_READS {
        if cluster.topics().map_err(Failure::passing)?.contains_key(topic) {
            return Ok(true);
        }
        if read < METADATA_READS {
            std::thread::park_timeout(POLL_TIMEOUT);
        }
    }
    Ok(false)
}

/// Whether a key is of a sink of this pipeline.
pub(super) fn is_of(key: &str, pipeline: &str) -> bool {
    key.strip_prefix(&escape(pipeline)).is_some_and(|rest| rest.starts_with('.'))
}

/// The topic from an offset on.
struct Reading {
    queue: PartitionQueue,
    next: i64,
    /// Where the brokers reported that no more records are available for now: the end, or the first
    /// open transaction.
    end: Option<i64>,
}

impl Reading {
    fn open(tokens: &Tokens<'_>, isolation: Isolation, begin: i64) -> Result<Self, Failure> {
        let config = KafkaConfig { isolation, ..tokens.config.clone() };
        let client = Client::start(&fetching(&config, "tokens", 1), tokens.cluster.health(), tokens.cluster.tokens())?;
        let queue = PartitionQueue::open(&Arc::new(client), tokens.topic, PARTITION, begin)?;
        Ok(Self { queue, next: begin, end: None })
    }

    /// Takes what is there, and waits a little if that is nothing.
    fn take(&mut self, mut each: impl FnMut(i64, &[u8], Option<&[u8]>) -> Result<()>) -> Result<(), Failure> {
        let mut messages = self.queue.messages();
        self.queue.take(&mut messages, MESSAGES, POLL_TIMEOUT);
        for index in 0..messages.len() {
            let message = messages.get(index);
            match message.error() {
                None => {
                    self.next = message.offset() + 1;
                    each(message.offset(), message.key().unwrap_or_default(), message.value())?;
                }
                // Markers of transactions and what compaction removed lie before it.
                Some((RDKafkaErrorCode::PartitionEOF, _)) => {
                    self.next = self.next.max(message.offset());
                    self.end = Some(self.next);
                }
                Some((code, _)) if is_passing_code(code) => {}
                Some((code, text)) => return Err(Failure::of_code("read the sink's token", code, &text)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sink_has_a_key_and_a_producer_of_its_own() {
        let one = key("p.q", "s", "t");
        assert_ne!(one, key("p", "q.s", "t"));
        assert_ne!(one, key("p.q", "s", "u"));
        assert_eq!(transactional_id(&key("pins", "out", "clean.pins")), "wasmill-pins.out/clean.pins");
        assert!(is_of(&one, "p.q") && !is_of(&one, "p") && !is_of(&key("pp", "s", "t"), "p"));
    }

    #[test]
    fn a_token_of_the_first_version_is_still_read() {
        let json = br#"{"format":1,"incarnation":"f0000000-0000-0000-8000-000000000001","epoch":7,"attempt":"f0000000-0000-0000-8000-000000000002"}"#;
        let content = Content::read(json, "c").unwrap();
        assert_eq!((content.committed().epoch, content.bytes().unwrap().as_slice()), (7, json.as_slice()));
        for bad in [
            "",
            "{}",
            r#"{"format":2,"incarnation":"f0000000-0000-0000-8000-000000000001","epoch":7,"attempt":"f0000000-0000-0000-8000-000000000002"}"#,
        ] {
            assert!(Content::read(bad.as_bytes(), "c").unwrap_err().message().contains("is damaged"));
        }
    }
}
