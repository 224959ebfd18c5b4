//! Every type that crosses, in both encodings, through a real plugin and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/support.rs"]
mod support;

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, NullArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Fields, Schema};
use support::{echo, json_plugin, plugin, policy, small_limits};
use wasmill_host::{Encoding, Plugin, boundary};

fn lists() -> ArrayRef {
    let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    lists.values().append_value([Some(1), None]);
    lists.values().append_null();
    lists.append(true);
    lists.append(false);
    lists.append(true);
    Arc::new(lists.finish())
}

fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("a\"b");
    maps.values().append_value(i64::MIN);
    maps.keys().append_value("");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.append(true).unwrap();
    Arc::new(maps.finish())
}

fn structs() -> ArrayRef {
    let fields = Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("age", DataType::Int32, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec![Some("Zoë"), None, None])), Arc::new(Int32Array::from(vec![Some(7), None, None]))];
    Arc::new(StructArray::new(fields, columns, Some(vec![true, false, true].into())))
}

fn every_type() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("null", Arc::new(NullArray::new(3))),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("int16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("int32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)]))),
        ("uint16", Arc::new(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)]))),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NEG_INFINITY), Some(f32::MAX)]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), Some(f64::INFINITY), Some(5e-324)]))),
        ("decimal", Arc::new(Decimal128Array::from(vec![Some(1250), None, Some(-1)]).with_precision_and_scale(20, 2).unwrap())),
        (
            "wide",
            Arc::new(
                Decimal128Array::from(vec![Some(10_i128.pow(38) - 1), None, Some(1 - 10_i128.pow(38))])
                    .with_precision_and_scale(38, 10)
                    .unwrap(),
            ),
        ),
        ("text", Arc::new(StringArray::from(vec![Some("a \"quoted\" \\ \n\u{1} 🦀"), None, Some("")]))),
        ("binary", Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255, 254][..]), None, Some(b"")]))),
        ("date", Arc::new(Date32Array::from(vec![Some(19_180), None, Some(-1)]))),
        ("second", Arc::new(TimestampSecondArray::from(vec![Some(1_657_153_121), None, Some(-1)]))),
        ("milli", Arc::new(TimestampMillisecondArray::from(vec![Some(1_657_153_121_007), None, Some(-1)]))),
        ("micro", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), None, Some(-1)]))),
        ("nano", Arc::new(TimestampNanosecondArray::from(vec![Some(1_657_153_121_000_000_001), None, Some(-1)]))),
        ("utc", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_657_153_121_000_001), None, Some(0)]).with_timezone("UTC"))),
        ("berlin", Arc::new(TimestampMillisecondArray::from(vec![Some(1_657_153_121_500), None, Some(0)]).with_timezone("+02:00"))),
        ("lists", lists()),
        ("structs", structs()),
        ("maps", maps()),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn echoed(plugin: &Plugin, batch: &RecordBatch) -> RecordBatch {
    let config = echo(plugin.description().encoding, &batch.schema());
    let transform = plugin.transform(&config, batch.schema(), &small_limits(), policy()).unwrap();
    let mut processed = transform.instance().unwrap().process(batch).unwrap();
    assert!(processed.rejects.is_empty(), "{:?}", processed.rejects);
    processed.outputs.remove(0).records
}

#[test]
fn every_type_crosses_as_arrow() {
    assert_eq!(echoed(&plugin(), &every_type()), every_type());
    // A part of a batch carries offsets that are not its own.
    let part = every_type().slice(1, 2);
    assert_eq!(echoed(&plugin(), &part), part);
}

#[test]
fn every_type_crosses_as_json() {
    assert_eq!(echoed(&json_plugin(), &every_type()), every_type());
    let part = every_type().slice(1, 2);
    assert_eq!(echoed(&json_plugin(), &part), part);
}

