//! Values of rows, and rows without one.

use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use proptest::prelude::*;

use super::*;
use crate::types::named;

#[test]
fn names_are_taken_as_they_are_written() {
    assert_eq!(computed("title"), ["Plum", "12", "NULL", "été"]);
    assert_eq!(computed("Title"), ["A", "B", "C", "D"]);
    assert_eq!(computed("UPPER(\"title\")"), ["PLUM", "12", "NULL", "ÉTÉ"]);
    assert_eq!(computed("_source.topic || '!'"), ["a!", "a!", "b!", "b!"]);
    assert_eq!(computed("\"_source.topic\" = 'a'"), ["true", "true", "false", "false"]);
    assert_eq!(computed("extract(year from timestamp)"), ["2026", "1970", "NULL", "1969"]);
}

#[test]
fn arithmetic_rejects_what_it_can_not_hold_and_never_wraps() {
    assert_eq!(computed("ind + 1"), ["2", "3", "NULL", "!sql-out-of-range"]);
    assert_eq!(computed("ind * 2"), ["2", "4", "NULL", "!sql-out-of-range"]);
    assert_eq!(computed("-2 - ind"), ["-3", "-4", "NULL", "!sql-out-of-range"]);
    assert_eq!(computed("-small"), ["-10", "20", "-30", "!sql-out-of-range"]);
    assert_eq!(computed("abs(small)"), ["10", "20", "30", "!sql-out-of-range"]);
    assert_eq!(computed("small / -1"), ["-10", "20", "-30", "2147483648"], "an integer beside a literal has 64 bits");
    assert_eq!(computed("CAST(ind AS INT)"), ["1", "2", "NULL", "!sql-cast"]);
    assert_eq!(computed("CAST(small AS SMALLINT)"), ["10", "-20", "30", "!sql-cast"]);
}

#[test]
fn nothing_is_divided_by_zero() {
    assert_eq!(computed("10 / (ind - 2)"), ["-10", "!sql-division-by-zero", "NULL", "0"]);
    assert_eq!(computed("10 % (ind - 2)"), ["0", "!sql-division-by-zero", "NULL", "10"]);
    assert_eq!(computed("1e0 / likes"), ["2.0", "!sql-division-by-zero", "NULL", "-0.5"]);
    assert_eq!(computed("ind % likes"), ["0.0", "!sql-division-by-zero", "NULL", "0.0"]);
    assert_eq!(computed("1 / price")[2..], ["-4.0000", "!sql-division-by-zero"]);
    // -0.0 is 0.0, and NaN equals itself and is above all.
    assert_eq!(computed("likes * -1 = 0"), ["false", "true", "NULL", "false"]);
    assert_eq!(computed("nanvl(CAST('NaN' AS DOUBLE), CAST('NaN' AS DOUBLE)) > likes"), ["true", "true", "NULL", "true"]);
    // What is not computed divides by nothing.
    assert_eq!(computed("CASE WHEN likes = 0 THEN -1e0 ELSE 1 / likes END"), ["2.0", "-1.0", "NULL", "-0.5"]);
    assert_eq!(computed("likes <> 0 AND 1 / likes > 0"), ["true", "false", "NULL", "false"]);
    assert_eq!(computed("coalesce(nullif(likes, 0), 1)"), ["0.5", "1.0", "1.0", "-2.0"]);
}

#[test]
fn decimals_stay_exact() {
    assert_eq!(computed("price * 1.1"), ["11.550", "NULL", "-0.275", "0.000"]);
    assert_eq!(computed("price + 0.005"), ["10.505", "NULL", "-0.245", "0.005"]);
    assert_eq!(computed("CAST(price AS DOUBLE) * 2"), ["21.0", "NULL", "-0.5", "0.0"]);
    assert_eq!(computed("CAST('0.30' AS DECIMAL(10, 2)) = 0.1 + 0.2"), ["true"; 4]);
    // 38 digits are the most: a product with 39 is no value, although 128 bits hold it.
    let product = "CAST(12000000000000000000 AS DECIMAL(38, 0)) * CAST(ind AS DECIMAL(38, 0))";
    assert_eq!(computed(product), ["12000000000000000000", "24000000000000000000", "NULL", "!sql-out-of-range"]);
}

