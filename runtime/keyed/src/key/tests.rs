//! The encoding: its bytes, its order, and what it refuses.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::codes::{KEY_TYPE, RUN_DAMAGED};

fn codec(columns: &[ArrayRef]) -> KeyCodec {
    let fields: Vec<Field> = columns.iter().enumerate().map(|(i, of)| Field::new(format!("k{i}"), of.data_type().clone(), true)).collect();
    KeyCodec::new(fields).unwrap()
}

fn encoded(columns: &[ArrayRef]) -> Keys {
    let mut keys = Keys::default();
    codec(columns).encode(columns, columns.first().map_or(1, |column| column.len()), &mut keys).unwrap();
    keys
}

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The encoding of version 1. It is in the state of pipelines: if this test fails, state becomes unreadable.
#[test]
fn version_1_is_these_bytes() {
    let decimal = |values: Vec<Option<i128>>| Decimal128Array::from(values).with_precision_and_scale(10, 2).unwrap();
    let zoned = TimestampMicrosecondArray::from(vec![1_700_000_000_000_000]).with_timezone("Europe/Berlin");
    let cases: Vec<(ArrayRef, &[&str])> = vec![
        (Arc::new(BooleanArray::from(vec![None, Some(false), Some(true)])), &["00", "01 00", "01 01"]),
        (
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(-1), None, Some(0), Some(258)])),
            &["01 00 00 00 00 00 00 00 00", "01 7f ff ff ff ff ff ff ff", "00", "01 80 00 00 00 00 00 00 00", "01 80 00 00 00 00 00 01 02"],
        ),
        (Arc::new(Int8Array::from(vec![-1, 5])), &["01 7f ff ff ff ff ff ff ff", "01 80 00 00 00 00 00 00 05"]),
        (Arc::new(UInt64Array::from(vec![0, u64::MAX])), &["01 00 00 00 00 00 00 00 00", "01 ff ff ff ff ff ff ff ff"]),
        (Arc::new(UInt16Array::from(vec![300])), &["01 00 00 00 00 00 00 01 2c"]),
        (Arc::new(Date32Array::from(vec![-1, 19_000])), &["01 7f ff ff ff ff ff ff ff", "01 80 00 00 00 00 00 4a 38"]),
        (Arc::new(zoned), &["01 80 06 0a 24 18 1e 40 00"]),
        (
            Arc::new(decimal(vec![Some(-1), Some(12_345)])),
            &["01 7f ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff", "01 80 00 00 00 00 00 00 00 00 00 00 00 00 00 30 39"],
        ),
        (
            Arc::new(StringArray::from(vec![Some(""), None, Some("ab"), Some("a\0b")])),
            &["01 00 00", "00", "01 61 62 00 00", "01 61 00 ff 62 00 00"],
        ),
        (Arc::new(BinaryArray::from(vec![&[0_u8, 255][..]])), &["01 00 ff ff 00 00"]),
    ];
    for (column, expected) in cases {
        let keys = encoded(&[Arc::clone(&column)]);
        assert_eq!(keys.iter().map(hex).collect::<Vec<_>>(), expected, "{:?}", column.data_type());
    }
    let both: [ArrayRef; 2] = [Arc::new(StringArray::from(vec!["x"])), Arc::new(Int32Array::from(vec![None]))];
    assert_eq!(hex(encoded(&both).get(0)), "01 78 00 00 00");
    assert_eq!(hex(encoded(&[]).get(0)), "");
    assert_eq!(VERSION, 1);
}

/// A value of a column, with the order that SQL gives it: nulls first here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    truth: Option<bool>,
    number: Option<i64>,
    small: Option<i8>,
    unsigned: Option<u64>,
    decimal: Option<i128>,
    text: Option<Vec<u8>>,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Few different bytes, so that zeros and common prefixes are frequent.
    prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(b'a'), Just(0x7f)], 0..20)
}

fn row() -> impl Strategy<Value = Row> {
    fn optional<S: Strategy>(of: S) -> impl Strategy<Value = Option<S::Value>> {
        prop::option::weighted(0.8, of)
    }
    let number = prop_oneof![any::<i64>(), -2..2i64];
    let decimal = prop_oneof![-(10_i128.pow(38) - 1)..10_i128.pow(38), -2..2i128];
    let (truth, small, unsigned) = (any::<bool>(), any::<i8>(), any::<u64>());
    (optional(truth), optional(number), optional(small), optional(unsigned), optional(decimal), optional(text()))
        .prop_map(|(truth, number, small, unsigned, decimal, text)| Row { truth, number, small, unsigned, decimal, text })
}

fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let texts = |row: &Row| row.text.clone().map(|text| String::from_utf8(text).unwrap());
    vec![
        Arc::new(rows.iter().map(|row| row.truth).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.text.clone()).collect::<BinaryArray>()),
        Arc::new(rows.iter().map(|row| row.number).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.small).collect::<Int8Array>()),
        Arc::new(rows.iter().map(texts).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.unsigned).collect::<UInt64Array>()),
        Arc::new(rows.iter().map(|row| row.decimal).collect::<PrimitiveArray<Decimal128Type>>()),
        Arc::new(rows.iter().map(|row| row.decimal.map(i256::from_i128)).collect::<PrimitiveArray<Decimal256Type>>()),
        Arc::new(rows.iter().map(|row| row.number).collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(texts).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.small.map(i32::from)).collect::<Date32Array>()),
    ]
}

/// The order of two rows by the columns of [`columns`].
fn order(a: &Row, b: &Row) -> Ordering {
    a.truth
        .cmp(&b.truth)
        .then_with(|| a.text.cmp(&b.text))
        .then_with(|| a.number.cmp(&b.number))
        .then_with(|| a.small.cmp(&b.small))
        .then_with(|| a.unsigned.cmp(&b.unsigned))
        .then_with(|| a.decimal.cmp(&b.decimal))
}

proptest! {
    #[test]
    fn bytes_are_in_the_order_of_values_and_come_back(rows in prop::collection::vec(row(), 1..20)) {
        let columns = columns(&rows);
        let keys = encoded(&columns);
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows.iter().enumerate() {
                prop_assert_eq!(keys.get(i).cmp(keys.get(j)), order(a, b), "{:?} and {:?}", a, b);
            }
        }
        let decoded = codec(&columns).decode(keys.iter()).unwrap();
        prop_assert_eq!(&decoded, &columns);
        // Each column alone, by the path for one column and on slices.
        for column in &columns {
            let keys = encoded(&[column.slice(rows.len() / 2, rows.len() - rows.len() / 2)]);
            let decoded = codec(&[Arc::clone(column)]).decode(keys.iter()).unwrap();
            prop_assert_eq!(&decoded[0], &column.slice(rows.len() / 2, rows.len() - rows.len() / 2));
        }
    }

    #[test]
    fn damaged_keys_are_errors_or_other_keys(row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let columns = columns(&[row]);
        let keys = encoded(&columns);
        let mut key = keys.get(0).to_vec();
        let at = at.index(key.len());
        if cut { key.truncate(at) } else { key[at] = byte }
        match codec(&columns).decode([key.as_slice()]) {
            // What decodes is exactly what those bytes are: no two byte strings are one key.
            Ok(columns) => {
                let again = encoded(&columns);
                prop_assert_eq!(again.get(0), key.as_slice());
            }
            Err(error) => prop_assert_eq!(error.kind(), Some(RUN_DAMAGED)),
        }
    }
}

#[test]
fn types_without_a_reliable_equality_are_refused() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
    for (of, name) in [(DataType::Float64, "float64"), (DataType::Float32, "float32"), (list, "list<int64>")] {
        let error = KeyCodec::new(vec![Field::new("price", of, true)]).unwrap_err();
        assert_eq!(error.kind(), Some(KEY_TYPE));
        assert_eq!(error.message(), format!("column `price` of type {name} can't be a key"));
    }
}

#[test]
fn columns_of_other_types_than_planned_are_refused() {
    let codec = KeyCodec::new(vec![Field::new("a", DataType::Int64, true)]).unwrap();
    let columns: [ArrayRef; 1] = [Arc::new(Int32Array::from(vec![1]))];
    assert!(codec.encode(&columns, 1, &mut Keys::default()).unwrap_err().to_string().contains("int32"));
}

#[test]
fn people_see_keys_in_words() {
    let columns: [ArrayRef; 3] = [
        Arc::new(StringArray::from(vec!["a\nb"])),
        Arc::new(Int32Array::from(vec![None])),
        Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("+00:00")),
    ];
    let keys = encoded(&columns);
    assert_eq!(codec(&columns).in_words(keys.get(0)), "k0=a\\nb, k1=null, k2=1970-01-01T00:00:00Z");
    assert_eq!(codec(&columns).in_words(&[7, 255]), "0x07ff");
}

#[test]
fn sides_of_a_join_compare_where_types_are_equal() {
    let of = |name: &str, data_type: DataType| KeyCodec::new(vec![Field::new(name, data_type, true)]).unwrap();
    assert!(of("a", DataType::Int64).compares_with(&of("b", DataType::Int64)));
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    assert!(!of("a", seconds).compares_with(&of("a", DataType::Timestamp(TimeUnit::Millisecond, None))));
}
