//! What the encoding looks like, and what it refuses.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, TimestampSecondArray,
};
use arrow_schema::{DataType, Field, Fields, Schema};
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;

fn one(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("a", array, true)]).unwrap()
}

fn sent(array: ArrayRef) -> Column {
    encode(&one(array), TextForm::Joined).unwrap().columns.remove(0)
}

fn json(array: ArrayRef) -> String {
    json_array(array.as_ref()).unwrap()
}

#[test]
fn numbers_cross_as_bytes_and_nulls_beside_them() {
    let column = sent(Arc::new(Int16Array::from(vec![Some(1), None, Some(-2)])));
    let Cells::Fixed(bytes) = &column.cells else { panic!("{column:?}") };
    assert_eq!((&bytes[..2], &bytes[4..]), (&[1, 0][..], &[0xfe, 0xff][..]));
    assert_eq!(column.valid, [1, 0, 1]);
    assert!(sent(Arc::new(Int64Array::from(vec![7]))).valid.is_empty());
}

#[test]
fn texts_are_joined_by_what_none_of_them_has() {
    let texts = |texts: &[Option<&str>]| encode(&one(Arc::new(StringArray::from(texts.to_vec()))), TextForm::Joined).unwrap();
    let table = texts(&[Some("a"), None, Some("b")]);
    assert_eq!((table.separator.as_str(), &table.columns[0].cells), ("\0", &Cells::Text("a\0\0b".to_owned())));
    assert_eq!(table.columns[0].valid, [1, 0, 1]);
    let table = texts(&[Some("a\0"), Some("b")]);
    assert_eq!((table.separator.as_str(), &table.columns[0].cells), ("\u{1f}", &Cells::Text("a\0\u{1f}b".to_owned())));
    let every: Vec<&str> = vec!["\0", "\u{1f}", "\u{fdd0}", "\u{fdd1}", "\u{fdd2}"];
    let table = texts(&every.iter().map(|text| Some(*text)).collect::<Vec<_>>());
    assert!(matches!(&table.columns[0].cells, Cells::Texts(texts) if *texts == every), "{table:?}");
}

#[test]
fn texts_that_repeat_cross_once() {
    let texts = StringArray::from(vec![Some("a"), Some("b"), None, Some("a"), Some("a"), Some("b")]);
    let places: Vec<u8> = [0_u32, 1, 2, 0, 0, 1].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(sent(Arc::new(texts.clone())).cells, Cells::Dictionary(2, "a\0b".to_owned(), places.clone()));
    let listed = encode(&one(Arc::new(texts)), TextForm::Listed).unwrap().columns.remove(0);
    assert_eq!(listed.cells, Cells::Distinct(vec!["a".to_owned(), "b".to_owned()], places));
    // Of two rows, two distinct ones are more than half.
    assert!(matches!(sent(Arc::new(StringArray::from(vec!["a", "b"]))).cells, Cells::Text(_)));
}

#[test]
fn json_is_as_the_contract_says() {
    let decimals = Decimal128Array::from(vec![Some(1250), None, Some(-1)]).with_precision_and_scale(20, 2).unwrap();
    assert_eq!(json(Arc::new(decimals)), "[\"12.50\",null,\"-0.01\"]");
    assert_eq!(json(Arc::new(BinaryArray::from(vec![&[0_u8, 255, 254][..], b""]))), "[\"AP/+\",\"\"]");
    assert_eq!(json(Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))), "[-9223372036854775808,9223372036854775807]");
    assert_eq!(json(Arc::new(Float64Array::from(vec![0.1, f64::NAN, f64::NEG_INFINITY]))), "[0.1,\"NaN\",\"-Infinity\"]");
    assert_eq!(json(Arc::new(StringArray::from(vec!["a \"quoted\" \\ \n\u{1} 🦀"]))), "[\"a \\\"quoted\\\" \\\\ \\n\\u0001 🦀\"]");
    assert_eq!(json(Arc::new(Date32Array::from(vec![19_180, -1]))), "[\"2022-07-07\",\"1969-12-31\"]");
    assert_eq!(json(Arc::new(TimestampSecondArray::from(vec![1_657_153_121]))), "[\"2022-07-07T00:18:41\"]");
    let utc = TimestampMicrosecondArray::from(vec![1_657_153_121_000_001, 0]).with_timezone("+02:00");
    assert_eq!(json(Arc::new(utc)), "[\"2022-07-07T00:18:41.000001Z\",\"1970-01-01T00:00:00Z\"]");
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    assert_eq!(json(Arc::new(lists.finish())), "[[1,null],null]");
    let fields = Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("age", DataType::Int64, true)]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec![Some("Zoë"), None])), Arc::new(Int64Array::from(vec![Some(7), None]))];
    assert_eq!(json(Arc::new(StructArray::new(fields, columns, None))), "[{\"name\":\"Zoë\",\"age\":7},{\"name\":null,\"age\":null}]");
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("a\"b");
    maps.values().append_value(i64::MIN);
    maps.append(true).unwrap();
    assert_eq!(json(Arc::new(maps.finish())), "[{\"a\\\"b\":-9223372036854775808}]");
}

