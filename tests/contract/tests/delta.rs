//! What the Delta sink does beyond the contract of every sink.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "sink_contract/readers.rs"]
mod readers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    Array, ArrayRef, Date64Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampSecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytesize::ByteSize;
use serde_json::Value;
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink, DiffOptions, TableAddress, WriteMode, check_schema, diff};
use wasmill_engine::{CommitOutcome, RowReject, Sink, Token, WriterContext};
use wasmill_objects::S3Config;

struct Table {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn table() -> Table {
    let folder = tempfile::tempdir().unwrap();
    Table { path: folder.path().join("table"), _folder: folder }
}

impl Table {
    fn config(&self) -> DeltaConfig {
        DeltaConfig::new(self.path.to_str().unwrap())
    }

    fn log(&self, version: u64) -> Vec<Value> {
        let path = self.path.join(format!("_delta_log/{version:020}.json"));
        std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn token(sink: &str, epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: sink.into(), incarnation: Uuid::from_u128(3), epoch, previous: epoch - 1 }
}

fn numbers(from: i64, count: usize) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + count as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|n| format!("text number {n} of some length"))));
    RecordBatch::try_from_iter_with_nullable([("n", numbers, false), ("text", texts, true)]).unwrap()
}

fn write(sink: &dyn Sink, token: &Token, batches: &[RecordBatch]) -> Vec<RowReject> {
    let context = WriterContext {
        pipeline: token.pipeline.clone(),
        sink: token.sink.clone(),
        incarnation: token.incarnation,
        epoch: token.epoch,
        lane: 0,
        schema: batches[0].schema(),
    };
    let mut writer = sink.writer(context).unwrap();
    let rejects = batches.iter().flat_map(|batch| writer.write(batch).unwrap()).collect();
    let prepared = sink.prepare(token, vec![writer.prepare().unwrap()]).unwrap();
    assert_eq!(sink.commit(token, &prepared).unwrap(), CommitOutcome::Done);
    rejects
}

fn sink(config: DeltaConfig, schema: &SchemaRef) -> DeltaSink {
    DeltaSink::new(config, schema).unwrap()
}

#[test]
fn a_new_table_is_readable_by_everyone() {
    let table = table();
    let batch = numbers(0, 3);
    write(&sink(table.config(), &batch.schema()), &token("s", 1), &[batch]);
    let log = table.log(0);
    let find = |name: &str| log.iter().find_map(|action| action.get(name)).unwrap();
    assert_eq!(find("protocol"), &serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2}));
    let stats: Value = serde_json::from_str(find("add")["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 3);
    assert_eq!((&stats["minValues"]["n"], &stats["maxValues"]["n"]), (&0.into(), &2.into()));
    assert_eq!(stats["nullCount"], serde_json::json!({"n": 0, "text": 0}));
    let (version, _) = readers::delta_table(&table.path).unwrap();
    assert_eq!(version, 0);
}

#[test]
fn overwriting_replaces_all_rows_in_one_version() {
    let table = table();
    let first = numbers(0, 3);
    let append = sink(table.config(), &first.schema());
    write(&append, &token("s", 1), std::slice::from_ref(&first));
    write(&append, &token("s", 2), &[first]);
    let other: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let other = RecordBatch::try_from_iter([("n", other)]).unwrap();
    let overwrite = sink(DeltaConfig { write: WriteMode::Overwrite, ..table.config() }, &other.schema());
    write(&overwrite, &token("s", 3), std::slice::from_ref(&other));
    assert_eq!(readers::delta_numbers(&table.path), [7, 8]);
    let log = table.log(2);
    assert_eq!(log.iter().filter(|action| action.get("remove").is_some()).count(), 2);
    assert_eq!(log.iter().filter(|action| action.get("metaData").is_some()).count(), 1, "the columns changed");
    write(&overwrite, &token("s", 4), &[other]);
    assert!(table.log(3).iter().all(|action| action.get("metaData").is_none()), "the columns stayed");
    assert_eq!(readers::delta_numbers(&table.path), [7, 8]);
}

#[test]
fn columns_are_compared_before_anything_is_written() {
    let table = table();
    let batch = numbers(0, 1);
    let other = Schema::new(vec![Field::new("n", DataType::Utf8, true), Field::new("text", DataType::Utf8, true)]);
    assert_eq!(check_schema(&table.config(), &other).unwrap(), [], "there is no table yet");
    assert!(!table.path.exists(), "looking makes nothing");
    write(&sink(table.config(), &batch.schema()), &token("s", 1), std::slice::from_ref(&batch));
    assert_eq!(check_schema(&table.config(), &batch.schema()).unwrap(), []);
    let told: Vec<String> = check_schema(&table.config(), &other).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["`n` may be null in the pipeline but not in the table", "`n` is int64 in the table and text in the pipeline"]);
    let overwrite = DeltaConfig { write: WriteMode::Overwrite, ..table.config() };
    assert_eq!(check_schema(&overwrite, &other).unwrap(), []);
    let error = sink(table.config(), &Arc::new(other)).prepare(&token("s", 2), Vec::new()).unwrap_err();
    assert!(error.message().contains("`n` is int64 in the table"), "{error}");
}

