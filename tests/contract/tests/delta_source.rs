//! The source `delta` on disk and in a bucket: the contract of every source, and which versions it reads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytesize::ByteSize;
use contract::{check_source, read_all, seen};
use serde_json::{Value, json};
use store::Prefix;
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink, DeltaSource, DeltaSourceConfig, OnChange, WriteMode, infer_schema};
use wasmill_engine::{Class, Mode, Progress, Read, Sink, Source, SplitState, Token, WriterContext};

/// A table that a test writes.
struct Table {
    config: DeltaConfig,
    epoch: u64,
}

fn written() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int32, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("kind", DataType::Utf8, true),
    ]))
}

fn rows(numbers: std::ops::Range<i32>) -> RecordBatch {
    let kinds = numbers.clone().map(|n| (n % 3 > 0).then(|| format!("kind/{}", n % 3)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter(numbers.clone().map(|n| (n % 5 > 0).then(|| format!("text {n}")))));
    let columns = vec![Arc::new(Int32Array::from_iter_values(numbers)) as ArrayRef, texts, Arc::new(StringArray::from_iter(kinds))];
    RecordBatch::try_new(written(), columns).unwrap()
}

impl Table {
    fn at(config: DeltaConfig) -> Self {
        Self { config: DeltaConfig { partition_by: vec!["kind".into()], ..config }, epoch: 0 }
    }

    fn in_folder(folder: &Path) -> Self {
        Self::at(DeltaConfig::new(folder.to_str().unwrap()))
    }

    /// One version with these rows.
    fn write(&mut self, numbers: std::ops::Range<i32>) {
        self.write_as(numbers, WriteMode::Append);
    }

    fn write_as(&mut self, numbers: std::ops::Range<i32>, write: WriteMode) {
        self.epoch += 1;
        let (pipeline, sink, incarnation) = ("p".to_owned(), "s".to_owned(), Uuid::from_u128(5));
        let token = Token { pipeline, sink, incarnation, epoch: self.epoch, previous: self.epoch - 1 };
        let context = WriterContext {
            pipeline: "p".into(),
            sink: "s".into(),
            incarnation: token.incarnation,
            epoch: self.epoch,
            lane: 0,
            schema: written(),
        };
        let sink = DeltaSink::new(DeltaConfig { write, ..self.config.clone() }, &written()).unwrap();
        let mut writer = sink.writer(context).unwrap();
        assert_eq!(writer.write(&rows(numbers)).unwrap(), []);
        let prepared = sink.prepare(&token, vec![writer.prepare().unwrap()]).unwrap();
        sink.commit(&token, &prepared).unwrap();
    }

    fn source_config(&self) -> DeltaSourceConfig {
        DeltaSourceConfig {
            uri: self.config.uri.clone(),
            connection: self.config.connection.clone(),
            follow: Some("100ms".into()),
            ..DeltaSourceConfig::default()
        }
    }

    fn source(&self, change: impl Fn(&mut DeltaSourceConfig), mode: Mode) -> Box<dyn Source> {
        let mut config = self.source_config();
        change(&mut config);
        Box::new(DeltaSource::new("rows", config, wanted(), mode).unwrap())
    }

    fn batch(&self) -> Box<dyn Source> {
        self.source(|_| (), Mode::Batch)
    }
}

/// Wider than what the table has, in another order, without one of its columns, with the reserved ones.
fn wanted() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("kind", DataType::Utf8, true),
        Field::new("_source.path", DataType::Utf8, false),
        Field::new("n", DataType::Int64, false),
        Field::new("_source.position", DataType::Int64, false),
    ]))
}

fn number(record: &str) -> i64 {
    record.split("\"n\":").nth(1).unwrap_or_else(|| panic!("{record}")).split([',', '}']).next().unwrap().parse().unwrap()
}

/// All numbers of what a source finds now, and the progress of having read them.
fn numbers(source: &mut dyn Source, progress: &mut Progress) -> Vec<i64> {
    let splits = source.discover(progress).unwrap().splits;
    let mut numbers = Vec::new();
    for split in splits {
        let mut reader = source.opener().open(&split).unwrap();
        let (records, _) = read_all(source, reader.as_mut(), 100);
        numbers.extend(records.iter().map(|(_, _, record)| number(record)));
        progress.insert(split.id, SplitState { position: reader.position(), done: true });
    }
    source.compact(progress).unwrap();
    numbers.sort_unstable();
    numbers
}

