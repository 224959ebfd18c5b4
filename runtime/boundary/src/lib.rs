//! What crosses between the host and a plugin: schemas and tables as bytes, in the encoding that
//! the plugin chose, and the column types that can cross.
//!
//! The host decodes with an [`Encoding`] under a [`Budget`](budget::Budget), because a plugin's
//! bytes are not trusted. Tools and tests of plugins, and fuzzers, use the functions of
//! [`boundary`]; every decoder accepts any bytes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod budget;
mod ipc_encode;
mod ipc_message;
mod ipc_schema;
mod ipc_table;
mod json_read;
mod json_schema;
mod json_values;
mod json_write;
pub mod text;
pub mod types;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::budget::{Budget, OverBudget};

/// Why bytes of a plugin could not be decoded.
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
    /// Encapsulated Apache Arrow IPC messages.
    ArrowIpc,
    /// One JSON object a row.
    JsonLines,
}

impl Encoding {
    /// Whether every column of the schema can be written in this encoding. The message names those
    /// that can't.
    pub fn check(self, schema: &Schema) -> Result<(), String> {
        match self {
            Self::ArrowIpc => Ok(()),
            Self::JsonLines => json_schema::check(schema),
        }
    }

    /// Writes a schema.
    pub fn encode_schema(self, schema: &Schema) -> Vec<u8> {
        match self {
            Self::ArrowIpc => ipc_encode::schema(schema),
            Self::JsonLines => json_schema::write(schema),
        }
    }

    /// The schema that a plugin wrote: of boundary types only, without dictionaries, with unique names.
    pub fn decode_schema(self, bytes: &[u8]) -> Result<Schema, DecodeError> {
        let schema = match self {
            Self::ArrowIpc => guarded(|| ipc_schema::read(bytes)),
            Self::JsonLines => guarded(|| json_schema::read(bytes)),
        }?;
        check_columns(&schema)?;
        self.check(&schema).map_err(DecodeError)?;
        Ok(schema)
    }

    /// Writes a table over what `bytes` held.
    pub fn encode_table(self, table: &RecordBatch, bytes: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::ArrowIpc => ipc_encode::table(table, bytes),
            Self::JsonLines => json_write::table(table).map(|written| *bytes = written),
        }
    }

    /// The table that a plugin wrote. It has exactly `rows` rows of `schema` (whose types are boundary types), fully validated.
    /// What it takes beyond the bytes themselves is charged to `budget`.
    pub fn decode_table(self, bytes: Vec<u8>, schema: &SchemaRef, rows: usize, budget: &Budget) -> Result<RecordBatch, DecodeError> {
        match self {
            Self::ArrowIpc => guarded(|| ipc_table::read(bytes, schema, rows)),
            Self::JsonLines => guarded(|| json_read::table(&bytes, schema, rows, budget)),
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

/// The contract's encodings by themselves: what crosses the boundary, as bytes and back, without a plugin. For tools and tests
/// of plugins, and for fuzzers, which may call every decoder with any bytes.
pub mod boundary {
    use super::{DEFAULT_ANSWER_BYTES, DecodeError, Encoding};
    use crate::budget::Budget;
    use arrow_array::RecordBatch;
    use arrow_schema::{Schema, SchemaRef};

    /// Decodes a schema.
    ///
    /// # Errors
    /// What is wrong with the bytes, and where.
    pub fn decode_schema(encoding: Encoding, bytes: &[u8]) -> Result<Schema, DecodeError> {
        encoding.decode_schema(bytes)
    }

    /// Decodes a table of this schema and row count, within the default bytes per answer.
    ///
    /// # Errors
    /// What is wrong with the bytes, and where; also where they hold another schema or number of rows, or take too much memory.
    pub fn decode_table(encoding: Encoding, bytes: Vec<u8>, schema: &SchemaRef, rows: usize) -> Result<RecordBatch, DecodeError> {
        encoding.decode_table(bytes, schema, rows, &Budget::new(DEFAULT_ANSWER_BYTES))
    }

    /// Encodes a schema.
    pub fn encode_schema(encoding: Encoding, schema: &Schema) -> Vec<u8> {
        encoding.encode_schema(schema)
    }

    /// Encodes a table.
    ///
    /// # Errors
    /// The column whose type does not cross the boundary.
    pub fn encode_table(encoding: Encoding, table: &RecordBatch) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        encoding.encode_table(table, &mut bytes).map(|()| bytes)
    }
}