#[test]
fn not_a_number_crosses_in_both_encodings() {
    let batch = RecordBatch::try_from_iter([("f", Arc::new(Float64Array::from(vec![f64::NAN])) as ArrayRef)]).unwrap();
    for plugin in [plugin(), json_plugin()] {
        let back = echoed(&plugin, &batch);
        assert!(back.column(0).as_any().downcast_ref::<Float64Array>().unwrap().value(0).is_nan());
    }
}

/// The same that every sink writes.
#[test]
fn a_date_of_64_bits_crosses_as_a_time() {
    let times = [Some(1_657_153_121_001), None, Some(-1)];
    let dates = RecordBatch::try_from_iter([("d", Arc::new(Date64Array::from(times.to_vec())) as ArrayRef)]).unwrap();
    let crossed = RecordBatch::try_from_iter([("d", Arc::new(TimestampMillisecondArray::from(times.to_vec())) as ArrayRef)]).unwrap();
    for plugin in [plugin(), json_plugin()] {
        // It requests the times, and returns what it received.
        let config = echo(plugin.description().encoding, &crossed.schema());
        let transform = plugin.transform(&config, dates.schema(), &small_limits(), policy()).unwrap();
        let mut processed = transform.instance().unwrap().process(&dates).unwrap();
        assert!(processed.rejects.is_empty(), "{:?}", processed.rejects);
        assert_eq!(processed.outputs.remove(0).records, crossed);
    }
}

#[test]
fn json_lines_look_as_the_contract_says() {
    let columns = ["int64", "decimal", "wide", "text", "binary", "date", "second", "micro", "utc", "berlin", "lists", "structs", "maps"];
    let batch = every_type();
    let indices: Vec<usize> = columns.iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
    let text = String::from_utf8(boundary::encode_table(Encoding::JsonLines, &batch.project(&indices).unwrap()).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "{\"int64\":-9223372036854775808,\"decimal\":\"12.50\",\"wide\":\"9999999999999999999999999999.9999999999\",\
             \"text\":\"a \\\"quoted\\\" \\\\ \\n\\u0001 🦀\",\"binary\":\"AP/+\",\"date\":\"2022-07-07\",\
             \"second\":\"2022-07-07T00:18:41\",\"micro\":\"2022-07-07T00:18:41.000001\",\"utc\":\"2022-07-07T00:18:41.000001Z\",\
             \"berlin\":\"2022-07-07T00:18:41.500Z\",\"lists\":[[1,null],null],\"structs\":{\"name\":\"Zoë\",\"age\":7},\
             \"maps\":{\"a\\\"b\":-9223372036854775808,\"\":null}}",
            "{\"int64\":null,\"decimal\":null,\"wide\":null,\"text\":null,\"binary\":null,\"date\":null,\"second\":null,\"micro\":null,\
             \"utc\":null,\"berlin\":null,\"lists\":null,\"structs\":null,\"maps\":null}",
            "{\"int64\":9223372036854775807,\"decimal\":\"-0.01\",\"wide\":\"-9999999999999999999999999999.9999999999\",\
             \"text\":\"\",\"binary\":\"\",\"date\":\"1969-12-31\",\"second\":\"1969-12-31T23:59:59\",\
             \"micro\":\"1969-12-31T23:59:59.999999\",\"utc\":\"1970-01-01T00:00:00Z\",\"berlin\":\"1970-01-01T00:00:00Z\",\"lists\":[],\
             \"structs\":{\"name\":null,\"age\":null},\"maps\":{}}",
        ]
    );
}

