//! Loads, limits and calls sandboxed WebAssembly plugins that transform Arrow batches.
//!
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod artifact;
mod assemble;
mod cache;
mod codec;
mod compile;
mod contract;
mod description;
mod engine;
mod error;
mod host;
mod limits;
mod linker;
mod log;
mod merge;
mod needs;
mod opening;
mod plugin;
mod ports;
mod sandbox;
mod store;
mod text;
mod ticker;
mod transform;
mod types;
mod wasi;

pub use answer::RowReject;
#[doc(hidden)]
pub use codec::fuzzing;
pub use codec::{DecodeError, Encoding};
pub use compile::{COMPILE_REFUSED_STATUS, CompileWith, compile_child};
pub use description::Description;
pub use error::{ConfigError, FaultKind, HostError, Phase};
pub use host::{Host, HostBuilder};
pub use limits::{FaultPolicy, Limits, OnFault};
pub use merge::{PortOutput, Processed};
pub use needs::Needs;
pub use plugin::Plugin;
pub use ports::{ColumnSource, Port};
pub use transform::{Instance, InstanceStats, Transform};