#[test]
fn partitions_are_folders_and_their_values_stand_in_the_log() {
    let table = table();
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("category", DataType::Utf8, true),
        Field::new("seen", DataType::Timestamp(TimeUnit::Second, None), true),
    ]));
    let categories = StringArray::from(vec![Some("a b/c"), Some("50%"), None, Some("a b/c"), Some("é")]);
    let seen = TimestampSecondArray::from(vec![Some(1), Some(1), None, Some(1), Some(86_400)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![0, 1, 2, 3, 4])), Arc::new(categories), Arc::new(seen)];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let config = DeltaConfig { partition_by: vec!["category".into(), "seen".into()], ..table.config() };
    write(&sink(config, &schema), &token("s", 1), &[batch]);
    let (_, files) = readers::delta_table(&table.path).unwrap();
    let mut values: Vec<(Option<&str>, Option<&str>, usize)> = files
        .iter()
        .map(|file| {
            let value = |column: &str| file.partition_values.get(column).map(String::as_str);
            (value("category"), value("seen"), file.rows.unwrap())
        })
        .collect();
    values.sort_unstable();
    let (first, second) = (Some("1970-01-01T00:00:01.000000Z"), Some("1970-01-02T00:00:00.000000Z"));
    assert_eq!(values, [(None, None, 1), (Some("50%"), first, 1), (Some("a b/c"), first, 2), (Some("é"), second, 1)]);
    assert!(files.iter().all(|file| file.batches[0].num_columns() == 1));
}

#[test]
fn partition_values_of_earlier_versions_are_still_read() {
    let (old, new) = (table(), table());
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("seen", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]));
    let seen = TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), None]).with_timezone("UTC");
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![0, 1])), Arc::new(seen)]).unwrap();
    for table in [&old, &new] {
        let config = DeltaConfig { partition_by: vec!["seen".into()], ..table.config() };
        write(&sink(config, &schema), &token("s", 1), std::slice::from_ref(&batch));
    }
    // As it was written until then: a time without a zone, in UTC.
    let entry = old.path.join("_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&entry).unwrap();
    let (value, before) = (r#""seen":"2022-07-07T00:18:41.000001Z""#, r#""seen":"2022-07-07 00:18:41.000001""#);
    assert!(text.contains(value), "{text}");
    std::fs::write(&entry, text.replace(value, before)).unwrap();
    let address = |table: &Table| TableAddress { uri: table.path.to_str().unwrap().to_owned(), connection: S3Config::default() };
    let options = DiffOptions { key: Vec::new(), ignore: Vec::new(), limit: 10, versions: [None, None] };
    let found = diff(&address(&old), &address(&new), &options).unwrap();
    assert!(found.equal && found.rows_in_both == 2, "{found:?}");
    // Rows of the same time go on beside them.
    let config = DeltaConfig { partition_by: vec!["seen".into()], ..old.config() };
    write(&sink(config, &schema), &token("s", 2), &[batch]);
    let found = diff(&address(&old), &address(&new), &options).unwrap();
    assert_eq!((found.rows_in_both, found.rows_only_left, found.rows_only_right), (2, 2, 0), "{found:?}");
}

#[test]
fn a_partition_has_one_file_however_many_there_are() {
    let table = table();
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("key", DataType::Int64, false)]));
    let batch = |from: i64| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(from..from + 1000)),
            Arc::new(Int64Array::from_iter_values((from..from + 1000).map(|n| n * 7 % 300))),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    let config = DeltaConfig { partition_by: vec!["key".into()], ..table.config() };
    let batches: Vec<RecordBatch> = (0..20).map(|n| batch(n * 1000)).collect();
    write(&sink(config, &schema), &token("s", 1), &batches);
    let (_, files) = readers::delta_table(&table.path).unwrap();
    assert_eq!(files.len(), 300);
    let mut numbers = readers::delta_numbers(&table.path);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20_000).collect::<Vec<i64>>());
}