#[test]
fn casts_reject_what_they_can_not_read() {
    assert_eq!(computed("CAST(title AS BIGINT)"), ["!sql-cast", "12", "NULL", "!sql-cast"]);
    assert_eq!(computed("title::INT64 + 1"), ["!sql-cast", "13", "NULL", "!sql-cast"]);
    assert_eq!(computed("TRY_CAST(title AS BIGINT)"), ["NULL", "12", "NULL", "NULL"]);
    assert_eq!(computed("CAST(timestamp AS DATE)"), ["2026-01-02", "1970-01-01", "NULL", "1969-12-31"]);
    assert_eq!(computed("CAST(day AS TIMESTAMP)")[0], "2026-01-02T00:00:00");
    assert_eq!(computed("CAST(price AS BIGINT)"), ["10", "NULL", "0", "0"], "fractions are cut");
    assert_eq!(computed("CAST(likes AS INT)"), ["0", "0", "NULL", "-2"]);
    assert_eq!(computed("CAST(likes AS TEXT)"), ["0.5", "0.0", "NULL", "-2.0"]);
}

#[test]
fn times_are_compared_shifted_and_taken_apart() {
    assert_eq!(computed("timestamp >= '2026-01-02T03:04:05Z'"), ["true", "false", "NULL", "false"]);
    assert_eq!(computed("day = DATE '2026-01-02'"), ["true", "false", "NULL", "false"]);
    assert_eq!(computed("timestamp + INTERVAL '1 day'")[1], "1970-01-02T00:00:00");
    assert_eq!(computed("day - INTERVAL '1' MONTH")[0], "2025-12-02");
    assert_eq!(computed("extract(epoch FROM timestamp - TIMESTAMP '2026-01-02T03:04:00')")[0], "5.0", "whole seconds");
    assert_eq!(computed("extract(epoch FROM timestamp)"), ["1767323045.000006", "0.0", "NULL", "-1e-6"]);
    assert_eq!(computed("extract(hour FROM timestamp AT TIME ZONE '+02:00')")[1], "0");
    assert_eq!(computed("extract(hour FROM (timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Berlin')")[0], "4");
    assert_eq!(computed("day + INTERVAL '6000000 years'"), ["!sql-out-of-range", "!sql-out-of-range", "NULL", "!sql-out-of-range"]);
}

#[test]
fn texts_patterns_and_choices() {
    assert_eq!(computed("title LIKE 'P%' OR title ILIKE '%T%'"), ["true", "false", "NULL", "true"]);
    assert_eq!(computed("title ~ '^[0-9]+$'"), ["false", "true", "NULL", "false"]);
    assert_eq!(computed("ind IN (1, 3, NULL)"), ["true", "NULL", "NULL", "NULL"]);
    assert_eq!(computed("ind NOT BETWEEN 2 AND 5"), ["true", "false", "NULL", "true"]);
    assert_eq!(computed("CASE _source.topic WHEN 'a' THEN 1 WHEN 'b' THEN 2.5 END"), ["1.0", "1.0", "2.5", "2.5"]);
    assert_eq!(computed("ok IS TRUE"), ["true", "false", "false", "true"]);
    assert_eq!(computed("title IS NOT DISTINCT FROM NULL"), ["false", "false", "true", "false"]);
    assert_eq!(computed("substring(title FROM 2 FOR 2)"), ["lu", "2", "NULL", "té"]);
    assert_eq!(computed("substring(title FOR 2)"), ["Pl", "12", "NULL", "ét"]);
    assert_eq!(computed("trim(LEADING 'P' FROM title)"), ["lum", "12", "NULL", "été"]);
    assert_eq!(computed("position('m' IN title)"), ["4", "0", "NULL", "0"]);
    assert_eq!(computed("nvl2(title, title, 'none')"), ["Plum", "12", "none", "été"]);
}

