//! Kafka Connect's layout: objects named by topic, partition and the offset of their first record,
//! with one record per line.
//!
//! # Values as lines
//! With the source's `format: raw` a line is the value itself, so readers of the objects get what
//! readers of the topic get, malformed records included. Some values can't be a line, and are
//! rejected: none at all (`null-value`), only blanks (`blank-value`), a byte order mark at the
//! front (`byte-order-mark`), a line feed in text that is not JSON (`line-feed`). In JSON, line
//! feeds are between values, where a blank is equivalent: they become blanks. Readers take a
//! carriage return at the end of a value for a part of the line's end.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use memchr::memchr;
use serde::de::IgnoredAny;
use serde_json::Value;
use wasmill_engine::{Error, Result, RowReject, SinkWriter};

use super::objects::{MAX_OPEN_OBJECTS, Objects};
use super::writer::encoder;
use super::{Destination, S3SinkConfig};
use crate::codes::CONNECT_SOURCE;
use wasmill_connect::record_columns::{OFFSET_COLUMN, PARTITION_COLUMN, RESERVED, TOPIC_COLUMN};
use wasmill_formats::VALUE_COLUMN;
use wasmill_formats::{TextEncoder, text_writer, to_plain};
use wasmill_lake::{Gather, PartitionFiles};

/// Which column is what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    topic: usize,
    partition: usize,
    offset: usize,
    values: Vec<usize>,
    /// The one value is a line as it is.
    raw: bool,
}

impl Columns {
    /// Finds them.
    ///
    /// # Errors
    /// Configuration: the source is not Kafka's.
    pub(super) fn new(schema: &Schema) -> Result<Self> {
        let find = |name: &str, kind: &DataType| {
            let found = schema.column_with_name(name).filter(|(_, field)| field.data_type() == kind);
            found.map(|(index, _)| index).ok_or_else(|| {
                Error::configuration(format!("`layout: connect` needs the column {name} of a source `kafka`"))
                    .code(CONNECT_SOURCE)
                    .key(["layout", "connect"])
                    .hint("read straight from the source, with no stage between")
            })
        };
        let (topic, partition, offset) =
            (find(TOPIC_COLUMN, &DataType::Utf8)?, find(PARTITION_COLUMN, &DataType::Int32)?, find(OFFSET_COLUMN, &DataType::Int64)?);
        let values: Vec<usize> = (0..schema.fields().len()).filter(|index| !schema.field(*index).name().starts_with(RESERVED)).collect();
        let raw = match values.as_slice() {
            [] => {
                return Err(Error::configuration("`layout: connect` has no column to write: the source has only reserved ones")
                    .code(CONNECT_SOURCE)
                    .key(["layout", "connect"]));
            }
            [value] => schema.field(*value).name() == VALUE_COLUMN && *schema.field(*value).data_type() == DataType::Binary,
            _ => false,
        };
        Ok(Self { topic, partition, offset, values, raw })
    }
}

/// A topic's partition.
type TopicPartition = (String, i32);

/// Writes the rows of one lane.
pub(super) struct ConnectWriter {
    columns: Columns,
    gather: Gather<TopicPartition>,
    objects: ConnectObjects,
}

/// The objects of one lane.
struct ConnectObjects {
    flush_size: u64,
    extension: String,
    objects: Objects<TopicPartition>,
}

impl ConnectWriter {
    pub(super) fn new(config: S3SinkConfig, schema: &SchemaRef, destination: Destination) -> Result<Self> {
        let columns = Columns::new(schema)?;
        let (raw, flush_size, size) = (columns.raw, config.flush_size(), config.target_file_size.as_u64());
        let extension = format!(".json{}", config.compression.suffix());
        let fields: Vec<_> = columns.values.iter().map(|index| Arc::clone(&schema.fields()[*index])).collect();
        let lines: SchemaRef = Arc::new(Schema::new(fields));
        let encode = Box::new(move |output| match raw {
            true => text_writer(Box::new(RawLines), output, config.compression),
            false => encoder(&config, &lines, output),
        });
        let objects = ConnectObjects { flush_size, extension, objects: Objects::new(destination, encode, size) };
        Ok(Self { columns, gather: Gather::new(MAX_OPEN_OBJECTS, None), objects })
    }
}