#[test]
fn an_entry_says_what_it_did_and_whether_it_only_added() {
    let table = table();
    let batch = numbers(0, 3);
    let info = |version: u64| table.log(version).into_iter().find_map(|mut action| action.get_mut("commitInfo").map(Value::take)).unwrap();
    let sizes = |version: u64| table.log(version).iter().filter_map(|action| action["add"]["size"].as_u64()).sum::<u64>().to_string();
    write(&sink(table.config(), &batch.schema()), &token("s", 1), &[batch.clone(), batch.clone()]);
    write(&sink(table.config(), &batch.schema()), &token("s", 2), std::slice::from_ref(&batch));
    for (version, rows) in [(0, "6"), (1, "3")] {
        let info = info(version);
        assert_eq!(info["isBlindAppend"], true, "{info}");
        let metrics = serde_json::json!({"numFiles": "1", "numOutputRows": rows, "numOutputBytes": sizes(version)});
        assert_eq!(info["operationMetrics"], metrics);
    }
    let overwrite = sink(DeltaConfig { write: WriteMode::Overwrite, ..table.config() }, &batch.schema());
    write(&overwrite, &token("s", 3), &[batch]);
    let info = info(2);
    assert_eq!(info["isBlindAppend"], false, "{info}");
    let metrics = &info["operationMetrics"];
    assert_eq!((&metrics["numRemovedFiles"], &metrics["numOutputRows"]), (&"2".into(), &"3".into()), "{info}");
    let removed = [0, 1].map(|version| sizes(version).parse::<u64>().unwrap()).iter().sum::<u64>();
    assert_eq!(metrics["numRemovedBytes"], removed.to_string());
}

#[test]
fn properties_of_the_table_are_honoured() {
    let table = table();
    let batch = numbers(0, 1);
    let sink = sink(DeltaConfig { checkpoint_every: 100, ..table.config() }, &batch.schema());
    write(&sink, &token("s", 1), std::slice::from_ref(&batch));
    // As `ALTER TABLE … SET TBLPROPERTIES` of Spark does it.
    let mut metadata = table.log(0).into_iter().find(|action| action.get("metaData").is_some()).unwrap();
    metadata["metaData"]["configuration"] = serde_json::json!({
        "delta.checkpointInterval": "3", "delta.dataSkippingNumIndexedCols": "1", "delta.logRetentionDuration": "interval 2 days",
    });
    std::fs::write(table.path.join("_delta_log/00000000000000000001.json"), format!("{metadata}\n")).unwrap();
    let entry = |version: u64| table.path.join(format!("_delta_log/{version:020}.json"));
    let age = |version: u64, days: u64| {
        let file = std::fs::File::open(entry(version)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(days * 24 * 60 * 60)).unwrap();
    };
    write(&sink, &token("s", 2), std::slice::from_ref(&batch));
    write(&sink, &token("s", 3), std::slice::from_ref(&batch));
    assert!(entry(3).with_extension("checkpoint.parquet").exists(), "a checkpoint every three versions");
    // By Delta's own default, 30 days, all of them would stay.
    (0..=3).for_each(|version| age(version, 5));
    let checkpoint = std::fs::File::open(entry(3).with_extension("checkpoint.parquet")).unwrap();
    checkpoint.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(5 * 24 * 60 * 60)).unwrap();
    for epoch in 4..=6 {
        write(&sink, &token("s", epoch), std::slice::from_ref(&batch));
    }
    let there: Vec<u64> = (0..=6).filter(|version| entry(*version).exists()).collect();
    assert_eq!(there, [3, 4, 5, 6], "two days are kept, and what they need");
    assert!(entry(6).with_extension("checkpoint.parquet").exists() && !entry(5).with_extension("checkpoint.parquet").exists());
    let stats = table.log(6).iter().find_map(|action| action["add"]["stats"].as_str().map(str::to_owned)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stats).unwrap()["nullCount"], serde_json::json!({"n": 0}), "one column has statistics");
    assert_eq!(readers::delta_numbers(&table.path).len(), 6);
}

