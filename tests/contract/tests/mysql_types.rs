//! Every type of the server with its edges, as the source `mysql` gives it: exact, or rejected with what the server sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mysql;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as Columns, SchemaRef, TimeUnit};
use mysql::{Database, url};
use serde_json::{Value, json};
use wasmill_engine::{Mode, OriginalRecord, Progress, Read, Source};
use wasmill_formats::row_to_json;
use wasmill_mysql::{MysqlSource, MysqlSourceConfig, infer_schema};

fn config(options: Value) -> MysqlSourceConfig {
    let mut all = json!({ "connection": { "url": url() } });
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// A reject: its code, its column, its message and its record.
type Told = (String, Option<String>, String, OriginalRecord);

/// Everything that is read, as JSON, and everything that is rejected.
fn read(config: &MysqlSourceConfig, columns: SchemaRef) -> (Vec<Value>, Vec<Told>) {
    let mut source = MysqlSource::new("rows", config.clone(), columns, Mode::Batch).unwrap();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let mut reader = source.opener().open(&splits[0]).unwrap();
    let (mut values, mut told) = (Vec::new(), Vec::new());
    loop {
        match reader.read(100).unwrap() {
            Read::Batch(batch) => {
                let records = &batch.batch.records;
                values
                    .extend((0..records.num_rows()).map(|row| serde_json::from_str::<Value>(&row_to_json(records, row).unwrap()).unwrap()));
                told.extend(batch.rejects.into_iter().map(|reject| (reject.code, reject.column, reject.message, reject.record)));
            }
            Read::Idle | Read::Skipping => {}
            Read::End => return (values, told),
        }
    }
}

/// A table by its own columns.
fn whole(database: &Database, options: Value) -> (Vec<Value>, Vec<Told>, Vec<String>) {
    let mut all = json!({ "table": database.table("t"), "order_by": ["n"] });
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let config = config(all);
    let columns = infer_schema(&config).unwrap();
    let types = columns.fields().iter().skip(1).map(|field| field.data_type().to_string()).collect();
    let (values, told) = read(&config, columns);
    (values, told, types)
}

/// A column of a declared type with its values, as SQL; the type and the values that come, as JSON.
fn column(declared: &str, values: &[&str]) -> (String, Vec<Value>) {
    let database = Database::new();
    database.run(&format!("CREATE TABLE t (n integer PRIMARY KEY, c {declared})"));
    for (row, value) in values.iter().enumerate() {
        database.run(&format!("INSERT INTO t VALUES ({row}, {value})"));
    }
    let (rows, told, types) = whole(&database, json!({}));
    assert!(told.is_empty(), "{declared}: {told:?}");
    (types[0].clone(), rows.into_iter().map(|row| row["c"].clone()).collect())
}

#[test]
fn every_type_comes_with_its_edges() {
    let cases: [(&str, &[&str], &str, Value); 36] = [
        ("tinyint", &["-128", "127", "NULL"], "Int8", json!([-128, 127, null])),
        ("boolean", &["true", "-7"], "Int8", json!([1, -7])),
        ("tinyint unsigned", &["255"], "UInt8", json!([255])),
        ("smallint", &["-32768", "32767"], "Int16", json!([-32768, 32767])),
        ("smallint unsigned", &["65535"], "UInt16", json!([65535])),
        ("mediumint", &["-8388608", "8388607"], "Int32", json!([-8_388_608, 8_388_607])),
        ("mediumint unsigned", &["16777215"], "UInt32", json!([16_777_215])),
        ("int", &["-2147483648", "2147483647"], "Int32", json!([i32::MIN, i32::MAX])),
        ("int unsigned zerofill", &["4294967295", "7"], "UInt32", json!([u32::MAX, 7])),
        ("bigint", &["-9223372036854775808", "9223372036854775807"], "Int64", json!([i64::MIN, i64::MAX])),
        (
            "bigint unsigned",
            &["0", "9223372036854775808", "18446744073709551615"],
            "UInt64",
            json!([0, 9_223_372_036_854_775_808_u64, u64::MAX]),
        ),
        ("bit(1)", &["b'0'", "b'1'", "NULL"], "Boolean", json!([false, true, null])),
        ("bit(12)", &["b'101000000001'"], "UInt64", json!([2561])),
        ("bit(64)", &["18446744073709551615"], "UInt64", json!([u64::MAX])),
        ("year", &["0", "1901", "2155"], "Int16", json!([0, 1901, 2155])),
        ("decimal(10,2)", &["-99999999.99", "0.1", "NULL"], "Decimal128(10, 2)", json!(["-99999999.99", "0.10", null])),
        ("decimal(10,2) unsigned zerofill", &["12.5", "0"], "Decimal128(10, 2)", json!(["12.50", "0.00"])),
        ("decimal(5,0)", &["-99999"], "Decimal128(5, 0)", json!(["-99999"])),
        (
            "decimal(38,38)",
            &["0.00000000000000000000000000000000000001"],
            "Decimal128(38, 38)",
            json!(["0.00000000000000000000000000000000000001"]),
        ),
        (
            "decimal(38,0)",
            &["99999999999999999999999999999999999999"],
            "Decimal128(38, 0)",
            json!(["99999999999999999999999999999999999999"]),
        ),
        (
            "decimal(65,30)",
            &["-12345678901234567890123456789012345.000000000000000000000000000001"],
            "Utf8",
            json!(["-12345678901234567890123456789012345.000000000000000000000000000001"]),
        ),
        (
            "float",
            &["0.1", "3.4028234e38", "1.17549435e-38", "16777217"],
            "Float32",
            json!([0.1, 3.402_823_5e38, 1.175_494_4e-38, 16_777_216.0]),
        ),
        ("double", &["0.1", "1.7976931348623157e308", "5e-324", "-0e0", "1e22"], "Float64", json!([0.1, f64::MAX, 5e-324, -0.0, 1e22])),
        ("date", &["'1000-01-01'", "'9999-12-31'", "'0001-01-01'"], "Date32", json!(["1000-01-01", "9999-12-31", "0001-01-01"])),
        (
            "datetime(6)",
            &["'1000-01-01'", "'9999-12-31 23:59:59.999999'"],
            "Timestamp(µs)",
            json!(["1000-01-01T00:00:00", "9999-12-31T23:59:59.999999"]),
        ),
        ("datetime", &["'2022-07-07 00:18:41'"], "Timestamp(µs)", json!(["2022-07-07T00:18:41"])),
        ("time", &["'-838:59:59'", "'838:59:59'", "'00:00:00'"], "Utf8", json!(["-838:59:59", "838:59:59", "00:00:00"])),
        ("time(3)", &["'-00:00:00.001'", "'25:00:00.5'"], "Utf8", json!(["-00:00:00.001", "25:00:00.500"])),
        ("char(5)", &["'a '", "''", "'äöüß😀'"], "Utf8", json!(["a", "", "äöüß😀"])),
        ("varchar(20)", &["'a '", "'\\0\\n\"\\\\'", "'NULL'"], "Utf8", json!(["a ", "\u{0}\n\"\\", "NULL"])),
        ("varchar(20) character set latin1", &["'ä€'"], "Utf8", json!(["ä€"])),
        ("longtext character set utf16", &["'😀'"], "Utf8", json!(["😀"])),
        ("enum('a','ä,b')", &["'ä,b'", "'A'"], "Utf8", json!(["ä,b", "a"])),
        ("set('a','b','ö')", &["'ö,a'", "''"], "Utf8", json!(["a,ö", ""])),
        ("varbinary(4)", &["x'00ff'", "''", "NULL"], "Binary", json!(["AP8=", "", null])),
        ("longblob", &["x'0a2227'"], "Binary", json!(["CiIn"])),
    ];
    let mut wrong = Vec::new();
    for (declared, values, data_type, expected) in cases {
        let found = column(declared, values);
        if (found.0.as_str(), json!(found.1)) != (data_type, expected.clone()) {
            wrong.push(format!("{declared}: {found:?}, and not {data_type} {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (data_type, values) = column("json", &["'{\"a\": [1.10, \"ü\"]}'"]);
    assert_eq!((data_type.as_str(), json!(values)), ("Utf8", json!(["{\"a\": [1.10, \"ü\"]}"])));
    let (data_type, values) = column("point", &["ST_GeomFromText('POINT(1 2)')"]);
    assert_eq!(data_type, "Binary");
    assert!(values[0].as_str().unwrap().starts_with("AAAAAAEBAAAA"), "the server's own form: SRID and WKB: {values:?}");
}

#[test]
fn a_timestamp_is_the_moment_whatever_zone_the_server_is_in() {
    let database = Database::new();
    database.run(
        "SET time_zone = '+09:00'
         CREATE TABLE t (n integer PRIMARY KEY, z timestamp(6) NULL, w datetime)
         INSERT INTO t VALUES (1, '2022-07-07 09:18:41.000001', '2022-07-07 09:18:41'), (2, NULL, NULL)",
    );
    let (rows, told, types) = whole(&database, json!({}));
    assert_eq!(types, ["Timestamp(µs, \"UTC\")", "Timestamp(µs)"]);
    assert!(told.is_empty() && rows[0]["z"].as_str().unwrap().starts_with("2022-07-07T00:18:41.000001"), "{rows:?}");
    assert!(rows[0]["w"].as_str().unwrap().starts_with("2022-07-07T09:18:41"), "{rows:?}");
    assert_eq!(rows[1], json!({ "n": 2, "z": null, "w": null }));
}

#[test]
fn dates_that_are_none_are_rejected_and_can_be_read_as_texts() {
    let database = Database::new();
    database.run(
        "SET sql_mode = 'ALLOW_INVALID_DATES'
         CREATE TABLE t (n integer PRIMARY KEY, d date, w datetime, z timestamp NULL)
         INSERT INTO t VALUES (1, '0000-00-00', NULL, NULL), (2, '2022-00-00', NULL, NULL), (3, '2022-02-31', NULL, NULL)
         INSERT INTO t VALUES (4, NULL, '0000-00-00 00:00:00', NULL), (5, NULL, NULL, '0000-00-00 00:00:00'), (6, '2022-07-07', NULL, NULL)",
    );
    let (rows, told, _) = whole(&database, json!({}));
    assert_eq!(rows, [json!({ "n": 6, "d": "2022-07-07", "w": null, "z": null })]);
    let blamed: Vec<_> = told.iter().map(|(code, column, ..)| (code.as_str(), column.as_deref().unwrap())).collect();
    assert_eq!(blamed, [("bad-value", "d"), ("bad-value", "d"), ("bad-value", "d"), ("bad-value", "w"), ("bad-value", "z")]);
    assert!(told[0].2.contains("0000-00-00"), "{told:?}");
    assert_eq!(told[1].3, OriginalRecord::Bytes(r#"{"n":2,"d":"2022-00-00","w":null,"z":null}"#.into()));
    let columns = ["d", "w", "z"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec();
    let (rows, told) = read(&config(json!({ "table": database.table("t"), "order_by": ["n"] })), Arc::new(Columns::new(columns)));
    assert!(told.is_empty() && rows.len() == 6, "{told:?}");
    assert_eq!(rows[1]["d"], "2022-00-00");
    assert_eq!(rows[3]["w"], "0000-00-00T00:00:00");
}

#[test]
fn a_text_with_invalid_bytes_is_rejected_with_its_bytes() {
    let database = Database::new();
    // A server takes such bytes for UTF-8 only where nobody looks: a column of bytes that becomes one of text.
    database.run(
        "CREATE TABLE t (n integer PRIMARY KEY, a text, b varbinary(9))
         INSERT INTO t VALUES (1, 'good', x'c3bc'), (2, 'x', x'61ff'), (3, 'y', NULL)",
    );
    let config = config(json!({ "table": database.table("t"), "order_by": ["n"] }));
    let columns = Columns::new(vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]);
    let (rows, told) = read(&config, Arc::new(columns));
    assert_eq!(rows, [json!({ "a": "good", "b": "ü" }), json!({ "a": "y", "b": null })]);
    assert_eq!((told.len(), told[0].0.as_str(), told[0].1.as_deref()), (1, "invalid-utf8", Some("b")));
    assert_eq!(told[0].3, OriginalRecord::Bytes(b"{\"a\":\"x\",\"b\":\"a\xff\"}"[..].to_vec().into()));
}

#[test]
fn values_under_another_type_convert_by_the_table_or_are_rejected() {
    let database = Database::new();
    database.run(
        "CREATE TABLE t (n integer PRIMARY KEY, l bigint, p decimal(20,2), t text, f float, b boolean, w datetime(6), j text)
         INSERT INTO t VALUES (1, 2147483648, 2.75, '1,5', 0.1, 1, '2022-07-07 00:00:00', '{\"a\": 1}')
         INSERT INTO t VALUES (2, -2147483648, 3.00, '1.5', 2.5, 0, '2022-07-07 00:00:00.000001', '[]')
         INSERT INTO t VALUES (3, 9007199254740993, NULL, ' 7 ', 7, 2, NULL, 'no')",
    );
    let under = |column: &str, wanted: DataType| {
        let config = config(json!({ "table": database.table("t"), "order_by": ["n"] }));
        let (rows, told) = read(&config, Arc::new(Columns::new(vec![Field::new(column, wanted, true)])));
        let rows: Vec<Value> = rows.into_iter().map(|row| row[column].clone()).collect();
        (json!(rows), told.into_iter().map(|(code, ..)| code).collect::<Vec<_>>())
    };
    let list = DataType::new_list(DataType::Int64, true);
    let object = DataType::Struct(vec![Field::new("a", DataType::Int64, true)].into());
    let cases: [(&str, DataType, Value, &[&str]); 12] = [
        ("l", DataType::Int32, json!([i32::MIN]), &["out-of-range", "out-of-range"]),
        ("l", DataType::Float64, json!([2147483648.0, -2147483648.0]), &["bad-value"]),
        ("l", DataType::Utf8, json!(["2147483648", "-2147483648", "9007199254740993"]), &[]),
        ("p", DataType::Int64, json!([3, null]), &["bad-value"]),
        ("t", DataType::Float64, json!([1.5]), &["bad-value", "bad-value"]),
        ("f", DataType::Float64, json!([f64::from(0.1_f32), 2.5, 7.0]), &[]),
        ("b", DataType::Boolean, json!([true, false]), &["wrong-type"]),
        ("w", DataType::Date32, json!(["2022-07-07", null]), &["bad-value"]),
        ("w", DataType::Timestamp(TimeUnit::Second, None), json!(["2022-07-07T00:00:00", null]), &["bad-value"]),
        ("t", DataType::Binary, json!(["MSw1", "MS41", "IDcg"]), &[]),
        ("j", list, json!([[]]), &["wrong-type", "wrong-type"]),
        ("j", object, json!([{ "a": 1 }]), &["wrong-type", "wrong-type"]),
    ];
    let mut wrong = Vec::new();
    for (column, wanted, values, codes) in cases {
        let found = under(column, wanted.clone());
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        if found != (values.clone(), codes.clone()) {
            wrong.push(format!("{column} as {wanted}: {found:?}, and not {values} {codes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