impl PartitionFiles<TopicPartition> for ConnectObjects {
    fn is_open(&self, key: &TopicPartition) -> bool {
        self.objects.is_open(key)
    }

    fn open_files(&self) -> usize {
        self.objects.open_objects()
    }

    /// Writes rows of one partition, in the order of their offsets, which are the last column.
    fn write(&mut self, key: &TopicPartition, records: &RecordBatch) -> Result<()> {
        let gone = |error| Error::bug(format!("columns of a sink are gone: {error}"));
        let values = records.project(&(0..records.num_columns().saturating_sub(1)).collect::<Vec<_>>()).map_err(gone)?;
        let offsets = records.columns().last().ok_or_else(|| Error::bug("rows came without their offsets"))?;
        let offsets = offsets.as_primitive::<Int64Type>().values();
        let mut start = 0;
        while start < offsets.len() {
            let room = self.flush_size - self.objects.rows(key);
            let count = usize::try_from(room).unwrap_or(usize::MAX).min(offsets.len() - start);
            let ((topic, partition), first, extension) = (key, offsets[start], &self.extension);
            let path = || format!("{topic}/partition={partition}/{topic}+{partition}+{first:010}{extension}");
            self.objects.write(key, &values.slice(start, count), path)?;
            if self.objects.rows(key) >= self.flush_size {
                self.objects.finish(key)?;
            }
            start += count;
        }
        Ok(())
    }

    fn finish(&mut self, key: &TopicPartition) -> Result<()> {
        self.objects.finish(key)
    }
}

impl SinkWriter for ConnectWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let records = to_plain(records)?;
        let (records, rejects) = if self.columns.raw { fit_for_lines(&records, self.columns.values[0])? } else { (records, Vec::new()) };
        let topics = records.column(self.columns.topic).as_string::<i32>();
        let partitions = records.column(self.columns.partition).as_primitive::<Int32Type>();
        let (mut runs, mut start) = (Vec::new(), 0);
        while start < records.num_rows() {
            let of = |row: usize| (topics.value(row), partitions.value(row));
            let end = (start..records.num_rows()).find(|row| of(*row) != of(start)).unwrap_or(records.num_rows());
            runs.push(((topics.value(start).to_owned(), partitions.value(start)), start..end));
            start = end;
        }
        let kept: Vec<usize> = self.columns.values.iter().copied().chain([self.columns.offset]).collect();
        let rows = records.project(&kept).map_err(|error| Error::bug(format!("columns of a sink are gone: {error}")))?;
        self.gather.write(rows, runs, &mut self.objects)?;
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        self.gather.finish(&mut self.objects)?;
        self.objects.objects.prepare()
    }
}

/// A value as a line.
enum Line {
    AsItIs,
    /// JSON with line feeds between its values.
    WithBlanks(Vec<u8>),
    Refused(&'static str, &'static str),
}

fn line(value: &[u8]) -> Line {
    if value.iter().all(u8::is_ascii_whitespace) {
        return Line::Refused("blank-value", "the value is blank, and a blank line is no record");
    }
    if value.starts_with(b"\xef\xbb\xbf") {
        return Line::Refused(
            "byte-order-mark",
            "the value begins with a byte order mark, which readers drop at the beginning of an object",
        );
    }
    if memchr(b'\n', value).is_none() {
        return Line::AsItIs;
    }
    match serde_json::from_slice::<IgnoredAny>(value) {
        Ok(_) => Line::WithBlanks(value.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect()),
        Err(_) => Line::Refused("line-feed", "the value holds a line feed and is not JSON: it can't be one line"),
    }
}

