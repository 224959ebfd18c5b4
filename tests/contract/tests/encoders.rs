//! What the encoders write, byte by byte, and that compression and Parquet give the rows back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::types::{Date64Type, Int8Type, Int64Type};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;
use wasmill_engine::{Mode, Progress, Read as SplitRead, Source};
use wasmill_files::{FilesConfig, FilesSource};
use wasmill_formats::csv::{CsvDecoder, CsvOptions};
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::{Compression, Format, RecordDecoder, WriteOptions, record_writer, row_to_json, to_plain};

/// One column of every type on the short list; the second row is all null.
fn every_type() -> RecordBatch {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("k\"");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x, \"y\""), None]));
    let fields = vec![Field::new("s", DataType::Utf8, true)].into();
    let structs = StructArray::try_new(fields, vec![inner], Some(vec![true, false].into())).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("null", Arc::new(NullArray::new(2))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-128), None]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None]))),
        ("decimal", Arc::new(Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(10, 2).unwrap())),
        ("text", Arc::new(StringArray::from(vec![Some("a\n\u{1f600}"), None]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(19_180), None]))),
        ("naive", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), None]))),
        ("zoned", Arc::new(TimestampSecondArray::from(vec![Some(0), None]).with_timezone("+02:00"))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None]), None]))),
        ("struct", Arc::new(structs)),
        ("map", Arc::new(maps.finish())),
        ("view", Arc::new(StringViewArray::from(vec![Some("v"), None]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn written(format: Format, compression: Compression, batches: &[RecordBatch]) -> Vec<u8> {
    let options = WriteOptions { compression, ..WriteOptions::default() };
    let mut writer = record_writer(format, batches[0].schema_ref(), Vec::new(), &options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap()
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(written(format, Compression::None, batches)).unwrap()
}

const FIRST_ROW: &str = concat!(
    r#"{"null":null,"bool":true,"i8":-128,"i64":-9223372036854775808,"u64":18446744073709551615,"f32":0.1,"f64":"-Infinity","#,
    r#""decimal":"-0.05","text":"a\n😀","binary":"/wA=","date":"2022-07-07","naive":"2022-07-07T00:18:41.000001","#,
    r#""zoned":"1970-01-01T00:00:00Z","list":[1,null],"struct":{"s":"x, \"y\""},"map":{"k\"":1},"view":"v"}"#
);

#[test]
fn json_lines_hold_every_type() {
    let lines = text(Format::Jsonl, &[every_type()]);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], FIRST_ROW);
    let second: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(second.as_object().unwrap().len(), 17);
    assert!(second.as_object().unwrap().values().all(serde_json::Value::is_null));
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_json_array_spans_batches_and_may_be_empty() {
    let batch = every_type();
    let all: serde_json::Value = serde_json::from_str(&text(Format::Json, &[batch.clone(), batch.clone()])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(text(Format::Json, &[batch.slice(0, 0)]), "[]\n");
}

#[test]
fn csv_quotes_what_it_must_and_distinguishes_null_from_empty() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a,b", Arc::new(StringArray::from(vec![Some(""), None, Some("x\"y\nz"), Some(" p ")]))),
        ("n", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(-1e300)]))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), Some(2)]), None, None, None]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap();
    assert_eq!(text(Format::Csv, &[batch]), "\"a,b\",n,l\n\"\",1.5,\"[1,2]\"\n,NaN,\n\"x\"\"y\nz\",,\n\" p \",-1e+300,\n");
}

#[test]
fn compressed_text_unpacks_to_the_same() {
    let batch = every_type();
    let plain = text(Format::Jsonl, std::slice::from_ref(&batch));
    let mut unpacked = String::new();
    let gzip = written(Format::Jsonl, Compression::Gzip, std::slice::from_ref(&batch));
    flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    let packed = written(Format::Jsonl, Compression::Zstd, std::slice::from_ref(&batch));
    assert_eq!(zstd::decode_all(&packed[..]).unwrap(), plain.as_bytes());
}

