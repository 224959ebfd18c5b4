//! The Postgres sink on a real server: types, what a table can't hold, upserts, tables that are there, rules of the server's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod postgres;

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::*;
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use postgres::url;
use tempfile::TempDir;
use uuid::Uuid;
use wasmill_connectors::postgres::{PostgresConfig, PostgresSink, PostgresTls, PostgresTlsMode, PostgresWrite, check_schema};
use wasmill_engine::{Class, CommitOutcome, Error, RowReject, Sink, Token, WriterContext};

/// A schema of the server, a folder for spools, and the epochs that were committed.
struct Mill {
    server: postgres::Schema,
    spools: TempDir,
    epoch: std::cell::Cell<u64>,
}

fn token(previous: u64, epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(9), epoch, previous }
}

impl Mill {
    fn new() -> Self {
        Self { server: postgres::Schema::new(), spools: tempfile::tempdir().unwrap(), epoch: 0.into() }
    }

    fn config(&self) -> PostgresConfig {
        PostgresConfig::new(url(), self.server.table("t"))
    }

    fn sink(&self, config: &PostgresConfig, schema: &Schema) -> Result<PostgresSink, Error> {
        PostgresSink::new(config, schema, self.spools.path())
    }

    /// Prepares an epoch; each batch is of a lane of its own.
    fn prepare(&self, sink: &PostgresSink, lanes: &[RecordBatch]) -> (Token, serde_json::Value, Vec<RowReject>) {
        let token = token(self.epoch.get(), self.epoch.get() + 1);
        let mut rejects = Vec::new();
        let parts = lanes.iter().enumerate().map(|(lane, records)| {
            let Token { pipeline, sink: name, incarnation, epoch, .. } = token.clone();
            let context = WriterContext { pipeline, sink: name, incarnation, epoch, lane, schema: records.schema() };
            let mut writer = sink.writer(context).unwrap();
            rejects.extend(writer.write(records).unwrap());
            writer.prepare().unwrap()
        });
        let parts = parts.collect();
        let prepared = sink.prepare(&token, parts).unwrap();
        (token, prepared, rejects)
    }

    /// Writes and commits an epoch.
    fn write(&self, config: &PostgresConfig, lanes: &[RecordBatch]) -> Vec<RowReject> {
        let sink = self.sink(config, &lanes[0].schema()).unwrap();
        let (token, prepared, rejects) = self.prepare(&sink, lanes);
        assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
        self.epoch.set(token.epoch);
        assert_eq!(spooled(self.spools.path()), 0, "a committed epoch leaves nothing in the spool");
        rejects
    }
}

fn spooled(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("p.s")).map_or(0, Iterator::count)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn told(rejects: &[RowReject]) -> Vec<(u32, &str, &str)> {
    rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref().unwrap_or("-"))).collect()
}

/// A column of one value and one null, its type in a new table, and the value as the server shows it.
type Case = (&'static str, ArrayRef, &'static str, &'static str);

fn numbers() -> Vec<Case> {
    vec![
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None])), "boolean", "t"),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None])), "smallint", "-128"),
        ("i16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None])), "smallint", "-32768"),
        ("i32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None])), "integer", "-2147483648"),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), "bigint", "-9223372036854775808"),
        ("u8", Arc::new(UInt8Array::from(vec![Some(u8::MAX), None])), "smallint", "255"),
        ("u16", Arc::new(UInt16Array::from(vec![Some(u16::MAX), None])), "integer", "65535"),
        ("u32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), "bigint", "4294967295"),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), "numeric(20,0)", "18446744073709551615"),
        ("f16", arrow_cast::cast(&Float32Array::from(vec![Some(0.5), None]), &DataType::Float16).unwrap(), "real", "0.5"),
        ("f32", Arc::new(Float32Array::from(vec![Some(1.5e-7), None])), "real", "1.5e-07"),
        ("f64", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None])), "double precision", "-Infinity"),
        ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), None])), "double precision", "NaN"),
        ("decimal", decimal(-1_234_567, 9, 4), "numeric(9,4)", "-123.4567"),
        ("hundreds", decimal(12, 5, -2), "numeric(7,0)", "1200"),
        ("wide", decimal(10_i128.pow(38) - 1, 38, 0), "numeric(38,0)", "99999999999999999999999999999999999999"),
    ]
}

fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(vec![Some(value), None]).with_precision_and_scale(precision, scale).unwrap())
}

fn texts() -> Vec<Case> {
    let dictionary: DictionaryArray<Int32Type> = [Some("pin"), None].into_iter().collect();
    vec![
        ("text", Arc::new(StringArray::from(vec![Some("Grüße, \"😀\"\n\t"), None])), "text", "Grüße, \"😀\"\n\t"),
        ("empty", Arc::new(StringArray::from(vec![Some(""), None])), "text", ""),
        ("large", Arc::new(LargeStringArray::from(vec![Some("large"), None])), "text", "large"),
        ("view", Arc::new(StringViewArray::from(vec![Some("a view of some length"), None])), "text", "a view of some length"),
        ("dictionary", Arc::new(dictionary), "text", "pin"),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None])), "bytea", "\\x00ff"),
    ]
}

fn times() -> Vec<Case> {
    let micros = TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), None]);
    let (naive, zoned) = ("timestamp without time zone", "timestamp with time zone");
    vec![
        ("date", Arc::new(Date32Array::from(vec![Some(19_180), None])), "date", "2022-07-07"),
        ("old", Arc::new(Date32Array::from(vec![Some(-719_163), None])), "date", "0001-12-31 BC"),
        ("date64", Arc::new(Date64Array::from(vec![Some(1_657_152_000_000), None])), naive, "2022-07-07 00:00:00"),
        ("s", Arc::new(TimestampSecondArray::from(vec![Some(-1), None])), naive, "1969-12-31 23:59:59"),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(1), None])), naive, "1970-01-01 00:00:00.001"),
        ("us", Arc::new(micros.clone()), naive, "2022-07-07 00:18:41.000001"),
        ("utc", Arc::new(micros.with_timezone("+02:00")), zoned, "2022-07-07 00:18:41.000001+00"),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None])), naive, "1969-12-31 23:59:59.999999"),
        ("time", Arc::new(Time32MillisecondArray::from(vec![Some(86_399_999), None])), "time without time zone", "23:59:59.999"),
        ("nanos", Arc::new(Time64NanosecondArray::from(vec![Some(1_000), None])), "time without time zone", "00:00:00.000001"),
    ]
}

fn nested() -> Vec<Case> {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None, Some(-3)]), None]);
    let empty = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![]), None]);
    let words = ListArray::new(
        Arc::new(Field::new("item", DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2, 0]),
        Arc::new(StringArray::from(vec![Some("a b"), Some("NULL")])),
        Some(vec![true, false].into()),
    );
    let lists = ListArray::new(
        Arc::new(Field::new("item", list.data_type().clone(), true)),
        OffsetBuffer::from_lengths([2, 0]),
        Arc::new(list.clone()),
        Some(vec![true, false].into()),
    );
    let fields: Fields = vec![Field::new("a", DataType::Int32, true), Field::new("b\"", DataType::Utf8, true)].into();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![Some(7), None])), Arc::new(StringArray::from(vec![Some("\\u0000"), None]))];
    let structs = StructArray::new(fields, columns, Some(vec![true, false].into()));
    let mut map = builder::MapBuilder::new(None, builder::StringBuilder::new(), builder::Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    vec![
        ("list", Arc::new(list), "bigint[]", "{1,NULL,-3}"),
        ("empty", Arc::new(empty), "double precision[]", "{}"),
        ("words", Arc::new(words), "text[]", "{\"a b\",\"NULL\"}"),
        ("lists", Arc::new(lists), "jsonb", "[[1, null, -3], null]"),
        ("struct", Arc::new(structs), "jsonb", "{\"a\": 7, \"b\\\"\": \"\\\\u0000\"}"),
        ("map", Arc::new(map.finish()), "jsonb", "{\"k\": null}"),
    ]
}

