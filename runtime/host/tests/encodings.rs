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
use support::{columns_plugin, echo, listing_plugin, opened, plugin, policy, small_limits};
use wasmill_host::Plugin;

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
    let transform = opened(plugin, &config, batch.schema(), small_limits(), policy()).unwrap();
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
fn every_type_crosses_as_columns() {
    for plugin in [columns_plugin(), listing_plugin()] {
        assert_eq!(echoed(&plugin, &every_type()), every_type());
        let part = every_type().slice(1, 2);
        assert_eq!(echoed(&plugin, &part), part);
    }
}

#[test]
fn texts_that_repeat_cross_as_columns() {
    let texts = [Some("a"), None, Some(""), Some("a"), Some(""), Some("a"), None, Some("é|\u{1f}")];
    let batch =
        |texts: &[Option<&str>]| RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)]).unwrap();
    for plugin in [columns_plugin(), listing_plugin()] {
        for texts in [&texts[..], &texts[..1], &[None, None, None], &[Some(""); 4]] {
            let batch = batch(texts);
            assert_eq!(echoed(&plugin, &batch), batch);
        }
    }
}

/// Then there is nothing to join them by.
#[test]
fn texts_with_every_separator_cross_one_by_one() {
    let texts = ["\0", "\u{1f}", "\u{fdd0}", "\u{fdd1}", "\u{fdd2}"];
    let batch = RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)]).unwrap();
    assert_eq!(echoed(&columns_plugin(), &batch), batch);
}

#[test]
fn not_a_number_crosses_in_both_encodings() {
    let batch = RecordBatch::try_from_iter([("f", Arc::new(Float64Array::from(vec![f64::NAN])) as ArrayRef)]).unwrap();
    for plugin in [plugin(), columns_plugin()] {
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
    for plugin in [plugin(), columns_plugin()] {
        // It asks for the times, and gives back what it got.
        let config = echo(plugin.description().encoding, &crossed.schema());
        let transform = opened(&plugin, &config, dates.schema(), small_limits(), policy()).unwrap();
        let mut processed = transform.instance().unwrap().process(&dates).unwrap();
        assert!(processed.rejects.is_empty(), "{:?}", processed.rejects);
        assert_eq!(processed.outputs.remove(0).records, crossed);
    }
}
