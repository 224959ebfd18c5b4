//! The sink `postgres`: rows into a table of a PostgreSQL server, exactly once; and the source of the same name, which reads a table or a query.
//!
//! A transaction does not outlive its connection, so an epoch can't wait in the server for its
//! checkpoint. A lane therefore encodes its rows into the server's own binary COPY format and
//! spools them next to the pipeline's state; there they are durable when the epoch is prepared. A
//! commit is one transaction: it compares the sink's token in the table `wasmill_commits` and locks
//! it, copies the spooled bytes into the table, moves the token, and commits. A commit whose
//! response was lost is read back before it is retried.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod catalogue;
mod codes;
mod commit;
mod config;
mod connection;
mod connector;
mod copy;
mod encode;
mod examine;
mod failure;
mod json_text;
mod layout;
mod numeric;
mod prepared;
mod sink;
mod source;
mod sql;
mod tls;
mod types;
mod values;
mod writer;

pub use address::{PostgresConnection, PostgresTls, PostgresTlsMode};
pub use config::{PostgresConfig, PostgresWrite};
pub use connector::CONNECTOR;

pub use examine::examine;
pub use sink::{PostgresSink, check_schema};
pub use source::{PostgresSource, PostgresSourceConfig, infer_schema};
pub use wasmill_connect::Secret;