fn read(data_type: DataType, nullable: bool, cells: MadeCells, valid: &str, rows: usize) -> Result<ArrayRef, String> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", data_type, nullable)]));
    let made = MadeTable { separator: ";".to_owned(), columns: vec![MadeColumn { cells, valid: valid.to_owned() }] };
    let table = decode(&made, &schema, rows, None, &Budget::new(1 << 20));
    table.map(|table| Arc::clone(table.column(0))).map_err(|error| error.to_string())
}

#[test]
fn json_that_is_nearly_right_is_refused() {
    let refused = |data_type: DataType, text: &str| read(data_type, true, MadeCells::Json(text.to_owned()), "", 1).unwrap_err();
    assert_eq!(refused(DataType::Int64, "[1.5]"), "column `a`: value 0: 1.5 is not a value of int64");
    assert_eq!(refused(DataType::Int8, "[128]"), "column `a`: value 0: 128 is not a value of int8");
    assert_eq!(refused(DataType::Int64, "[\"1\"]"), "column `a`: value 0: \"1\" is not a value of int64");
    assert_eq!(refused(DataType::Utf8, "[1]"), "column `a`: value 0: 1 is not a string");
    assert_eq!(refused(DataType::Utf8, "[]"), "column `a`: it has 0 values where 1 are due");
    assert_eq!(refused(DataType::Utf8, "[\"a\",\"b\"]"), "column `a`: it has more than the 1 values that are due");
    assert_eq!(refused(DataType::Binary, "[\"AP\"]"), "column `a`: value 0: \"AP\" is not base64 with padding");
    assert_eq!(
        refused(DataType::Decimal128(4, 2), "[\"1.234\"]"),
        "column `a`: value 0: \"1.234\" is not a decimal string with at most 2 digits after the point"
    );
    assert_eq!(
        refused(DataType::Decimal128(4, 2), "[\"123.00\"]"),
        "column `a`: value 0: \"123.00\" is not a decimal string of at most 4 digits"
    );
    assert_eq!(refused(DataType::Date32, "[\"07/07/2022\"]"), "column `a`: value 0: \"07/07/2022\" is not a date such as \"2022-07-07\"");
    assert_eq!(refused(DataType::Float64, "[1e999]"), "column `a`: value 0: 1e999 is not a number, \"NaN\" or \"Infinity\"");
    assert_eq!(refused(DataType::Int64, "{}"), "column `a`: it is no JSON array: invalid type: map, expected an array");
    assert_eq!(refused(DataType::Int64, "[1"), "column `a`: it is no JSON array: EOF while parsing a list");
    let list = DataType::new_list(DataType::Int64, true);
    assert_eq!(refused(list.clone(), "[{}]"), "column `a`: value 0: invalid type: map, expected an array");
    assert_eq!(refused(list, "[[1,[2]]]"), "column `a`: value 0: [2] is not a value of int64");
    let point = DataType::Struct(Fields::from(vec![Field::new("x", DataType::Int64, false)]));
    assert_eq!(refused(point.clone(), "[{}]"), "column `a`: value 0: `x`: it has nulls where its field allows none");
    assert_eq!(refused(point.clone(), "[{\"y\":1}]"), "column `a`: value 0: the type has no field `y`");
    assert_eq!(refused(point, "[{\"x\":1,\"x\":1}]"), "column `a`: value 0: `x` occurs twice");
}

#[test]
fn what_is_absent_in_json_is_null() {
    let fields =
        Fields::from(vec![Field::new("x", DataType::Int64, false), Field::new("y", DataType::new_list(DataType::Utf8, false), true)]);
    // Members in another order, nulls spelt out, and fields that allow none under a struct that is null.
    let text = "[null,{\"y\":[\"a\"],\"x\":1},{\"x\":2}]";
    let column = read(DataType::Struct(fields), true, MadeCells::Json(text.to_owned()), "", 3).unwrap();
    assert_eq!(json(column), "[null,{\"x\":1,\"y\":[\"a\"]},{\"x\":2,\"y\":null}]");
}

