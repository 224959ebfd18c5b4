//! The source `postgres` on a real server: the contract of every source, types, and where a run that was cut off goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod postgres;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as Columns, SchemaRef, TimeUnit};
use contract::{check_source, read_all};
use postgres::{Schema, url};
use wasmill_engine::{Class, Mode, Progress, Read, Source, SplitState};
use wasmill_formats::row_to_json;
use wasmill_postgres::{PostgresSource, PostgresSourceConfig, infer_schema};

fn config(options: serde_json::Value) -> PostgresSourceConfig {
    let mut all = serde_json::json!({ "connection": { "url": url() } });
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn wanted() -> SchemaRef {
    Arc::new(Columns::new(vec![
        Field::new("title", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("_source.position", DataType::Int64, false),
    ]))
}

fn source(config: &PostgresSourceConfig) -> Box<dyn Source> {
    Box::new(PostgresSource::new("rows", config.clone(), wanted(), Mode::Batch).unwrap())
}

/// A table of numbers in no order, each with a title.
fn table(rows: usize) -> Schema {
    let schema = Schema::new();
    schema.run("CREATE TABLE $s.t (n integer PRIMARY KEY, title text, other bytea)");
    schema.run(&format!("INSERT INTO $s.t SELECT n * 7 % {rows}, 'it''s \\ \"' || n, NULL FROM generate_series(1, {rows}) n"));
    schema
}

#[test]
fn a_table_and_a_query_with_a_key_hold_the_contract() {
    let schema = table(60);
    let by_table = config(serde_json::json!({ "table": schema.table("t"), "order_by": ["n"] }));
    let all = check_source(|| source(&by_table));
    let records = &all["rows"];
    assert_eq!(records.len(), 60);
    assert!(
        records.iter().enumerate().all(|(row, (_, position, record))| *position == row as u64 && record.contains(&format!("\"n\":{row},")))
    );
    let query = format!("SELECT upper(title) AS title, n % 3 AS third, n FROM {} WHERE n < 50; ", schema.table("t"));
    let by_query = config(serde_json::json!({ "query": query, "order_by": ["third", "n"] }));
    let all = check_source(|| source(&by_query));
    assert_eq!(all["rows"].len(), 50);
    assert!(all["rows"][0].2.contains("IT'S"), "{:?}", all["rows"][0]);
}

#[test]
fn without_a_key_a_run_that_was_cut_off_can_not_resume() {
    let schema = table(500);
    let config = config(serde_json::json!({ "table": schema.table("t") }));
    let mut first = source(&config);
    let splits = first.discover(&Progress::new()).unwrap().splits;
    let mut reader = first.opener().open(&splits[0]).unwrap();
    let read = loop {
        match reader.read(100).unwrap() {
            Read::Batch(batch) => break batch.batch.records.num_rows(),
            Read::Idle | Read::Skipping => {}
            Read::End => panic!("it ended"),
        }
    };
    assert_eq!(read, 100);
    let begun = Progress::from([(splits[0].id.clone(), SplitState { position: reader.position(), done: false })]);
    let error = source(&config).discover(&begun).unwrap_err();
    assert!(error.class() == Class::Environment && error.hint_text().unwrap().contains("order_by"), "{error}");
    // All of it in one epoch is fine, and is not read again.
    let (rest, _) = read_all(first.as_ref(), reader.as_mut(), 1_000);
    assert_eq!(rest.len(), 400);
    let done = Progress::from([(splits[0].id.clone(), SplitState { position: reader.position(), done: true })]);
    assert!(source(&config).discover(&done).unwrap().splits.is_empty());
    // Another query has nothing to do with it.
    let other = whole_table(&schema);
    assert!(source(&other).discover(&begun).unwrap_err().message().contains("are not those"));
}

fn whole_table(schema: &Schema) -> PostgresSourceConfig {
    config(serde_json::json!({ "query": format!("SELECT * FROM {}", schema.table("t")) }))
}

#[test]
fn keys_that_are_none_are_noticed() {
    let schema = Schema::new();
    schema.run("CREATE TABLE $s.t (n integer, title text); INSERT INTO $s.t VALUES (1, 'a'), (2, 'b'), (2, 'c')");
    let read = |order_by: &[&str]| {
        let config = config(serde_json::json!({ "table": schema.table("t"), "order_by": order_by }));
        let mut source = source(&config);
        let splits = source.discover(&Progress::new()).unwrap().splits;
        let mut reader = source.opener().open(&splits[0]).unwrap();
        loop {
            match reader.read(10) {
                Err(error) => break error.message().to_owned(),
                Ok(Read::End) => break "all".to_owned(),
                Ok(_) => {}
            }
        }
    };
    assert_eq!(read(&["n", "title"]), "all");
    assert!(read(&["n"]).contains("two rows have the same values"));
    schema.run("INSERT INTO $s.t VALUES (3, NULL)");
    assert!(read(&["n", "title"]).contains("a null in a column of `order_by`"));
}

#[test]
fn every_type_comes_back() {
    let schema = Schema::new();
    schema.run(
        "CREATE TYPE $s.mood AS ENUM ('sad', 'glad'); CREATE TABLE $s.t (b boolean, s smallint, i integer, l bigint, r real, d double precision, \
         p numeric(38,4), q numeric, t text, v varchar(9), y bytea, a date, z timestamptz, w timestamp, u uuid, j jsonb, c time, m $s.mood, x text[], k integer[]); \
         INSERT INTO $s.t VALUES (true, -3, 70000, 9007199254740993, 1.5, 0.1, 1234567890123456789012345678901234.5678, 1.10, E'\\u00fc\\\\\"', 'v', \
         decode(repeat('00ff10', 40), 'hex'), '2022-01-08', '2022-01-08 11:00:00.000001+01', '2022-01-08 10:00:00', '6ecd8c99-4036-403d-bf84-cf8400f67836', \
         '{\"a\": [1]}', '10:11:12', 'glad', '{a,NULL,\"b,c\"}', '{1,2}'), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    let config = config(serde_json::json!({ "table": schema.table("t") }));
    let columns = infer_schema(&config).unwrap();
    let types: Vec<String> = columns.fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types[..8], ["Boolean", "Int16", "Int32", "Int64", "Float32", "Float64", "Decimal128(38, 4)", "Utf8"]);
    let mut source = PostgresSource::new("rows", config, columns, Mode::Batch).unwrap();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let mut reader = source.opener().open(&splits[0]).unwrap();
    let (records, _) = read_all(&source, reader.as_mut(), 10);
    assert_eq!(records.len(), 2);
    for told in [
        "\"b\":true,\"s\":-3,\"i\":70000,\"l\":9007199254740993,\"r\":1.5,\"d\":0.1",
        "1234567890123456789012345678901234.5678",
        "\"q\":\"1.10\"",
        "\"t\":\"\u{fc}\\\\\\\"\"",
        "\"a\":\"2022-01-08\"",
        "2022-01-08T10:00:00.000001",
        "\"u\":\"6ecd8c99-4036-403d-bf84-cf8400f67836\"",
        "\"m\":\"glad\"",
        "\"x\":[\"a\",null,\"b,c\"]",
        "\"k\":[1,2]",
        "\"c\":\"10:11:12\"",
    ] {
        assert!(records[0].2.contains(told), "{told}\n{}", records[0].2);
    }
    assert!(records[1].2.contains("\"b\":null") && records[1].2.contains("\"k\":null"), "{}", records[1].2);
}

/// Reads a column under another type than the server's; gives its values as JSON, and the codes and messages of those that are rejected.
fn under(schema: &Schema, column: &str, wanted: DataType) -> (Vec<String>, Vec<String>) {
    let config = config(serde_json::json!({ "table": schema.table("t"), "order_by": ["n"] }));
    let columns = Arc::new(Columns::new(vec![Field::new(column, wanted, true)]));
    let mut source = PostgresSource::new("rows", config, columns, Mode::Batch).unwrap();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let mut reader = source.opener().open(&splits[0]).unwrap();
    let (mut values, mut told) = (Vec::new(), Vec::new());
    loop {
        match reader.read(100).unwrap() {
            Read::Batch(batch) => {
                let records = &batch.batch.records;
                values.extend((0..records.num_rows()).map(|row| row_to_json(records, row).unwrap()));
                told.extend(batch.rejects.iter().map(|reject| format!("{}: {}", reject.code, reject.message)));
            }
            Read::Idle | Read::Skipping => {}
            Read::End => return (values, told),
        }
    }
}

#[test]
fn values_under_another_type_convert_by_the_table_or_are_rejected() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE $s.t (n integer PRIMARY KEY, l bigint, p numeric(20,2), q numeric, t text, d double precision, z timestamptz, w timestamp); \
         INSERT INTO $s.t VALUES (1, 2147483648, 2.75, 1.5, '1,5', 2.5, '2022-07-07 00:18:41.000001+00', '0001-01-01'), \
         (2, -2147483648, 3.00, 16777217, '1.5', 7, '2022-07-07 00:00:00+00', '9999-12-31'), \
         (3, 9007199254740993, NULL, 7.0, ' 7 ', 'NaN', NULL, '2022-07-07 00:00:00.000001')",
    );
    let text = "\"2022-07-07T00:18:41.000001+00:00\"";
    let no_date = format!("bad-value: {text} is not a date such as 2022-07-07");
    let no_seconds = format!("bad-value: {text} has more digits of a second than timestamp(s) holds: `timestamp(s, cut)` cuts them");
    let cases: [(&str, DataType, &[&str], &[&str]); 13] = [
        (
            "l",
            DataType::Int32,
            &["-2147483648"],
            &["out-of-range: \"2147483648\" does not fit into int32", "out-of-range: \"9007199254740993\" does not fit into int32"],
        ),
        (
            "l",
            DataType::Float64,
            &["2147483648.0", "-2147483648.0"],
            &["bad-value: \"9007199254740993\" has more digits than float64 holds"],
        ),
        ("l", DataType::Utf8, &["\"2147483648\"", "\"-2147483648\"", "\"9007199254740993\""], &[]),
        ("l", DataType::Boolean, &[], &["wrong-type: a number where bool is needed"; 3]),
        ("p", DataType::Int64, &["3", "null"], &["bad-value: \"2.75\" is not a whole number, and int64 is needed"]),
        (
            "p",
            DataType::Decimal128(10, 1),
            &["\"3.0\"", "null"],
            &["bad-value: \"2.75\" has more digits after the point than decimal(10, 1) holds"],
        ),
        ("q", DataType::Int64, &["16777217", "7"], &["bad-value: \"1.5\" is not a whole number, and int64 is needed"]),
        ("q", DataType::Float32, &["1.5", "7.0"], &["bad-value: \"16777217\" has more digits than float32 holds"]),
        (
            "t",
            DataType::Float64,
            &["1.5"],
            &["bad-value: \"1,5\" is not a number, and float64 is needed", "bad-value: \" 7 \" is not a number, and float64 is needed"],
        ),
        (
            "d",
            DataType::Int64,
            &["7"],
            &["bad-value: \"2.5\" is not a whole number, and int64 is needed", "bad-value: \"NaN\" is not a number, and int64 is needed"],
        ),
        ("z", DataType::Date32, &["\"2022-07-07\"", "null"], &[&no_date]),
        (
            "w",
            DataType::Date32,
            &["\"0001-01-01\"", "\"9999-12-31\""],
            &["bad-value: \"2022-07-07T00:00:00.000001\" is not a date such as 2022-07-07"],
        ),
        ("z", DataType::Timestamp(TimeUnit::Second, None), &["\"2022-07-07T00:00:00\"", "null"], &[&no_seconds]),
    ];
    let mut wrong = Vec::new();
    for (column, wanted, values, told) in cases {
        let found = under(&schema, column, wanted.clone());
        let values: Vec<String> = values.iter().map(|value| format!("{{\"{column}\":{value}}}")).collect();
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        if found != (values.clone(), told.clone()) {
            wrong.push(format!("{column} as {wanted}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_is_reported() {
    let schema = table(3);
    let stream = PostgresSource::new("rows", config(serde_json::json!({ "table": "t" })), wanted(), Mode::Stream);
    assert!(stream.err().unwrap().message().contains("has no stream"));
    let told = |options: serde_json::Value| infer_schema(&config(options)).unwrap_err().message().to_owned();
    assert!(told(serde_json::json!({ "table": schema.table("nowhere") })).contains("does not exist"));
    assert!(told(serde_json::json!({ "query": "SELECT 1 AS a, 2 AS a" })).contains("two columns called"));
    assert!(told(serde_json::json!({ "table": schema.table("t"), "order_by": ["m"] })).contains("`order_by` names `m`"));
    // Nothing can be changed by a query.
    let error = told(serde_json::json!({ "query": format!("DELETE FROM {} RETURNING n", schema.table("t")) }));
    assert!(error.contains("SQLSTATE"), "{error}");
    assert_eq!(schema.column("SELECT count(*) FROM $s.t"), ["3"]);
}
