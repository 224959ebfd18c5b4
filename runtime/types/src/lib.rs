//! Column types as pipeline files write them, and how a column is read where its type does not
//! decide it.
//!
//! Every message names a type by [`TypeName`] or [`FieldType`], as pipeline files do: `int64`, `text`, `timestamp(us, UTC)`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod reading;
mod type_name;

pub use type_name::{FieldType, TypeName};
