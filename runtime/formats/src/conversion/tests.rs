use arrow_array::builder::{Int64Builder, ListBuilder, StructBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::NullBuffer;
use arrow_schema::Fields;
use proptest::prelude::*;

use super::*;

fn field(data_type: DataType) -> Field {
    Field::new("v", data_type, true)
}

fn converted(column: impl Array + 'static, to: &Field) -> (ArrayRef, Vec<(usize, String)>) {
    let column: ArrayRef = Arc::new(column);
    let (array, misfits) = Conversion::new(column.data_type(), to).unwrap().apply(&column, None).unwrap();
    assert_eq!((array.len(), array.data_type()), (column.len(), bare_field(&Arc::new(to.clone())).data_type()));
    let reported = |(place, bad): (usize, Box<BadRecord>)| {
        let column = bad.column.as_deref().map_or_else(String::new, |column| format!("{column} "));
        (place, format!("{column}{}: {}", bad.code, bad.message))
    };
    (array, misfits.into_iter().map(reported).collect())
}

/// What became of each value: its text, or why not.
fn shown(column: impl Array + 'static, to: &Field) -> Vec<String> {
    let (array, misfits) = converted(column, to);
    let formatter =
        arrow_cast::display::ArrayFormatter::try_new(&array, &arrow_cast::display::FormatOptions::new().with_null("null")).unwrap();
    let mut shown: Vec<String> = (0..array.len()).map(|place| formatter.value(place).to_string()).collect();
    misfits.into_iter().for_each(|(place, message)| shown[place] = message);
    shown
}

fn utc(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some("UTC".into()))
}

fn structs(fields: &[(&str, ArrayRef)], nulls: Option<NullBuffer>) -> StructArray {
    let names: Fields = fields.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    StructArray::new(names, fields.iter().map(|(_, column)| Arc::clone(column)).collect(), nulls)
}

fn struct_type(fields: &[(&str, DataType, bool)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable)).collect())
}

#[test]
fn the_same_type_costs_nothing() {
    for to in [DataType::Int64, struct_type(&[("a", DataType::Int64, true)])] {
        let column = new_null_array(&to, 3);
        let (same, misfits) = Conversion::new(&to, &field(to.clone())).unwrap().apply(&column, None).unwrap();
        assert!(Arc::ptr_eq(&same, &column) && misfits.is_empty());
    }
}

#[test]
fn structs_are_matched_by_name() {
    let column = structs(
        &[("lat", Arc::new(Float64Array::from(vec![1.0, 9.0]))), ("lon", Arc::new(Float64Array::from(vec![2.0, 9.0])))],
        Some(vec![true, false].into()),
    );
    let wanted = struct_type(&[("lon", DataType::Float64, true), ("alt", DataType::Float64, true)]);
    assert_eq!(shown(column.clone(), &field(wanted)), ["{lon: 2.0, alt: null}", "null"]);
    let narrower = struct_type(&[("lon", DataType::Int32, true)]);
    assert_eq!(shown(column.clone(), &field(narrower)), ["{lon: 2}", "null"]);
    let foreign = struct_type(&[("x", DataType::Float64, true)]);
    let message = "wrong-type: a struct<lat: float64, lon: float64> (no field has the same name) where struct<x: float64> is needed";
    assert_eq!(shown(column.clone(), &field(foreign)), [message, "null"]);
    let needed = struct_type(&[("lon", DataType::Float64, true), ("alt", DataType::Float64, false)]);
    assert_eq!(shown(column, &field(needed)), ["alt null-value: it is missing, and may not be null", "null"]);
}

#[test]
fn values_inside_of_lists_and_structs_are_judged_one_by_one_and_hidden_ones_are_not() {
    let element = Fields::from(vec![Field::new("n", DataType::Int64, true)]);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(element, 0));
    for (numbers, valid) in [(vec![1, 2], true), (vec![3, 1 << 40], true), (vec![1 << 41], false), (vec![], true), (vec![1 << 42], true)] {
        for number in numbers {
            lists.values().field_builder::<Int64Builder>(0).unwrap().append_value(number);
            lists.values().append(true);
        }
        lists.append(valid);
    }
    let lists = lists.finish();
    let to = field(DataType::new_list(struct_type(&[("n", DataType::Int32, true)]), true));
    let bad = |number: i64| format!("[].n out-of-range: \"{number}\" does not fit into int32");
    let all = ["[{n: 1}, {n: 2}]".to_owned(), bad(1 << 40), "null".to_owned(), "[]".to_owned(), bad(1 << 42)];
    let shown_all = shown(lists.clone(), &to);
    assert_eq!(shown_all, all);
    assert_eq!(shown(lists.slice(1, 3), &to), all[1..4], "a slice has its own places");
}

