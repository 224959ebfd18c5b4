//! A rejected record with its reason, and the table of dead letters.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::codes::BATCH_TOO_LARGE;
use crate::{Error, Result};

/// A rejected record, on its way to the dead letters.
#[derive(Debug, Clone)]
pub struct Reject {
    /// The source it came from.
    pub source: Arc<str>,
    /// The source partition, as readers know it.
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
    /// The reason, for readers.
    pub message: String,
}

/// What a rejected record looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalRecord {
    /// The bytes that it had in its source.
    Bytes(Bytes),
    /// The row as JSON, for sources without bytes per record and for rows that a stage produced.
    Json(String),
}

/// The schema of dead letters, the same for every pipeline and sink.
///
/// | column | meaning |
/// |---|---|
/// | `time` | when the record was rejected |
/// | `pipeline`, `source`, `partition`, `position` | where it came from; `position` is a byte offset or a row number |
/// | `stage`, `plugin` | what rejected it; both null: it could not be decoded |
/// | `code`, `column`, `message` | why |
/// | `record` | the original record, where it is valid UTF-8 without U+0000; for Parquet and for rows that a stage produced, the row as JSON |
/// | `record_base64` | the original bytes in base64, where they are not such a text |
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

/// The rows of the dead letters for some rejects: one row a reject, in order, in the schema of [`dead_letter_schema`]. `time` is when
/// they were rejected, kept to the microsecond; positions beyond `i64::MAX` are kept as `i64::MAX`.
///
/// Fails only where the text of the rejects exceeds 2 GiB, the bound of one Arrow column. Callers
/// pass some thousands at a time.
pub fn dead_letters_batch(pipeline: &str, time: SystemTime, rejects: &[Reject]) -> Result<RecordBatch> {
    let micros = time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    check_size(rejects)?;
    let mut position = Int64Builder::with_capacity(rejects.len());
    let (mut record, mut record_base64, mut message) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    for reject in rejects {
        position.append_value(i64::try_from(reject.position).unwrap_or(i64::MAX));
        let (text, encoded) = match &reject.record {
            OriginalRecord::Json(json) => (Some(json.as_str()), None),
            OriginalRecord::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => (Some(text), None),
                // U+0000 is a character that some sinks can't hold in a text.
                _ => (None, Some(STANDARD.encode(bytes))),
            },
        };
        // A message may quote a value of the record.
        message.append_value(reject.message.replace('\0', "\u{fffd}"));
        record.append_option(text);
        record_base64.append_option(encoded);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_value(micros, rejects.len()).with_timezone("UTC")),
        text(rejects, |_| Some(pipeline)),
        text(rejects, |reject| Some(&reject.source)),
        text(rejects, |reject| Some(&reject.partition)),
        Arc::new(position.finish()),
        text(rejects, |reject| reject.stage.as_deref()),
        text(rejects, |reject| reject.plugin.as_deref()),
        text(rejects, |reject| Some(&reject.code)),
        text(rejects, |reject| reject.column.as_deref()),
        Arc::new(message.finish()),
        Arc::new(record.finish()),
        Arc::new(record_base64.finish()),
    ];
    RecordBatch::try_new(dead_letter_schema(), columns)
        .map_err(|error| Error::bug(format!("dead letters do not fit their own schema: {error}")).caused_by(error))
}

fn text<'a>(rejects: &'a [Reject], value: impl Fn(&'a Reject) -> Option<&'a str>) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rejects.len(), rejects.len() * 16);
    for reject in rejects {
        column.append_option(value(reject));
    }
    Arc::new(column.finish())
}

/// An Arrow text column counts its bytes in an `i32` and its builder panics beyond. Base64 has 4
/// bytes per 3.
fn check_size(rejects: &[Reject]) -> Result<()> {
    let size = |reject: &Reject| {
        let record = match &reject.record {
            OriginalRecord::Bytes(bytes) => bytes.len().div_ceil(3).saturating_mul(4),
            OriginalRecord::Json(json) => json.len(),
        };
        record.max(reject.message.len()).max(reject.partition.len())
    };
    let largest: usize = rejects.iter().map(size).fold(0, usize::saturating_add);
    if largest > i32::MAX as usize {
        return Err(Error::environment(format!(
            "{} rejected records hold {largest} bytes, which is more than one batch can",
            rejects.len()
        ))
        .code(BATCH_TOO_LARGE)
        .hint("reduce the batch size, or the size of the largest record that the source accepts"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMicrosecondType};

    use super::*;

    fn reject(record: OriginalRecord) -> Reject {
        Reject {
            source: "pins".into(),
            partition: "data/pin.jsonl".into(),
            position: 42,
            record,
            stage: None,
            plugin: None,
            code: "invalid-json".into(),
            column: None,
            message: "expected a colon".into(),
        }
    }

    #[test]
    fn text_stays_readable_and_other_bytes_survive() {
        let rejects = [
            reject(OriginalRecord::Bytes(Bytes::from_static("{\"a\" 1} é".as_bytes()))),
            reject(OriginalRecord::Bytes(Bytes::from_static(b"\xff\x00"))),
            reject(OriginalRecord::Json("{}".into())),
            Reject { message: "`\0` is no number".into(), ..reject(OriginalRecord::Bytes(Bytes::from_static(b"a\0b"))) },
        ];
        let batch = dead_letters_batch("p", UNIX_EPOCH + Duration::from_micros(7), &rejects).unwrap();
        let (record, base64) = (batch.column(10).as_string::<i32>(), batch.column(11).as_string::<i32>());
        assert_eq!((record.value(0), base64.is_null(0)), ("{\"a\" 1} é", true));
        assert_eq!((record.is_null(1), base64.value(1)), (true, "/wA="));
        assert_eq!(record.value(2), "{}");
        assert_eq!((record.is_null(3), base64.value(3)), (true, "YQBi"), "not every sink holds U+0000");
        assert_eq!(batch.column(9).as_string::<i32>().value(3), "`\u{fffd}` is no number");
        assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().values(), &[7, 7, 7, 7]);
        assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(0), 42);
        assert_eq!(batch.column(5).null_count(), 4);
    }

    #[test]
    fn no_rejects_make_an_empty_batch() {
        assert_eq!(dead_letters_batch("p", UNIX_EPOCH, &[]).unwrap().num_rows(), 0);
    }
}