#[test]
fn every_type_arrives_as_the_value_that_it_was() {
    for cases in [numbers(), texts(), times(), nested()] {
        let mill = Mill::new();
        mill.server.run("SET timezone = 'UTC'");
        let records = batch(cases.iter().map(|(name, array, ..)| (*name, Arc::clone(array))).collect());
        assert_eq!(mill.write(&mill.config(), &[records]), []);
        let types = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '$s.t'::regclass AND attnum > 0 ORDER BY attnum";
        let expected: Vec<Vec<&str>> = cases.iter().map(|(name, _, pg_type, _)| vec![*name, *pg_type]).collect();
        assert_eq!(mill.server.rows(types), expected);
        let first = format!("\"{}\" IS NULL", cases[0].0);
        let rows = mill.server.rows(&format!("SELECT * FROM $s.t ORDER BY {first}"));
        assert_eq!(rows[0], cases.iter().map(|(.., value)| *value).collect::<Vec<_>>());
        assert!(rows[1].iter().all(|value| value == "∅"), "{:?}", rows[1]);
        assert_eq!(rows.len(), 2);
    }
}

#[test]
fn columns_that_no_table_can_hold_are_refused_before_anything_runs() {
    let long = "x".repeat(64);
    let schema = Schema::new(vec![
        Field::new("nothing", DataType::Null, true),
        Field::new("pause", DataType::Duration(TimeUnit::Second), true),
        Field::new("ctid", DataType::Int64, true),
        Field::new(&long, DataType::Int64, true),
    ]);
    let error = check_schema(&PostgresConfig::new("postgres://127.0.0.1:1/x", "t"), &schema).unwrap_err();
    assert_eq!(error.class(), Class::Configuration);
    for part in ["`nothing`", "`pause`", "`ctid` is reserved", "longer than 63 bytes"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_value_that_the_server_has_no_place_for_costs_its_record_only() {
    let mill = Mill::new();
    let records = batch(vec![
        ("n", Arc::new(Int32Array::from_iter_values(0..8))),
        ("text", Arc::new(StringArray::from(vec!["a", "b\0c", "d", "e", "f", "g", "h", "i"]))),
        ("date", Arc::new(Date32Array::from(vec![0, 0, i32::MIN, i32::MAX, 0, 0, 0, 2_145_042_905]))),
        (
            "at",
            Arc::new(TimestampSecondArray::from(vec![
                Some(0),
                None,
                None,
                None,
                Some(i64::MAX),
                Some(-210_866_803_200 - 1),
                Some(9_224_318_016_000 - 1),
                None,
            ])),
        ),
    ]);
    let rejects = mill.write(&mill.config(), &[records]);
    let expected = [
        (1, "null-character", "text"),
        (2, "out-of-range", "date"),
        (3, "out-of-range", "date"),
        (4, "out-of-range", "at"),
        (5, "out-of-range", "at"),
    ];
    assert_eq!(told(&rejects), expected);
    // The last ones that fit are the last ones that the server knows.
    assert_eq!(
        mill.server.rows("SELECT n, date, at FROM $s.t ORDER BY n")[1..],
        [["6", "1970-01-01", "294276-12-31 23:59:59"], ["7", "5874897-12-31", "∅"]]
    );
}

#[test]
fn the_earliest_moments_fit_and_those_before_them_do_not() {
    let mill = Mill::new();
    // The server's own words for its first day and moment, as numbers of its own.
    let limits = mill
        .server
        .rows("SELECT '4714-11-24 BC'::date - '1970-01-01'::date, extract(epoch FROM '4714-11-24 00:00:00 BC'::timestamp)::bigint");
    let (day, second): (i32, i64) = (limits[0][0].parse().unwrap(), limits[0][1].parse().unwrap());
    let records = batch(vec![
        ("day", Arc::new(Date32Array::from(vec![Some(day), Some(day - 1), None, None]))),
        ("moment", Arc::new(TimestampSecondArray::from(vec![None, None, Some(second), Some(second - 1)]))),
    ]);
    let rejects = mill.write(&mill.config(), &[records]);
    assert_eq!(told(&rejects), [(1, "out-of-range", "day"), (3, "out-of-range", "moment")]);
    assert_eq!(mill.server.column("SELECT coalesce(day::text, moment::text) FROM $s.t"), ["4714-11-24 BC", "4714-11-24 00:00:00 BC"]);
}

#[test]
fn u0000_inside_of_json_is_found_too() {
    let mill = Mill::new();
    let texts = StringArray::from(vec!["a", "\0", "\\u0000"]);
    let field = Arc::new(Field::new("t", DataType::Utf8, true));
    let structs = StructArray::from(vec![(field, Arc::new(texts) as ArrayRef)]);
    let rejects = mill.write(&mill.config(), &[batch(vec![("s", Arc::new(structs))])]);
    assert_eq!(told(&rejects), [(1, "null-character", "s")]);
    assert_eq!(mill.server.column("SELECT s->>'t' FROM $s.t ORDER BY 1"), ["\\u0000", "a"]);
}

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
fn a_table_that_differs_is_told_column_by_column() {
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

fn pairs(rows: &[(Option<i64>, &str)]) -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter(rows.iter().map(|(id, _)| *id)))),
        ("value", Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, value)| *value)))),
    ])
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
    let (token, prepared, _) = mill.prepare(&sink, &[pairs(&[(Some(1), "aaaa"), (Some(2), "bbbb")])]);
    let file = std::fs::read_dir(mill.spools.path().join("p.s")).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    // A letter of a text: still rows, only other ones.
    let last = bad.len() - 1;
    bad[last] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    let error = sink.commit(&token, &prepared).unwrap_err();
    assert!(error.message().contains("does not match its digest"), "{error}");
    assert_eq!(sink.committed("p", "s").unwrap(), None);
    std::fs::write(&file, &good).unwrap();
    assert_eq!(sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(mill.server.column("SELECT value FROM $s.t ORDER BY id"), ["aaaa", "bbbb"]);
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
        let (token, prepared, _) = mill.prepare(&sink, &[pairs(&[(Some(1), "a")])]);
        sink.commit(&token, &prepared).unwrap_err()
    };
    assert!(error.hint_text().unwrap().contains("create the schema"), "{error}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_server_that_is_away_is_waited_for_and_then_named() {
    let mill = Mill::new();
    let config = PostgresConfig {
        retry_for: std::time::Duration::from_millis(300),
        ..PostgresConfig::new("postgres://u:hunter2@127.0.0.1:1/d", "t")
    };
    let error = mill.sink(&config, &pairs(&[]).schema()).unwrap().committed("p", "s").unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1/d") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("nothing is lost"), "{error:?}");
    assert_eq!(check_schema(&config, &pairs(&[]).schema()).unwrap(), Vec::<String>::new(), "a check goes without the server");
}

