//! The source `mysql` on a real server: the contract of every source, where a run that was cut off resumes, and errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod mysql;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as Columns, SchemaRef};
use contract::{check_open_source, check_source, read_all};
use mysql::{Database, url};
use serde_json::json;
use wasmill_engine::{Class, Mode, Progress, Read, Source, SplitState};
use wasmill_mysql::{MysqlSource, MysqlSourceConfig, infer_schema};

fn config(options: serde_json::Value) -> MysqlSourceConfig {
    let mut all = json!({ "connection": { "url": url() } });
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

fn source(config: &MysqlSourceConfig) -> Box<dyn Source> {
    Box::new(MysqlSource::new("rows", config.clone(), wanted(), Mode::Batch).unwrap())
}

/// A table of numbers in no order, each with a title and a time that several have.
fn table(rows: usize) -> Database {
    let database = Database::new();
    database.run(&format!(
        "CREATE TABLE t (n integer PRIMARY KEY, title text, other blob, at datetime(6) NOT NULL, INDEX (at))
         INSERT INTO t SELECT seq * 7 % {rows}, CONCAT('it''s \\\\ \"', seq), NULL, '2022-07-07' + INTERVAL (seq * 7 % {rows}) DIV 5 DAY FROM seq_1_to_{rows}"
    ));
    database
}

#[test]
fn a_table_and_a_query_with_a_key_hold_the_contract() {
    let database = table(60);
    let by_table = config(json!({ "table": database.table("t"), "order_by": ["n"] }));
    let all = check_source(|| source(&by_table));
    let records = &all["rows"];
    assert_eq!(records.len(), 60);
    assert!(
        records.iter().enumerate().all(|(row, (_, position, record))| *position == row as u64 && record.contains(&format!("\"n\":{row},")))
    );
    let query = format!("SELECT upper(title) AS title, n % 3 AS third, n FROM {} WHERE n < 50; ", database.table("t"));
    let by_query = config(json!({ "query": query, "order_by": ["third", "n"] }));
    let all = check_source(|| source(&by_query));
    assert_eq!(all["rows"].len(), 50);
    assert!(all["rows"][0].2.contains("IT'S"), "{:?}", all["rows"][0]);
}

#[test]
fn a_cursor_holds_the_contract_with_and_without_ties() {
    let database = table(60);
    let by_id = config(json!({ "table": database.table("t"), "cursor": "n", "delay": "0s" }));
    assert_eq!(check_open_source(|| source(&by_id))["rows"].len(), 60);
    let by_time = config(json!({ "table": database.table("t"), "cursor": "at", "order_by": ["n"], "delay": "0s" }));
    assert_eq!(check_open_source(|| source(&by_time))["rows"].len(), 60);
}

#[test]
fn keys_of_every_type_that_has_an_order_hold_the_contract() {
    let database = Database::new();
    database.run(
        "SET sql_mode = ''
         CREATE TABLE t (n integer, title varchar(20) COLLATE utf8mb4_general_ci, u bigint unsigned, p decimal(40,10), d date, w datetime(6), z timestamp(6), y varbinary(9), l varchar(9) CHARACTER SET latin1, e enum('b', 'a', 'ö'))
         INSERT INTO t VALUES (1, 'a', 0, -1.5, '0001-01-01', '0001-01-01', '2022-07-07 00:00:00', x'00', 'ä', 'a')
         INSERT INTO t VALUES (2, 'A', 9223372036854775807, 123456789012345678901234567890.0000000001, '2024-02-29', '2022-07-07', '2022-07-07 00:00:00.000001', x'00ff', 'a', 'b')
         INSERT INTO t VALUES (3, 'a ', 9223372036854775808, 123456789012345678901234567890.0000000002, '2022-07-07', '2022-07-07 00:00:00.000001', '2038-01-19 03:14:07.999999', '', 'Ä', 'ö')
         INSERT INTO t VALUES (4, 'ß', 18446744073709551615, 0, '9999-12-31', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', x'27', '', 'A')
         INSERT INTO t VALUES (5, 'ss', 5, 99, '1000-01-01', '1000-01-01', '2001-01-01', x'2720', 'A ', '')",
    );
    for (key, rows) in [("title", 5), ("u", 5), ("p", 5), ("d", 5), ("w", 5), ("z", 5), ("y", 5), ("l", 5)] {
        let config = config(json!({ "table": database.table("t"), "order_by": [key] }));
        assert_eq!(check_source(|| source(&config))["rows"].len(), rows, "{key}");
    }
    // Two of them are the same word of an enumeration.
    let config = config(json!({ "table": database.table("t"), "order_by": ["e", "n"] }));
    assert_eq!(check_source(|| source(&config))["rows"].len(), 5);
}

#[test]
fn without_a_key_a_run_that_was_cut_off_can_not_resume() {
    let database = table(500);
    let config = config(json!({ "table": database.table("t") }));
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
    let other = config_of_query(&database);
    assert!(source(&other).discover(&begun).unwrap_err().message().contains("are not those"));
}

fn config_of_query(database: &Database) -> MysqlSourceConfig {
    config(json!({ "query": format!("SELECT * FROM {}", database.table("t")) }))
}

/// Reads to the end; the error that stopped it, or `all`.
fn outcome(config: &MysqlSourceConfig) -> String {
    let mut source = source(config);
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let mut reader = source.opener().open(&splits[0]).unwrap();
    loop {
        match reader.read(10) {
            Err(error) => break error.message().to_owned(),
            Ok(Read::End) => break "all".to_owned(),
            Ok(_) => {}
        }
    }
}

#[test]
fn keys_that_are_none_are_noticed() {
    let database = Database::new();
    database.run("CREATE TABLE t (n integer, title text)\nINSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c')");
    let read = |options: serde_json::Value| {
        let mut all = json!({ "table": database.table("t") });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        outcome(&config(all))
    };
    assert_eq!(read(json!({ "order_by": ["n", "title"] })), "all");
    assert!(read(json!({ "order_by": ["n"] })).contains("two rows have the same values"));
    assert!(
        read(json!({ "cursor": "n", "delay": "0s" }))
            .contains("two rows have the same values in the columns of `cursor` and `order_by`: 2")
    );
    database.run("INSERT INTO t VALUES (3, NULL)");
    assert!(read(json!({ "order_by": ["n", "title"] })).contains("a row has a null"));
    assert!(read(json!({ "cursor": "n", "order_by": ["title"], "delay": "0s" })).contains("in `n` or in a column of `order_by`"));
    database.run("INSERT INTO t VALUES (NULL, 'd')\nDELETE FROM t WHERE title IS NULL");
    assert!(read(json!({ "cursor": "n", "order_by": ["title"], "delay": "0s" })).contains("in `n` or in a column of `order_by`"));
}

#[test]
fn a_date_that_is_none_is_no_key() {
    let database = Database::new();
    database.run("SET sql_mode = ''\nCREATE TABLE t (n integer, title text, d date)\nINSERT INTO t VALUES (1, 'a', '0000-00-00')");
    for key in [json!({ "order_by": ["d"] }), json!({ "cursor": "d", "order_by": ["n"], "delay": "0s" })] {
        let mut all = json!({ "table": database.table("t") });
        all.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        let told = outcome(&config(all));
        assert!(told.contains("a date that is none"), "{told}");
    }
}

#[test]
fn what_is_wrong_is_reported() {
    let database = table(3);
    let stream = MysqlSource::new("rows", config(json!({ "table": "t" })), wanted(), Mode::Stream);
    assert!(stream.err().unwrap().message().contains("has no stream without a `cursor`"));
    let told = |options: serde_json::Value| infer_schema(&config(options)).unwrap_err().message().to_owned();
    assert!(told(json!({ "table": database.table("nowhere") })).contains("doesn't exist"));
    assert!(
        told(json!({ "table": "nowhere.t" })).contains("(error 1146)") || told(json!({ "table": "nowhere.t" })).contains("(error 1049)")
    );
    assert!(told(json!({ "query": "SELECT 1 AS a, 2 AS a" })).contains("Duplicate column name"));
    assert!(told(json!({ "table": database.table("t"), "order_by": ["m"] })).contains("`order_by` names `m`"));
    assert!(told(json!({ "table": database.table("t"), "cursor": "title" })).contains("neither a whole number nor a date"));
    assert!(told(json!({ "query": "SELECT 1.5e0 AS f", "order_by": ["f"] })).contains("has no exact order"));
    // Nothing can be changed by a query.
    let error = told(json!({ "query": format!("DELETE FROM {}", database.table("t")) }));
    assert!(error.contains("(error 1064)"), "{error}");
    database.run("CREATE FUNCTION f() RETURNS integer DETERMINISTIC MODIFIES SQL DATA BEGIN DELETE FROM t; RETURN 1; END");
    let error = outcome(&config(json!({ "query": format!("SELECT {}.f() AS n, 'x' AS title", database.name) })));
    assert!(error.contains("(error 1792)"), "{error}");
    assert_eq!(outcome(&config(json!({ "table": database.table("t") }))), "all");
}

/// The whole life of a stream: rows that come are read once, after their delay.
#[test]
fn a_stream_reads_what_is_added_once_and_resumes() {
    let database = table(20);
    let config = config(json!({ "table": database.table("t"), "cursor": "n", "delay": "300ms", "poll": "100ms" }));
    let stream = || MysqlSource::new("rows", config.clone(), wanted(), Mode::Stream).unwrap();
    let read = |progress: &Progress, rows: usize| {
        let mut source = stream();
        assert!(source.is_endless());
        let splits = source.discover(progress).unwrap().splits;
        let mut reader = source.opener().open(&splits[0]).unwrap();
        let mut records = Vec::new();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while records.len() < rows {
            assert!(std::time::Instant::now() < deadline, "{} of {rows} rows", records.len());
            match reader.read(7).unwrap() {
                Read::Batch(batch) => records.extend(contract::seen(&batch)),
                Read::Idle | Read::Skipping => {}
                Read::End => panic!("it ended"),
            }
        }
        let state = SplitState { position: reader.position(), done: false };
        (records, Progress::from([(splits[0].id.clone(), state)]))
    };
    let (first, progress) = read(&Progress::new(), 20);
    assert_eq!(first.len(), 20);
    database.run("INSERT INTO t SELECT seq, 'new', NULL, '2030-01-01' FROM seq_20_to_29");
    let (second, progress) = read(&progress, 10);
    assert!(
        second
            .iter()
            .enumerate()
            .all(|(row, (_, position, record))| *position == 20 + row as u64 && record.contains(&format!("\"n\":{},", 20 + row))),
        "{second:?}"
    );
    // A row that was open while greater ones were committed is read in its order, if it comes within the delay.
    let mut open = database.client();
    mysql::run_on(&mut open, "START TRANSACTION");
    mysql::run_on(&mut open, "INSERT INTO t VALUES (30, 'late', NULL, '2030-01-01')");
    database.run("INSERT INTO t VALUES (31, 'early', NULL, '2030-01-01')");
    mysql::run_on(&mut open, "COMMIT");
    let (third, _) = read(&progress, 2);
    assert!(third[0].2.contains("\"n\":30,") && third[1].2.contains("\"n\":31,"), "{third:?}");
}

#[test]
fn a_row_that_comes_too_late_among_equal_ones_stops_the_run() {
    let database = table(20);
    let config = config(json!({ "table": database.table("t"), "cursor": "at", "order_by": ["n"], "delay": "0s" }));
    let read = |progress: &Progress| {
        let mut source = source(&config);
        let splits = source.discover(progress).unwrap().splits;
        let mut reader = source.opener().open(&splits[0]).unwrap();
        let mut count = 0;
        loop {
            match reader.read(100) {
                Ok(Read::Batch(batch)) => count += batch.records(),
                Ok(Read::End) => break,
                Ok(_) => {}
                Err(error) => return Err(format!("{error} {}", error.hint_text().unwrap_or_default())),
            }
        }
        let state = SplitState { position: reader.position(), done: true };
        Ok((count, Progress::from([(splits[0].id.clone(), state)])))
    };
    let (count, progress) = read(&Progress::new()).unwrap();
    assert_eq!(count, 20);
    // Behind the last one of its time: nothing is lost.
    database.run("INSERT INTO t SELECT 100, 'x', NULL, max(at) FROM t");
    let (count, progress) = read(&progress).unwrap();
    assert_eq!(count, 1);
    database.run("INSERT INTO t SELECT -1, 'x', NULL, max(at) FROM t");
    let error = read(&progress).unwrap_err();
    assert!(error.contains("1 rows came with at = ") && error.contains("`delay`"), "{error}");
}
