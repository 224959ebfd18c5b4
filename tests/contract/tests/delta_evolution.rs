//! Tables that grow columns while a sink writes into them, read back by a foreign reader.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Barrier};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink, SchemaEvolution, check_schema};
use wasmill_engine::{CommitOutcome, Sink, Token, WriterContext};

fn growing(folder: &Path) -> DeltaConfig {
    DeltaConfig { schema_evolution: SchemaEvolution::AddColumns, ..DeltaConfig::new(folder.to_str().unwrap()) }
}

/// Rows with the numbers in `n`, and texts in the other columns.
fn rows(numbers: std::ops::Range<i64>, columns: &[&str]) -> RecordBatch {
    let mut all: Vec<(&str, ArrayRef, bool)> = vec![("n", Arc::new(Int64Array::from_iter_values(numbers.clone())), false)];
    for name in columns {
        all.push((name, Arc::new(StringArray::from_iter_values(numbers.clone().map(|n| format!("{name} {n}")))), true));
    }
    RecordBatch::try_from_iter_with_nullable(all).unwrap()
}

fn token(pipeline: &str, epoch: u64) -> Token {
    Token { pipeline: pipeline.into(), sink: "s".into(), incarnation: Uuid::from_u128(3), epoch, previous: epoch - 1 }
}

fn prepare(sink: &DeltaSink, token: &Token, rows: &RecordBatch) -> wasmill_engine::Result<Value> {
    let schema: SchemaRef = rows.schema();
    let (pipeline, sink_name, incarnation) = (token.pipeline.clone(), token.sink.clone(), token.incarnation);
    let context = WriterContext { pipeline, sink: sink_name, incarnation, epoch: token.epoch, lane: 0, schema };
    let mut writer = sink.writer(context)?;
    assert_eq!(writer.write(rows)?, []);
    sink.prepare(token, vec![writer.prepare()?])
}

fn write(config: DeltaConfig, token: &Token, rows: &RecordBatch) -> wasmill_engine::Result<CommitOutcome> {
    let sink = DeltaSink::new(config, &rows.schema())?;
    let prepared = prepare(&sink, token, rows)?;
    sink.commit(token, &prepared)
}

/// The rows as the Python package `deltalake` reads them, by `n`.
fn read(folder: &Path) -> Vec<Value> {
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign/read_delta.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_key(|row| row["n"].as_i64());
    rows
}

