//! What becomes of every Arrow type and of its extreme values in PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod postgres;

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::*;
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use postgres::mill::{Mill, batch, told};
use wasmill_engine::Class;
use wasmill_postgres::{PostgresConfig, check_schema};

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