#[test]
fn a_column_with_a_nan_has_no_bounds() {
    let table = table();
    let column = |values: Vec<f64>| RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(values)) as ArrayRef)]).unwrap();
    let batches = [column(vec![1.0, 2.0]), column(vec![f64::NAN]), column(vec![-1.0])];
    write(&sink(table.config(), &batches[0].schema()), &token("s", 1), &batches);
    write(&sink(table.config(), &batches[0].schema()), &token("s", 2), &batches[..1]);
    let stats = |version: u64| table.log(version).iter().find_map(|action| action["add"]["stats"].as_str().map(str::to_owned)).unwrap();
    assert_eq!(stats(0), r#"{"numRecords":4,"minValues":{},"maxValues":{},"nullCount":{"x":0}}"#);
    assert_eq!(stats(1), r#"{"numRecords":2,"minValues":{"x":1.0},"maxValues":{"x":2.0},"nullCount":{"x":0}}"#);
}

#[test]
fn a_date_of_64_bits_keeps_its_time_of_day() {
    let table = table();
    let days = Date64Array::from(vec![Some(1_657_153_121_001), None, Some(i64::MAX)]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int64Array::from(vec![0, 1, 2])) as ArrayRef, false),
        ("d", Arc::new(days) as ArrayRef, true),
    ])
    .unwrap();
    let rejects = write(&sink(table.config(), &batch.schema()), &token("s", 1), &[batch]);
    assert_eq!((rejects.len(), rejects[0].row, rejects[0].column.as_deref()), (1, 2, Some("d")), "{rejects:?}");
    let (_, files) = readers::delta_table(&table.path).unwrap();
    let times = files[0].batches[0].column_by_name("d").unwrap().as_primitive::<TimestampMicrosecondType>();
    assert_eq!((times.value(0), times.is_null(1)), (1_657_153_121_001_000, true));
    let schema = table.log(0).iter().find_map(|action| action["metaData"]["schemaString"].as_str().map(str::to_owned)).unwrap();
    assert!(schema.contains(r#""name":"d","type":"timestamp""#), "{schema}");
}

#[test]
fn files_of_earlier_versions_that_were_never_committed_are_removed() {
    let table = table();
    let batch = numbers(0, 1);
    let sink = sink(table.config(), &batch.schema());
    write(&sink, &token("s", 1), &[batch]);
    let staged = |epoch: u64| table.path.join(format!("_wasmill/p.s/part-{epoch:010}-0-{}.parquet", Uuid::new_v4()));
    let (left, later) = (staged(2), staged(3));
    [&left, &later].into_iter().for_each(|file| std::fs::write(file, "x").unwrap());
    let foreign = Token { incarnation: Uuid::from_u128(4), ..token("s", 2) };
    sink.clean_up(&foreign).unwrap();
    assert!(left.exists(), "the table's token is of another life");
    sink.clean_up(&token("s", 2)).unwrap();
    assert!(!left.exists() && later.exists());
}

#[test]
fn files_end_at_their_target_size() {
    let table = table();
    let batches: Vec<RecordBatch> = (0..40).map(|n| random(n * 1000, 1000)).collect();
    let config = DeltaConfig { target_file_size: ByteSize::kib(256), ..table.config() };
    write(&sink(config, &batches[0].schema()), &token("s", 1), &batches);
    let sizes: Vec<u64> = table.log(0).iter().filter_map(|action| action.get("add")).map(|add| add["size"].as_u64().unwrap()).collect();
    assert!(sizes.len() > 3 && sizes.iter().all(|&size| size < 600 << 10), "{sizes:?}");
    assert_eq!(readers::delta_numbers(&table.path).len(), 40_000);
}

/// Texts that compress badly.
fn random(from: i64, count: usize) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + count as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|_| Uuid::new_v4().to_string())));
    RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap()
}

