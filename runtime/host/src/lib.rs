//! Loads, limits and calls sandboxed WebAssembly plugins that transform and aggregate Arrow batches.
//!
//! A plugin is a WebAssembly component that implements the contract `wasmill:plugin` (the folder
//! `wit/` of this repository). It sees the columns that it requested and nothing else: no files, no
//! network, no clock. What it returns is checked as untrusted bytes. Records that it fails on are
//! isolated and returned as rejects, with the reason; the rest of the batch is processed.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow_array::{Int64Array, RecordBatch};
//! use wasmill_host::{Host, Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any plugin's `.wasm` will do; this one is small enough to be written by hand.
//! # mod encode { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/hostile/encode.rs")); }
//! let contract = include_str!("../../../wit/wasmill.wit");
//! let wasm = encode::component(include_str!("../examples/pass_on.wat"), contract, "transform-plugin")?;
//!
//! let host = Host::builder().build()?;
//! let plugin = host.load_bytes("pass-on", &wasm)?;
//! assert_eq!(plugin.description().name, "pass-on");
//!
//! // Fix the configuration and the schema of the input, and learn the ports.
//! let batch = RecordBatch::try_from_iter([("ind", Arc::new(Int64Array::from(vec![7, 8, 9])) as _)])?;
//! let config = serde_json::json!({});
//! let transform = plugin.open(&config).limits(Limits::default()).transform(batch.schema())?;
//! assert_eq!(transform.ports()[0].name, "out");
//!
//! // One instance a thread, kept for many batches.
//! let mut instance = transform.instance()?;
//! let processed = instance.process(&batch)?;
//! assert_eq!(processed.outputs[0].records.column(0), batch.column(0));
//! assert!(processed.rejects.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//! * [`Host`]: the engine, its clock and the cache of compiled plugins. Create one per process;
//!   cloning it is cheap.
//! * [`Plugin`]: compiled code and its description. Cheap to clone, holds no running instance.
//!   Loading takes milliseconds from a warm cache and seconds without.
//! * [`Transform`]: a plugin with its configuration and input schema fixed. Immutable, shared by all threads.
//! * [`Instance`]: a running plugin with its own memory. Belongs to one thread at a time and is kept for many batches; after a fault
//!   it continues with a fresh memory.
//! * [`Aggregate`] and [`AggregateInstance`]: the same for a plugin that brings rows into groups. The host keeps what it needs to build the
//!   groups again in a fresh memory.
//! * [`Opening`], [`Limits`], [`OnFault`] and [`FaultBudget`]: what a call may use, and what faults lead to. On by default.
//! * [`Canceller`]: ends a running call from another thread.
//! * [`HostError`]: whose turn it is: the file's ([`NotAPlugin`](HostError::NotAPlugin)), the user's
//!   ([`Refusal`](HostError::Refusal)), the plugin author's ([`Fault`](HostError::Fault)), the machine's
//!   ([`Environment`](HostError::Environment)).
//!
//! # What crosses
//! Each call moves one batch: the columns that the plugin lets cross, in the encoding that it
//! chose. Columns that it passes on, or only sets to null in places, stay in the host. Columns are
//! cast before they cross:
//!
//! | in the host | at the boundary |
//! |---|---|
//! | `Null` `Boolean` `Int*` `UInt*` `Float32` `Float64` `Decimal128` `Utf8` `Binary` `Date32` `Timestamp` | the same |
//! | `LargeUtf8`, `Utf8View` | `Utf8` |
//! | `LargeBinary`, `BinaryView`, `FixedSizeBinary` | `Binary` |
//! | `Float16` | `Float32` |
//! | `Decimal32`, `Decimal64` | `Decimal128` of the same precision and scale |
//! | `Date64` | `Timestamp(ms)` |
//! | `Time32`, `Time64`, `Duration` | `Int64` of the same unit |
//! | `Dictionary`, `RunEndEncoded` | the type of its values |
//! | `LargeList`, `ListView`, `LargeListView`, `FixedSizeList` | `List` |
//! | `List`, `Struct`, `Map` | the same, of boundary types |
//! | `Decimal256`, `Interval`, `Union` | refused |
//!
//! A needed column may also be wider than the input's, where no value is lost: `Int32` as `Int64`,
//! `Float32` as `Float64`, a decimal with more digits, a time without a zone as one in UTC.
//!
//! # The sandbox
//! * Every call has a deadline; memory, tables, stack, answer and log are bounded.
//! * WASI exists for the standard libraries' sake and is empty. Output goes to the log (target
//!   `wasmill::plugin` of the crate `tracing`), the clocks do not advance, and randomness is the
//!   same in every call. Everything else is a fault that names the requested function.
//! * The same batches in the same order give the same results, on every machine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aggregate;
mod answer;
mod artifact;
mod assemble;
mod cache;
mod cancel;
pub mod codes;
mod compile;
mod contract;
mod crossing;
mod description;
mod engine;
mod error;
mod extra;
mod faults;
mod host;
mod isolate;
mod limits;
mod linker;
mod log;
mod merge;
mod needs;
mod nulls;
mod opening;
mod plugin;
mod ports;
mod sandbox;
mod select;
mod store;
mod texts;
mod ticker;
mod transform;
mod wasi;
mod worker;

pub use aggregate::{Aggregate, AggregateFingerprint, AggregateInstance, Grouped};
pub use answer::RowReject;
pub use cancel::Canceller;
pub use compile::{COMPILE_REFUSED_STATUS, CompileWith, compile_child};
pub use description::Description;
pub use error::{ConfigError, FaultKind, HostError, Phase};
pub use host::{Host, HostBuilder};
pub use limits::{FaultBudget, Limits, OnFault};
pub use log::{LogLevel, LogLine};
pub use merge::{PortOutput, Processed};
pub use needs::{Crossing, Needs};
pub use plugin::{Opening, Plugin};
pub use ports::{ColumnSource, Port};
pub use transform::{Instance, Transform};
pub use wasmill_boundary as boundary;
pub use wasmill_boundary::columns::TextForm;
pub use wasmill_boundary::{DecodeError, Encoding};
pub use worker::InstanceStats;
