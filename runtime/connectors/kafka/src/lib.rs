//! Apache Kafka, through librdkafka.
//!
//! Partitions are assigned by the engine: every one is a split, and is read from its own queue of
//! librdkafka, straight from the messages into columns. The consumer group only receives the
//! offsets of the checkpoints; it decides nothing.
//!
//! The sink spools an epoch's records next to the state and produces them in one transaction when
//! the epoch commits.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admin;
mod client;
mod cluster;
mod codes;
mod config;
mod connection;
mod connector;
pub mod consume;
mod examine;
mod msk_iam;
mod position;
pub mod produce;
mod queue;
mod security;
mod shared_queue;
pub mod sink;
pub mod source;
mod token;
pub mod topics;

pub use config::{Isolation, KafkaConfig, KafkaFormat, LostOffsets, Setting, Start, Tombstones};
pub use connection::KafkaConnection;
pub use connector::CONNECTOR;
pub use examine::{examine_sink, examine_source};
pub use position::Position;
pub use security::{Auth, Aws, Mechanism, Sasl, Security, Tls};

pub use sink::{KafkaCompression, KafkaSink, KafkaSinkConfig, Sender};
pub use source::KafkaSource;
pub use wasmill_connect::Secret;
