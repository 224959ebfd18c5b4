//! The encoding `arrow-ipc`, for plugins that are compiled: encapsulated messages of Apache Arrow, a schema or a table each.

mod encode;
mod message;
mod schema;
mod table;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::{DecodeError, check_columns, guarded};

/// Writes a schema.
pub fn encode_schema(schema: &Schema) -> Vec<u8> {
    encode::schema(schema)
}

/// The schema that a plugin wrote: of boundary types only, without dictionaries, with unique names.
///
/// # Errors
/// What is wrong with the bytes, and where.
pub fn decode_schema(bytes: &[u8]) -> Result<Schema, DecodeError> {
    let schema = guarded(|| schema::read(bytes))?;
    check_columns(&schema)?;
    Ok(schema)
}

/// Writes a table over what `bytes` held.
///
/// # Errors
/// The column whose type does not cross the boundary.
pub fn encode_table(table: &RecordBatch, bytes: &mut Vec<u8>) -> Result<(), String> {
    encode::table(table, bytes)
}

/// The table that a plugin wrote. It has exactly `rows` rows of `schema` (whose types are boundary types), fully validated. It takes no
/// more memory than the bytes themselves.
///
/// # Errors
/// What is wrong with the bytes, and where; also where they hold another schema or number of rows.
pub fn decode_table(bytes: Vec<u8>, schema: &SchemaRef, rows: usize) -> Result<RecordBatch, DecodeError> {
    guarded(|| table::read(bytes, schema, rows))
}
