//! Version 2: consumer instances.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::embedded::{Format, shown};
use super::error::Failure;
use super::v2::ok;
use super::{KafkaRest, V2};
use crate::answer::Answer;
use crate::consumers::{Instance, NewInstance};
use crate::destination::{Consumed, ConsumerOptions, Edge, Place, Position, Subscription};
use crate::request::Request;

/// How long a poll waits for the first record by default, and at most.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How many bytes of records a poll returns by default, and at most.
const POLL_BYTES: (usize, usize) = (64 << 20, 64 << 20);

#[derive(Default, Deserialize)]
struct CreateRequest {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    format: Option<String>,
    #[serde(rename = "auto.offset.reset", default)]
    auto_offset_reset: Option<String>,
    /// A flag, or its text.
    #[serde(rename = "auto.commit.enable", default)]
    auto_commit_enable: Option<Value>,
}

#[derive(Deserialize)]
struct SubscribeRequest {
    #[serde(default)]
    topics: Option<Vec<String>>,
    #[serde(default)]
    topic_pattern: Option<String>,
}

#[derive(Deserialize)]
struct PlaceRequest {
    topic: String,
    partition: i32,
}

#[derive(Deserialize)]
struct PartitionsRequest {
    partitions: Vec<PlaceRequest>,
}

#[derive(Deserialize)]
struct OffsetRequest {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(default)]
    metadata: Option<String>,
}

#[derive(Deserialize)]
struct OffsetsRequest {
    offsets: Vec<OffsetRequest>,
}

impl KafkaRest {
    pub(super) async fn consumers(&self, request: &Request, parts: &[&str]) -> Result<Answer, Failure> {
        let (group, name, rest) = match parts {
            [group] if request.method == Method::POST => return self.create_instance(request, group).await,
            [_] => return Err(Failure::method("POST")),
            [group, "instances", name, rest @ ..] => (*group, *name, rest),
            _ => return Err(Failure::status(StatusCode::NOT_FOUND, "HTTP 404 Not Found")),
        };
        if rest.is_empty() {
            return match request.method {
                Method::DELETE if self.instances.remove(group, name) => Ok(no_content()),
                Method::DELETE => Err(Failure::no_instance()),
                _ => Err(Failure::method("DELETE")),
            };
        }
        let instance = self.instances.find(group, name).ok_or_else(Failure::no_instance)?;
        match (rest, request.method.as_str()) {
            (["records"], "GET") => poll(request, &instance).await,
            (["subscription"], "POST") => subscribe(request, &instance).await,
            (["subscription"], "GET") => Ok(ok(&json!({ "topics": instance.call(|consumer| consumer.subscription()).await? }))),
            (["subscription"], "DELETE") => {
                instance.call(|consumer| consumer.unsubscribe()).await.map(|()| no_content()).map_err(Failure::from)
            }
            (["assignments"], "POST") => {
                let places = places(read(&request.body)?);
                Ok(instance.call(move |consumer| consumer.assign(&places)).await.map(|()| no_content())?)
            }
            (["assignments"], "GET") => {
                let places = instance.call(|consumer| consumer.assignment()).await?;
                let all: Vec<Value> = places.iter().map(|(topic, partition)| json!({ "topic": topic, "partition": partition })).collect();
                Ok(ok(&json!({ "partitions": all })))
            }
            (["offsets"], "POST") => {
                let positions = if request.body.trim_ascii().is_empty() { None } else { positions(read_some(&request.body)?) };
                Ok(instance.call(move |consumer| consumer.commit(positions.as_deref())).await.map(|()| no_content())?)
            }
            (["offsets"], "GET") => {
                let places = places(read(&request.body)?);
                let all: Vec<Value> = instance.call(move |consumer| consumer.committed(&places)).await?.iter().map(offset).collect();
                Ok(ok(&json!({ "offsets": all })))
            }
            (["positions"], "POST") => {
                let positions = positions(Some(read(&request.body)?)).unwrap_or_default();
                Ok(instance.call(move |consumer| consumer.seek(&positions)).await.map(|()| no_content())?)
            }
            (["positions", edge @ ("beginning" | "end")], "POST") => {
                let edge = if *edge == "end" { Edge::End } else { Edge::Beginning };
                let places = places(read(&request.body)?);
                Ok(instance.call(move |consumer| consumer.seek_to(&places, edge)).await.map(|()| no_content())?)
            }
            (["records"], _) => Err(Failure::method("GET")),
            (["subscription"], _) => Err(Failure::method("DELETE, GET, POST")),
            (["assignments" | "offsets"], _) => Err(Failure::method("GET, POST")),
            (["positions", ..], _) => Err(Failure::method("POST")),
            _ => Err(Failure::status(StatusCode::NOT_FOUND, "HTTP 404 Not Found")),
        }
    }

