//! The source `mysql`: the rows of a table or a query of MySQL or MariaDB.
//!
//! Rows are fetched by the binary protocol, so that numbers keep all their digits, and become JSON
//! records, which the decoder of every JSON source reads. A batch is one statement, and so one state
//! of the server. With a `cursor`, rows that were added since are read, in batch and as a stream.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod address;
mod codes;
mod config;
mod connection;
mod connector;
mod failure;
mod key;
mod name;
mod numbered;
mod query;
mod record;
mod source;
mod tls;
mod types;
mod url;

pub use address::{MysqlConnection, MysqlTls, MysqlTlsMode};
pub use config::MysqlSourceConfig;
pub use connector::CONNECTOR;
pub use numbered::NumberedTables;
pub use source::{MysqlSource, infer_schema};
pub use wasmill_connect::Secret;