#[test]
fn parquet_reads_back_and_bounds_its_row_groups() {
    let batch = every_type().project(&(1..16).collect::<Vec<_>>()).unwrap();
    let mut options = WriteOptions::default();
    options.parquet.row_group_rows = 2;
    let mut writer = record_writer(Format::Parquet, batch.schema_ref(), Vec::new(), &options).unwrap();
    for _ in 0..3 {
        writer.write(&batch).unwrap();
    }
    let file = bytes::Bytes::from(writer.finish().unwrap());
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 3);
    for read in reader.build().unwrap() {
        assert_eq!(read.unwrap().slice(0, 2), batch);
    }
}

#[test]
fn parquet_takes_no_outer_compression() {
    let options = WriteOptions { compression: Compression::Gzip, ..WriteOptions::default() };
    let error = record_writer(Format::Parquet, every_type().schema_ref(), Vec::new(), &options).err().unwrap();
    assert_eq!(error.class(), wasmill_engine::Class::Configuration);
}

/// Decodes what was written; the types are those of the short list.
fn read_back(decoder: &mut dyn RecordDecoder, records: &[&str]) -> RecordBatch {
    records.iter().for_each(|record| decoder.push(record).unwrap_or_else(|bad| panic!("{record}: {bad:?}")));
    decoder.finish().unwrap()
}

#[test]
fn every_type_is_read_back_from_json_and_csv() {
    let batch = to_plain(&every_type()).unwrap();
    let lines = text(Format::Jsonl, std::slice::from_ref(&batch));
    let records: Vec<&str> = lines.lines().collect();
    assert_eq!(read_back(&mut JsonDecoder::new(batch.schema()).unwrap(), &records), batch);
    // A text with a line feed would need a framer here.
    let columns: Vec<usize> = (0..batch.num_columns()).filter(|&column| batch.schema_ref().field(column).name() != "text").collect();
    let batch = batch.project(&columns).unwrap();
    let lines = text(Format::Csv, std::slice::from_ref(&batch));
    let records: Vec<&str> = lines.lines().collect();
    let header: Vec<String> = records[0].split(',').map(str::to_owned).collect();
    assert_eq!(read_back(&mut CsvDecoder::new(batch.schema(), &header, CsvOptions::default()).unwrap(), &records[1..]), batch);
}

/// Dates of 64 bits, at the top and inside of whatever holds others: milliseconds, the second with a time of day, and the last before 1970.
fn dates_of_64_bits() -> RecordBatch {
    let times = [Some(1_657_152_000_000), Some(1_657_153_121_001), None, Some(-1)];
    let fields = vec![Field::new("d", DataType::Date64, true)].into();
    let keys = Int8Array::from(vec![Some(0), Some(1), None, Some(2)]);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Date64Array::builder(4));
    for time in times {
        maps.keys().append_value("k");
        maps.values().append_option(time);
        maps.append(true).unwrap();
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("date", Arc::new(Date64Array::from(times.to_vec()))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Date64Type, _, _>(times.map(|time| Some(vec![time]))))),
        ("struct", Arc::new(StructArray::try_new(fields, vec![Arc::new(Date64Array::from(times.to_vec()))], None).unwrap())),
        ("map", Arc::new(maps.finish())),
        (
            "dictionary",
            Arc::new(DictionaryArray::<Int8Type>::new(keys, Arc::new(Date64Array::from(vec![1_657_152_000_000, 1_657_153_121_001, -1])))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

#[test]
fn a_date_of_64_bits_is_the_same_time_in_every_format() {
    let batch = dates_of_64_bits();
    let times = [Some("2022-07-07T00:00:00"), Some("2022-07-07T00:18:41.001"), None, Some("1969-12-31T23:59:59.999")];
    let of = |time: &Option<&str>| serde_json::json!({"date": time, "list": [time], "struct": {"d": time}, "map": {"k": time}, "dictionary": time});
    let wanted: Vec<serde_json::Value> = times.iter().map(of).collect();
    let parsed = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();

    let lines = text(Format::Jsonl, std::slice::from_ref(&batch));
    assert_eq!(lines.lines().map(parsed).collect::<Vec<_>>(), wanted);
    assert_eq!(parsed(&text(Format::Json, std::slice::from_ref(&batch))), serde_json::Value::Array(wanted.clone()));
    // As dead letters show a row.
    assert_eq!((0..4).map(|row| parsed(&row_to_json(&batch, row).unwrap())).collect::<Vec<_>>(), wanted);

    let csv = text(Format::Csv, &[batch.project(&[0, 4]).unwrap()]);
    let cell = |time: &Option<&str>| time.map_or(",".to_owned(), |time| format!("{time},{time}"));
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), times.iter().map(cell).collect::<Vec<_>>());

    let file = bytes::Bytes::from(written(Format::Parquet, Compression::None, std::slice::from_ref(&batch)));
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let stored: Vec<String> = builder.parquet_schema().columns().iter().map(|column| format!("{:?}", column.logical_type_ref())).collect();
    let is_time = |kind: &&String| kind.contains("Timestamp") && kind.contains("MILLIS");
    assert_eq!(stored.iter().filter(is_time).count(), 5, "readers that know nothing of Arrow see times: {stored:?}");
    let read: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    assert_eq!((0..4).map(|row| parsed(&row_to_json(&read[0], row).unwrap())).collect::<Vec<_>>(), wanted);
}