/// Looks until a stream has found so many numbers.
fn follow(source: &mut dyn Source, progress: &mut Progress, count: usize) -> Vec<i64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "{found:?}");
        found.extend(numbers(source, progress));
        std::thread::park_timeout(Duration::from_millis(5));
    }
    found.sort_unstable();
    found
}

/// Looks until a stream stops with an error.
fn failure(source: &mut dyn Source) -> wasmill_engine::Error {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match source.discover(&Progress::new()) {
            Err(error) => return error,
            Ok(found) => assert!(found.splits.is_empty()),
        }
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_table_on_disk_holds_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..40);
    table.write(40..90);
    let all = check_source(|| table.batch());
    assert_eq!(all.len(), 6, "a split a file");
    let mut found: Vec<i64> = all.values().flatten().map(|(_, _, record)| number(record)).collect();
    found.sort_unstable();
    assert!(found.into_iter().eq(0..90));
    let records: Vec<&str> = all.values().flatten().map(|(_, _, record)| record.as_str()).collect();
    assert!(records.iter().all(|record| (number(record) % 3 == 0) == record.starts_with("{\"kind\":null")), "{records:?}");
    assert!(records.iter().any(|record| record.contains("\"kind\":\"kind/2\"")), "{records:?}");
    assert_eq!(infer_schema(&table.source_config()).unwrap().fields().len(), 3);
    // Neither a partition column nor any other one needs to be wanted.
    for columns in [vec![Field::new("text", DataType::Utf8, true)], vec![Field::new("_source.position", DataType::Int64, false)]] {
        let schema = Arc::new(Schema::new(columns));
        let all = check_source(|| Box::new(DeltaSource::new("rows", table.source_config(), Arc::clone(&schema), Mode::Batch).unwrap()));
        assert_eq!(all.values().map(Vec::len).sum::<usize>(), 90);
    }
}

#[test]
fn a_table_in_a_bucket_holds_the_contract() {
    let prefix = Prefix::new();
    let mut table = Table::at(DeltaConfig { connection: Some(store::config()), ..DeltaConfig::new(prefix.uri("table")) });
    table.write(0..40);
    table.write(40..60);
    let all = check_source(|| table.batch());
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), 60);
    let mut progress = Progress::new();
    let mut source = table.source(|_| (), Mode::Stream);
    assert!(numbers(source.as_mut(), &mut progress).into_iter().eq(0..60));
    table.write(60..70);
    assert!(follow(source.as_mut(), &mut progress, 10).into_iter().eq(60..70));
}

#[test]
fn deleted_rows_and_mapped_columns_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("odd");
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/odd_delta.py");
    let output = Command::new(python).arg(script).arg(&place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = DeltaSourceConfig { uri: place.to_str().unwrap().to_owned(), ..DeltaSourceConfig::default() };
    let schema = Arc::new(Schema::new(vec![
        Field::new("half", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("_source.position", DataType::Int64, false),
    ]));
    let all = check_source(|| Box::new(DeltaSource::new("odd", config.clone(), Arc::clone(&schema), Mode::Batch).unwrap()));
    let records: Vec<_> = all.into_values().flatten().collect();
    let found: Vec<i64> = records.iter().map(|(_, _, record)| number(record)).collect();
    assert!(found.into_iter().eq((0..100).filter(|n| *n != 3 && *n != 50)));
    // Rows keep their number in the file.
    assert!(records.iter().all(|(_, position, record)| number(record) as u64 % 50 == *position), "{records:?}");
    assert!(records.iter().all(|(_, _, record)| record.contains(if number(record) < 50 { "\"half\":\"a\"" } else { "\"half\":\"b\"" })));
}

#[test]
fn a_batch_reads_one_version_and_the_next_batch_what_came_since() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..10);
    table.write(10..20);
    table.write(20..30);
    let mut progress = Progress::new();
    let old = |config: &mut DeltaSourceConfig| config.version = Some(1);
    assert!(numbers(table.source(old, Mode::Batch).as_mut(), &mut progress).into_iter().eq(0..20));
    assert_eq!(progress.keys().map(|id| &**id).collect::<Vec<_>>(), ["@done"], "everything is in one entry");
    assert!(numbers(table.source(old, Mode::Batch).as_mut(), &mut progress).is_empty());
    assert!(numbers(table.batch().as_mut(), &mut progress).into_iter().eq(20..30));
    assert!(numbers(table.batch().as_mut(), &mut progress).is_empty());
    table.write(30..35);
    assert!(numbers(table.batch().as_mut(), &mut progress).into_iter().eq(30..35));
    let error = table.source(old, Mode::Batch).discover(&progress).unwrap_err();
    assert!(error.class() == Class::Configuration && error.message().contains("version 3 has been read already"), "{error}");
    let error = table.source(|config| config.version = Some(9), Mode::Batch).discover(&progress).unwrap_err();
    assert!(error.message().contains("has no version 9 yet"), "{error}");
}

