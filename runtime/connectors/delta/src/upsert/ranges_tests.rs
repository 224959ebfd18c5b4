use std::sync::Arc;

use arrow_array::{BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use delta_kernel::schema::DecimalType;
use proptest::prelude::*;

use super::*;

/// The ranges of a key of one column.
fn of(column: ArrayRef, kind: PrimitiveType) -> KeyRanges {
    let mut ranges = KeyRanges::new([("k".to_owned(), kind)], &[]);
    ranges.add(&[column]);
    ranges.finish();
    ranges
}

fn numbers(values: &[i64]) -> KeyRanges {
    of(Arc::new(Int64Array::from(values.to_vec())), PrimitiveType::Long)
}

fn texts(values: &[&str]) -> KeyRanges {
    of(Arc::new(StringArray::from(values.to_vec())), PrimitiveType::String)
}

/// Statistics of a file of ten rows with these bounds, as JSON.
fn within(min: &str, max: &str) -> String {
    format!(r#"{{"numRecords":10,"minValues":{{"k":{min},"s":{{"x":1}}}},"maxValues":{{"k":{max}}},"nullCount":{{"k":0,"s":{{"x":2}}}}}}"#)
}

fn may(ranges: &KeyRanges, stats: &str) -> bool {
    ranges.may_hold(&HashMap::new(), Some(stats))
}

#[test]
fn files_between_the_keys_are_skipped() {
    let ranges = numbers(&[1_000_000, -5, 7, 7]);
    for (min, max, expected) in [
        ("8", "999999", false),
        ("7", "7", true),
        ("0", "6", false),
        ("-9", "-6", false),
        ("-9", "-5", true),
        ("1000001", "2000000", false),
    ] {
        assert_eq!(may(&ranges, &within(min, max)), expected, "{min} to {max}");
    }
}

#[test]
fn what_is_not_known_skips_nothing() {
    let ranges = numbers(&[5]);
    assert!(ranges.may_hold(&HashMap::new(), None));
    for stats in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"numRecords":3}"#,
        r#"{"minValues":{"k":1}}"#,
        r#"{"minValues":{"k":null},"maxValues":{"k":null}}"#,
        r#"{"minValues":{"other":7},"maxValues":{"other":9}}"#,
        r#"{"minValues":null,"maxValues":{"k":9}}"#,
        r#"{"minValues":{"k":6.5e0},"maxValues":{"k":1e3}}"#,
        r#"{"minValues":{"k":{"x":7}},"maxValues":{"k":[9]}}"#,
    ] {
        assert!(may(&ranges, stats), "{stats}");
    }
    assert!(!may(&ranges, r#"{"minValues":{"k":6}}"#), "a lower bound alone");
    assert!(!may(&ranges, r#"{"maxValues":{"k":4}}"#), "an upper bound alone");
    let unordered = of(Arc::new(BinaryArray::from(vec![b"b".as_slice()])), PrimitiveType::Binary);
    assert!(may(&unordered, &within("\"x\"", "\"z\"")));
}

#[test]
fn a_column_of_nulls_holds_no_key() {
    let ranges = numbers(&[5]);
    assert!(!may(&ranges, r#"{"numRecords":3,"minValues":{},"maxValues":{},"nullCount":{"k":3}}"#));
    assert!(may(&ranges, r#"{"numRecords":3,"minValues":{},"maxValues":{},"nullCount":{"k":2}}"#));
    assert!(may(&ranges, r#"{"minValues":{},"maxValues":{},"nullCount":{}}"#));
}

#[test]
fn texts_are_compared_with_bounds_that_may_be_cut_off() {
    let long = format!("{}{}", "m".repeat(32), "zzz");
    let cut = "m".repeat(32);
    assert!(may(&texts(&[&long]), &within("\"a\"", &format!("{cut:?}"))), "cut off, and not rounded up");
    assert!(may(&texts(&[&long]), &within("\"a\"", &format!("\"{cut}\u{10ffff}\""))), "cut off and rounded up");
    assert!(!may(&texts(&["n"]), &within("\"a\"", &format!("{cut:?}"))));
    assert!(!may(&texts(&[&long]), &within("\"a\"", "\"mmm\"")), "a short bound is not cut off");
    assert!(may(&texts(&["é"]), &within("\"\"", "\"\u{10ffff}\"")));
    assert!(!may(&texts(&[""]), &within("\"a\"", "\"b\"")));
}

#[test]
fn each_type_has_its_order() {
    // 2022-07-07T00:18:41.000999Z
    let times = of(Arc::new(TimestampMicrosecondArray::from(vec![1_657_153_121_000_999]).with_timezone("UTC")), PrimitiveType::Timestamp);
    assert!(may(&times, &within("\"2022-07-07T00:00:00.000Z\"", "\"2022-07-07T00:18:41.000Z\"")), "cut to milliseconds");
    assert!(!may(&times, &within("\"2022-07-07T00:00:00.000Z\"", "\"2022-07-07T00:18:40.999Z\"")));
    assert!(may(&times, &within("\"2022-07-06T17:00:00.000-07:00\"", "\"2022-07-06T18:00:00.000-07:00\"")), "of another zone");
    assert!(may(&times, &within("\"yesterday\"", "\"today\"")));
    let dates = of(Arc::new(Date32Array::from(vec![19_000])), PrimitiveType::Date);
    assert!(may(&dates, &within("\"2022-01-08\"", "\"2022-01-08\"")) && !may(&dates, &within("\"2022-01-09\"", "\"2022-02-01\"")));
    let decimals = Decimal128Array::from(vec![12_345]).with_precision_and_scale(20, 2).unwrap();
    let decimals = of(Arc::new(decimals), PrimitiveType::Decimal(DecimalType::try_new(20, 2).unwrap()));
    assert!(may(&decimals, &within("123.45", "123.45")) && !may(&decimals, &within("123.46", "200.00")));
    assert!(may(&decimals, &within("124", "200")), "another number of digits is not read");
    let flags = of(Arc::new(BooleanArray::from(vec![true])), PrimitiveType::Boolean);
    assert!(may(&flags, &within("false", "true")) && !may(&flags, &within("false", "false")));
}

#[test]
fn partitions_hold_their_value_alone() {
    let mut ranges = KeyRanges::new([("day".to_owned(), PrimitiveType::Date), ("k".to_owned(), PrimitiveType::Long)], &["day".to_owned()]);
    ranges.add(&[Arc::new(Date32Array::from(vec![19_000, 19_002])), Arc::new(Int64Array::from(vec![5, 9]))]);
    ranges.finish();
    let may = |day: Option<&str>, stats: &str| {
        ranges.may_hold(&day.map(|day| ("day".to_owned(), day.to_owned())).into_iter().collect(), Some(stats))
    };
    assert!(may(Some("2022-01-08"), &within("1", "5")) && may(Some("2022-01-10"), &within("9", "9")));
    assert!(!may(Some("2022-01-09"), &within("1", "9")), "another day");
    assert!(!may(Some("2022-01-08"), &within("6", "8")), "other numbers");
    assert!(!may(None, &within("1", "9")) && !may(Some(""), &within("1", "9")), "no day");
    assert!(may(Some("someday"), &within("1", "9")), "what can't be read");
}

#[test]
fn many_values_stay_few_intervals() {
    let mut intervals = Intervals::default();
    (0..300_000).for_each(|number| intervals.add(Point::Number(number * 7919 % 1_000_003)));
    intervals.merge();
    assert!(intervals.intervals.len() <= MOST_INTERVALS, "{}", intervals.intervals.len());
    assert!((0..300_000).all(|number| {
        let point = Point::Number(number * 7919 % 1_000_003);
        intervals.meet(Some(&point), Some(&point))
    }));
    assert!(!intervals.meet(Some(&Point::Number(1_000_003)), None) && !intervals.meet(None, Some(&Point::Number(-1))));
}

proptest! {
    /// A file that holds a key is never skipped, whatever program wrote its statistics.
    #[test]
    fn no_key_is_missed(
        keys in prop::collection::vec("[a-c\u{e9}]{0,3}(m{28,40})?[a-cz]{0,2}", 1..20),
        rows in prop::collection::vec("[a-c\u{e9}]{0,3}(m{28,40})?[a-cz]{0,2}", 1..20),
        cut in prop::sample::select(vec![usize::MAX, 32, 33]),
        round_up in any::<bool>(),
    ) {
        let ranges = texts(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let prefix = |text: &String| text.chars().take(cut).collect::<String>();
        let (min, max) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        let tie = if round_up && prefix(max) != *max { "\u{10ffff}" } else { "" };
        let stats = within(&serde_json::json!(prefix(min)).to_string(), &serde_json::json!(format!("{}{tie}", prefix(max))).to_string());
        let holds = rows.iter().any(|row| keys.contains(row));
        prop_assert!(!holds || may(&ranges, &stats), "{stats}");
    }

    #[test]
    fn no_number_is_missed(keys in prop::collection::vec(-50_i64..50, 1..8), rows in prop::collection::vec(-50_i64..50, 1..8)) {
        let (min, max) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        let expected = keys.iter().any(|key| (min..=max).contains(&key));
        prop_assert_eq!(may(&numbers(&keys), &within(&min.to_string(), &max.to_string())), expected);
    }
}
