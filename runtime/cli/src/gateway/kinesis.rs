//! Streams of Kinesis behind a route.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kinesis::KinesisConnection;
use kinesis::admin::{Capacity, Streams};
use kinesis::direct::{Outgoing, Putter, Refused, RefusedKind};
use uuid::Uuid;
use wasmill_engine::Result as EngineResult;
use wasmill_gateway::{Described, Destination, Partition, Placed, Record, Refusal, RefusalKind, RequestKey};

use super::spec::KinesisSpec;

/// The streams of an account and region.
pub(super) struct KinesisStreams {
    putter: Putter,
    admin: Arc<Admin>,
}

struct Admin {
    connection: KinesisConnection,
    streams: OnceLock<Streams>,
}

impl KinesisStreams {
    /// Sends no request yet.
    pub(super) fn new(spec: &KinesisSpec) -> EngineResult<Self> {
        let connection = spec.connection.clone();
        Ok(Self { putter: Putter::new(&connection)?, admin: Arc::new(Admin { connection, streams: OnceLock::new() }) })
    }

    /// Makes a request that blocks.
    async fn request<T: Send + 'static>(&self, request: impl FnOnce(&Streams) -> EngineResult<T> + Send + 'static) -> Result<T, Refusal> {
        let admin = Arc::clone(&self.admin);
        let made = tokio::task::spawn_blocking(move || {
            let refused = |error: wasmill_engine::Error| refusal(Refused::of_admin(&error));
            if admin.streams.get().is_none() {
                let streams = Streams::connect(&admin.connection).map_err(refused)?;
                let _ = admin.streams.set(streams);
            }
            let Some(streams) = admin.streams.get() else { return Err(Refusal::new(RefusalKind::Failed, "there is no client")) };
            request(streams).map_err(refused)
        });
        made.await.unwrap_or_else(|error| Err(Refusal::new(RefusalKind::Failed, format!("the request failed: {error}"))))
    }
}

#[async_trait]
impl Destination for KinesisStreams {
    fn kind(&self) -> &'static str {
        "kinesis"
    }

    async fn names(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.request(Streams::list).await?.into_iter().map(|stream| stream.name).collect())
    }

    async fn describe(&self, name: &str) -> Result<Described, Refusal> {
        let stream = name.to_owned();
        let report = self.request(move |streams| streams.describe(&stream)).await?;
        let partition = |shard: kinesis::admin::ShardLine| Partition {
            number: number(&shard.id),
            shard: shard.id,
            hash_keys: shard.hash_keys,
            ..Partition::default()
        };
        Ok(Described {
            name: report.line.name,
            partitions: report.shards.into_iter().map(partition).collect(),
            arn: report.arn,
            status: report.line.status,
            retention_hours: report.retention_hours,
            created: report.created as f64 / 1000.0,
            ..Described::default()
        })
    }

    async fn put(&self, name: &str, records: Vec<Record>, key: Option<RequestKey>) -> Result<Vec<Result<Placed, Refusal>>, Refusal> {
        if key.is_some() {
            let message =
                "Idempotency-Key is not possible behind this route: only the log of a pipeline (source `http`) remembers requests";
            return Err(Refusal::new(RefusalKind::Unsupported, message));
        }
        let outgoing = records.into_iter().map(outgoing).collect::<Result<Vec<_>, _>>()?;
        let placed = self.putter.put(name, &outgoing).await.map_err(refusal)?;
        let place = |place: kinesis::direct::Place| Placed {
            partition: number(&place.shard),
            offset: 0,
            shard: place.shard,
            sequence: place.sequence,
        };
        Ok(placed.into_iter().map(|placed| placed.map(place).map_err(refusal)).collect())
    }

    async fn create(&self, name: &str, partitions: u16) -> Result<(), Refusal> {
        let name = name.to_owned();
        self.request(move |streams| streams.create(&name, Capacity::Shards(partitions), None)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let name = name.to_owned();
        self.request(move |streams| streams.delete(&name)).await
    }
}

/// A record of Kinesis: without a key of its own it goes to any shard.
fn outgoing(record: Record) -> Result<Outgoing, Refusal> {
    let invalid = |message: &str| Refusal::new(RefusalKind::Invalid, message);
    let key = match record.key {
        None => Uuid::new_v4().simple().to_string(),
        Some(key) => String::from_utf8(key.to_vec()).map_err(|_| invalid("a partition key must be UTF-8"))?,
    };
    let data = record.value.ok_or_else(|| invalid("a record of Kinesis has data"))?;
    Ok(Outgoing { key, data })
}

/// The number in the name of a shard.
fn number(shard: &str) -> i32 {
    shard.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn refusal(refused: Refused) -> Refusal {
    let kind = match refused.kind {
        RefusedKind::NoStream => RefusalKind::NoTopic,
        RefusedKind::InUse => RefusalKind::Exists,
        RefusedKind::Invalid => RefusalKind::Invalid,
        RefusedKind::Unavailable => RefusalKind::Unavailable,
        RefusedKind::Denied => RefusalKind::Denied,
    };
    Refusal::new(kind, refused.message)
}
