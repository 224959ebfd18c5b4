//! Topics of Kafka behind a route.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kafka::KafkaConfig;
use kafka::consume::{GroupConsumer, SeekTo, Wanted as WantedConsumer};
use kafka::produce::{Delivered, Outgoing, Producer, Refused, RefusedKind};
use kafka::topics::{Topics, Wanted};
use wasmill_engine::{Error, Result as EngineResult};
use wasmill_gateway::{
    Consumed, Consumer, ConsumerOptions, Described, Destination, Edge, Partition, Place, Placed, Position, Record, Refusal, RefusalKind,
    RequestKey, Subscription,
};

use super::spec::KafkaSpec;

/// The topics of a cluster.
pub(super) struct KafkaTopics {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    config: KafkaConfig,
    producer: OnceLock<Producer>,
    /// For requests about topics.
    topics: OnceLock<Topics>,
    cluster: OnceLock<String>,
}

impl KafkaTopics {
    /// Clients are started by the first request that needs them.
    pub(super) fn new(name: &str, spec: &KafkaSpec) -> EngineResult<Self> {
        let config = KafkaConfig { connection: spec.connection.clone(), client: spec.client.clone(), ..KafkaConfig::default() };
        Producer::check(&config, name)?;
        let (producer, topics, cluster) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self { shared: Arc::new(Shared { name: name.to_owned(), config, producer, topics, cluster }) })
    }

    /// Makes a request that blocks.
    async fn request<T: Send + 'static>(&self, request: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
        let shared = Arc::clone(&self.shared);
        let made = tokio::task::spawn_blocking(move || request(&shared)).await;
        made.unwrap_or_else(|error| Err(Refusal::new(RefusalKind::Failed, format!("the request failed: {error}"))))
    }

    async fn partitions(&self, topic: &str) -> Result<usize, Refusal> {
        if let Some(partitions) = self.shared.producer.get().and_then(|producer| producer.known_partitions(topic)) {
            return Ok(partitions);
        }
        let topic = topic.to_owned();
        self.request(move |shared| shared.producer()?.partitions(&topic).map_err(refusal)).await
    }
}

impl Shared {
    fn producer(&self) -> Result<&Producer, Refusal> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let producer = Producer::start(&self.config, &self.name).map_err(|error| of_admin(&error))?;
        Ok(self.producer.get_or_init(|| producer))
    }

    fn topics(&self) -> Result<&Topics, Refusal> {
        if let Some(topics) = self.topics.get() {
            return Ok(topics);
        }
        let topics = Topics::connect(&self.config).map_err(|error| of_admin(&error))?;
        Ok(self.topics.get_or_init(|| topics))
    }
}