#[test]
fn a_moment_names_a_version() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..10);
    table.write(10..20);
    let day = |version: u64, day: u64| {
        let path = folder.path().join(format!("_delta_log/{version:020}.json"));
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + day * 86_400);
        std::fs::File::open(path).unwrap().set_modified(time).unwrap();
    };
    day(0, 0);
    day(1, 2);
    let at = |moment: &'static str| table.source(move |config| config.timestamp = Some(moment.into()), Mode::Batch);
    assert!(numbers(at("2023-11-15T23:00:00Z").as_mut(), &mut Progress::new()).into_iter().eq(0..10));
    assert!(numbers(at("2023-11-17T23:00:00Z").as_mut(), &mut Progress::new()).into_iter().eq(0..20));
    let error = at("2020-01-01T00:00:00Z").discover(&Progress::new()).unwrap_err();
    assert!(error.message().contains("no version of that time"), "{error}");
}

/// A log entry that another program puts.
fn put(folder: &Path, version: u64, actions: &[Value]) {
    let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
    std::fs::write(folder.join(format!("_delta_log/{version:020}.json")), lines).unwrap();
}

#[test]
fn a_stream_follows_what_is_added_and_passes_over_what_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..10);
    let mut progress = Progress::new();
    let mut source = table.source(|_| (), Mode::Stream);
    assert!(numbers(source.as_mut(), &mut progress).into_iter().eq(0..10));
    // A compaction: nothing to read.
    put(
        folder.path(),
        1,
        &[json!({"commitInfo": {"operation": "OPTIMIZE"}}), json!({"remove": {"path": "x", "dataChange": false, "deletionTimestamp": 1}})],
    );
    table.write(10..20);
    table.write(20..30);
    assert!(follow(source.as_mut(), &mut progress, 20).into_iter().eq(10..30));
    // Another process goes on where this one was.
    drop(source);
    table.write(30..40);
    let mut source = table.source(|_| (), Mode::Stream);
    assert!(follow(source.as_mut(), &mut progress, 10).into_iter().eq(30..40));
    assert_eq!(progress.len(), 1, "{progress:?}");
    assert_eq!(progress["@done"].position["through"], 4);
}

#[test]
fn a_version_that_changes_rows_stops_the_run_or_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..10);
    let mut source = table.source(|_| (), Mode::Stream);
    let mut progress = Progress::new();
    numbers(source.as_mut(), &mut progress);
    table.write_as(100..110, WriteMode::Overwrite);
    let error = failure(source.as_mut());
    assert!(error.class() == Class::Environment && error.message().contains("version 1 of the Delta table"), "{error}");
    assert!(error.hint_text().unwrap().contains("on_change: ignore"));
    let error = table.batch().discover(&progress).unwrap_err();
    assert!(error.message().contains("removes or changes rows"), "{error}");
    table.write(20..25);
    let ignore = |config: &mut DeltaSourceConfig| config.on_change = OnChange::Ignore;
    assert!(numbers(table.source(ignore, Mode::Batch).as_mut(), &mut progress).into_iter().eq(20..25));
}

#[test]
fn a_restart_in_the_middle_of_a_version_reads_the_rest_of_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.config.partition_by.clear();
    for start in 0..5 {
        table.write(start * 20..start * 20 + 20);
    }
    let mut source = table.batch();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let (mut progress, mut read) = (Progress::new(), Vec::new());
    // Two files whole, one in part, and one out of order.
    for (index, whole) in [(0, true), (1, true), (2, false), (4, true)] {
        let mut reader = source.opener().open(&splits[index]).unwrap();
        let records = match whole {
            true => read_all(source.as_ref(), reader.as_mut(), 7).0,
            false => match reader.read(7).unwrap() {
                Read::Batch(batch) => seen(&batch),
                other => panic!("{other:?}"),
            },
        };
        read.extend(records.iter().map(|(_, _, record)| number(record)));
        progress.insert(splits[index].id.clone(), SplitState { position: reader.position(), done: whole });
    }
    source.compact(&mut progress).unwrap();
    assert_eq!(progress.len(), 3, "{progress:?}");
    assert_eq!(progress["@done"].position["files"], 2);
    // A newer version meanwhile, and files that only it has.
    table.write(100..110);
    let rest = numbers(table.batch().as_mut(), &mut progress);
    let mut all: Vec<i64> = read.into_iter().chain(rest).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..110));
    assert_eq!(progress.len(), 1, "{progress:?}");
}