#[test]
fn fields_that_may_not_be_null_are_looked_at_only_where_their_struct_is() {
    let column = structs(&[("a", Arc::new(Int64Array::from(vec![Some(1), None, None])))], Some(vec![true, true, false].into()));
    let to = field(struct_type(&[("a", DataType::Int64, false)]));
    assert_eq!(shown(column.clone(), &to), ["{a: 1}", "a null-value: a null where int64 is needed", "null"]);
    let (array, _) = converted(column, &to.with_nullable(false));
    assert_eq!(array.null_count(), 0);
}

#[test]
fn maps_keep_their_keys_in_messages() {
    let mut maps = builder::MapBuilder::new(None, builder::StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("small");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    maps.keys().append_value("large");
    maps.values().append_value(300);
    maps.append(true).unwrap();
    let entries = struct_type(&[("key", DataType::Utf8, false), ("value", DataType::UInt8, true)]);
    let to = field(DataType::Map(Arc::new(Field::new("entries", entries, false)), false));
    assert_eq!(shown(maps.finish(), &to), ["{small: 1}", "[\"large\"] out-of-range: \"300\" does not fit into uint8"]);
}

#[test]
fn numbers_lose_nothing() {
    let whole = Int64Array::from(vec![Some(300), Some(-1), None, Some(9_007_199_254_740_993)]);
    assert_eq!(
        shown(whole.clone(), &field(DataType::UInt8)),
        [
            "out-of-range: \"300\" does not fit into uint8",
            "out-of-range: \"-1\" does not fit into uint8",
            "null",
            "out-of-range: \"9007199254740993\" does not fit into uint8"
        ]
    );
    let digits = "bad-value: \"9007199254740993\" has more digits than float64 holds";
    assert_eq!(shown(whole.clone(), &field(DataType::Float64)), ["300.0", "-1.0", "null", digits]);
    let never = |value| format!("wrong-type: an int64 where {value} is needed");
    assert_eq!(shown(whole.slice(0, 1), &field(DataType::Boolean)), [never("bool")]);
    assert_eq!(shown(whole.slice(0, 1), &field(DataType::Date32)), [never("date")]);
    let floats = Float64Array::from(vec![2.75, 7.0, f64::NAN, 1e300, 0.1]);
    let not_whole = |text: &str| format!("bad-value: \"{text}\" is not a whole number, and int64 is needed");
    assert_eq!(
        shown(floats.clone(), &field(DataType::Int64)),
        [
            not_whole("2.75"),
            "7".to_owned(),
            "bad-value: \"NaN\" is not a number, and int64 is needed".to_owned(),
            "out-of-range: \"1e+300\" does not fit into int64".to_owned(),
            not_whole("0.1")
        ]
    );
    let of_decimals = shown(floats.clone(), &field(DataType::Decimal128(4, 1)));
    assert_eq!((&*of_decimals[1], &*of_decimals[4]), ("7.0", "0.1"));
    assert_eq!(of_decimals[0], "bad-value: \"2.75\" has more digits after the point than decimal(4, 1) holds");
    let narrow = shown(floats, &field(DataType::Float32));
    assert_eq!((&*narrow[0], &*narrow[2]), ("2.75", "NaN"));
    assert_eq!(narrow[3], "out-of-range: \"1e+300\" does not fit into float32");
    assert_eq!(narrow[4], "bad-value: \"0.1\" has more digits than float32 holds");
    let decimals = Decimal128Array::from(vec![155, 200, -799]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(shown(decimals.clone(), &field(DataType::Decimal128(10, 1)))[1], "2.0");
    assert_eq!(shown(decimals.clone(), &field(DataType::Int64))[1], "2");
    assert_eq!(shown(decimals.clone(), &field(DataType::Int64))[2], not_whole("-7.99"));
    assert_eq!(shown(decimals, &field(DataType::Float64)), ["1.55", "2.0", "-7.99"]);
    let long = Decimal128Array::from(vec![12_345_678_901_234_567_890]).with_precision_and_scale(20, 2).unwrap();
    assert_eq!(shown(long, &field(DataType::Float64)), ["bad-value: \"123456789012345678.90\" has more digits than float64 holds"]);
}

#[test]
fn times_lose_nothing() {
    let times = TimestampMicrosecondArray::from(vec![Some(0), Some(-1), None, Some(1_657_153_121_500_000), Some(86_400_000_000)]);
    let digits =
        |text: &str| format!("bad-value: \"{text}\" has more digits of a second than timestamp(s) holds: `timestamp(s, cut)` cuts them");
    let seconds = field(DataType::Timestamp(TimeUnit::Second, None));
    assert_eq!(
        shown(times.clone(), &seconds),
        ["1970-01-01T00:00:00", &digits("1969-12-31T23:59:59.999999"), "null", &digits("2022-07-07T00:18:41.500"), "1970-01-02T00:00:00"]
    );
    let cut = Reading { cut: true, ..Reading::default() }.on(seconds);
    assert_eq!(shown(times.clone(), &cut)[1..4], ["1969-12-31T23:59:59", "null", "2022-07-07T00:18:41"]);
    let dates = shown(times.clone(), &field(DataType::Date32));
    assert_eq!((&*dates[0], &*dates[4]), ("1970-01-01", "1970-01-02"));
    assert_eq!(dates[1], "bad-value: \"1969-12-31T23:59:59.999999\" is not midnight, and date is needed");
    assert_eq!(shown(times, &field(utc(TimeUnit::Microsecond)))[1], "1969-12-31T23:59:59.999999Z");
    let years = Date32Array::from(vec![i32::MAX, 1]);
    assert_eq!(
        shown(years, &field(utc(TimeUnit::Nanosecond))),
        ["out-of-range: \"+5881580-07-11\" does not fit into timestamp(ns, UTC)", "1970-01-02T00:00:00Z"]
    );
}

#[test]
fn numbers_are_times_only_where_the_column_says_what_they_count() {
    let millis = Int64Array::from(vec![1_657_153_121_000, i64::MAX]);
    let plain = field(utc(TimeUnit::Microsecond));
    let refused = "wrong-type: an int64, a number, where timestamp(us, UTC) is needed: declare what numbers count, as in `timestamp(us, UTC, epoch: ms)`";
    assert_eq!(shown(millis.clone(), &plain), [refused, refused]);
    let epoch = |unit| Reading { epoch: Some(unit), ..Reading::default() }.on(plain.clone());
    let too_far = "out-of-range: \"9223372036854775807\" does not fit into timestamp(us, UTC)";
    assert_eq!(shown(millis, &epoch(TimeUnit::Millisecond)), ["2022-07-07T00:18:41Z", too_far]);
    let unsigned = UInt64Array::from(vec![1, u64::MAX]);
    let too_large = "out-of-range: \"18446744073709551615\" does not fit into timestamp(us, UTC)";
    assert_eq!(shown(unsigned.clone(), &epoch(TimeUnit::Second)), ["1970-01-01T00:00:01Z", too_large]);
    let cut = Reading { epoch: Some(TimeUnit::Nanosecond), cut: true, ..Reading::default() }
        .on(field(DataType::Timestamp(TimeUnit::Second, None)));
    assert_eq!(
        shown(unsigned, &cut),
        ["1970-01-01T00:00:00", "2554-07-21T23:34:33"],
        "what 64 bits of nanoseconds do not hold, seconds do"
    );
    assert_eq!(shown(Float64Array::from(vec![1.5]), &epoch(TimeUnit::Second)), ["1970-01-01T00:00:01.500Z"]);
    assert_eq!(
        shown(StringArray::from(vec!["1500", "1970-01-02"]), &epoch(TimeUnit::Millisecond)),
        ["1970-01-01T00:00:01.500Z", "1970-01-02T00:00:00Z"]
    );
    assert_eq!(
        shown(Int64Array::from(vec![1_500]), &epoch(TimeUnit::Nanosecond)),
        ["bad-value: \"1500\" has more digits of a second than timestamp(us, UTC) holds: `timestamp(us, UTC, cut)` cuts them"]
    );
}

#[test]
fn texts_are_read_as_those_of_json_and_csv() {
    let texts = |all: &[&str]| StringArray::from(all.to_vec());
    assert_eq!(
        shown(texts(&["True", "FALSE", "yes"]), &field(DataType::Boolean)),
        ["true", "false", "bad-value: \"yes\" is not true or false"]
    );
    let number = |text: &str, to: &str| format!("bad-value: {text:?} is not a number, and {to} is needed");
    assert_eq!(
        shown(texts(&[" 7 ", "007", "7.0"]), &field(DataType::Int64)),
        [number(" 7 ", "int64"), number("007", "int64"), "7".to_owned()]
    );
    assert_eq!(shown(texts(&["1,5", "inf"]), &field(DataType::Float64)), [number("1,5", "float64"), number("inf", "float64")]);
    assert_eq!(shown(texts(&["1e2"]), &field(DataType::Decimal128(10, 2))), ["100.00"]);
    assert_eq!(shown(texts(&["é"]), &field(DataType::Binary)), ["c3a9"]);
    let bytes = BinaryArray::from(vec![Some(&b"a"[..]), Some(b"\xff"), None]);
    assert_eq!(shown(bytes, &field(DataType::Utf8)), ["a", "invalid-utf8: the byte 0xff at byte 0 is not UTF-8", "null"]);
}

#[test]
fn a_text_column_takes_nested_values_only_where_it_says_so() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None]), None]);
    assert_eq!(
        shown(lists.clone(), &field(DataType::Utf8)),
        ["wrong-type: a list<int64> where text is needed: the type `json` keeps it as its text", "null"]
    );
    let json = |json| Reading { json, ..Reading::default() }.on(field(DataType::Utf8));
    for choice in [AsJson::Nested, AsJson::Value] {
        assert_eq!(shown(lists.clone(), &json(choice)), ["[1,null]", "null"]);
    }
    let texts = StringArray::from(vec!["a\"b"]);
    assert_eq!(shown(texts.clone(), &json(AsJson::Nested)), ["a\"b"]);
    assert_eq!(shown(texts, &json(AsJson::Value)), [r#""a\"b""#]);
}

#[test]
fn other_layouts_are_what_they_hold() {
    let codes: DictionaryArray<Int8Type> = ["1", "2", "1"].into_iter().collect();
    assert_eq!(shown(codes, &field(DataType::Int32)), ["1", "2", "1"]);
    assert_eq!(shown(Date64Array::from(vec![86_400_000, 1]), &field(DataType::Date32))[0], "1970-01-02");
    assert!(Conversion::new(&DataType::Duration(TimeUnit::Second), &field(DataType::Int64)).is_err());
}

proptest! {
    #[test]
    fn whole_numbers_convert_exactly_when_they_fit(values in prop::collection::vec(prop_oneof![any::<i64>(), -300i64..70_000], 1..20)) {
        let column = Int64Array::from(values.clone());
        macro_rules! check {
            ($($arrow:ty, $native:ty, $data_type:expr);*) => { $(
                let (array, misfits) = converted(column.clone(), &field($data_type));
                let bad: Vec<usize> = misfits.into_iter().map(|(place, _)| place).collect();
                for (place, value) in values.iter().enumerate() {
                    match <$native>::try_from(*value) {
                        Ok(value) => prop_assert_eq!(array.as_primitive::<$arrow>().value(place), value),
                        Err(_) => prop_assert!(bad.contains(&place)),
                    }
                }
                prop_assert_eq!(bad.len(), values.iter().filter(|value| <$native>::try_from(**value).is_err()).count());
            )* };
        }
        check!(Int8Type, i8, DataType::Int8; Int16Type, i16, DataType::Int16; Int32Type, i32, DataType::Int32;
               UInt8Type, u8, DataType::UInt8; UInt32Type, u32, DataType::UInt32; UInt64Type, u64, DataType::UInt64);
        let (array, misfits) = converted(column, &field(DataType::Float64));
        let bad: Vec<usize> = misfits.into_iter().map(|(place, _)| place).collect();
        for (place, value) in values.iter().enumerate() {
            let exact = (*value as f64) as i128 == i128::from(*value);
            prop_assert_eq!(bad.contains(&place), !exact);
            if exact {
                prop_assert_eq!(array.as_primitive::<Float64Type>().value(place), *value as f64);
            }
        }
    }

    #[test]
    fn what_converts_comes_back(value in any::<f64>(), whole in any::<i64>(), scale in 0i8..12) {
        // Float to decimal and back; decimal to float and back; times through units.
        let decimal = field(DataType::Decimal128(38, scale));
        let (there, misfits) = converted(Float64Array::from(vec![value]), &decimal);
        if misfits.is_empty() {
            let (back, misfits) = converted(there.as_primitive::<Decimal128Type>().clone(), &field(DataType::Float64));
            prop_assert!(misfits.is_empty());
            prop_assert_eq!(back.as_primitive::<Float64Type>().value(0), value);
        }
        let (there, misfits) = converted(TimestampMicrosecondArray::from(vec![whole]), &field(DataType::Timestamp(TimeUnit::Millisecond, None)));
        prop_assert_eq!(misfits.is_empty(), whole % 1_000 == 0);
        if misfits.is_empty() {
            prop_assert_eq!(there.as_primitive::<TimestampMillisecondType>().value(0) * 1_000, whole);
        }
        let (there, misfits) = converted(TimestampMicrosecondArray::from(vec![whole]), &field(DataType::Timestamp(TimeUnit::Nanosecond, None)));
        prop_assert_eq!(misfits.is_empty(), whole.checked_mul(1_000).is_some());
        if misfits.is_empty() {
            prop_assert_eq!(there.as_primitive::<TimestampNanosecondType>().value(0), whole * 1_000);
        }
    }
}