#[test]
fn csv_nulls_missing_columns_and_headers() {
    let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    let schema = Arc::new(Schema::new(vec![
        field("t", DataType::Utf8, true),
        field("n", DataType::Int64, true),
        field("gone", DataType::Float64, true),
    ]));
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let options = CsvOptions { delimiter: b';', null: vec![String::new(), "NULL".into()], ..CsvOptions::default() };
    let mut decoder = CsvDecoder::new(schema.clone(), &names(&["n", "other", "t"]), options.clone()).unwrap();
    let batch = read_back(&mut decoder, &["1;x;a", "NULL;;NULL", "\"\";;\"\"", "\"2\";\";\";\"NULL\""]);
    let rows: Vec<String> = (0..4).map(|row| row_to_json(&batch, row).unwrap()).collect();
    let expected = [
        r#"{"t":"a","n":1,"gone":null}"#,
        r#"{"t":null,"n":null,"gone":null}"#,
        r#"{"t":"","n":null,"gone":null}"#,
        r#"{"t":"NULL","n":2,"gone":null}"#,
    ];
    assert_eq!(rows, expected);
    let fails = |header: &[&str], why: &str| {
        let error = CsvDecoder::new(schema.clone(), &names(header), options.clone()).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
    };
    fails(&["n", "t", "n"], "names the column \"n\" twice");
    fails(&["n,t,gone"], "has no column \"t\"; it has n,t,gone");
    let needed = Arc::new(Schema::new(vec![field("t", DataType::Utf8, true), field("n", DataType::Int64, false)]));
    assert!(CsvDecoder::new(needed, &names(&["t"]), options).err().unwrap().to_string().contains("no column \"n\""));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text survives CSV with quotes, and any bytes are decoded or refused.
    #[test]
    fn texts_survive_csv(texts in proptest::collection::vec(proptest::option::of("[a\",; \r\n\u{e9}]{0,6}"), 1..8), bytes in ".{0,30}") {
        let columns = [("a", texts.clone()), ("b", texts.into_iter().rev().collect())];
        let columns = columns.map(|(name, texts)| (name, Arc::new(StringArray::from(texts)) as ArrayRef, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, written(Format::Csv, Compression::None, std::slice::from_ref(&batch))).unwrap();
        let config = FilesConfig::of_path(path.to_str().unwrap());
        let mut source = FilesSource::new("s", config, batch.schema(), Mode::Batch).unwrap();
        let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
        let SplitRead::Batch(read) = source.opener().open(&split).unwrap().read(100).unwrap() else { panic!("no rows") };
        prop_assert!(read.rejects.is_empty());
        prop_assert_eq!(read.batch.records, batch.clone());
        let header = ["a".to_owned(), "b".to_owned()];
        let _ = CsvDecoder::new(batch.schema(), &header, CsvOptions::default()).unwrap().push(&bytes);
    }
}
