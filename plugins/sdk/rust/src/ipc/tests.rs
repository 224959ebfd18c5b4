//! The codec against Arrow's own reader and writer, for every type that crosses the boundary, whole and sliced.

use std::sync::Arc;

use arrow_array::builder::{Decimal128Builder, Int32Builder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int8Array, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::{decode_schema, decode_table, encode_schema, encode_table};

fn batch() -> RecordBatch {
    let texts =
        StringArray::from(vec![Some("a"), None, Some(""), Some("héllo"), Some("e"), None, Some("g"), Some("h"), Some("i"), Some("jj")]);
    let numbers = Int8Array::from_iter((0..10).map(|n| (n % 3 != 0).then_some(n)));
    let lists =
        ListArray::from_iter_primitive::<Int32Type, _, _>((0..10).map(|n| (n != 4).then(|| (0..n % 4).map(Some).collect::<Vec<_>>())));
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for n in 0..10 {
        maps.keys().append_value(format!("k{n}"));
        maps.values().append_option((n % 2 == 0).then_some(n));
        maps.append(n != 7).unwrap();
    }
    let mut decimals = Decimal128Builder::new().with_precision_and_scale(20, 2).unwrap();
    (0..10).for_each(|n| decimals.append_option((n != 3).then_some(i128::from(n) * 1_000_000_007)));
    let structs = StructArray::from(vec![
        (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(texts.clone()) as ArrayRef),
        (Arc::new(Field::new("l", lists.data_type().clone(), true)), Arc::new(lists.clone()) as ArrayRef),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(texts)),
        ("binary", Arc::new(BinaryArray::from_iter((0..10_u8).map(|n| (n != 2).then(|| vec![n; n as usize]))))),
        ("boolean", Arc::new(BooleanArray::from_iter((0..10).map(|n| (n != 5).then_some(n % 2 == 0))))),
        ("int8", Arc::new(numbers)),
        ("uint64", Arc::new(UInt64Array::from_iter_values((0..10).map(|n| u64::MAX - n)))),
        ("float", Arc::new(Float64Array::from_iter((0..10).map(|n| (n != 9).then_some(f64::from(n) / 3.0))))),
        ("date", Arc::new(Date32Array::from_iter_values(0..10))),
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(0..10).with_timezone("UTC"))),
        ("decimal", Arc::new(decimals.finish())),
        ("list", Arc::new(lists)),
        ("map", Arc::new(maps.finish())),
        ("struct", Arc::new(structs)),
        ("null", Arc::new(NullArray::new(10))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn stream(schema: &SchemaRef, batch: Option<&RecordBatch>) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).unwrap();
    if let Some(batch) = batch {
        writer.write(batch).unwrap();
    }
    writer.get_ref().clone()
}

#[test]
fn arrow_reads_what_the_plugin_writes() {
    let batch = batch();
    for (offset, length) in [(0, 10), (0, 1), (3, 5), (7, 3), (9, 1), (8, 0)] {
        let slice = batch.slice(offset, length);
        let mut bytes = stream(&slice.schema(), None);
        let message = encode_table(slice.columns(), length).unwrap();
        assert_eq!(message.len(), message.capacity(), "the answer is exactly as large as its allocation");
        bytes.extend(message);
        let read = StreamReader::try_new(bytes.as_slice(), None).unwrap().next().unwrap().unwrap();
        assert_eq!(read, slice, "rows {offset}, {length} of them");
    }
}

#[test]
fn the_plugin_reads_what_arrow_writes() {
    let batch = batch();
    for (offset, length) in [(0, 10), (0, 1), (3, 5), (7, 3), (9, 1)] {
        let slice = batch.slice(offset, length);
        let start = stream(&slice.schema(), None).len();
        let message = stream(&slice.schema(), Some(&slice)).split_off(start);
        let (columns, rows) = decode_table(message, slice.schema().fields()).unwrap();
        assert_eq!(rows, length);
        for (found, expected) in columns.iter().zip(slice.columns()) {
            found.to_data().validate_full().unwrap();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn schemas_survive() {
    let schema = batch().schema();
    assert_eq!(decode_schema(&encode_schema(&schema)).unwrap(), *schema);
    assert_eq!(decode_schema(&encode_schema(&Schema::empty())).unwrap(), Schema::empty());
}

#[test]
fn malformed_messages_are_refused() {
    let batch = batch();
    let fields = batch.schema().fields().clone();
    let message = encode_table(batch.columns(), 10).unwrap();
    // The last bytes may be padding, which is never read.
    for length in (0..message.len() - super::ALIGNMENT).step_by(7) {
        assert!(decode_table(message[..length].to_vec(), &fields).is_err(), "cut to {length} bytes");
    }
    assert!(decode_table(encode_schema(&batch.schema()), &fields).is_err());
    assert!(decode_schema(&message).is_err());
    let longer = arrow_schema::Fields::from(vec![Field::new("a", DataType::Int64, true); 20]);
    assert!(decode_table(message, &longer).is_err());
}