#[test]
fn values_have_types_that_columns_have() {
    let schema = posts().schema();
    let types = [
        ("1", "int64"),
        ("1.50", "decimal(3, 2)"),
        ("1e3", "float64"),
        ("'a'", "text"),
        ("title || 'a'", "text"),
        ("substr(title, 1)", "text"),
        ("CAST(title AS VARCHAR)", "text"),
        ("small + small", "int32"),
        ("ind > 1", "bool"),
        ("DATE '2026-01-02'", "date"),
        ("CAST(title AS TIMESTAMP)", "timestamp"),
        ("CAST(title AS TIMESTAMPTZ)", "timestamp(us, UTC)"),
        ("CAST(title AS TIMESTAMP(3))", "timestamp(ms)"),
        ("to_timestamp(title)", "timestamp(ns)"),
        ("timestamp AT TIME ZONE 'UTC'", "timestamp(us, UTC)"),
        ("CAST(title AS UINT8)", "uint8"),
        ("CAST(title AS BYTEA)", "binary"),
    ];
    for (text, data_type) in types {
        let expression = expression(text, &schema).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        assert_eq!(named(expression.data_type()), data_type, "{text}");
    }
    let nullable = ["small + 1", "coalesce(title, 'a')", "ok IS NULL", "CASE WHEN ok THEN 1 ELSE 2 END", "_source.topic"];
    for text in nullable {
        assert!(!expression(text, &schema).unwrap().is_nullable(), "{text}");
    }
    for text in ["title", "CASE WHEN ok THEN 1 END", "TRY_CAST(small AS SMALLINT)", "small + ind"] {
        assert!(expression(text, &schema).unwrap().is_nullable(), "{text}");
    }
}

#[test]
fn rows_that_fail_cost_their_own_evaluations_alone() {
    let rows = 1 << 12;
    let bad = [0, 7, 8, 2000, rows - 1];
    let values: Int64Array = (0..rows).map(|row| Some(if bad.contains(&row) { 0 } else { 2 })).collect();
    let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as ArrayRef)]).unwrap();
    let evaluated = expression("10 / n", &batch.schema()).unwrap().evaluate(&batch).unwrap();
    assert_eq!(evaluated.failed.iter().map(|(row, _)| *row as i64).collect::<Vec<_>>(), bad);
    let values = evaluated.values.as_primitive::<arrow_array::types::Int64Type>();
    assert!((0..rows).all(|row| values.iter().nth(row as usize).unwrap() == (!bad.contains(&row)).then_some(5)));
}

/// Expressions over `a` and `b` (int64), `f` (float64), `t` (text) and `c` (bool) that fail for some rows.
const MIXED: [&str; 14] = [
    "a + b",
    "a * b - 1",
    "a / b",
    "a % b = 0 OR b > 3",
    "f / CAST(a AS DOUBLE)",
    "CASE WHEN b = 0 THEN NULL ELSE a / b END",
    "CASE WHEN c THEN CAST(t AS BIGINT) WHEN a > b THEN a ELSE b / a END",
    "b <> 0 AND a / b > 1",
    "b = 0 OR a / b > 1",
    "coalesce(TRY_CAST(t AS BIGINT), a / b)",
    "CAST(t AS BIGINT) IN (1, 2, a)",
    "t LIKE '1%' AND CAST(t AS BIGINT) > a",
    "concat(t, '-', CAST(a AS TEXT))",
    "CAST(a AS TINYINT) BETWEEN b AND 5",
];

fn mixed_rows() -> impl Strategy<Value = RecordBatch> {
    let number =
        prop_oneof![Just(None), (-3_i64..4).prop_map(Some), Just(Some(i64::MAX)), Just(Some(i64::MIN)), (-300_i64..300).prop_map(Some)];
    let float = prop_oneof![Just(None), Just(Some(0.0)), any::<f64>().prop_map(Some)];
    let text = prop_oneof![Just(None), "[0-9]{1,3}".prop_map(Some), "[a-z]{0,3}".prop_map(Some)];
    let row = (number.clone(), number, float, text, any::<Option<bool>>());
    proptest::collection::vec(row, 1..40).prop_map(|rows| {
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("a", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), true),
            ("b", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()), true),
            ("f", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()), true),
            ("t", Arc::new(rows.iter().map(|row| row.3.clone()).collect::<StringArray>()), true),
            ("c", Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>()), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    })
}

