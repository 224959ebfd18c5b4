//! Rows as entries of `PutRecords`: how they are built from columns, and how they lie in the spool.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use parking_lot::Mutex;
use uuid::Uuid;
use wasmill_engine::{Error, Result, RowReject};

use super::config::KinesisSinkConfig;
use crate::KinesisFormat;
use crate::codes::COLUMN;
use wasmill_engine::codes::PREPARED_FILE_DAMAGED;
use wasmill_formats::TypeName;
use wasmill_formats::{Format, VALUE_COLUMN, WriteOptions, plain_schema, record_writer};

/// The most bytes of a record, its key included.
const MAX_BYTES: usize = 1 << 20;
/// The most characters of a key.
const MAX_KEY: usize = 256;

/// One record to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub key: String,
    pub data: Bytes,
}

impl Entry {
    /// What it counts for in a call.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.data.len()
    }
}

/// The result of encoding a batch.
pub(super) struct Encoded {
    /// How many rows became entries.
    pub(super) rows: u64,
    /// The rows that a stream can't hold.
    pub(super) rejects: Vec<RowReject>,
}

/// Why a row can't become an entry.
struct Refusal {
    code: &'static str,
    column: Option<String>,
    message: String,
}

/// Builds entries of rows.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    schema: SchemaRef,
    format: KinesisFormat,
    /// The column of the partition key.
    key: Option<usize>,
}

impl Encoder {
    pub(super) fn new(config: &KinesisSinkConfig, schema: &Schema) -> Result<Self> {
        let schema: SchemaRef = Arc::new(schema.clone());
        let key = config.partition_key.as_ref().map(|name| key_column(&schema, name)).transpose()?;
        if config.format == KinesisFormat::Raw {
            let is_value = |name: &str, kind: &DataType| {
                name == VALUE_COLUMN && matches!(kind, DataType::Binary | DataType::Utf8 | DataType::LargeBinary | DataType::LargeUtf8)
            };
            if !schema.fields().iter().any(|field| is_value(field.name(), field.data_type())) {
                return Err(Error::configuration(format!(
                    "`format: raw` takes the column `{VALUE_COLUMN}` of binary or text, and there is none"
                ))
                .code(COLUMN)
                .key(["format", "raw"])
                .hint("write `format: json`, or let a stage create the column"));
            }
        } else {
            plain_schema(&schema)?;
        }
        Ok(Self { schema, format: config.format, key })
    }

    /// Appends the entries of rows, as bytes of the spool.
    pub(super) fn encode(&self, records: &RecordBatch, out: &mut Vec<u8>) -> Result<Encoded> {
        let datas = match self.format {
            KinesisFormat::Json => json(records, &self.schema)?,
            KinesisFormat::Raw => raw(records)?,
        };
        let keys = self.key.map(|key| texts(records.column(key), "the partition key")).transpose()?;
        let (mut rows, mut rejects) = (0, Vec::new());
        for (row, data) in datas.into_iter().enumerate() {
            match self.entry(row, data, keys.as_ref()) {
                Ok(entry) => {
                    write(&entry, out);
                    rows += 1;
                }
                Err(refusal) => {
                    let row = u32::try_from(row).unwrap_or(u32::MAX);
                    rejects.push(RowReject { row, code: refusal.code.to_owned(), column: refusal.column, message: refusal.message });
                }
            }
        }
        Ok(Encoded { rows, rejects })
    }

