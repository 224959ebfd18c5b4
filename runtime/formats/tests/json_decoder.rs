//! JSON records into columns: every type, every rejection, and agreement with serde_json and
//! arrow-json.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use serde_json::Value;
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::reading::{AsJson, Reading};
use wasmill_formats::{RecordDecoder, Utf8Records, row_to_json};

fn schema_of(data_type: DataType, nullable: bool) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("v", data_type, nullable)]))
}

/// What a value becomes, as JSON; or the code, the column and the message of its reject.
fn decode(data_type: DataType, value: &str) -> Result<String, String> {
    decode_as(Field::new("v", data_type, true), value)
}

fn decode_as(field: Field, value: &str) -> Result<String, String> {
    let schema = Arc::new(Schema::new(vec![field]));
    let mut decoder = JsonDecoder::new(schema).unwrap();
    decoder.push(r#"{"v":null}"#).unwrap();
    let decoded = decoder.push(&format!("{{\"v\":{value}}}"));
    decoder.push("{}").unwrap();
    let batch = decoder.finish().unwrap();
    batch.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
    assert_eq!(batch.num_rows(), if decoded.is_ok() { 3 } else { 2 });
    decoded.map_err(|bad| format!("{} {}: {}", bad.code, bad.column.unwrap_or_default(), bad.message))?;
    Ok(row_to_json(&batch, 1).unwrap()["{\"v\":".len()..].strip_suffix('}').unwrap().to_owned())
}

fn accepts(data_type: DataType, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        assert_eq!(decode(data_type.clone(), value).as_deref(), Ok(*expected), "{value} as {data_type}");
    }
}

fn refuses(data_type: DataType, code: &str, values: &[&str]) {
    for value in values {
        let error = decode(data_type.clone(), value).unwrap_err();
        assert!(error.starts_with(&format!("{code} v")), "{value} as {data_type}: {error}");
    }
}

#[test]
fn integers() {
    accepts(DataType::Int8, &[("-128", "-128"), ("\"127\"", "127"), ("1.0", "1"), ("\"1e2\"", "100"), ("-0", "0"), ("1.20e1", "12")]);
    refuses(DataType::Int8, "out-of-range", &["128", "\"-129\"", "1e9", "1e400", "99999999999999999999999999999999999999999999"]);
    refuses(DataType::Int8, "bad-value", &["1.5", "\" 1\"", "\"\"", "\"+1\"", "\"01\"", "\"one\"", "\"NaN\"", "\"12abc\""]);
    refuses(DataType::Int8, "wrong-type", &["true", "[1]", "{}"]);
    accepts(DataType::Int64, &[("9223372036854775807", "9223372036854775807"), ("\"-9223372036854775808\"", "-9223372036854775808")]);
    accepts(DataType::UInt64, &[("18446744073709551615", "18446744073709551615")]);
    refuses(DataType::UInt64, "out-of-range", &["-1", "18446744073709551616"]);
    for data_type in [DataType::Int16, DataType::Int32, DataType::UInt8, DataType::UInt16, DataType::UInt32] {
        accepts(data_type, &[("100", "100"), ("\"7\"", "7"), ("null", "null")]);
    }
}

