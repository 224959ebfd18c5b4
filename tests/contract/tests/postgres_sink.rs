//! The Postgres sink on a real server: tables that are there, upserts, rules of the server's own, what can go wrong with a commit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod postgres;

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use postgres::mill::{Mill, batch, pairs, token, told};
use postgres::url;
use wasmill_engine::{Class, CommitOutcome, Sink, Token, WriterContext};
use wasmill_postgres::{PostgresConfig, PostgresWrite, check_schema};

#[test]
fn a_narrower_table_takes_what_fits_and_rejects_the_rest() {
    let mill = Mill::new();
    mill.server.run(
        "CREATE TABLE $s.t (extra int DEFAULT 5, word varchar(3), small int2, amount numeric(4,1), at timestamptz(0), doc jsonb, id uuid, must int4 NOT NULL)",
    );
    let id = "5e8b9a0c-0000-4000-8000-000000000001";
    let column = |bad: usize, good: &str, wrong: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..8).map(|row| if row == bad { wrong } else { good })))
    };
    let records = batch(vec![
        ("must", Arc::new(Int64Array::from_iter((0..8).map(|row| (row != 7).then_some(row))))),
        ("small", Arc::new(Int64Array::from_iter_values((0..8).map(|row| if row == 1 { 40_000 } else { row })))),
        ("word", column(2, "äöü", "long")),
        (
            "amount",
            Arc::new(
                Decimal128Array::from_iter_values((0..8).map(|row| if row == 3 { 125 } else { 99_990 }))
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values((0..8).map(|row| if row == 4 { 1 } else { 1_000 })))),
        ("doc", column(5, "{\"a\": [1]}", "{\"a\": \"\\u0000\"}")),
        ("id", column(6, id, "no uuid")),
    ]);
    let rejects = mill.write(&mill.config(), &[records]);
    let expected = [
        (1, "out-of-range", "small"),
        (2, "too-long", "word"),
        (3, "out-of-range", "amount"),
        (4, "out-of-range", "at"),
        (5, "malformed-json", "doc"),
        (6, "malformed-uuid", "id"),
        (7, "null-value", "must"),
    ];
    assert_eq!(told(&rejects), expected);
    mill.server.run("SET timezone = 'UTC'");
    let rows = mill.server.rows("SELECT extra, word, small, amount, at, doc, id, must FROM $s.t");
    assert_eq!(rows, [["5", "äöü", "0", "999.9", "1970-01-01 00:00:01+00", "{\"a\": [1]}", id, "0"]]);
}

#[test]
fn a_schema_that_is_missing_is_found_before_anything_runs() {
    let mill = Mill::new();
    let config = PostgresConfig { table: "no_such_schema.t".into(), ..mill.config() };
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    let error = check_schema(&config, &schema).unwrap_err();
    assert_eq!((error.class(), error.message()), (Class::Configuration, "`table`: the schema no_such_schema does not exist"));
    assert!(error.hint_text().unwrap().contains("CREATE SCHEMA no_such_schema"));
    let config = PostgresConfig { table: mill.server.table("new_table"), ..mill.config() };
    assert_eq!(check_schema(&config, &schema).unwrap(), Vec::<String>::new(), "a table that is missing is created");
}

