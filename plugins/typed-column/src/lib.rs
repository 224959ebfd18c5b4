//! Columns of any simple type, for plugins that don't fix the types of what they read: the type is part of the configuration.
//!
//! A plugin declares its columns before it knows its input. So the pipeline names the type of a [`Column`] that is not the plugin's usual
//! one. [`Ordered`] is the values of such columns as bytes: equal where the values are, and in their order.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod column;
mod column_type;
mod numbers;
mod ordered;

pub use column::{Column, TypedColumn};
pub use column_type::ColumnType;
pub use numbers::{Numbers, reject_nan};
pub use ordered::{Order, Ordered};