#[test]
fn floats_booleans_and_nulls() {
    accepts(
        DataType::Float64,
        &[("1", "1.0"), ("\"-1.5e3\"", "-1500.0"), ("\"NaN\"", "\"NaN\""), ("\"-Infinity\"", "\"-Infinity\""), ("0.1", "0.1")],
    );
    accepts(DataType::Float32, &[("0.1", "0.1"), ("16777216", "16777216.0"), ("1.6777217e7", "16777216.0")]);
    accepts(DataType::Float64, &[("18446744073709551616", "1.8446744073709552e+19"), ("0.10000000000000000555", "0.1")]);
    refuses(DataType::Float32, "bad-value", &["16777217"]);
    refuses(DataType::Float64, "bad-value", &["9007199254740993", "\"-9007199254740993\"", "123456789012345678901234567890"]);
    refuses(DataType::Float64, "out-of-range", &["1e309", "\"-1e999\""]);
    refuses(DataType::Float32, "out-of-range", &["1e39"]);
    refuses(DataType::Float64, "bad-value", &["\"inf\"", "\"nan\"", "\".5\"", "\"1,5\"", "\"\""]);
    refuses(DataType::Float64, "wrong-type", &["true", "{}"]);
    accepts(DataType::Boolean, &[("true", "true"), ("\"false\"", "false"), ("\"True\"", "true"), ("\"FALSE\"", "false")]);
    refuses(DataType::Boolean, "bad-value", &["\"yes\"", "\"t\"", "\"1\"", "\"\""]);
    refuses(DataType::Boolean, "wrong-type", &["1", "[]"]);
    accepts(DataType::Null, &[("null", "null")]);
    refuses(DataType::Null, "wrong-type", &["1", "\"\"", "true", "[]"]);
}

#[test]
fn decimals_and_binary() {
    accepts(
        DataType::Decimal128(5, 2),
        &[("1.5", "\"1.50\""), ("\"-999.99\"", "\"-999.99\""), ("1e2", "\"100.00\""), ("0.0000", "\"0.00\"")],
    );
    refuses(DataType::Decimal128(5, 2), "bad-value", &["1.005", "\"a\""]);
    refuses(DataType::Decimal128(5, 2), "out-of-range", &["1000", "1e400"]);
    accepts(DataType::Decimal128(38, 0), &[("99999999999999999999999999999999999999", "\"99999999999999999999999999999999999999\"")]);
    accepts(DataType::Binary, &[("\"/wA=\"", "\"/wA=\""), ("\"\"", "\"\"")]);
    refuses(DataType::Binary, "bad-value", &["\"/wA\"", "\"_wA=\"", "\"%\""]);
    refuses(DataType::Binary, "wrong-type", &["1", "true"]);
}

