//! Prepared commits in a checkpoint: formats that later versions of Wasmill must still read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmill_engine::{Error, Result};

use crate::codes::PREPARED_UNREADABLE;

const NEWER: &str = "run the version of wasmill that wrote it, or a newer one";

/// The JSON of a part or a prepared commit.
pub fn write(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::bug(format!("a prepared commit is no JSON: {error}")))
}

/// Reads a prepared commit whose `format` is the one that this version writes.
///
/// # Errors
/// Environment: another version wrote it.
pub fn read<T: DeserializeOwned>(value: &Value, known: u32) -> Result<T> {
    // The format first: a newer one may have any shape.
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format == u64::from(known) => {}
        Some(format) => {
            return Err(Error::environment(format!("the prepared commit has the unknown format {format}"))
                .code(PREPARED_UNREADABLE)
                .hint(NEWER));
        }
        None => {
            return Err(Error::environment("the prepared commit can't be read: it has no format").code(PREPARED_UNREADABLE).hint(NEWER));
        }
    }
    serde_json::from_value(value.clone())
        .map_err(|error| Error::environment(format!("the prepared commit can't be read: {error}")).code(PREPARED_UNREADABLE).hint(NEWER))
}

/// Reads a part that a lane's writer prepared in this process.
pub fn read_part<T: DeserializeOwned>(part: Value) -> Result<T> {
    serde_json::from_value(part).map_err(|error| Error::bug(format!("a part can't be read: {error}")))
}
