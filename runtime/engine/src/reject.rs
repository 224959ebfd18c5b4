//! A record set aside with its reason, and the table that dead letters are.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

/// A rejected record, on its way to the dead letters.
#[derive(Debug, Clone)]
pub struct Reject {
    /// The source it came from.
    pub source: Arc<str>,
    /// The source partition, as a person knows it.
    pub partition: Arc<str>,
    /// Its position in the partition: a byte offset or a row number, from 0.
    pub position: u64,
    /// The record itself.
    pub record: OriginalRecord,
    /// The stage that rejected it; `None` where it could not even be decoded.
    pub stage: Option<Arc<str>>,
    /// That stage's plugin, as `name@sha256:digest`.
    pub plugin: Option<Arc<str>>,
    /// The reason for programs, in kebab case.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason for people.
    pub message: String,
}

/// What a rejected record looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalRecord {
    /// The bytes that it had in its source.
    Bytes(Bytes),
    /// The row as JSON, for sources without bytes a record and for rows that a stage made.
    Json(String),
}

/// The schema of dead letters, the same for every pipeline and sink.
///
/// | column | meaning |
/// |---|---|
/// | `time` | when the record was rejected |
/// | `pipeline`, `source`, `partition`, `position` | where it came from; `position` is a byte offset or a row number |
/// | `stage`, `plugin` | who rejected it; both null: it could not be decoded |
/// | `code`, `column`, `message` | why |
/// | `record` | the original record, where it is valid UTF-8; for Parquet and for rows that a stage made, the row as JSON |
/// | `record_base64` | the original bytes in base64, where they are not valid UTF-8 |
pub fn dead_letter_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("pipeline", false),
        text("source", false),
        text("partition", false),
        Field::new("position", DataType::Int64, false),
        text("stage", true),
        text("plugin", true),
        text("code", false),
        text("column", true),
        text("message", false),
        text("record", true),
        text("record_base64", true),
    ]))
}
