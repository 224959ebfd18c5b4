//! Version 2: topics, partitions, and producing.

use http::StatusCode;
use serde_json::{Value, json};

use super::embedded::{Format, records};
use super::error::{Failure, code_of};
use super::{KafkaRest, V2};
use crate::answer::Answer;
use crate::destination::{Described, Partition, Placed, Refusal, RefusalKind};
use crate::request::Request;

impl KafkaRest {
    pub(super) async fn topics(&self) -> Result<Answer, Failure> {
        Ok(ok(&self.destination.names().await?))
    }

    pub(super) async fn brokers(&self) -> Result<Answer, Failure> {
        let mut brokers = Vec::new();
        for name in self.destination.names().await?.iter().take(1) {
            let described = self.destination.describe(name).await?;
            let replicas = described.partitions.iter().flat_map(|partition| partition.replicas.iter().map(|(broker, _)| *broker));
            brokers.extend(replicas);
        }
        brokers.sort_unstable();
        brokers.dedup();
        Ok(ok(&json!({ "brokers": brokers })))
    }

    pub(super) async fn topic(&self, topic: &str) -> Result<Answer, Failure> {
        let described = self.destination.describe(topic).await?;
        let configs: serde_json::Map<String, Value> = described.config.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        Ok(ok(&json!({ "name": described.name, "configs": configs, "partitions": all_partitions(&described) })))
    }

    pub(super) async fn partitions(&self, topic: &str) -> Result<Answer, Failure> {
        Ok(ok(&all_partitions(&self.destination.describe(topic).await?)))
    }

    pub(super) async fn partition(&self, topic: &str, partition: &str) -> Result<Answer, Failure> {
        let described = self.destination.describe(topic).await?;
        Ok(ok(&shown(find(&described, partition)?)))
    }

    pub(super) async fn offsets(&self, topic: &str, partition: &str) -> Result<Answer, Failure> {
        let described = self.destination.describe(topic).await?;
        let (begin, end) = self.destination.offsets(topic, find(&described, partition)?.number).await?;
        Ok(ok(&json!({ "beginning_offset": begin, "end_offset": end })))
    }

    pub(super) async fn produce(&self, request: &Request, topic: &str, partition: Option<i32>) -> Result<Answer, Failure> {
        let format = Format::of_content_type(&request.content_type())?;
        let records = records(&request.body, format, partition)?;
        let placed = self.destination.put(topic, records, request.key()?).await?;
        if let Some(failure) = failure_of_all(&placed) {
            return Err(failure);
        }
        let offsets: Vec<Value> = placed.iter().map(offset).collect();
        Ok(ok(&json!({ "offsets": offsets, "key_schema_id": null, "value_schema_id": null })))
    }
}

pub(super) fn ok(value: &impl serde::Serialize) -> Answer {
    Answer::json(StatusCode::OK, V2, value)
}

/// The failure of a request of which every record failed. A sender that only looks at the status must notice.
pub(super) fn failure_of_all(placed: &[Result<Placed, Refusal>]) -> Option<Failure> {
    let refusals: Vec<&Refusal> = placed.iter().filter_map(|placed| placed.as_ref().err()).collect();
    let worst = refusals.iter().find(|refusal| refusal.kind == RefusalKind::Unavailable).or(refusals.first())?;
    (refusals.len() == placed.len()).then(|| Failure::from((*worst).clone()))
}

fn offset(placed: &Result<Placed, Refusal>) -> Value {
    match placed {
        Ok(placed) => json!({ "partition": placed.partition, "offset": placed.offset, "error_code": null, "error": null }),
        Err(refusal) => json!({ "partition": null, "offset": null, "error_code": code_of(refusal.kind), "error": refusal.message }),
    }
}

fn find<'a>(described: &'a Described, partition: &str) -> Result<&'a Partition, Failure> {
    let number: i32 = partition.parse().map_err(|_| Failure::no_partition())?;
    described.partitions.iter().find(|partition| partition.number == number).ok_or_else(Failure::no_partition)
}

fn all_partitions(described: &Described) -> Vec<Value> {
    described.partitions.iter().map(shown).collect()
}

fn shown(partition: &Partition) -> Value {
    let replica =
        |(broker, in_sync): &(i32, bool)| json!({ "broker": broker, "leader": Some(*broker) == partition.leader, "in_sync": in_sync });
    let replicas: Vec<Value> = partition.replicas.iter().map(replica).collect();
    json!({ "partition": partition.number, "leader": partition.leader, "replicas": replicas })
}