/// A file that the server's certificates lie beside.
fn certificate(name: &str) -> Option<String> {
    let folder =
        std::env::var("WASMILL_TEST_POSTGRES_TLS").expect("WASMILL_TEST_POSTGRES_TLS names the folder of the server's certificates");
    Some(format!("{folder}/{name}"))
}

/// Asks as somebody for the token; `Ok` says whether the connection was encrypted.
fn ask(mill: &Mill, user: &str, tls: PostgresTls) -> Result<bool, Error> {
    let url = url().replace("//postgres@", &format!("//{user}@"));
    let name = format!("{}_{}", user.split(':').next().unwrap(), Uuid::new_v4().simple());
    let config = PostgresConfig { tls, ..PostgresConfig::new(format!("{url}?application_name={name}"), mill.server.table("t")) };
    let sink = mill.sink(&config, &pairs(&[]).schema())?;
    sink.committed("p", "s")?;
    let query = format!("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = '{name}'");
    Ok(mill.server.column(&query) == ["t"])
}

fn modes(mode: PostgresTlsMode) -> PostgresTls {
    PostgresTls { mode: Some(mode), ..PostgresTls::default() }
}

#[test]
fn a_connection_is_as_protected_as_its_mode_says() {
    let mill = Mill::new();
    let ca = |mode: Option<PostgresTlsMode>, name: &str| PostgresTls { mode, ca: certificate(name), ..PostgresTls::default() };
    assert!(!ask(&mill, "postgres", modes(PostgresTlsMode::Disable)).unwrap());
    assert!(ask(&mill, "postgres", PostgresTls::default()).unwrap(), "prefer takes what is offered");
    assert!(ask(&mill, "postgres", modes(PostgresTlsMode::Require)).unwrap());
    assert!(ask(&mill, "postgres", ca(None, "ca.pem")).unwrap());
    assert!(ask(&mill, "postgres", ca(Some(PostgresTlsMode::VerifyCa), "ca.pem")).unwrap());
    let begun = std::time::Instant::now();
    // The system's authorities have not signed it, nor has the client's own certificate.
    for wrong in [modes(PostgresTlsMode::VerifyFull), ca(None, "client.crt"), ca(Some(PostgresTlsMode::VerifyCa), "client.crt")] {
        let error = ask(&mill, "postgres", wrong).unwrap_err();
        assert!(error.hint_text().unwrap().contains("tls: { ca:"), "{error} {:?}", error.hint_text());
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "a certificate does not get better by waiting");
    assert_eq!(ask(&mill, "postgres", ca(None, "no_such.pem")).unwrap_err().class(), Class::Configuration);
    assert_eq!(ask(&mill, "postgres", modes(PostgresTlsMode::VerifyCa)).unwrap_err().class(), Class::Configuration);
}