    fn entry(&self, row: usize, data: Option<Bytes>, keys: Option<&ArrayRef>) -> Result<Entry, Refusal> {
        let refusal = |code, column, message| Refusal { code, column, message };
        let Some(data) = data else {
            return Err(refusal("null", Some(VALUE_COLUMN.to_owned()), "a record must have a value".to_owned()));
        };
        let column = || self.key.map(|key| self.schema.field(key).name().clone());
        let key = match keys {
            None => Uuid::new_v4().simple().to_string(),
            Some(keys) if keys.is_null(row) => return Err(refusal("null", column(), "the partition key is null".to_owned())),
            Some(keys) => keys.as_string::<i32>().value(row).to_owned(),
        };
        let characters = key.chars().count();
        if !(1..=MAX_KEY).contains(&characters) {
            let message = format!("the partition key has {characters} characters, and 1 to {MAX_KEY} are allowed");
            return Err(refusal("bad-value", column(), message));
        }
        let entry = Entry { key, data };
        if entry.size() > MAX_BYTES {
            let message = format!("the record has {} bytes with its key, and a stream takes {MAX_BYTES}", entry.size());
            return Err(refusal("too-long", None, message));
        }
        Ok(entry)
    }
}

fn key_column(schema: &Schema, name: &str) -> Result<usize> {
    let index = schema.index_of(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        Error::configuration(format!("`partition_key`: there is no column `{name}`"))
            .code(COLUMN)
            .key(["partition_key"])
            .hint(format!("there are {}", names.join(", ")))
    })?;
    let kind = schema.field(index).data_type();
    if kind.is_integer() || matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return Ok(index);
    }
    let message = format!("`partition_key`: the column `{name}` is {}, and a key is text or a whole number", TypeName(kind));
    Err(Error::configuration(message).code(COLUMN).key(["partition_key"]))
}

fn texts(column: &ArrayRef, what: &str) -> Result<ArrayRef> {
    cast(column, &DataType::Utf8).map_err(|error| Error::bug(format!("{what} is no text: {error}")))
}

/// An output that can be read while it is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Each row as a line of JSON, without its line feed.
fn json(records: &RecordBatch, schema: &SchemaRef) -> Result<Vec<Option<Bytes>>> {
    let output = Shared::default();
    let mut writer = record_writer(Format::Jsonl, schema, output.clone(), &WriteOptions::default())?;
    writer.write(records)?;
    writer.finish()?;
    let text = Bytes::from(std::mem::take(&mut *output.0.lock()));
    let mut lines = Vec::with_capacity(records.num_rows());
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', &text) {
        lines.push(Some(text.slice(begin..end)));
        begin = end + 1;
    }
    if lines.len() != records.num_rows() {
        return Err(Error::bug(format!("{} rows became {} lines of JSON", records.num_rows(), lines.len())));
    }
    Ok(lines)
}

fn raw(records: &RecordBatch) -> Result<Vec<Option<Bytes>>> {
    let column = records.column_by_name(VALUE_COLUMN).ok_or_else(|| Error::bug("there is no column of values"))?;
    let values = cast(column, &DataType::Binary).map_err(|error| Error::bug(format!("values are no bytes: {error}")))?;
    Ok(values.as_binary::<i32>().iter().map(|value| value.map(Bytes::copy_from_slice)).collect())
}

/// In the spool an entry is the lengths of key and data, 32 bits each, little end first, and then both.
fn write(entry: &Entry, out: &mut Vec<u8>) {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length(entry.key.len()));
    out.extend_from_slice(&length(entry.data.len()));
    out.extend_from_slice(entry.key.as_bytes());
    out.extend_from_slice(&entry.data);
}

