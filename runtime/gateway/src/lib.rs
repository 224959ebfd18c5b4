//! The HTTP server of gateways: it speaks what producers speak, and hands records on.
//!
//! * [`Destination`]: what lies behind a route, a topic of Kafka, a stream of Kinesis or the log of a
//!   pipeline. This crate knows none of their clients.
//! * [`Protocol`]: a wire format. Kafka's REST proxy, Kinesis behind an API gateway, plain documents.
//! * [`Route`]: a protocol under a prefix of paths, with who may use it and how often.
//! * [`Server`]: a listener with limits, which routes requests and stops gracefully.
//!
//! A request is read whole, within limits of bytes and time, before its route sees it. An answer of
//! success is sent when the destination holds the records durably, never before.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod answer;
mod auth;
mod body;
pub mod codes;
mod config;
mod consumers;
mod destination;
mod ingest;
mod kafka_rest;
mod kinesis_api;
mod openapi;
mod protocol;
mod rate;
mod request;
mod route;
mod server;
mod threads;
mod tls;

pub use auth::{Credential, check_credentials};
pub use config::{ServerConfig, ServerTls};
pub use destination::{
    Consumed, Consumer, ConsumerOptions, Described, Destination, Edge, Partition, Place, Placed, Position, Record, Refusal, RefusalKind,
    RequestKey, Subscription,
};
pub use ingest::Ingest;
pub use kafka_rest::KafkaRest;
pub use kinesis_api::KinesisApi;
pub use protocol::Protocol;
pub use route::{Route, RouteOptions, check_prefix};
pub use server::Server;
pub use threads::handle;