#[test]
fn texts_and_escapes() {
    accepts(
        DataType::Utf8,
        &[
            (r#""a\"\\\/\b\f\n\r\tz""#, r#""a\"\\/\b\f\n\r\tz""#),
            (r#""\u00e9\ud83d\ude00\u0000\ufffe""#, "\"\u{e9}\u{1f600}\\u0000\u{fffe}\""),
            ("\"\"", "\"\""),
            ("1.50", "\"1.50\""),
            ("1e400", "\"1e400\""),
            ("true", "\"true\""),
        ],
    );
    refuses(DataType::Utf8, "wrong-type", &["[\"country\"]", "{\"a\":1}"]);
    for broken in [
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\u0041""#,
        r#""\ude00""#,
        r#""\ud83d\ud83d""#,
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        "\"a\nb\"",
    ] {
        assert!(decode(DataType::Utf8, broken).unwrap_err().starts_with("malformed-json"), "{broken}");
        assert!(serde_json::from_str::<Value>(broken).is_err());
    }
}

#[test]
fn dates_and_timestamps() {
    accepts(DataType::Date32, &[("\"2022-07-07\"", "\"2022-07-07\"")]);
    refuses(DataType::Date32, "bad-value", &["\"2022-02-30\"", "\"2022-07-07T00:00:00\"", "\"20220707\""]);
    refuses(DataType::Date32, "wrong-type", &["20220707", "true"]);
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    accepts(
        micros(None),
        &[("\"2022-07-07 00:18:41\"", "\"2022-07-07T00:18:41\""), ("\"2022-07-07T02:18:41.5+02:00\"", "\"2022-07-07T00:18:41.500\"")],
    );
    accepts(micros(Some("UTC")), &[("\"2022-07-07T00:18:41\"", "\"2022-07-07T00:18:41Z\"")]);
    accepts(DataType::Timestamp(TimeUnit::Second, None), &[("\"1969-12-31T23:59:59\"", "\"1969-12-31T23:59:59\"")]);
    refuses(micros(None), "bad-value", &["\"None\"", "\"\"", "\"1657153121\"", "\"2022-07-07T00:18:41.0000001\""]);
    refuses(micros(None), "out-of-range", &["\"+999999-01-01\""]);
    refuses(micros(None), "wrong-type", &["1657153121000001", "1.5", "1e6", "true", "[]"]);
}

#[test]
fn numbers_are_times_and_digits_are_cut_where_the_column_says_so() {
    let time = Field::new("v", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let epoch = |unit| Reading { epoch: Some(unit), ..Reading::default() }.on(time.clone());
    for (unit, value) in [
        (TimeUnit::Second, "1657153121"),
        (TimeUnit::Millisecond, "1657153121000"),
        (TimeUnit::Millisecond, "1.657153121e12"),
        (TimeUnit::Microsecond, "\"1657153121000000\""),
        (TimeUnit::Nanosecond, "1657153121000000000"),
        (TimeUnit::Second, "\"2022-07-07T00:18:41Z\""),
    ] {
        assert_eq!(decode_as(epoch(unit), value).as_deref(), Ok("\"2022-07-07T00:18:41\""), "{value} {unit:?}");
    }
    assert_eq!(decode_as(epoch(TimeUnit::Second), "1657153121.123").as_deref(), Ok("\"2022-07-07T00:18:41.123\""));
    let fraction = decode_as(epoch(TimeUnit::Nanosecond), "1500").unwrap_err();
    assert!(
        fraction.starts_with("bad-value v: \"1500\" has more digits of a second than timestamp holds: `timestamp(us, cut)`"),
        "{fraction}"
    );
    let cut = Reading { cut: true, epoch: Some(TimeUnit::Nanosecond), ..Reading::default() }.on(time.clone());
    assert_eq!(decode_as(cut.clone(), "1500").as_deref(), Ok("\"1970-01-01T00:00:00.000001\""));
    assert_eq!(decode_as(cut.clone(), "\"2024-05-01T10:00:00.001234568Z\"").as_deref(), Ok("\"2024-05-01T10:00:00.001234\""));
    assert_eq!(decode_as(cut, "\"1969-12-31T23:59:59.9999999999\"").as_deref(), Ok("\"1969-12-31T23:59:59.999999\""));
    let refused = decode_as(time, "1657153121000").unwrap_err();
    assert!(refused.contains("declare what numbers count, as in `timestamp(us, epoch: ms)`"), "{refused}");
}

#[test]
fn a_text_column_keeps_json_where_it_says_so() {
    let text = |json| Reading { json, ..Reading::default() }.on(Field::new("v", DataType::Utf8, true));
    let nested = r#"{"a": [1, 2.50, {"b": null}], "c\u0000": "\ud83d"}"#;
    let kept = |field, value: &str| serde_json::from_str::<String>(&decode_as(field, value).unwrap()).unwrap();
    for (value, as_nested, as_value) in [
        (nested, nested, nested),
        ("[\"Albania\"]", "[\"Albania\"]", "[\"Albania\"]"),
        ("\"pl\\u0061in\"", "plain", "\"pl\\u0061in\""),
        ("12.50", "12.50", "12.50"),
        ("true", "true", "true"),
    ] {
        assert_eq!(kept(text(AsJson::Nested), value), as_nested);
        assert_eq!(kept(text(AsJson::Value), value), as_value);
    }
    for json in [AsJson::Nested, AsJson::Value] {
        assert_eq!(decode_as(text(json), "null").as_deref(), Ok("null"));
        let broken = decode_as(text(json), "[1,]").unwrap_err();
        assert!(broken.starts_with("malformed-json"), "{broken}");
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(decode_as(text(json), &deep).unwrap_err().starts_with("too-deep"));
    }
}

fn nested() -> Fields {
    let item = Field::new("item", DataType::Int64, false);
    Fields::from(vec![Field::new("id", DataType::Int64, false), Field::new("list", DataType::List(Arc::new(item)), true)])
}

#[test]
fn nested_types() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Struct(nested()), true)));
    accepts(
        list.clone(),
        &[
            ("[]", "[]"),
            ("[null, {\"list\":[1,\"2\"],\"id\":3}]", "[null,{\"id\":3,\"list\":[1,2]}]"),
            ("[{\"id\":1,\"id\":2}]", "[{\"id\":2,\"list\":null}]"),
        ],
    );
    refuses(list.clone(), "wrong-type", &["{}", "\"[]\"", "1"]);
    let error = decode(list.clone(), "[{\"id\":1,\"list\":[1,2.5]}]").unwrap_err();
    assert_eq!(error, "bad-value v[].list[]: \"2.5\" is not a whole number, and int64 is needed");
    assert_eq!(decode(list.clone(), "[{\"id\":1,\"list\":[null]}]").unwrap_err(), "null-value v[].list[]: a null where int64 is needed");
    assert_eq!(decode(list, "[{}]").unwrap_err(), "null-value v[].id: it is missing, and may not be null");
    let entries = |key| vec![Field::new("keys", key, false), Field::new("values", DataType::Float64, true)];
    let map = |key| DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries(key).into()), false)), false);
    accepts(map(DataType::Utf8), &[("{}", "{}"), ("{\"b\\\"\":1,\"a\":null}", "{\"b\\\"\":1.0,\"a\":null}")]);
    accepts(map(DataType::Int64), &[("{\"1\":1}", "{\"1\":1.0}")]);
    refuses(map(DataType::Utf8), "duplicate-key", &["{\"a\":1,\"\\u0061\":2}"]);
    refuses(map(DataType::Utf8), "wrong-type", &["[]"]);
    assert!(decode(map(DataType::Utf8), "{\"a\":true}").unwrap_err().starts_with("wrong-type v[\"a\"]"));
}

