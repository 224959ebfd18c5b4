//! The REST proxy for Kafka, as Confluent's speaks it: version 2 whole, and version 3 for producing.
//!
//! Paths, bodies and codes of errors are those of its API reference
//! (<https://docs.confluent.io/platform/current/kafka-rest/api.html>). What differs:
//!
//! * Embedded formats with a schema (`avro`, `protobuf`, `jsonschema`) are answered with 415.
//! * A request of which every record fails is an error with status 500 or 503, where the original
//!   answers 200 with an error for each record.

mod consume;
mod embedded;
mod error;
mod v2;
mod v3;

use std::sync::Arc;

use http::{Method, StatusCode};

use self::error::Failure;
use crate::answer::Answer;
use crate::consumers::Instances;
use crate::destination::Destination;
use crate::openapi::Operation;
use crate::request::Request;

/// The type of answers of version 2.
const V2: &str = "application/vnd.kafka.v2+json";

/// The REST proxy over a destination.
pub struct KafkaRest {
    destination: Arc<dyn Destination>,
    instances: Arc<Instances>,
}

impl KafkaRest {
    /// The proxy of a destination.
    pub fn new(destination: Arc<dyn Destination>) -> Self {
        Self { destination, instances: Instances::new() }
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        let parts: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let answered = match parts.as_slice() {
            ["v3", rest @ ..] => return self.v3(&request, rest).await,
            ["consumers", rest @ ..] => self.consumers(&request, rest).await,
            ["brokers"] => self.get(&request, self.brokers()).await,
            ["topics"] => self.get(&request, self.topics()).await,
            ["topics", topic] if request.method == Method::POST => self.produce(&request, topic, None).await,
            ["topics", topic] => self.get_or_post(&request, self.topic(topic)).await,
            ["topics", topic, "partitions"] => self.get(&request, self.partitions(topic)).await,
            ["topics", topic, "partitions", partition] if request.method == Method::POST => match partition.parse() {
                Ok(partition) => self.produce(&request, topic, Some(partition)).await,
                Err(_) => Err(Failure::no_partition()),
            },
            ["topics", topic, "partitions", partition] => self.get_or_post(&request, self.partition(topic, partition)).await,
            ["topics", topic, "partitions", partition, "offsets"] => self.get(&request, self.offsets(topic, partition)).await,
            _ => Err(Failure::status(StatusCode::NOT_FOUND, "HTTP 404 Not Found")),
        };
        answered.unwrap_or_else(|failure| failure.answer())
    }

    async fn get(&self, request: &Request, answer: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer, Failure> {
        match request.method {
            Method::GET | Method::HEAD => answer.await,
            _ => Err(Failure::method("GET")),
        }
    }

    async fn get_or_post(&self, request: &Request, answer: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer, Failure> {
        match request.method {
            Method::GET | Method::HEAD => answer.await,
            _ => Err(Failure::method("GET, POST")),
        }
    }
}

/// What can be asked.
pub(crate) fn operations() -> Vec<Operation> {
    let produce = "application/vnd.kafka.json.v2+json";
    let instance = "/consumers/{group}/instances/{instance}";
    let mut all = vec![
        Operation::new("GET", "/topics", "Lists the topics"),
        Operation::new("GET", "/topics/{topic}", "Describes a topic"),
        Operation::new("POST", "/topics/{topic}", "Produces records").with_body(produce, records_schema()),
        Operation::new("GET", "/topics/{topic}/partitions", "Lists the partitions of a topic"),
        Operation::new("GET", "/topics/{topic}/partitions/{partition}", "Describes a partition"),
        Operation::new("POST", "/topics/{topic}/partitions/{partition}", "Produces records into a partition")
            .with_body(produce, records_schema()),
        Operation::new("GET", "/topics/{topic}/partitions/{partition}/offsets", "The first and the next offset of a partition"),
        Operation::new("POST", "/consumers/{group}", "Creates a consumer instance"),
        Operation::new("DELETE", instance, "Deletes a consumer instance"),
        Operation::new("GET", "/v3/clusters", "Lists the cluster"),
        Operation::new("POST", "/v3/clusters/{cluster}/topics/{topic}/records", "Produces records, one JSON value after the other")
            .with_body("application/json", v3_schema()),
    ];
    let more = [
        ("GET", "records", "Polls records"),
        ("POST", "subscription", "Subscribes to topics"),
        ("GET", "subscription", "Lists the topics that are subscribed to"),
        ("DELETE", "subscription", "Unsubscribes from all topics"),
        ("POST", "assignments", "Assigns partitions"),
        ("GET", "assignments", "Lists the partitions that are assigned"),
        ("POST", "offsets", "Commits offsets"),
        ("GET", "offsets", "Returns committed offsets"),
        ("POST", "positions", "Continues at offsets"),
        ("POST", "positions/beginning", "Continues at the beginnings of partitions"),
        ("POST", "positions/end", "Continues at the ends of partitions"),
    ];
    all.extend(more.map(|(method, path, summary)| Operation::new(method, &format!("{instance}/{path}"), summary)));
    all
}

fn records_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "required": ["records"],
        "properties": { "records": { "type": "array", "minItems": 1, "items": {
            "type": "object",
            "properties": { "key": {}, "value": {}, "partition": { "type": "integer" } }
        } } }
    })
}

fn v3_schema() -> serde_json::Value {
    let data = serde_json::json!({
        "type": "object",
        "properties": { "type": { "enum": ["BINARY", "JSON", "STRING"] }, "data": {} }
    });
    serde_json::json!({
        "type": "object",
        "properties": { "partition_id": { "type": "integer" }, "key": data, "value": data, "timestamp": { "type": "string", "format": "date-time" } }
    })
}