#[test]
fn a_server_of_another_name_is_only_taken_where_names_are_not_verified() {
    let mill = Mill::new();
    let elsewhere = |mode| {
        // Another name of the same machine, which does not stand in the certificate.
        let url = url().replace("127.0.0.1", "127.0.0.2");
        let tls = PostgresTls { mode: Some(mode), ca: certificate("ca.pem"), ..PostgresTls::default() };
        let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let real = url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
        let upstream = format!("127.0.0.1:{real}");
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = std::net::TcpStream::connect(&upstream).unwrap();
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        let url = url.replace(&format!(":{real}/"), &format!(":{port}/"));
        mill.sink(&PostgresConfig { tls, ..PostgresConfig::new(url, mill.server.table("t")) }, &pairs(&[]).schema())
            .unwrap()
            .committed("p", "s")
    };
    assert_eq!(elsewhere(PostgresTlsMode::VerifyCa).unwrap(), None);
    let error = elsewhere(PostgresTlsMode::VerifyFull).unwrap_err();
    assert!(error.message().contains("127.0.0.2") && error.message().contains("ertificate"), "{error}");
}

/// Roles belong to the whole server: tests that run at once make them together.
fn role(mill: &Mill, name: &str, options: &str) {
    mill.server.run(&format!(
        "DO $$ BEGIN CREATE ROLE {name} LOGIN {options}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    ));
}

#[test]
fn a_client_shows_its_certificate() {
    let mill = Mill::new();
    role(&mill, "client", "");
    let shown = PostgresTls {
        ca: certificate("ca.pem"),
        certificate: certificate("client.pem"),
        key: certificate("client.key"),
        ..PostgresTls::default()
    };
    assert!(ask(&mill, "client", shown.clone()).unwrap());
    let silent = PostgresTls { certificate: None, key: None, ..shown.clone() };
    assert!(ask(&mill, "client", silent).unwrap_err().message().contains("certificate"));
    let half = PostgresTls { key: None, ..shown };
    assert_eq!(ask(&mill, "client", half).unwrap_err().class(), Class::Configuration);
}

#[test]
fn a_wrong_password_stops_at_once_and_is_not_repeated() {
    let mill = Mill::new();
    role(&mill, "with_password", "PASSWORD 'hunter2'");
    assert!(ask(&mill, "with_password:hunter2", PostgresTls::default()).unwrap());
    let error = ask(&mill, "with_password:hunter3", PostgresTls::default()).unwrap_err();
    assert!(error.message().contains("28P01") && error.hint_text().unwrap().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
    assert!(ask(&mill, "with_password", PostgresTls::default()).unwrap_err().message().contains("password"));
}