#[test]
fn a_table_that_differs_is_reported_column_by_column() {
    let mill = Mill::new();
    mill.server.run(
        "CREATE TYPE $s.mood AS ENUM ('good'); CREATE TABLE $s.t (a text, m $s.mood, g int GENERATED ALWAYS AS (1) STORED, needed int NOT NULL)",
    );
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let schema = Schema::new(vec![
        field("a", DataType::Int64),
        field("m", DataType::Utf8),
        field("g", DataType::Int32),
        field("missing", DataType::Utf8),
    ]);
    let differences = check_schema(&mill.config(), &schema).unwrap().join("\n");
    for part in [
        "`a` is bigint here, and text in the table",
        "`m` is text here, and",
        "`g` is generated",
        "`missing` is not in the table",
        "`needed` of the table is NOT NULL",
    ] {
        assert!(differences.contains(part), "{differences}");
    }
    let sink = mill.sink(&mill.config(), &schema).unwrap();
    let Token { pipeline, sink: name, incarnation, epoch, .. } = token(0, 1);
    let context = WriterContext { pipeline, sink: name, incarnation, epoch, lane: 0, schema: Arc::new(schema) };
    let error = sink.writer(context).err().unwrap();
    assert!(error.message().contains("does not fit") && error.message().contains("`needed`"), "{error}");

    mill.server.run("DROP TABLE $s.t; CREATE VIEW $s.t AS SELECT 1::bigint AS a");
    let schema = Schema::new(vec![field("a", DataType::Int64)]);
    assert!(check_schema(&mill.config(), &schema).unwrap()[0].contains("is a view"));
    mill.server.run("DROP VIEW $s.t; CREATE TABLE $s.t (a bigint)");
    assert_eq!(check_schema(&mill.config(), &schema).unwrap(), Vec::<String>::new());
    let upsert = PostgresConfig { write: PostgresWrite::Upsert, key: vec!["a".into()], ..mill.config() };
    assert!(check_schema(&upsert, &schema).unwrap()[0].contains("unique index on exactly these columns"));
    mill.server.run("CREATE UNIQUE INDEX ON $s.t (a)");
    assert_eq!(check_schema(&upsert, &schema).unwrap(), Vec::<String>::new());
}

#[test]
fn an_upsert_keeps_the_last_row_of_a_key() {
    let mill = Mill::new();
    let config = PostgresConfig { write: PostgresWrite::Upsert, key: vec!["id".into()], ..mill.config() };
    let rejects =
        mill.write(&config, &[pairs(&[(Some(1), "a"), (Some(2), "b"), (Some(1), "c"), (None, "x")]), pairs(&[(Some(2), "later lane")])]);
    assert_eq!(told(&rejects), [(3, "null-value", "id")]);
    assert_eq!(mill.server.rows("SELECT id, value FROM $s.t ORDER BY id"), [["1", "c"], ["2", "later lane"]]);
    assert_eq!(mill.write(&config, &[pairs(&[(Some(2), "replaced"), (Some(3), "new")])]), []);
    assert_eq!(mill.server.rows("SELECT id, value FROM $s.t ORDER BY id"), [["1", "c"], ["2", "replaced"], ["3", "new"]]);
    let keys = "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = '$s.t'::regclass";
    assert_eq!(mill.server.column(keys), ["id"]);
}

#[test]
fn an_upsert_by_all_of_its_columns_and_keys_that_are_too_long() {
    let mill = Mill::new();
    let config = PostgresConfig { write: PostgresWrite::Upsert, key: vec!["a".into(), "b".into()], ..mill.config() };
    let long = "x".repeat(1_990);
    let longer = "y".repeat(2_000);
    let records = batch(vec![
        ("a", Arc::new(StringArray::from(vec!["1", "1", long.as_str(), longer.as_str()])) as ArrayRef),
        ("b", Arc::new(Int16Array::from(vec![1, 1, 1, 1]))),
    ]);
    assert_eq!(told(&mill.write(&config, std::slice::from_ref(&records))), [(3, "too-long", "a")]);
    assert_eq!(mill.server.column("SELECT length(a) FROM $s.t ORDER BY 1"), ["1", "1990"]);
    mill.write(&config, &[records]);
    assert_eq!(mill.server.column("SELECT count(*) FROM $s.t"), ["2"]);
}