#[test]
fn json_that_is_nearly_right_is_refused() {
    let refused = |data_type: DataType, text: &str| {
        let schema = Arc::new(Schema::new(vec![Field::new("a", data_type, true)]));
        let error = boundary::decode_table(Encoding::JsonLines, text.as_bytes().to_vec(), &schema, 1);
        error.expect_err("this should not be read").to_string()
    };
    assert_eq!(refused(DataType::Int64, "{\"a\":1.5}\n"), "line 1: column `a`: 1.5 is not a value of int64");
    assert_eq!(refused(DataType::Int8, "{\"a\":128}\n"), "line 1: column `a`: 128 is not a value of int8");
    assert_eq!(refused(DataType::Int64, "{\"a\":\"1\"}\n"), "line 1: column `a`: \"1\" is not a value of int64");
    assert_eq!(refused(DataType::Utf8, "{\"a\":1}\n"), "line 1: column `a`: 1 is not a string");
    assert_eq!(refused(DataType::Utf8, "{\"b\":\"1\"}\n"), "line 1: the schema has no column `b`");
    assert_eq!(refused(DataType::Utf8, "{\"a\":\"1\",\"a\":\"2\"}\n"), "line 1: `a` occurs twice");
    assert_eq!(refused(DataType::Utf8, "{}\n{}\n"), "the table has 2 rows where 1 are due");
    assert_eq!(refused(DataType::Binary, "{\"a\":\"AP\"}\n"), "line 1: column `a`: \"AP\" is not base64 with padding");
    assert_eq!(
        refused(DataType::Decimal128(4, 2), "{\"a\":\"1.234\"}\n"),
        "line 1: column `a`: \"1.234\" is not a decimal string with at most 2 digits after the point"
    );
    assert_eq!(
        refused(DataType::Decimal128(4, 2), "{\"a\":\"123.00\"}\n"),
        "line 1: column `a`: \"123.00\" is not a decimal string of at most 4 digits"
    );
    assert_eq!(
        refused(DataType::Date32, "{\"a\":\"07/07/2022\"}\n"),
        "line 1: column `a`: \"07/07/2022\" is not a date such as \"2022-07-07\""
    );
    assert_eq!(refused(DataType::Float64, "{\"a\":1e999}\n"), "line 1: column `a`: 1e999 is not a number, \"NaN\" or \"Infinity\"");
    assert_eq!(refused(DataType::Int64, "[1]\n"), "line 1: it is no JSON object at byte 0: invalid type: sequence, expected an object");
    assert_eq!(refused(DataType::Int64, "{\"a\":1\n"), "line 1: it is no JSON object at byte 6: EOF while parsing an object");
    let list = DataType::new_list(DataType::Int64, true);
    assert_eq!(refused(list.clone(), "{\"a\":{}}\n"), "line 1: column `a`: invalid type: map, expected an array");
    assert_eq!(refused(list.clone(), "{\"a\":7}\n"), "line 1: column `a`: invalid type: integer `7`, expected an array");
    assert_eq!(refused(list, "{\"a\":[1,[2]]}\n"), "line 1: column `a`: [2] is not a value of int64");
    let point = DataType::Struct(Fields::from(vec![Field::new("x", DataType::Int64, false)]));
    assert_eq!(refused(point.clone(), "{\"a\":{}}\n"), "line 1: column `a`: `x`: it has nulls where its field allows none");
    assert_eq!(refused(point, "{\"a\":{\"x\":1,\"x\":1}}\n"), "line 1: column `a`: `x` occurs twice");
}

#[test]
fn what_is_absent_in_json_is_null() {
    let point = Fields::from(vec![Field::new("x", DataType::Int64, false)]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Struct(point), true),
        Field::new("b", DataType::new_list(DataType::Utf8, false), true),
        Field::new("c", DataType::Utf8, true),
    ]));
    // Members in another order, nulls spelt out, and fields that allow none under a struct that is null.
    let text = "{\"c\":\"z\",\"a\":null}\n{}\n{\"b\":[\"y\"],\"a\":{\"x\":1}}\n";
    let table = boundary::decode_table(Encoding::JsonLines, text.as_bytes().to_vec(), &schema, 3).unwrap();
    let back = String::from_utf8(boundary::encode_table(Encoding::JsonLines, &table).unwrap()).unwrap();
    let nothing = "{\"a\":null,\"b\":null,\"c\":null}\n";
    assert_eq!(
        back,
        format!("{}{nothing}{}", nothing.replace("\"c\":null", "\"c\":\"z\""), "{\"a\":{\"x\":1},\"b\":[\"y\"],\"c\":null}\n")
    );
}