fn entry(folder: &Path, version: u64) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(format!("_delta_log/{version:020}.json"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn columns_come_with_the_commit_of_their_rows_and_go_without_harm() {
    let folder = tempfile::tempdir().unwrap();
    let config = || growing(folder.path());
    write(config(), &token("p", 1), &rows(0..2, &["a"])).unwrap();
    write(config(), &token("p", 2), &rows(2..4, &["b", "a"])).unwrap();
    write(config(), &token("p", 3), &rows(4..5, &[])).unwrap();
    write(config(), &token("p", 4), &rows(5..6, &["a", "b"])).unwrap();
    assert_eq!(
        json!(read(folder.path())),
        json!([
            {"n": 0, "a": "a 0", "b": null}, {"n": 1, "a": "a 1", "b": null}, {"n": 2, "a": "a 2", "b": "b 2"},
            {"n": 3, "a": "a 3", "b": "b 3"}, {"n": 4, "a": null, "b": null}, {"n": 5, "a": "a 5", "b": "b 5"},
        ])
    );
    let kinds = |version: u64| {
        let has = |kind: &str| entry(folder.path(), version).iter().filter(|line| line.get(kind).is_some()).count();
        (has("metaData"), has("add"), has("txn"))
    };
    assert_eq!([kinds(0), kinds(1), kinds(2), kinds(3)], [(1, 1, 3), (1, 1, 3), (0, 1, 3), (0, 1, 3)]);
    assert_eq!(check_schema(&config(), &rows(0..1, &["c"]).schema()).unwrap(), []);
}

#[test]
fn a_table_is_left_alone_unless_it_may_grow() {
    let folder = tempfile::tempdir().unwrap();
    let plain = || DeltaConfig::new(folder.path().to_str().unwrap());
    write(plain(), &token("p", 1), &rows(0..2, &["a"])).unwrap();
    let error = write(plain(), &token("p", 2), &rows(2..3, &["a", "b"])).unwrap_err();
    assert!(error.message().contains("the table has no column `b`"), "{error}");
    assert!(error.hint_text().unwrap().contains("schema_evolution: add_columns"));
    assert_eq!(check_schema(&plain(), &rows(0..1, &["b"]).schema()).unwrap().len(), 2);
    // Types and the case of names are refused even then.
    let other_type = RecordBatch::try_from_iter([("n", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]).unwrap();
    let error = write(growing(folder.path()), &token("p", 2), &other_type).unwrap_err();
    assert!(error.message().contains("`n` is int64 in the table and text in the pipeline"), "{error}");
    let error = write(growing(folder.path()), &token("p", 2), &rows(2..3, &["A"])).unwrap_err();
    assert!(error.message().contains("no column `A`"), "{error}");
    assert_eq!(read(folder.path()).len(), 2);
}

#[test]
fn writers_that_grow_one_table_at_once_get_all_columns_and_all_rows_in() {
    const EPOCHS: u64 = 8;
    let folder = tempfile::tempdir().unwrap();
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for (writer, pipeline) in ["p", "q", "r"].into_iter().enumerate() {
            let (config, start) = (growing(folder.path()), &start);
            scope.spawn(move || {
                start.wait();
                for epoch in 1..=EPOCHS {
                    // One column of its own an epoch, and one that all of them add.
                    let (own, shared) = (format!("own_{pipeline}_{epoch}"), format!("shared_{epoch}"));
                    let n = writer as i64 * 100 + epoch as i64;
                    let outcome = write(config.clone(), &token(pipeline, epoch), &rows(n..n + 1, &[&own, &shared]));
                    assert_eq!(outcome.unwrap(), CommitOutcome::Done);
                }
            });
        }
    });
    let found = read(folder.path());
    assert_eq!(found.len() as u64, 3 * EPOCHS);
    for row in found {
        let n = row["n"].as_u64().unwrap();
        let (pipeline, epoch) = (["p", "q", "r"][(n / 100) as usize], n % 100);
        assert_eq!(row.as_object().unwrap().len() as u64, 1 + 4 * EPOCHS, "every column is there");
        for (name, value) in row.as_object().unwrap().iter().filter(|(name, _)| *name != "n") {
            let mine = *name == format!("own_{pipeline}_{epoch}") || *name == format!("shared_{epoch}");
            assert_eq!(*value, if mine { json!(format!("{name} {n}")) } else { Value::Null }, "{name} of {n}");
        }
    }
}

#[test]
fn a_commit_that_is_sent_again_adds_nothing_and_one_of_before_fits_still() {
    let folder = tempfile::tempdir().unwrap();
    write(growing(folder.path()), &token("p", 1), &rows(0..1, &["a"])).unwrap();
    // Prepared before another writer grew the table, and committed by another process after it.
    let batch = rows(1..2, &["b"]);
    let prepared = prepare(&DeltaSink::new(growing(folder.path()), &batch.schema()).unwrap(), &token("p", 2), &batch).unwrap();
    write(growing(folder.path()), &token("q", 1), &rows(10..11, &["b", "c"])).unwrap();
    let again = DeltaSink::new(growing(folder.path()), &batch.schema()).unwrap();
    assert_eq!(again.commit(&token("p", 2), &prepared).unwrap(), CommitOutcome::Done);
    let again = DeltaSink::new(growing(folder.path()), &batch.schema()).unwrap();
    assert_eq!(again.commit(&token("p", 2), &prepared).unwrap(), CommitOutcome::Already);
    assert_eq!(
        json!(read(folder.path())),
        json!([
            {"n": 0, "a": "a 0", "b": null, "c": null}, {"n": 1, "a": null, "b": "b 1", "c": null},
            {"n": 10, "a": null, "b": "b 10", "c": "c 10"},
        ])
    );
    // Another writer gave the new column another type: nothing is written, and it is told.
    let batch = rows(2..3, &["d"]);
    let sink = DeltaSink::new(growing(folder.path()), &batch.schema()).unwrap();
    let prepared = prepare(&sink, &token("p", 3), &batch).unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![20]));
    let other = RecordBatch::try_from_iter_with_nullable([("n", Arc::clone(&numbers), false), ("d", numbers, true)]).unwrap();
    write(growing(folder.path()), &token("q", 2), &other).unwrap();
    let error = sink.commit(&token("p", 3), &prepared).unwrap_err();
    assert!(error.message().contains("`d` is int64 in the table and text in the pipeline"), "{error}");
    assert_eq!(read(folder.path()).len(), 4);
}
