//! The gateway file as types.

use std::collections::BTreeMap;

use bytesize::ByteSize;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use wasmill_gateway::{Credential, ServerConfig};

/// A gateway: an HTTP server whose routes take records and hand them on.
///
/// Any value may hold references, as in pipeline files: `${env:NAME}`, `${secret:NAME}`,
/// `${file:path}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Wasmill gateway")]
pub struct GatewaySpec {
    /// `gateway: pinterest`
    ///
    /// The name of the gateway.
    #[schemars(length(min = 1, max = 64))]
    pub gateway: String,
    /// `server: { listen: "127.0.0.1:8082" }`
    ///
    /// Where it listens, and its limits.
    pub server: ServerConfig,
    /// `routes: { proxy: { protocol: kafka_rest, to: { kafka: { connection: { brokers: "b1:9092" } } } } }`
    ///
    /// What it answers, by name. At least one.
    #[schemars(extend("minProperties" = 1))]
    pub routes: BTreeMap<String, RouteSpec>,
}

/// `{ protocol: kafka_rest, to: { kafka: { connection: { brokers: "b1:9092" } } } }`
///
/// A protocol, and what lies behind it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// `protocol: kafka_rest`
    ///
    /// `kafka_rest`: the Confluent REST proxy, at `/topics`, `/consumers` and `/v3`. `kinesis_api`: Kinesis behind an API gateway of AWS, at
    /// `/streams`. `ingest`: documents in JSON, JSON lines or CSV, at `/ingest/NAME`.
    pub protocol: ProtocolSpec,
    /// `to: { kafka: { connection: { brokers: "b1:9092" } } }`
    ///
    /// Where records go. Exactly one.
    pub to: DestinationSpec,
    /// `into: 0a1b2c.pin`
    ///
    /// Only with `protocol: ingest`: the topic or stream. Default: the name of the route.
    #[serde(default)]
    pub into: Option<String>,
    /// `prefix: /test`
    ///
    /// What its paths begin with, such as the stage of an API gateway. Default: nothing.
    #[serde(default)]
    pub prefix: Option<String>,
    /// `auth: [{ token: "${secret:TOKEN}" }]`
    ///
    /// What a request may authenticate with. Default: nothing is asked for.
    #[serde(default)]
    pub auth: Vec<Credential>,
    /// `rate: 1000`
    ///
    /// The most requests per second; others are answered with 429. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub rate: Option<u32>,
    /// `max_body: 1MiB`
    ///
    /// The largest body of a request, where it is less than that of the server.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub max_body: Option<ByteSize>,
}

/// What a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolSpec {
    /// The Confluent REST proxy.
    KafkaRest,
    /// Kinesis behind an API gateway.
    KinesisApi,
    /// Documents.
    Ingest,
}

/// `{ kafka: { connection: { brokers: "b1:9092" } } }`
///
/// Where records go. Exactly one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationSpec {
    /// `kafka: { connection: { brokers: "b1:9092" } }`
    ///
    /// Topics of a cluster of Kafka.
    #[cfg(feature = "kafka")]
    #[serde(default)]
    pub kafka: Option<KafkaSpec>,
    /// `kinesis: { connection: { region: eu-central-1 } }`
    ///
    /// Streams of Kinesis.
    #[cfg(feature = "kinesis")]
    #[serde(default)]
    pub kinesis: Option<KinesisSpec>,
}

/// `kafka: { connection: { brokers: "b1:9092" } }`
///
/// Topics of a cluster of Kafka. A request is answered when all replicas have its records.
#[cfg(feature = "kafka")]
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSpec {
    /// `connection: { brokers: "b1:9092,b2:9092" }`
    ///
    /// How to reach the cluster, and with which credentials.
    pub connection: kafka::KafkaConnection,
    /// `client: { compression.codec: lz4 }`
    ///
    /// Any other option of librdkafka. Those that would break what an answer promises are refused.
    #[serde(default)]
    pub client: BTreeMap<String, kafka::Setting>,
}

/// `kinesis: { connection: { region: eu-central-1 } }`
///
/// Streams of Kinesis.
#[cfg(feature = "kinesis")]
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisSpec {
    /// `connection: { endpoint: "http://127.0.0.1:4567" }`
    ///
    /// How to reach Kinesis, and with which credentials. Default: as AWS's own tools find them.
    #[serde(default)]
    pub connection: kinesis::KinesisConnection,
}

/// The JSON Schema of gateway files.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<GatewaySpec>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = schema();
        let definitions = schema["$defs"].as_object().unwrap();
        let own = ["RouteSpec", "DestinationSpec", "KafkaSpec", "KinesisSpec"].map(|name| &definitions[name]);
        for definition in own.into_iter().chain([&schema]) {
            for (name, field) in definition["properties"].as_object().unwrap() {
                let described = field["description"].as_str().unwrap_or_default();
                assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
            }
        }
    }
}