    async fn create_instance(&self, request: &Request, group: &str) -> Result<Answer, Failure> {
        let wanted: CreateRequest = if request.body.trim_ascii().is_empty() { CreateRequest::default() } else { read(&request.body)? };
        let invalid =
            |message: String| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, 42204, format!("Invalid consumer configuration: {message}"));
        let name = wanted.format.as_deref().unwrap_or("binary");
        let format = Format::of_name(name).ok_or_else(|| invalid(format!("the format {name} is neither json nor binary")))?;
        let from_earliest = match wanted.auto_offset_reset.as_deref() {
            None | Some("latest") => false,
            Some("earliest") => true,
            Some(other) => return Err(invalid(format!("auto.offset.reset is {other:?}, neither earliest nor latest"))),
        };
        let commits = match &wanted.auto_commit_enable {
            None => true,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(other) => return Err(invalid(format!("auto.commit.enable is {other}, neither true nor false"))),
        };
        let reserved = self.instances.reserve(group, wanted.name).map_err(|error| match error {
            NewInstance::Exists => Failure::new(
                StatusCode::CONFLICT,
                40902,
                "Consumer with specified consumer ID already exists in the specified consumer group.",
            ),
            NewInstance::TooMany => Failure::status(StatusCode::TOO_MANY_REQUESTS, "there are too many consumer instances: delete some"),
        })?;
        let consumer = self.destination.consumer(group, &ConsumerOptions { from_earliest, commits }).await?;
        let name = reserved.fill(consumer, format == Format::Json);
        let uri = format!("{}/consumers/{group}/instances/{name}", request.base);
        Ok(ok(&json!({ "instance_id": name, "base_uri": uri })))
    }
}

fn no_content() -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
}

async fn subscribe(request: &Request, instance: &Instance) -> Result<Answer, Failure> {
    let wanted: SubscribeRequest = read(&request.body)?;
    let subscription = match (wanted.topics, wanted.topic_pattern) {
        (Some(topics), None) if !topics.is_empty() => Subscription::Topics(topics),
        (None, Some(pattern)) if !pattern.is_empty() => Subscription::Pattern(pattern),
        _ => {
            let message = "Illegal state: Subscription to topics, partitions and pattern are mutually exclusive";
            return Err(Failure::new(StatusCode::CONFLICT, 40903, message));
        }
    };
    instance.call(move |consumer| consumer.subscribe(&subscription)).await?;
    Ok(no_content())
}

async fn poll(request: &Request, instance: &Instance) -> Result<Answer, Failure> {
    let format = if instance.is_json() { Format::Json } else { Format::Binary };
    let accepted = request.accept();
    let any = ["", "*/*", "application/*", "application/json", V2];
    if !any.contains(&accepted.as_str()) && accepted != format.content_type() {
        let message = "The requested embedded data format does not match the deserializer for this consumer instance";
        return Err(Failure::new(StatusCode::NOT_ACCEPTABLE, 40601, message));
    }
    let number =
        |name: &str| request.parameter(name).and_then(|text| text.parse::<i64>().ok()).and_then(|number| u64::try_from(number).ok());
    let wait = number("timeout").map_or(POLL.0, Duration::from_millis).min(POLL.1);
    let max_bytes = number("max_bytes").filter(|bytes| *bytes > 0).map_or(POLL_BYTES.0, |bytes| (bytes as usize).min(POLL_BYTES.1));
    let records = instance.call(move |consumer| consumer.poll(wait, max_bytes)).await?;
    let all = records.iter().map(|record| consumed(record, format)).collect::<Result<Vec<Value>, Failure>>()?;
    Ok(Answer::json(StatusCode::OK, format.content_type(), &all))
}

fn consumed(record: &Consumed, format: Format) -> Result<Value, Failure> {
    let part = |content: Option<&Bytes>, name: &str| {
        shown(content, format).map_err(|error| {
            let Consumed { topic, partition, offset, .. } = record;
            let message = format!("Kafka error: the {name} of offset {offset} of {topic}/{partition} is not JSON: {error}");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, 50002, message)
        })
    };
    Ok(json!({
        "topic": record.topic,
        "key": part(record.key.as_ref(), "key")?,
        "value": part(record.value.as_ref(), "value")?,
        "partition": record.partition,
        "offset": record.offset,
    }))
}

fn offset(position: &Position) -> Value {
    let (topic, partition) = &position.place;
    json!({ "topic": topic, "partition": partition, "offset": position.offset, "metadata": position.metadata })
}

fn places(request: PartitionsRequest) -> Vec<Place> {
    request.partitions.into_iter().map(|place| (place.topic, place.partition)).collect()
}

/// Positions of a request; none or an empty list: those of what was polled.
fn positions(request: Option<OffsetsRequest>) -> Option<Vec<Position>> {
    let offsets = request.map(|request| request.offsets).filter(|offsets| !offsets.is_empty())?;
    let position = |offset: OffsetRequest| Position {
        place: (offset.topic, offset.partition),
        offset: offset.offset,
        metadata: offset.metadata.unwrap_or_default(),
    };
    Some(offsets.into_iter().map(position).collect())
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::json(&error))
}

/// The same of a body that may be `{}` or `null`.
fn read_some(body: &Bytes) -> Result<Option<OffsetsRequest>, Failure> {
    let value: Value = read(body)?;
    if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(|error| Failure::unprocessable(error.to_string()))
}