/// The rows whose values can be lines, and the others.
fn fit_for_lines(records: &RecordBatch, column: usize) -> Result<(RecordBatch, Vec<RowReject>)> {
    let values: &BinaryArray = records.column(column).as_binary();
    let mut rejects = Vec::new();
    let mut changed: Vec<(usize, Vec<u8>)> = Vec::new();
    for row in 0..values.len() {
        let line = if values.is_null(row) { Line::Refused("null-value", "the record has no value") } else { line(values.value(row)) };
        match line {
            Line::AsItIs => {}
            Line::WithBlanks(value) => changed.push((row, value)),
            Line::Refused(code, message) => rejects.push(RowReject {
                row: u32::try_from(row).unwrap_or(u32::MAX),
                code: code.to_owned(),
                column: Some(VALUE_COLUMN.to_owned()),
                message: message.to_owned(),
            }),
        }
    }
    let unfit = |error| Error::bug(format!("lines do not fit into a batch: {error}"));
    let mut records = records.clone();
    if !changed.is_empty() {
        let mut next = changed.into_iter().peekable();
        let replaced = (0..values.len()).map(|row| match next.next_if(|(changed, _)| *changed == row) {
            Some((_, value)) => Some(std::borrow::Cow::Owned(value)),
            None => values.is_valid(row).then(|| std::borrow::Cow::Borrowed(values.value(row))),
        });
        let replaced: ArrayRef = Arc::new(replaced.collect::<BinaryArray>());
        let mut columns = records.columns().to_vec();
        columns[column] = replaced;
        records = RecordBatch::try_new(records.schema(), columns).map_err(unfit)?;
    }
    if !rejects.is_empty() {
        let mut keep = vec![true; records.num_rows()];
        rejects.iter().for_each(|reject| keep[reject.row as usize] = false);
        records = filter_record_batch(&records, &BooleanArray::from(keep)).map_err(unfit)?;
    }
    Ok((records, rejects))
}

/// Values, one per line.
struct RawLines;

impl TextEncoder for RawLines {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn rows(&mut self, records: &RecordBatch, text: &mut Vec<u8>) -> Result<()> {
        for value in records.column(0).as_binary::<i32>().iter() {
            text.extend_from_slice(value.unwrap_or_default());
            text.push(b'\n');
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_a_line_if_that_changes_nothing() {
        let shown = |value: &[u8]| match line(value) {
            Line::AsItIs => "as it is".to_owned(),
            Line::WithBlanks(value) => String::from_utf8(value).unwrap(),
            Line::Refused(code, _) => code.to_owned(),
        };
        assert_eq!(shown(b"{\"half"), "as it is");
        assert_eq!(shown(b"\xff\xfe"), "as it is");
        assert_eq!(shown(b"{\n  \"a\": \"b\\n\"\n}"), "{   \"a\": \"b\\n\" }");
        assert_eq!(shown(b"{\"a\": \"b\nc\"}"), "line-feed", "with a blank in place of the line feed it would become JSON");
        assert_eq!(shown(b"{\"a\"\n"), "line-feed");
        assert_eq!(
            (shown(b""), shown(b" \r\n"), shown(b"\xef\xbb\xbf{}")),
            ("blank-value".into(), "blank-value".into(), "byte-order-mark".into())
        );
    }

    #[test]
    fn rows_that_can_be_no_lines_are_left_out_and_reported() {
        let values: ArrayRef = Arc::new(BinaryArray::from(vec![Some(b"a".as_slice()), None, Some(b"{\n}"), Some(b"x\ny"), Some(b"z")]));
        let records = RecordBatch::try_from_iter_with_nullable([("value", values, true)]).unwrap();
        let (kept, rejects) = fit_for_lines(&records, 0).unwrap();
        let mut text = Vec::new();
        RawLines.rows(&kept, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "a\n{ }\nz\n");
        let rejects: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
        assert_eq!(rejects, [(1, "null-value"), (3, "line-feed")]);
    }
}
