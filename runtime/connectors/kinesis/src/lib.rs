//! Amazon Kinesis Data Streams, through AWS's own client.
//!
//! A shard is a split. Children of a split or merge are read once their parents have been read to their end, also across restarts.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admin;
mod aggregate;
mod api;
mod clock;
mod codes;
mod connection;
mod connector;
pub mod direct;
mod examine;
mod failure;
mod retry;
pub mod sink;
pub mod source;

pub use connection::KinesisConnection;
pub use connector::CONNECTOR;
pub use examine::{examine_sink, examine_source};
pub use sink::{Delivery, KinesisSink, KinesisSinkConfig};
pub use source::{Aggregates, Consumer, FanOut, KinesisConfig, KinesisFormat, KinesisSource, LostRecords, Start};

pub use wasmill_connect::Secret;
pub use wasmill_connect::aws::AssumeRole;