#[test]
fn a_file_that_a_vacuum_removed_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.config.partition_by.clear();
    table.write(0..10);
    let mut source = table.batch();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let error = source.opener().open(&splits[0]).unwrap().read(10).unwrap_err();
    assert!(error.message().contains("is gone, and version 0 needs it"), "{error}");
    assert!(error.hint_text().unwrap().contains("vacuum"));
}

#[test]
fn another_table_in_its_place_and_an_expired_log_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let mut table = Table::in_folder(&one);
    table.write(0..10);
    table.write(10..20);
    let mut progress = Progress::new();
    numbers(table.batch().as_mut(), &mut progress);
    let mut other = Table::in_folder(&two);
    (0..4).for_each(|start| other.write(start * 10..start * 10 + 10));
    let error = other.batch().discover(&progress).unwrap_err();
    assert!(error.message().contains("removed or created again"), "{error}");
    // The log of the next version has expired behind a checkpoint.
    (2..6).for_each(|start| table.write(start * 10..start * 10 + 10));
    let sink = DeltaSink::new(DeltaConfig { checkpoint_every: 7, ..table.config.clone() }, &written()).unwrap();
    drop(sink);
    table.config.checkpoint_every = 7;
    (6..9).for_each(|start| table.write(start * 10..start * 10 + 10));
    for version in 0..5 {
        std::fs::remove_file(one.join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    let error = table.batch().discover(&progress).unwrap_err();
    assert!(error.message().contains("version 2 of the Delta table") && error.message().contains("expired"), "{error}");
}

#[test]
fn many_small_files_end_in_a_small_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.config.target_file_size = ByteSize::kib(64);
    (0..30).for_each(|start| table.write(start * 3..start * 3 + 3));
    let mut progress = Progress::new();
    let mut source = table.batch();
    let splits = source.discover(&progress).unwrap().splits;
    assert_eq!(splits.len(), 90);
    let mut sizes = BTreeMap::new();
    for (count, split) in splits.iter().enumerate() {
        let mut reader = source.opener().open(split).unwrap();
        read_all(source.as_ref(), reader.as_mut(), 100);
        progress.insert(split.id.clone(), SplitState { position: reader.position(), done: true });
        source.compact(&mut progress).unwrap();
        sizes.insert(count, progress.len());
    }
    assert!(sizes.values().all(|size| *size == 1), "{sizes:?}");
}

/// Bytes of a file, each changed in turn: its rows, or an error that names it. Never a panic, never fewer rows in silence.
#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.config.partition_by.clear();
    table.write(0..200);
    let mut source = table.batch();
    let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
    let path = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = std::fs::read(&path).unwrap();
    let mut told = Vec::new();
    for (at, change) in (0..whole.len()).flat_map(|at| [(at, 0xff), (at, 0x01), (at, 0x80)]) {
        let mut damaged = whole.clone();
        damaged[at] ^= change;
        std::fs::write(&path, damaged).unwrap();
        let mut reader = source.opener().open(&split).unwrap();
        let mut rows = 0;
        let error = loop {
            match reader.read(64) {
                Ok(Read::Batch(batch)) => rows += batch.batch.records.num_rows() + batch.rejects.len(),
                Ok(Read::End) => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
        };
        match error {
            None => assert_eq!(rows, 200, "byte {at} ^ {change:#x}"),
            Some(error) => {
                assert!(error.class() == Class::Environment && error.to_string().contains(&name), "byte {at} ^ {change:#x}: {error}");
                told.push(error.to_string());
            }
        }
    }
    assert!(told.len() > whole.len() / 2, "{} of {} changes were noticed", told.len(), 3 * whole.len());
    assert!(told.iter().any(|error| error.contains("its decoder gave up")), "some bytes make the decoder panic");
}

#[test]
fn a_column_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::in_folder(folder.path());
    table.write(0..3);
    let schema = Arc::new(Schema::new(vec![Field::new("m", DataType::Int64, true)]));
    let mut source = DeltaSource::new("rows", table.source_config(), schema, Mode::Batch).unwrap();
    let error = source.discover(&Progress::new()).unwrap_err();
    assert!(error.message().contains("no column \"m\"; there are n, text, kind"), "{error}");
    let nowhere = DeltaSourceConfig { uri: folder.path().join("x").to_str().unwrap().to_owned(), ..DeltaSourceConfig::default() };
    assert!(infer_schema(&nowhere).unwrap_err().message().contains("no Delta table"));
}
