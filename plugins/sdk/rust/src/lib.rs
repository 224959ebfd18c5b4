//! The SDK for Wasmill plugins written in Rust.

// The macros name this crate by its name, also from within.
extern crate self as wasmill_plugin;

#[doc(hidden)]
pub mod bindings;

mod batch;
mod export;
mod ipc;
pub mod log;
mod output;
mod plan;
pub mod record;
mod refusal;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
pub mod text;
pub mod time;
mod transform;

pub use batch::Batch;
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

    pub use crate::record::{Days, Micros};
    pub use crate::{Batch, Output, Plan, Refusal, Reject, Transform, mask};
    pub use wasmill_plugin_macros::{InputRecord, OutputRecord};
}

/// The Arrow crates that the SDK is built on, for everything that it does not wrap.
pub mod arrow {
    pub use {arrow_array as array, arrow_buffer as buffer, arrow_schema as schema, arrow_select as select};
}

#[doc(hidden)]
pub use {schemars, serde, wit_bindgen};
