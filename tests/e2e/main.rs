//! End-to-end tests: the real binary, real plugins, real files and tables; what is written is read back by a foreign reader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batch_and_stream;
mod connect_layout;
mod crash;
mod damage;
mod delta_diff;
mod delta_tables;
mod kafka;
#[path = "../../runtime/connectors/tests/kafka_broker/mod.rs"]
mod kafka_broker;
mod pipelines;
mod postgres;
mod postgres_source;
mod real_data;
mod runs;
mod s3_crash;
mod s3_takeover;
mod s3_to_delta;
mod stage_contract;
mod support;
mod takeover;
