//! What the Delta sink does in a bucket beyond the contract of every sink.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::sync::{Arc, Barrier};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytesize::ByteSize;
use sink_contract::uploads;
use store::Prefix;
use uuid::Uuid;
use wasmill_delta::{DeltaCompression, DeltaConfig, DeltaSink, WriteMode, check_schema};
use wasmill_engine::{Class, CommitOutcome, Sink, Token, WriterContext};
use wasmill_objects::{S3Config, Secret};

fn config(prefix: &Prefix) -> DeltaConfig {
    DeltaConfig { connection: Some(store::config()), ..DeltaConfig::new(prefix.uri("table")) }
}

fn token(pipeline: &str, epoch: u64) -> Token {
    Token { pipeline: pipeline.into(), sink: "s".into(), incarnation: Uuid::from_u128(3), epoch, previous: epoch - 1 }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]))
}

/// Rows whose texts do not compress.
fn rows(from: i64, count: usize) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + count as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|_| Uuid::new_v4().to_string())));
    RecordBatch::try_new(schema(), vec![numbers, texts]).unwrap()
}

fn prepare(sink: &dyn Sink, token: &Token, batches: &[RecordBatch]) -> serde_json::Value {
    let context = WriterContext {
        pipeline: token.pipeline.clone(),
        sink: token.sink.clone(),
        incarnation: token.incarnation,
        epoch: token.epoch,
        lane: 0,
        schema: schema(),
    };
    let mut writer = sink.writer(context).unwrap();
    batches.iter().for_each(|batch| assert_eq!(writer.write(batch).unwrap(), []));
    sink.prepare(token, vec![writer.prepare().unwrap()]).unwrap()
}

fn write(sink: &dyn Sink, token: &Token, batches: &[RecordBatch]) {
    let prepared = prepare(sink, token, batches);
    assert_eq!(sink.commit(token, &prepared).unwrap(), CommitOutcome::Done);
}

fn files_of_many_parts_arrive_whole() {
    let prefix = Prefix::new();
    let config = DeltaConfig { compression: DeltaCompression::None, ..config(&prefix) };
    let sink = DeltaSink::new(config, &schema()).unwrap();
    let batches: Vec<RecordBatch> = (0..10).map(|batch| rows(batch * 50_000, 50_000)).collect();
    let prepared = prepare(&sink, &token("p", 1), &batches);
    let (parts, size) = (prepared["files"][0]["upload"]["parts"].as_array().unwrap(), prepared["files"][0]["size"].as_u64().unwrap());
    assert_eq!(parts.len() as u64, size.div_ceil(8 << 20));
    assert!(parts.len() > 2, "{size}");
    sink.commit(&token("p", 1), &prepared).unwrap();
    let mut numbers = uploads::delta_numbers(&prefix, "table");
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..500_000));
}

fn files_end_at_their_target_size() {
    let prefix = Prefix::new();
    let config = DeltaConfig { target_file_size: ByteSize::kib(256), ..config(&prefix) };
    let batches: Vec<RecordBatch> = (0..10).map(|batch| rows(batch * 10_000, 10_000)).collect();
    write(&DeltaSink::new(config, &schema()).unwrap(), &token("p", 1), &batches);
    let files = prefix.names().iter().filter(|name| name.ends_with(".parquet")).count();
    assert!(files > 3, "{files} files");
    assert_eq!(uploads::delta_numbers(&prefix, "table").len(), 100_000);
}

fn two_writers_race_on_one_table_and_both_get_everything_in() {
    const EPOCHS: u64 = 12;
    let prefix = Prefix::new();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for (writer, pipeline) in ["p", "q", "r"].into_iter().enumerate() {
            let (config, start) = (config(&prefix), &start);
            scope.spawn(move || {
                let sink = DeltaSink::new(DeltaConfig { checkpoint_every: 4, ..config }, &schema()).unwrap();
                start.wait();
                for epoch in 1..=EPOCHS {
                    write(&sink, &token(pipeline, epoch), &[rows(1_000 * writer as i64 + epoch as i64, 1)]);
                }
            });
        }
    });
    let mut numbers = uploads::delta_numbers(&prefix, "table");
    numbers.sort_unstable();
    let expected = (0..3).flat_map(|writer| (1..=EPOCHS as i64).map(move |epoch| 1_000 * writer + epoch));
    assert!(numbers.into_iter().eq(expected));
    let entries = prefix.names().iter().filter(|name| name.ends_with(".json")).count() as u64;
    assert_eq!(entries, 3 * EPOCHS, "one version a commit");
    assert!(prefix.names().iter().any(|name| name.contains(".checkpoint.")), "{:?}", prefix.names());
}

fn rows_replace_those_of_their_keys() {
    const ROWS: i64 = 400_000;
    let prefix = Prefix::new();
    let config = || DeltaConfig {
        compression: DeltaCompression::None,
        write: WriteMode::Upsert,
        key: vec!["n".into()],
        target_file_size: ByteSize::gib(1),
        ..config(&prefix)
    };
    let sink = DeltaSink::new(config(), &schema()).unwrap();
    write(&sink, &token("p", 1), &[rows(0, ROWS as usize)]);
    let prepared = prepare(&sink, &token("p", 2), &[rows(5, 3), rows(ROWS - 1, 2), rows(6, 2)]);
    // The rewritten file has many parts, and another process writes it.
    assert_eq!(DeltaSink::without_columns(config()).unwrap().commit(&token("p", 2), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(sink.commit(&token("p", 2), &prepared).unwrap(), CommitOutcome::Already);
    let mut numbers = uploads::delta_numbers(&prefix, "table");
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..=ROWS));
    assert_eq!(uploads::pending(&prefix).len(), 0);
    let files = prefix.names().iter().filter(|name| name.ends_with(".parquet")).count();
    assert_eq!(files, 3, "the replaced one, its remains, and the last row of each key: {:?}", prefix.names());
}

