//! The SDK for Wasmill plugins written in Rust: you write the cleaning, and nothing about memory, Arrow IPC or WIT.
//!
//! A whole plugin, which filters:
//!
//! ```
//! use wasmill_plugin::prelude::*;
//!
//! #[derive(InputRecord)]
//! struct User {
//!     age: Option<i64>,
//! }
//!
//! #[wasmill_plugin::record]
//! fn adults(user: User) -> bool {
//!     user.age.is_some_and(|age| age >= 18)
//! }
//! # fn main() {}
//! ```
//!
//! * A [`record`](macro@record) is a function of one row: easy, and fast enough for most.
//! * A [`Transform`] works on a [`Batch`] of columns: [`Plan`] declares once what goes in and out,
//!   [`Output`] takes computed columns, masks, filters and rejects. Columns that the plan does not
//!   [read](Plan::read) never cross the sandbox's boundary.
//! * A [`Group`] is the state of one group of an aggregate: rows update it, other states of the group merge into it.
//! * An [`Aggregate`] does the same for all groups at once, over columns.
//! * A [`config`](macro@config) is a struct; pipelines are checked against the JSON Schema that is derived from it.
//! * A [`Refusal`] refuses a configuration or an input; a [`Reject`] rejects one row.
//! * [`collections`] has maps and sets whose order does not depend on earlier batches, as that of the standard library's does.
//! * [`other_rows`] leaves out rows of other tables that share a topic or file.
//! * [`text`] and [`time`] clean what real data holds; [`log`] writes to the pipeline's log.
//! * `testing` (with the feature of that name, natively) runs plugins in `cargo test`.
//!
//! Cost: a batch is read where the host put it, without a copy; an answer is written once, into an allocation of its size.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

// The macros name this crate by its name, also from within.
extern crate self as wasmill_plugin;

#[doc(hidden)]
pub mod bindings;

pub mod aggregate;
mod batch;
pub mod collections;
mod contract;
mod export;
pub mod group;
mod ipc;
pub mod log;
pub mod other_rows;
mod output;
mod plan;
pub mod record;
mod refusal;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
pub mod text;
pub mod time;
mod transform;

#[cfg(doctest)]
#[doc = include_str!("../../../../docs/plugin-guide.md")]
struct PluginGuide;

pub use aggregate::{Aggregate, AggregatePlan, AggregatePlugin};
pub use batch::Batch;
pub use group::{Group, PerGroup};
pub use output::{MaskBuilder, Output, PortOutput, mask};
pub use plan::{Plan, Port};
pub use refusal::{Refusal, Reject};
pub use transform::{Instance, Plugin, Transform};
pub use wasmill_plugin_macros::{config, record};

/// What most plugins need: `use wasmill_plugin::prelude::*;`.
pub mod prelude {
    pub use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
    pub use arrow_buffer::BooleanBuffer;
    pub use arrow_schema::DataType;

    pub use crate::aggregate::{GroupedRows, Groups, Rejects};
    pub use crate::collections::{HashMap, HashSet};
    pub use crate::record::{Days, Micros};
    pub use crate::{Aggregate, AggregatePlan, Batch, Group, Output, Plan, Refusal, Reject, Transform, mask};
    pub use wasmill_plugin_macros::{GroupState, InputRecord, OutputRecord};
}

/// The Arrow crates that the SDK is built on, for everything that it does not wrap.
pub mod arrow {
    pub use {arrow_array as array, arrow_buffer as buffer, arrow_schema as schema, arrow_select as select};
}

#[doc(hidden)]
pub use {schemars, serde, wit_bindgen};