#[test]
fn a_rule_of_the_table_stops_the_commit_until_it_is_out_of_the_way() {
    let mill = Mill::new();
    mill.server.run("CREATE TABLE $s.t (id bigint PRIMARY KEY, value text CONSTRAINT short CHECK (length(value) < 9))");
    mill.write(&mill.config(), &[pairs(&[(Some(1), "a")])]);
    let sink = mill.sink(&mill.config(), &pairs(&[]).schema()).unwrap();
    let (token, prepared, _) = mill.prepare(&sink, &[pairs(&[(Some(2), "b"), (Some(1), "again")])]);
    let error = sink.commit(&token, &prepared).unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    for part in ["duplicate key value", "SQLSTATE 23505", "(id)=(1)", "line 2"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert!(error.hint_text().unwrap().contains("no row of it was committed"));
    assert_eq!(mill.server.column("SELECT id FROM $s.t"), ["1"]);
    assert_eq!(sink.committed("p", "s").unwrap().unwrap().epoch, 1);
    mill.server.run("DELETE FROM $s.t");
    let another = mill.sink(&mill.config(), &pairs(&[]).schema()).unwrap();
    assert_eq!(another.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(mill.server.rows("SELECT * FROM $s.t ORDER BY id"), [["1", "again"], ["2", "b"]]);
}

#[test]
fn a_column_that_changed_its_type_never_gets_the_bytes_of_the_old_one() {
    let mill = Mill::new();
    let sink = mill.sink(&mill.config(), &pairs(&[]).schema()).unwrap();
    mill.server.run("CREATE TABLE $s.t (id bigint, value text)");
    let (token, prepared, _) = mill.prepare(&sink, &[pairs(&[(Some(1), "a")])]);
    mill.server.run("ALTER TABLE $s.t ALTER id TYPE timestamp USING NULL");
    let error = sink.commit(&token, &prepared).unwrap_err();
    assert!(error.message().contains("`id` is timestamp without time zone now"), "{error}");
    mill.server.run("ALTER TABLE $s.t ALTER id TYPE bigint USING NULL");
    assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(mill.server.rows("SELECT * FROM $s.t"), [["1", "a"]]);
}

#[test]
fn a_damaged_spool_is_noticed_before_anything_is_committed() {
    let mill = Mill::new();
    let sink = mill.sink(&mill.config(), &pairs(&[]).schema()).unwrap();
    let (token, prepared, _) = mill.prepare(&sink, &[pairs(&[(Some(1), "abcd"), (Some(2), "efgh")])]);
    let file = std::fs::read_dir(mill.spools.path().join("spool/p.s")).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&file).unwrap();
    // A letter of a text, which is too short to be compressed: still rows, only other ones. And the file's end.
    let letter = good.windows(4).position(|bytes| bytes == b"efgh").unwrap();
    for (at, complaint) in [(letter, "does not match its digest"), (good.len() - 1, "is damaged")] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let error = sink.commit(&token, &prepared).unwrap_err();
        assert!(error.message().contains(complaint), "{error}");
        assert_eq!(sink.committed("p", "s").unwrap(), None);
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(mill.server.column("SELECT value FROM $s.t ORDER BY id"), ["abcd", "efgh"]);
}

#[test]
fn a_dropped_table_is_not_taken_for_one_that_holds_its_rows() {
    let mill = Mill::new();
    mill.write(&mill.config(), &[pairs(&[(Some(1), "a")])]);
    let sink = mill.sink(&mill.config(), &pairs(&[]).schema()).unwrap();
    assert_eq!(sink.committed("p", "s").unwrap().unwrap().epoch, 1);
    mill.server.run("DROP TABLE $s.t");
    assert_eq!(sink.committed("p", "s").unwrap(), None);
}

#[test]
fn what_can_not_be_cured_by_waiting_stops_at_once_with_what_to_do() {
    let mill = Mill::new();
    let schema = pairs(&[]).schema();
    let refused = |config: PostgresConfig| mill.sink(&config, &schema).unwrap().committed("p", "s").unwrap_err();
    let begun = std::time::Instant::now();
    let error =
        refused(PostgresConfig::new(url().replace("/postgres", "/no_such_database").replace("//no_such_database", "//postgres"), "t"));
    assert!(error.hint_text().unwrap().contains("create the database"), "{error}");
    let error = {
        let config = PostgresConfig::new(url(), "no_such_schema.t");
        let sink = mill.sink(&config, &schema).unwrap();
        let Token { pipeline, sink: name, incarnation, epoch, .. } = token(0, 1);
        let context = WriterContext { pipeline, sink: name, incarnation, epoch, lane: 0, schema: schema.clone() };
        sink.writer(context).err().expect("no row is taken")
    };
    assert!(error.hint_text().unwrap().contains("CREATE SCHEMA no_such_schema"), "{error}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_server_that_is_away_is_waited_for_and_then_named() {
    let mill = Mill::new();
    let config =
        PostgresConfig { retry: wasmill_connect::Retry::of("300ms"), ..PostgresConfig::new("postgres://u:hunter2@127.0.0.1:1/d", "t") };
    let error = mill.sink(&config, &pairs(&[]).schema()).unwrap().committed("p", "s").unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1/d") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("nothing is lost"), "{error:?}");
    assert_eq!(check_schema(&config, &pairs(&[]).schema()).unwrap(), Vec::<String>::new(), "a check goes without the server");
}