/// Values as text, `!code` where there is none.
fn answers(expression: &Expression, rows: &RecordBatch) -> Vec<String> {
    let evaluated = expression.evaluate(rows).unwrap();
    let mut values = texts(&evaluated.values);
    evaluated.failed.into_iter().for_each(|(row, failure)| values[row] = format!("!{}", failure.code));
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A row has the value, or the failure, that it has alone: whatever stands beside it.
    #[test]
    fn a_row_comes_out_as_it_does_alone(rows in mixed_rows(), cut in 0.0..1.0) {
        for text in MIXED {
            let expression = expression(text, &rows.schema()).unwrap();
            let whole = answers(&expression, &rows);
            let alone: Vec<String> = (0..rows.num_rows()).flat_map(|row| answers(&expression, &rows.slice(row, 1))).collect();
            prop_assert_eq!(&whole, &alone, "{}", text);
            let middle = (rows.num_rows() as f64 * cut) as usize;
            let (first, second) = (rows.slice(0, middle), rows.slice(middle, rows.num_rows() - middle));
            prop_assert_eq!(&whole, &[answers(&expression, &first), answers(&expression, &second)].concat(), "{}", text);
        }
    }

    /// Against arithmetic of our own.
    #[test]
    fn integers_add_multiply_and_divide_as_in_rust(rows in mixed_rows()) {
        let (a, b) = (rows.column(0).as_primitive::<arrow_array::types::Int64Type>(), rows.column(1).as_primitive::<arrow_array::types::Int64Type>());
        type Operation = fn(i64, i64) -> Option<i64>;
        let operations: [(&str, Operation); 5] = [
            ("a + b", i64::checked_add), ("a - b", i64::checked_sub), ("a * b", i64::checked_mul),
            ("a / b", |a, b| a.checked_div(b)), ("a % b", |a, b| if b == 0 { None } else { Some(a.wrapping_rem(b)) }),
        ];
        for (text, operation) in operations {
            let found = answers(&expression(text, &rows.schema()).unwrap(), &rows);
            let expected: Vec<String> = a.iter().zip(b.iter()).map(|pair| match pair {
                (Some(a), Some(b)) => operation(a, b).map_or_else(
                    || if b == 0 && text.contains(['/', '%']) { "!sql-division-by-zero".to_owned() } else { "!sql-out-of-range".to_owned() },
                    |value| value.to_string(),
                ),
                _ => "NULL".to_owned(),
            }).collect();
            prop_assert_eq!(found, expected, "{}", text);
        }
    }

    /// No text is a reason to panic, and what parses is checked without one.
    #[test]
    fn any_text_is_an_expression_or_says_why_not(text in prop_oneof![".{0,40}", "[a-z0-9 ()+*/'\"<>=,.:~-]{0,60}", "(CASE |WHEN |THEN |END |a |b |1 |'x' |\\( |\\) |AND |NOT |CAST\\(|AS |INT |, ){0,30}"]) {
        let schema = posts().schema();
        if let Err(problems) = expression(&text, &schema) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(!problem.message.is_empty() && problem.span.end <= text.chars().count(), "{:?}", problem);
            }
        }
    }
}

#[test]
fn the_deepest_expressions_are_computed() {
    let posts = posts();
    let chain = vec!["small"; crate::MAX_NESTING - 5].join(" + ");
    assert_eq!(*expression(&chain, &posts.schema()).unwrap().data_type(), DataType::Int32);
    assert_eq!(computed(&format!("CAST({chain} AS BIGINT)"))[..3], ["1950", "-3900", "5850"]);
}
