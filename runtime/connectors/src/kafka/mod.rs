//! Apache Kafka, through librdkafka.
//!
//! Partitions are assigned by the engine: every one is a split, and is read from its own queue of librdkafka, straight from the
//! messages into columns. The consumer group is only told how far the checkpoints have come; it decides nothing.

mod client;
mod cluster;
mod config;
mod examine;
mod msk_iam;
mod position;
mod queue;
mod security;
pub mod source;
mod token;

pub use config::{Isolation, KafkaConfig, KafkaFormat, LostOffsets, Setting, Start, Tombstones};
pub use examine::examine_source;
pub use position::Position;
pub use security::{Auth, Aws, Mechanism, Sasl, Security, Tls};

pub use crate::secret::Secret;
pub use source::KafkaSource;