#[test]
fn keys_in_any_order_skipped_duplicated_and_escaped() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b\"", DataType::Utf8, true)]));
    let mut decoder = JsonDecoder::new(schema).unwrap();
    for record in [
        r#"{"a":1,"skip":{"x":[1,"\ud83d",{}]},"b\"":"x"}"#,
        r#" { "b\"" : "y" , "a" : 2 } "#,
        r#"{"\u0061":3,"a":4}"#,
        r#"{"a":5,"a":null}"#,
        "{}",
    ] {
        decoder.push(record).unwrap();
    }
    let batch = decoder.finish().unwrap();
    let rows: Vec<String> = (0..5).map(|row| row_to_json(&batch, row).unwrap()).collect();
    assert_eq!(
        rows,
        [r#"{"a":1,"b\"":"x"}"#, r#"{"a":2,"b\"":"y"}"#, r#"{"a":4,"b\"":null}"#, r#"{"a":null,"b\"":null}"#, r#"{"a":null,"b\"":null}"#]
    );
}

#[test]
fn malformed_records_say_where() {
    let mut decoder = JsonDecoder::new(schema_of(DataType::Int64, true)).unwrap();
    for (record, code, message) in [
        ("{\"v\":1", "malformed-json", "malformed JSON at byte 6: a comma or } is needed, not the end"),
        ("{\"v\":01}", "malformed-json", "malformed JSON at byte 5: a number is needed, not '0'"),
        ("{\"v\" 1}", "malformed-json", "malformed JSON at byte 5: a colon is needed, not '1'"),
        ("{\"v\":1}}", "malformed-json", "malformed JSON at byte 7: the end of the record is needed, not '}'"),
        ("{v:1}", "malformed-json", "malformed JSON at byte 1: a key in quotes is needed, not 'v'"),
        ("{\"v\":1,}", "malformed-json", "malformed JSON at byte 7: a key in quotes is needed, not '}'"),
        ("{\"w\":NaN}", "malformed-json", "malformed JSON at byte 5: a value is needed, not 'N'"),
        ("{\"w\":\"abc", "malformed-json", "malformed JSON at byte 9: the record ends within a string"),
        ("[1]", "wrong-type", "the record is not a JSON object"),
        ("nul", "malformed-json", "malformed JSON at byte 0: a value is needed, not 'n'"),
        ("", "malformed-json", "malformed JSON at byte 0: a value is needed, not the end"),
    ] {
        let bad = decoder.push(record).unwrap_err();
        assert_eq!((bad.code, bad.message.as_str()), (code, message), "{record}");
    }
    let deep = |depth: usize| format!("{{\"w\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(decoder.push(&deep(127)).is_ok());
    assert_eq!(decoder.push(&deep(128)).unwrap_err().code, "too-deep");
    assert_eq!(decoder.push(&deep(1_000_000)).unwrap_err().code, "too-deep");
    assert_eq!(decoder.rows(), 1);
}

#[test]
fn a_short_record_can_not_fill_the_memory() {
    let fields: Fields = (0..100).map(|index| Field::new(format!("c{index}"), DataType::Int64, true)).collect();
    let list = DataType::List(Arc::new(Field::new("item", DataType::Struct(fields), true)));
    let mut decoder = JsonDecoder::new(schema_of(list, true)).unwrap();
    let record = format!("{{\"v\":[{}{{}}]}}", "{},".repeat(100_000));
    assert_eq!(decoder.push(&record).unwrap_err().code, "too-long");
    assert_eq!((decoder.rows(), decoder.cells()), (0, 0));
}

#[test]
fn utf8_is_checked_for_each_record_only_when_it_fails_for_all() {
    let data = b"{\"v\":\"\xc3\xa9\"}{\"v\":\"\xff\"}{\"v\":\"\xc3\"}";
    let records = Utf8Records::new(data);
    assert_eq!(records.record(0..10).unwrap(), "{\"v\":\"\u{e9}\"}");
    let bad = records.record(10..19).unwrap_err();
    assert_eq!((bad.code, bad.message.as_str()), ("invalid-utf8", "the byte 0xff at byte 6 of the record is not UTF-8"));
    assert_eq!(records.record(19..28).unwrap_err().code, "invalid-utf8");
}

/// A schema with every kind of column.
fn wide() -> SchemaRef {
    let entries = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Int32, true)];
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("c", DataType::Float64, false),
        Field::new("d", DataType::Boolean, true),
        Field::new("e", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
        Field::new("f", DataType::Struct(nested()), true),
        Field::new("g", DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false), true),
        Field::new("h", DataType::Decimal128(10, 2), true),
        Field::new("i", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        Field::new("j", DataType::Binary, true),
        Field::new("k", DataType::Date32, true),
    ]))
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-100i64..100).prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        Just(Value::from("2022-07-07")),
        Just(Value::from("2022-07-07T00:18:41.5Z")),
        Just(Value::from("AAEC")),
        Just(Value::from("1\n\"\\\u{0}")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("id|list|[a-c]{1,2}", inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    proptest::collection::vec(("[a-m]|other", any_value()), 0..12).prop_map(|entries| Value::Object(entries.into_iter().collect()))
}

/// Decodes all records; returns the rows as JSON and the records they came from.
fn decode_all(schema: &SchemaRef, records: &[impl AsRef<[u8]>]) -> (RecordBatch, Vec<usize>) {
    let mut decoder = JsonDecoder::new(schema.clone()).unwrap();
    let mut good = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let record = record.as_ref();
        let texts = Utf8Records::new(record);
        if texts.record(0..record.len()).and_then(|text| decoder.push(text)).is_ok() {
            good.push(index);
        }
        assert_eq!(decoder.rows(), good.len());
    }
    let batch = decoder.finish().unwrap();
    batch.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
    (batch, good)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bad records leave no trace: without them the batch is the same.
    #[test]
    fn rejects_leave_no_trace(records in proptest::collection::vec(any_record(), 0..20), cut in 0usize..100) {
        let mut texts: Vec<String> = records.iter().map(Value::to_string).collect();
        for (index, text) in texts.iter_mut().enumerate() {
            if index % 3 == 1 {
                text.truncate(text.floor_char_boundary(cut * text.len() / 100));
            }
        }
        let (batch, good) = decode_all(&wide(), &texts);
        let only_good: Vec<&String> = good.iter().map(|&index| &texts[index]).collect();
        let (same, all) = decode_all(&wide(), &only_good);
        prop_assert_eq!(all.len(), good.len());
        prop_assert_eq!(batch, same);
    }

    /// Text columns hold what arrow-json reads, and the values that serde_json reads.
    #[test]
    fn text_columns_agree_with_serde_json(records in proptest::collection::vec(any_record(), 1..10)) {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("m", DataType::Utf8, true)]));
        let texts: Vec<String> = records.iter().map(Value::to_string).collect();
        let (batch, good) = decode_all(&schema, &texts);
        let text = |value: Option<&Value>| match value {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(Value::Array(_) | Value::Object(_)) => None,
            Some(other) => Some(Some(other.to_string())),
        };
        let mut row = 0;
        for (index, record) in records.iter().enumerate() {
            let expected = text(record.get("a")).zip(text(record.get("m")));
            prop_assert_eq!(expected.is_some(), good.contains(&index));
            if let Some((a, m)) = expected {
                let value = |column: usize| { let column = batch.column(column).as_string::<i32>(); column.is_valid(row).then(|| column.value(row).to_owned()) };
                prop_assert_eq!((value(0), value(1)), (a, m));
                row += 1;
            }
        }
    }

    /// Values of the column's own type: as arrow-json reads them.
    #[test]
    fn typed_columns_agree_with_arrow_json(
        rows in proptest::collection::vec((any::<i32>(), proptest::option::of("\\PC{0,30}"), any::<f64>(), any::<Option<bool>>(),
            proptest::collection::vec(proptest::option::of("\\PC{0,5}"), 0..4)), 1..20)
    ) {
        let schema = Arc::new(Schema::new(wide().fields()[..5].to_vec()));
        let texts: Vec<String> = rows.iter().map(|(a, b, c, d, e)| {
            let c = if c.is_finite() { *c } else { 0.5 };
            serde_json::json!({"a": a, "b": b, "c": c, "d": d, "e": e}).to_string()
        }).collect();
        let (ours, good) = decode_all(&schema, &texts);
        prop_assert_eq!(good.len(), texts.len());
        let mut theirs = arrow_json::ReaderBuilder::new(schema).build_decoder().unwrap();
        theirs.decode(texts.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(Some(ours), theirs.flush().unwrap());
    }

    /// A record is malformed exactly where serde_json rejects it.
    #[test]
    fn grammar_agrees_with_serde_json(text in "(\\{\"[ab]\":)?[-0-9.eE{}\\[\\]\",:a \\\\tu]{0,12}\\}?", record in any_record(), place in 0usize..200, byte in any::<u8>()) {
        let mut changed = record.to_string().into_bytes();
        let place = place % changed.len();
        changed[place] = byte;
        for bytes in [text.into_bytes(), changed] {
            let mut decoder = JsonDecoder::new(Arc::new(Schema::empty())).unwrap();
            let texts = Utf8Records::new(&bytes);
            let ours = texts.record(0..bytes.len()).and_then(|text| decoder.push(text)).is_ok();
            // It does not check UTF-8 in what it ignores.
            let theirs = std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(text).is_ok());
            prop_assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&bytes));
        }
    }

    /// Nothing panics, and columns stay whole.
    #[test]
    fn any_bytes(records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..10)) {
        decode_all(&wide(), &records);
    }
}