#[test]
fn a_row_that_the_table_can_not_hold_is_rejected_and_the_others_are_kept() {
    let table = table();
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("seen", DataType::Timestamp(TimeUnit::Second, Some("+02:00".into())), true),
    ]));
    let seen = TimestampSecondArray::from(vec![Some(1), Some(i64::MAX), None]).with_timezone("+02:00");
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![0, 1, 2])), Arc::new(seen)]).unwrap();
    let rejects = write(&sink(table.config(), &schema), &token("s", 1), &[batch]);
    assert_eq!((rejects.len(), rejects[0].row, rejects[0].column.as_deref()), (1, 1, Some("seen")));
    assert_eq!(readers::delta_numbers(&table.path), [0, 2]);
}

#[test]
fn the_log_is_checkpointed_and_old_tables_open_without_their_first_entries() {
    let table = table();
    let batch = numbers(0, 1);
    let config = DeltaConfig { checkpoint_every: 5, ..table.config() };
    let first = sink(config.clone(), &batch.schema());
    for epoch in 1..=12 {
        write(&first, &token("s", epoch), std::slice::from_ref(&batch));
    }
    let checkpoint = |version: u64| table.path.join(format!("_delta_log/{version:020}.checkpoint.parquet"));
    assert!(checkpoint(5).exists() && checkpoint(10).exists() && table.path.join("_delta_log/_last_checkpoint").exists());
    for version in 0..10 {
        std::fs::remove_file(table.path.join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    let second = sink(config, &batch.schema());
    assert_eq!(second.committed("p", "s").unwrap().unwrap().epoch, 12);
    write(&second, &token("s", 13), &[batch]);
    assert_eq!(readers::delta_numbers(&table.path).len(), 13);
}

#[test]
fn other_writers_come_between_without_harm() {
    let table = table();
    let batch = numbers(0, 1);
    let sinks: Vec<DeltaSink> = (0..3).map(|_| sink(table.config(), &batch.schema())).collect();
    std::thread::scope(|scope| {
        for (index, sink) in sinks.iter().enumerate() {
            let batch = &batch;
            scope.spawn(move || {
                for epoch in 1..=8 {
                    write(sink, &token(&format!("s{index}"), epoch), std::slice::from_ref(batch));
                }
            });
        }
    });
    assert_eq!(readers::delta_numbers(&table.path).len(), 24);
    for (index, sink) in sinks.iter().enumerate() {
        assert_eq!(sink.committed("p", &format!("s{}", (index + 1) % 3)).unwrap().unwrap().epoch, 8);
    }
}

#[test]
fn a_table_that_was_removed_is_noticed() {
    let table = table();
    let batch = numbers(0, 1);
    let sink = sink(table.config(), &batch.schema());
    write(&sink, &token("s", 1), &[batch]);
    remove(&table.path);
    assert_eq!(sink.committed("p", "s").unwrap(), None);
    let error = sink.commit(&token("s", 2), &sink.prepare(&token("s", 2), Vec::new()).unwrap()).unwrap_err();
    assert!(error.message().contains("fenced"), "{error}");
    assert!(!table.path.join("_delta_log").exists(), "nothing is changed");
}

fn remove(path: &Path) {
    std::fs::remove_dir_all(path).unwrap();
}