#[async_trait]
impl Destination for KafkaTopics {
    fn kind(&self) -> &'static str {
        "kafka"
    }

    async fn names(&self) -> Result<Vec<String>, Refusal> {
        let list = |shared: &Shared| shared.topics()?.list().map_err(|error| of_admin(&error));
        Ok(self.request(list).await?.into_iter().filter(|topic| !topic.is_internal).map(|topic| topic.name).collect())
    }

    async fn describe(&self, name: &str) -> Result<Described, Refusal> {
        let topic = name.to_owned();
        let described = self.request(move |shared| shared.topics()?.describe(&topic).map_err(|error| of_admin(&error))).await?;
        let count = described.partitions.len().max(1) as u128;
        let partition = |(at, partition): (usize, kafka::topics::Partition)| Partition {
            number: partition.number,
            shard: shard(partition.number),
            leader: partition.leader,
            replicas: partition.replicas.iter().map(|broker| (*broker, partition.in_sync.contains(broker))).collect(),
            hash_keys: (
                u128::MAX / count * at as u128,
                if at as u128 + 1 == count { u128::MAX } else { u128::MAX / count * (at as u128 + 1) - 1 },
            ),
        };
        Ok(Described {
            name: name.to_owned(),
            partitions: described.partitions.into_iter().enumerate().map(partition).collect(),
            config: described.config,
            status: "ACTIVE".to_owned(),
            ..Described::default()
        })
    }

    async fn put(&self, name: &str, records: Vec<Record>, key: Option<RequestKey>) -> Result<Vec<Result<Placed, Refusal>>, Refusal> {
        if key.is_some() {
            return Err(no_keys());
        }
        let partitions = self.partitions(name).await?;
        let producer = self.shared.producer()?;
        let mut sent = Vec::with_capacity(records.len());
        for record in &records {
            if record.partition.is_some_and(|number| usize::try_from(number).is_ok_and(|number| number >= partitions) || number < 0) {
                sent.push(Err(Refusal::new(RefusalKind::NoPartition, format!("the topic {name} has {partitions} partitions"))));
                continue;
            }
            let outgoing = Outgoing {
                topic: name,
                partition: record.partition,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                timestamp: record.timestamp,
            };
            let headers: Vec<(&str, Option<&[u8]>)> =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            sent.push(producer.send(&outgoing, &headers).map_err(refusal));
        }
        let mut placed = Vec::with_capacity(sent.len());
        for delivery in sent {
            placed.push(match delivery {
                Err(refusal) => Err(refusal),
                Ok(delivery) => match delivery.await {
                    Ok(Ok(delivered)) => Ok(place(delivered)),
                    Ok(Err(refused)) => Err(refusal(refused)),
                    Err(_) => Err(Refusal::new(RefusalKind::Unavailable, "the producer was stopped")),
                },
            });
        }
        Ok(placed)
    }

    async fn create(&self, name: &str, partitions: u16) -> Result<(), Refusal> {
        let (name, wanted) = (name.to_owned(), Wanted { partitions: Some(i32::from(partitions)), ..Wanted::default() });
        self.request(move |shared| shared.topics()?.create(&name, &wanted).map_err(|error| of_admin(&error))).await
    }

    async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let name = name.to_owned();
        self.request(move |shared| shared.topics()?.delete(&name).map_err(|error| of_admin(&error))).await
    }

    async fn offsets(&self, name: &str, partition: i32) -> Result<(i64, i64), Refusal> {
        let name = name.to_owned();
        let described = self.request(move |shared| shared.topics()?.describe(&name).map_err(|error| of_admin(&error))).await?;
        let found = described.partitions.iter().find(|one| one.number == partition).map(|one| one.offsets);
        found.ok_or_else(|| Refusal::new(RefusalKind::NoPartition, "there is no such partition"))
    }

    async fn cluster(&self) -> Result<String, Refusal> {
        if let Some(cluster) = self.shared.cluster.get() {
            return Ok(cluster.clone());
        }
        let cluster = self.request(|shared| shared.producer()?.cluster_id().map_err(refusal)).await?;
        Ok(self.shared.cluster.get_or_init(|| cluster).clone())
    }

    async fn consumer(&self, group: &str, options: &ConsumerOptions) -> Result<Arc<dyn Consumer>, Refusal> {
        let (group, wanted) = (group.to_owned(), WantedConsumer { from_earliest: options.from_earliest, commits: options.commits });
        let start = move |shared: &Shared| GroupConsumer::start(&shared.config, &group, wanted).map_err(|error| of_admin(&error));
        Ok(Arc::new(InGroup(self.request(start).await?)))
    }
}

/// A consumer of a group, as requests use it.
struct InGroup(GroupConsumer);

