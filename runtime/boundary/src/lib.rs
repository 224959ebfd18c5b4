//! What crosses between the host and a plugin: schemas and tables, in the encoding that the plugin chose, and the column types that can.
//!
//! The host decodes under a [`Budget`](budget::Budget): what comes from a plugin is not trusted. Tools and tests of plugins, and fuzzers, may
//! call every decoder with any input.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod budget;
pub mod columns;
pub mod ipc;
pub mod sizes;
pub mod text;
pub mod types;

use arrow_schema::Schema;

use crate::budget::OverBudget;

/// Why a plugin's schema or table could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

impl DecodeError {
    /// An error with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<OverBudget> for DecodeError {
    fn from(error: OverBudget) -> Self {
        Self(error.to_string())
    }
}

/// How tables and schemas cross, as a plugin declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Encapsulated Apache Arrow IPC messages: [`ipc`].
    ArrowIpc,
    /// Columns in a few large values: [`columns`].
    Columns,
}

impl Encoding {
    /// Whether every column of the schema can be written in this encoding.
    ///
    /// # Errors
    /// The column that can't, and why.
    pub fn check(self, schema: &Schema) -> Result<(), String> {
        match self {
            Self::ArrowIpc => Ok(()),
            Self::Columns => columns::check_spelling(schema),
        }
    }
}

/// The bytes that one answer may take by default: 128 MiB.
pub const DEFAULT_ANSWER_BYTES: u64 = 128 << 20;

/// The most columns that one schema may have.
pub const MAX_COLUMNS: usize = 4096;

fn check_columns(schema: &Schema) -> Result<(), DecodeError> {
    if schema.fields().len() > MAX_COLUMNS {
        return Err(DecodeError(format!("the schema has {} columns; {MAX_COLUMNS} are allowed", schema.fields().len())));
    }
    let mut names = std::collections::HashSet::new();
    for field in schema.fields() {
        if !names.insert(field.name()) {
            return Err(DecodeError(format!("the schema has two columns `{}`", crate::text::shown(field.name()))));
        }
        if !crate::types::is_boundary_type(field.data_type()) {
            return Err(DecodeError(format!(
                "column `{}` has Arrow's type {}, which does not cross the boundary",
                crate::text::shown(field.name()),
                crate::text::shown(&field.data_type().to_string())
            )));
        }
    }
    Ok(())
}

/// Runs a decoder. The decoders check everything that arrow is known to assume. If arrow panics
/// nevertheless on a plugin's bytes, that is a fault of the plugin and does not end the process.
fn guarded<T>(decode: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(DecodeError::new("the bytes break an assumption of the decoder")))
}
