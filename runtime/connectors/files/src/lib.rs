//! Files on a disk.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod codes;
mod config;
mod connector;
mod examine;
mod sink;
mod source;

pub use config::FilesConfig;
pub use connector::CONNECTOR;
pub use examine::examine_source;
pub use sink::{FilesSink, FilesSinkConfig, FilesWriteMode};
pub use source::{FilesSource, infer, infer_schema, survey};