impl Consumer for InGroup {
    fn subscribe(&self, to: &Subscription) -> Result<(), Refusal> {
        let subscribed = match to {
            Subscription::Topics(topics) => self.0.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()),
            // To librdkafka only what begins so is a pattern.
            Subscription::Pattern(pattern) => self.0.subscribe(&[&format!("^{}", pattern.trim_start_matches('^'))]),
        };
        subscribed.map_err(refusal)
    }

    fn unsubscribe(&self) -> Result<(), Refusal> {
        self.0.unsubscribe().map_err(refusal)
    }

    fn subscription(&self) -> Result<Vec<String>, Refusal> {
        self.0.subscription().map_err(refusal)
    }

    fn assign(&self, places: &[Place]) -> Result<(), Refusal> {
        self.0.assign(places).map_err(refusal)
    }

    fn assignment(&self) -> Result<Vec<Place>, Refusal> {
        self.0.assignment().map_err(refusal)
    }

    fn poll(&self, wait: std::time::Duration, max_bytes: usize) -> Result<Vec<Consumed>, Refusal> {
        let received = self.0.poll(wait, max_bytes).map_err(refusal)?;
        let consumed = |record: kafka::consume::Received| Consumed {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            key: record.key,
            value: record.value,
        };
        Ok(received.into_iter().map(consumed).collect())
    }

    fn commit(&self, positions: Option<&[Position]>) -> Result<(), Refusal> {
        let noted = |position: &Position| {
            let (topic, partition) = &position.place;
            (topic.clone(), *partition, position.offset, position.metadata.clone())
        };
        let noted = positions.map(|positions| positions.iter().map(noted).collect::<Vec<_>>());
        self.0.commit(noted.as_deref()).map_err(refusal)
    }

    fn committed(&self, places: &[Place]) -> Result<Vec<Position>, Refusal> {
        let found = self.0.committed(places).map_err(refusal)?;
        let position = |(topic, partition, offset, metadata)| Position { place: (topic, partition), offset, metadata };
        Ok(found.into_iter().map(position).collect())
    }

    fn seek(&self, positions: &[Position]) -> Result<(), Refusal> {
        let seek = |position: &Position| self.0.seek(&position.place.0, position.place.1, SeekTo::Offset(position.offset));
        positions.iter().try_for_each(seek).map_err(refusal)
    }

    fn seek_to(&self, places: &[Place], edge: Edge) -> Result<(), Refusal> {
        let to = if edge == Edge::End { SeekTo::End } else { SeekTo::Beginning };
        places.iter().try_for_each(|(topic, partition)| self.0.seek(topic, *partition, to)).map_err(refusal)
    }
}

fn place(delivered: Delivered) -> Placed {
    let Delivered { partition, offset } = delivered;
    Placed { partition, offset, shard: shard(partition), sequence: offset.to_string() }
}

/// A partition's name as a shard.
fn shard(partition: i32) -> String {
    format!("shardId-{partition:012}")
}

/// Only a pipeline's log remembers the keys of requests.
pub(super) fn no_keys() -> Refusal {
    let message = "Idempotency-Key is not possible behind this route: only the log of a pipeline (source `http`) remembers requests";
    Refusal::new(RefusalKind::Unsupported, message)
}

fn refusal(refused: Refused) -> Refusal {
    let kind = match refused.kind {
        RefusedKind::NoTopic => RefusalKind::NoTopic,
        RefusedKind::NoPartition => RefusalKind::NoPartition,
        RefusedKind::TooLarge => RefusalKind::TooLarge,
        RefusedKind::Full => RefusalKind::Full,
        RefusedKind::Denied => RefusalKind::Denied,
        RefusedKind::Unavailable => RefusalKind::Unavailable,
        RefusedKind::Conflict => RefusalKind::Exists,
        RefusedKind::Failed => RefusalKind::Failed,
    };
    Refusal::new(kind, refused.message)
}

fn of_admin(error: &Error) -> Refusal {
    let kind = match error.kind().map_or("", |code| code.name) {
        "kafka/topic-missing" => RefusalKind::NoTopic,
        "kafka/topic-exists" => RefusalKind::Exists,
        "kafka/topic-name" | "kafka/topic-config" => RefusalKind::Invalid,
        "kafka/access-denied" => RefusalKind::Denied,
        "kafka/brokers-away" | "kafka/request-failed" => RefusalKind::Unavailable,
        _ => RefusalKind::Failed,
    };
    Refusal::new(kind, error.message())
}