/// Takes the first entry off bytes of the spool; none if they do not hold all of it.
pub(super) fn take(bytes: &mut Bytes) -> Result<Option<Entry>> {
    let length = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(|four| u32::from_le_bytes(four) as usize);
    let (Some(key), Some(data)) = (length(0), length(4)) else { return Ok(None) };
    if key + data > MAX_BYTES {
        return Err(Error::environment("a prepared file holds something else than records")
            .code(PREPARED_FILE_DAMAGED)
            .hint("give its rows up with `wasmill state reset`"));
    }
    if bytes.len() < 8 + key + data {
        return Ok(None);
    }
    let mut entry = bytes.split_to(8 + key + data);
    let data = entry.split_off(8 + key);
    let key = String::from_utf8(entry.slice(8..).to_vec());
    let key = key.map_err(|_| {
        Error::environment("a prepared file holds a key that is no text")
            .code(PREPARED_FILE_DAMAGED)
            .hint("give its rows up with `wasmill state reset`")
    })?;
    Ok(Some(Entry { key, data }))
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Date64Array, Int64Array, StringArray};
    use arrow_schema::Field;

    use super::*;
    use crate::KinesisConnection;

    fn entries(mut bytes: Bytes) -> Vec<Entry> {
        std::iter::from_fn(|| take(&mut bytes).unwrap()).collect()
    }

    #[test]
    fn rows_become_entries_and_what_a_stream_cannot_hold_is_rejected() {
        let schema = Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("n", DataType::Int64, true)]);
        let large = "x".repeat(300);
        let keys = StringArray::from(vec![Some("a"), None, Some(""), Some(large.as_str()), Some("\u{fc}")]);
        let records =
            RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(keys), Arc::new(Int64Array::from_iter_values(0..5))]).unwrap();
        let config =
            KinesisSinkConfig { partition_key: Some("k".into()), ..KinesisSinkConfig::of_stream("s", KinesisConnection::default()) };
        let mut out = Vec::new();
        let Encoded { rows, rejects } = Encoder::new(&config, &schema).unwrap().encode(&records, &mut out).unwrap();
        assert_eq!(rows, 2);
        let rejected: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
        assert_eq!(rejected, [(1, "null"), (2, "bad-value"), (3, "bad-value")]);
        let entries = entries(out.into());
        assert_eq!((entries[0].key.as_str(), &entries[0].data[..]), ("a", &br#"{"k":"a","n":0}"#[..]));
        assert_eq!(entries[1].key, "\u{fc}");
        let missing = KinesisSinkConfig { partition_key: Some("no".into()), ..config };
        assert!(Encoder::new(&missing, &schema).unwrap_err().to_string().contains("no column `no`"));
    }

    #[test]
    fn a_date_of_64_bits_is_a_time() {
        let schema = Schema::new(vec![Field::new("d", DataType::Date64, true)]);
        let dates = Date64Array::from(vec![Some(1_657_153_121_001), None]);
        let records = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(dates)]).unwrap();
        let mut out = Vec::new();
        let config = KinesisSinkConfig::of_stream("s", KinesisConnection::default());
        let encoded = Encoder::new(&config, &schema).unwrap().encode(&records, &mut out).unwrap();
        assert_eq!((encoded.rows, encoded.rejects), (2, Vec::new()));
        let data: Vec<Bytes> = entries(out.into()).into_iter().map(|entry| entry.data).collect();
        assert_eq!(data, [&br#"{"d":"2022-07-07T00:18:41.001"}"#[..], br#"{"d":null}"#]);
    }

    #[test]
    fn raw_values_go_as_they_are_up_to_what_a_record_may_have() {
        let schema = Schema::new(vec![Field::new("value", DataType::Binary, true)]);
        let (fits, large) = (vec![7; MAX_BYTES - 32], vec![7; MAX_BYTES - 31]);
        let values = BinaryArray::from(vec![Some(&b"\xff\n"[..]), None, Some(&fits), Some(&large)]);
        let records = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(values)]).unwrap();
        let config = KinesisSinkConfig { format: KinesisFormat::Raw, ..KinesisSinkConfig::of_stream("s", KinesisConnection::default()) };
        let mut out = Vec::new();
        let Encoded { rejects, .. } = Encoder::new(&config, &schema).unwrap().encode(&records, &mut out).unwrap();
        let rejected: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
        assert_eq!(rejected, [(1, "null"), (3, "too-long")]);
        let entries = entries(out.clone().into());
        assert_eq!(
            (entries.len(), &entries[0].data[..], entries[1].data.len(), entries[0].key.len()),
            (2, &b"\xff\n"[..], MAX_BYTES - 32, 32)
        );
        assert_eq!(take(&mut Bytes::from(out).slice(..9)).unwrap(), None);
        assert!(take(&mut Bytes::from_static(&[255; 8])).is_err());
    }
}