#[test]
fn nulls_are_refused_where_a_field_allows_none() {
    let refused = |cells: MadeCells, valid: &str| read(DataType::Utf8, false, cells, valid, 2).unwrap_err();
    let expected = "column `a`: it has nulls where its field allows none";
    assert_eq!(refused(MadeCells::Text("a;b".to_owned()), "10"), expected);
    assert_eq!(refused(MadeCells::Json("[\"a\",null]".to_owned()), ""), expected);
}

#[test]
fn a_value_per_text_is_spread_over_the_rows() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let places: Vec<u8> = [0_u32, 1, 2, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    let places = |column| (column == 3).then_some(Places { bytes: &places, count: 3 });
    let spreading = Spreading { places: &places, rows: &|| vec![0, 0, 2, 3] };
    let spread = |values: &str| {
        let cells = MadeCells::Spread(3, values.to_owned());
        let made = MadeTable { separator: String::new(), columns: vec![MadeColumn { cells, valid: "1101".to_owned() }] };
        decode(&made, &schema, 4, Some(&spreading), &Budget::new(1 << 20)).map(|table| Arc::clone(table.column(0)))
    };
    assert_eq!(&spread("[10,11,12]").unwrap(), &(Arc::new(Int64Array::from(vec![Some(10), Some(10), None, Some(10)])) as ArrayRef));
    assert_eq!(spread("[10,11]").unwrap_err().to_string(), "column `a`: it has 2 values where 3 are due");
}

/// What a plugin makes of a text column that it sends back as it came.
fn returned(column: Column) -> MadeColumn {
    let valid = column.valid.iter().map(|&byte| char::from(b'0' + byte)).collect();
    let cells = match column.cells {
        Cells::Text(text) => MadeCells::Text(text),
        Cells::Texts(texts) => MadeCells::Texts(texts),
        other => panic!("{other:?}"),
    };
    MadeColumn { cells, valid }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the texts hold, separators included.
    #[test]
    fn texts_come_back_as_they_went(
        texts in prop::collection::vec(prop::option::weighted(0.8, "[ab\0\u{1f}\u{fdd0}\u{fdd1}\u{fdd2}é]{0,4}"), 1..20),
        cut in any::<prop::sample::Index>(),
        joined in any::<bool>(),
    ) {
        let array = StringArray::from(texts.clone());
        let cut = cut.index(texts.len());
        let batch = one(Arc::new(array.slice(cut, texts.len() - cut)));
        let form = if joined { TextForm::Joined } else { TextForm::Listed };
        let table = encode(&batch, form).unwrap();
        let schema = batch.schema();
        let rows = batch.num_rows();
        let (places, count) = match &table.columns[0].cells {
            Cells::Dictionary(count, _, places) => (places.clone(), *count as usize),
            Cells::Distinct(texts, places) => (places.clone(), texts.len()),
            _ => (Vec::new(), 0),
        };
        let count = count + usize::from(!table.columns[0].valid.is_empty());
        let find = |_| (!places.is_empty()).then_some(Places { bytes: &places, count });
        let spreading = Spreading { places: &find, rows: &|| (0..rows as u32).collect() };
        let distinct = match &table.columns[0].cells {
            Cells::Dictionary(count, texts, _) => Some(texts.split(&table.separator).take(*count as usize).map(str::to_owned).collect::<Vec<_>>()),
            Cells::Distinct(texts, _) => Some(texts.clone()),
            _ => None,
        };
        let column = match distinct {
            Some(distinct) => {
                let mut values: Vec<Option<String>> = distinct.into_iter().map(Some).collect();
                values.resize(count, None);
                MadeColumn { cells: MadeCells::Spread(0, serde_json::to_string(&values).unwrap()), valid: String::new() }
            }
            None => returned(table.columns[0].clone()),
        };
        let made = MadeTable { separator: table.separator.clone(), columns: vec![column] };
        let back = decode(&made, &schema, rows, Some(&spreading), &Budget::new(1 << 20)).unwrap();
        prop_assert!(back.column(0).to_data().validate_full().is_ok());
        prop_assert_eq!(back, batch);
    }
}