fn a_foreign_entry_between_is_no_harm_and_a_damaged_one_is_told() {
    let prefix = Prefix::new();
    let sink = DeltaSink::new(config(&prefix), &schema()).unwrap();
    write(&sink, &token("p", 1), &[rows(1, 1)]);
    let put = |version: u64, text: &str| {
        let name = format!("table/_delta_log/{version:020}.json");
        assert!(!prefix.names().contains(&name));
        prefix.put(&name, text);
    };
    put(1, "{\"commitInfo\":{\"operation\":\"by somebody else\"}}\n");
    write(&sink, &token("p", 2), &[rows(2, 1)]);
    put(3, "{\"add\":");
    let prepared = serde_json::json!({"format": 1, "write": "append", "schema": "{}", "partition_by": [], "files": []});
    let error = sink.commit(&token("p", 3), &prepared).unwrap_err();
    assert!(error.message().contains("version 3 of the table's log is damaged"), "{error}");
}

fn a_checkpoint_of_many_parts_arrives_whole() {
    let prefix = Prefix::new();
    let config = || DeltaConfig { checkpoint_every: 2, ..config(&prefix) };
    write(&DeltaSink::new(config(), &schema()).unwrap(), &token("p", 1), &[rows(1, 1)]);
    let path = || (0..8).map(|_| Uuid::new_v4().to_string()).collect::<String>();
    let add = |_| {
        format!("{{\"add\":{{\"path\":\"{}\",\"partitionValues\":{{}},\"size\":1,\"modificationTime\":1,\"dataChange\":true}}}}\n", path())
    };
    prefix.put("table/_delta_log/00000000000000000001.json", (0..60_000).map(add).collect::<String>());
    write(&DeltaSink::new(config(), &schema()).unwrap(), &token("p", 2), &[rows(2, 1)]);
    let names = prefix.names();
    let checkpoint = names.iter().find(|name| name.ends_with(".checkpoint.parquet")).unwrap_or_else(|| panic!("{names:?}"));
    let size = prefix.get(checkpoint).len();
    assert!(size > 2 * (5 << 20), "{size} bytes are one part");
    // The first version is known from the checkpoint alone.
    prefix.remove("table/_delta_log/00000000000000000000.json");
    write(&DeltaSink::new(config(), &schema()).unwrap(), &token("p", 3), &[rows(3, 1)]);
}

fn columns_are_compared_before_anything_is_written() {
    let prefix = Prefix::new();
    let other = Schema::new(vec![Field::new("n", DataType::Utf8, false), Field::new("text", DataType::Utf8, true)]);
    assert_eq!(check_schema(&config(&prefix), &other).unwrap(), [], "there is no table yet");
    assert_eq!(prefix.names(), Vec::<String>::new(), "looking makes nothing");
    write(&DeltaSink::new(config(&prefix), &schema()).unwrap(), &token("p", 1), &[rows(1, 1)]);
    assert_eq!(check_schema(&config(&prefix), &schema()).unwrap(), []);
    let told: Vec<String> = check_schema(&config(&prefix), &other).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["`n` is int64 in the table and text in the pipeline"]);
}

fn what_is_wrong_with_a_store_is_told_without_its_secrets() {
    let prefix = Prefix::new();
    let look = |connection: S3Config, uri: String| {
        check_schema(&DeltaConfig { connection: Some(connection), ..DeltaConfig::new(uri) }, &schema()).unwrap_err()
    };
    let wrong = S3Config { secret_access_key: Some(Secret::new("never-shown")), ..store::config() };
    let error = look(wrong, prefix.uri("table"));
    assert_eq!(error.class(), Class::Environment);
    assert!(error.hint_text().unwrap().contains("check the credentials"), "{error}");
    assert!(!format!("{error:?}").contains("never-shown") && !format!("{error:?}").contains('<'), "{error:?}");
    let missing = look(store::config(), "s3://no-such-bucket-anywhere/table".to_owned());
    assert!(missing.hint_text().unwrap().contains("does the bucket exist"), "{missing}");
    let nobody = S3Config { endpoint: Some("http://127.0.0.1:1".into()), ..store::config() };
    let unreachable = look(nobody, prefix.uri("table"));
    assert!(unreachable.hint_text().unwrap().contains("can it be reached"), "{unreachable}");
}

store::on_each_store![
    files_of_many_parts_arrive_whole,
    files_end_at_their_target_size,
    two_writers_race_on_one_table_and_both_get_everything_in,
    rows_replace_those_of_their_keys,
    a_foreign_entry_between_is_no_harm_and_a_damaged_one_is_told,
    a_checkpoint_of_many_parts_arrives_whole,
    columns_are_compared_before_anything_is_written,
    what_is_wrong_with_a_store_is_told_without_its_secrets,
];
