//! How to reach a cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_connect::registry::{Address, Server};
use wasmill_engine::{Error, Result};

use super::security::Security;
use crate::codes::NO_BROKERS;

/// The port of brokers that name none.
const PORT: u16 = 9092;

/// How to reach a cluster of Kafka, and with which credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConnection {
    /// `brokers: "b1:9092,b2:9092"`
    ///
    /// Some brokers of the cluster, `host:port`, with commas between them; the others are found through them.
    #[schemars(length(min = 1))]
    pub brokers: String,
    /// `security: { tls: { ca: ca.pem }, sasl: { mechanism: scram-sha-512, username: …, password: "${env:KAFKA_PASSWORD}" } }`
    ///
    /// Encryption and authentication. Default: neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
}

impl KafkaConnection {
    /// Brokers without security.
    pub fn of_brokers(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), security: None }
    }

    /// The cluster.
    pub(super) fn server(&self) -> Server {
        let names = self.brokers.split(',').map(|broker| broker.rsplit_once("://").map_or(broker, |(_, name)| name));
        Server::new(format!("kafka {}", self.brokers), names.filter_map(|name| Address::parse(name, PORT)).collect())
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key below the connection.
    pub(super) fn check(&self) -> Result<()> {
        if self.brokers.split(',').all(|broker| broker.trim().is_empty()) {
            return Err(Error::configuration("`brokers` names none")
                .code(NO_BROKERS)
                .key(["brokers"])
                .hint("for example: brokers: \"b1:9092,b2:9092\""));
        }
        self.security.as_ref().map_or(Ok(()), Security::check)
    }
}
