//! End-to-end tests: the real binary, real plugins, real files and tables; what is written is read back by a foreign reader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Each server of the tests brings the proxy along, and these tests use several.
#![allow(clippy::duplicate_mod)]

mod batch_and_stream;
mod built_in_stages;
mod canaries;
mod connect_layout;
mod damage;
mod delta_diff;
mod delta_tables;
mod delta_upserts;
mod deploy;
mod docs;
mod doctor;
mod files_overwritten;
mod first_steps;
mod gateway;
mod health;
mod identity;
mod kafka;
#[path = "../contract/tests/kafka_broker/mod.rs"]
mod kafka_broker;
mod kafka_to_kafka;
mod kafka_to_postgres;
mod kafka_to_s3;
mod keyed_stages;
mod kinesis;
mod matrix;
mod minio;
mod mysql;
mod network;
mod odd_files;
mod parquet_files;
mod pipelines;
mod postgres;
mod postgres_source;
#[path = "../proxy/mod.rs"]
mod proxy;
mod readers;
mod real_data;
mod report;
mod resume;
mod round_trips;
mod runs;
mod s3_state;
mod s3_to_delta;
mod sampled_files;
mod scenarios;
mod schedule;
mod services;
mod source_columns;
mod sql_stages;
mod stage_contract;
mod state_commands;
mod streams;
mod support;
mod times;
mod topics;
mod values;
