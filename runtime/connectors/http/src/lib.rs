//! Records that are posted by HTTP, exactly once from the answer on.
//!
//! A request that is accepted lies in a log on the disk before it is answered: many requests become
//! durable by one sync. The pipeline reads the log. What every sink has committed is removed from it.
//!
//! [`post`] is the other side: it posts rows, for programs that play producers.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod codes;
mod columns;
mod config;
mod connector;
mod intake;
mod listener;
pub mod log;
mod position;
pub mod post;
mod reader;
pub mod source;

pub use config::{HttpConfig, HttpFormat};
pub use connector::CONNECTOR;
pub use source::HttpSource;
