//! Aggregates on posts: types, rejects, results that do not exist, and what is refused.

use arrow_array::UInt32Array;
use wasmill_keyed::{Aggregate, RowReject};

use super::aggregates::aggregates;
use super::*;
use crate::types::named;
use crate::{AGGREGATES, ParsedAggregate};

/// The posts in two groups: the first three and the last, and a third without rows. Values as text.
fn grouped(text: &str) -> Vec<String> {
    let (values, rejects) = try_grouped(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(rejects, [], "{text}");
    values
}

fn try_grouped(text: &str) -> wasmill_engine::Result<(Vec<String>, Vec<RowReject>)> {
    let posts = posts();
    let plan = aggregates(&[("v", text)], &posts.schema()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let mut accumulator = plan.open(0)?;
    let rejects = accumulator.update(&posts.project(plan.columns()).unwrap(), &[0, 0, 0, 1], 3)?;
    let results = accumulator.finish()?.records;
    assert_eq!(results.schema(), plan.output_schema());
    Ok((texts(results.column(0)), rejects))
}

#[test]
fn groups_have_values_and_those_without_any_are_null_or_zero() {
    assert_eq!(grouped("count(*)"), ["3", "1", "0"]);
    assert_eq!(grouped("COUNT(ind)"), ["2", "1", "0"]);
    assert_eq!(grouped("sum(ind)"), ["3", "9223372036854775807", "NULL"]);
    assert_eq!(grouped("avg(small)"), ["6.666666666666667", "-2147483648.0", "NULL"]);
    assert_eq!(grouped("sum(price)"), ["10.25", "0.00", "NULL"]);
    assert_eq!(grouped("avg(price)"), ["5.125000", "0.000000", "NULL"]);
    assert_eq!(grouped("max(title)"), ["Plum", "été", "NULL"]);
    assert_eq!(grouped("min(timestamp)")[0], "1970-01-01T00:00:00");
    assert_eq!(grouped("max(day)")[0], "2026-01-02");
    assert_eq!(grouped("array_agg(Title)"), ["[A, B, C]", "[D]", "NULL"]);
    assert_eq!(grouped("median(small)"), ["10.0", "-2147483648.0", "NULL"]);
    assert_eq!(grouped("max(small) FILTER (WHERE ok)"), ["10", "-2147483648", "NULL"]);
    assert_eq!(grouped("max_by(Title, timestamp)"), ["A", "D", "NULL"]);
    assert_eq!(grouped("count(DISTINCT \"_source.topic\")"), ["2", "1", "0"]);
}

#[test]
fn expressions_stand_around_aggregates_and_within() {
    assert_eq!(grouped("sum(small) / count(*)")[..2], ["6", "-2147483648"]);
    assert_eq!(grouped("round(avg(small), 1)")[..2], ["6.7", "-2147483648.0"]);
    assert_eq!(grouped("coalesce(sum(likes), 0) + 1"), ["1.5", "-1.0", "1.0"]);
    assert_eq!(grouped("sum(small) / nullif(count(*), 0)")[2], "NULL");
    assert_eq!(grouped("sum(CASE WHEN ok THEN small ELSE 0 END)"), ["10", "-2147483648", "NULL"]);
    assert_eq!(grouped("(count(*))"), ["3", "1", "0"]);
    assert_eq!(grouped("count(*) * count(*)"), ["9", "1", "0"]);
    // A filter keeps the values of other rows from being computed.
    assert_eq!(grouped("sum(10 / small) FILTER (WHERE small > 0)"), ["1", "NULL", "NULL"]);
}

#[test]
fn results_have_types_that_columns_have() {
    let schema = posts().schema();
    let types = [
        ("count(*)", "int64"),
        ("sum(small)", "int64"),
        ("sum(CAST(ind AS BIGINT UNSIGNED))", "uint64"),
        ("sum(price)", "decimal(38, 2)"),
        ("sum(CAST(likes AS REAL))", "float64"),
        ("avg(ind)", "float64"),
        ("avg(price)", "decimal(14, 6)"),
        ("avg(CAST(ind AS DECIMAL(37, 3)))", "decimal(38, 4)"),
        ("min(small)", "int32"),
        ("max(CAST(likes AS REAL))", "float32"),
        ("max(ok)", "bool"),
        ("min(timestamp)", "timestamp"),
        ("max(timestamp AT TIME ZONE 'UTC')", "timestamp(us, UTC)"),
        ("median(price)", "decimal(11, 3)"),
        ("array_agg(title)", "list<text>"),
        ("array_agg(small)", "list<int32>"),
        ("bit_or(small)", "int32"),
        ("mode(day)", "date"),
        ("approx_distinct(title)", "int64"),
        ("max(upper(title))", "text"),
    ];
    for (text, data_type) in types {
        let plan = aggregates(&[("v", text)], &schema).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        assert_eq!(named(plan.output_schema().field(0).data_type()), data_type, "{text}");
        assert_eq!(plan.output_schema().field(0).is_nullable(), !text.contains("count") && !text.contains("approx"), "{text}");
    }
}

#[test]
fn a_row_without_a_value_is_rejected_and_changes_nothing() {
    let posts = posts();
    let columns = [("rows", "count(*)"), ("numbers", "sum(CAST(title AS BIGINT))"), ("shares", "max(ind / (small - 10))")];
    let plan = aggregates(&columns, &posts.schema()).unwrap();
    let mut accumulator = plan.open(0).unwrap();
    let rejects = accumulator.update(&posts.project(plan.columns()).unwrap(), &[0, 0, 1, 1], 2).unwrap();
    let found: Vec<(u32, &str, Option<&str>)> =
        rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
    assert_eq!(found, [(0, "sql-cast", Some("numbers")), (3, "sql-cast", Some("numbers"))]);
    assert!(rejects[0].message.starts_with("`sum(CAST(title AS BIGINT))`: the value can't be converted"), "{}", rejects[0].message);
    let results = accumulator.finish().unwrap().records;
    assert_eq!(texts(results.column(0)), ["1", "1"]);
    assert_eq!(texts(results.column(1)), ["12", "NULL"]);
}

#[test]
fn sums_stop_where_they_do_not_fit_and_no_order_matters() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX, i64::MIN, 1]));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let plan = aggregates(&[("total", "sum(n)")], &batch.schema()).unwrap();
    let mut accumulator = plan.open(0).unwrap();
    accumulator.update(&batch, &[0, 0, 0, 0], 1).unwrap();
    assert_eq!(texts(accumulator.finish().unwrap().records.column(0)), ["9223372036854775807"]);
    accumulator.update(&batch, &[0, 0, 1, 1], 2).unwrap();
    let error = accumulator.finish().unwrap_err();
    assert_eq!(error.message(), "a sum is too large for int64");
    assert_eq!(error.places().collect::<Vec<_>>(), ["the column `total`"]);
    assert_eq!(error.kind().map(|code| code.name), Some("sql/no-result"));
    assert!(error.hint_text().is_some_and(|hint| hint.contains("DECIMAL(38, 0)")));
    let error = try_grouped("sum(CAST(99999999999999999999999999999999999999 AS DECIMAL(38, 0)))").unwrap_err();
    assert_eq!(error.message(), "a sum is too large for decimal(38, 0)");
}

#[test]
fn an_expression_without_a_value_stops_the_run() {
    let error = try_grouped("10 / count(*)").unwrap_err();
    assert_eq!(error.message(), "`10 / count(*)` has no value for a group: division by zero");
    assert_eq!(error.places().collect::<Vec<_>>(), ["the column `v`"]);
}

#[test]
fn lists_of_a_state_are_cut_and_no_group_is_too_large() {
    let numbers: ArrayRef = Arc::new((0..5_000_i64).map(Some).collect::<Int64Array>());
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let columns = [("c", "count(DISTINCT n)"), ("m", "median(n)"), ("r", "count(*)")];
    let plan = aggregates(&columns, &batch.schema()).unwrap();
    let mut accumulator = plan.open(0).unwrap();
    let groups: Vec<u32> = (0..5_000).map(|row| u32::from(row >= 4_000)).collect();
    for part in 0..5 {
        accumulator.update(&batch.slice(part * 1_000, 1_000), &groups[part * 1_000..(part + 1) * 1_000], 2).unwrap();
        assert!(accumulator.memory_bytes() >= 16 * 1_000 * (part + 1), "two calls hold each value");
    }
    let state = accumulator.take_state().unwrap();
    assert_eq!(state.groups, Some(vec![0, 0, 0, 0, 1]));
    let swapped = arrow_select::take::take_record_batch(&state.records, &UInt32Array::from(vec![4, 3, 2, 1, 0])).unwrap();
    accumulator.merge(&swapped, &[1, 0, 0, 0, 0], 2).unwrap();
    let results = accumulator.finish().unwrap().records;
    let found: Vec<Vec<String>> = results.columns().iter().map(texts).collect();
    assert_eq!(found, [["4000", "1000"], ["1999.5", "4499.5"], ["4000", "1000"]]);
}

#[test]
fn what_is_wrong_is_shown_where_it_is_written() {
    let cases = [
        ("summ(ind)", "there is no function `summ`", "summ"),
        ("ind", "the column `ind` is in no aggregate, and a group has many values of it", "ind"),
        ("1 + 1", "this aggregates nothing", ""),
        ("sum(ind) + small", "the column `small` is in no aggregate, and a group has many values of it", "small"),
        ("upper(title)", "the column `title` is in no aggregate, and a group has many values of it", "title"),
        ("sum(max(ind))", "`max` aggregates what is aggregated already", "max"),
        ("count(*) FILTER (WHERE count(*) > 1)", "`count` aggregates what is aggregated already", "count"),
        ("sum(ind) OVER (ORDER BY day)", "`sum` is a function over a window of rows, and a group has one value", "sum"),
        ("rank()", "`rank` is a function over a window of rows, and a group has one value", "rank"),
        ("max(now())", "`now` gives another value in every run, and rows have to come out the same when they are read again", "now"),
        (
            "sum(random())",
            "`random` gives another value in every run, and rows have to come out the same when they are read again",
            "random",
        ),
        ("first_value(ind)", "`first_value` depends on the order in which rows arrive, which differs from run to run", "first_value"),
        ("string_agg(title, ',')", "`string_agg` depends on the order in which rows arrive, which differs from run to run", "string_agg"),
        ("sum(title)", "`sum` takes numbers, not text", "sum"),
        ("avg(ok)", "`avg` takes numbers, not bool", "avg"),
        ("stddev(day)", "`stddev` takes numbers, not date", "stddev"),
        ("bool_and(ind)", "`bool_and` takes true or false, not int64", "bool_and"),
        ("bit_and(likes)", "`bit_and` takes integers, not float64", "bit_and"),
        ("sum()", "`sum` takes one argument", "sum"),
        ("sum(*)", "the arguments of `sum` are expressions, without names and without `*`", ""),
        ("corr(ind)", "`corr` takes two arguments", "corr"),
        ("count(DISTINCT *)", "rows have no `DISTINCT`: name a column", "count"),
        ("max(ind) FILTER (WHERE small)", "this is int32 where true or false is needed", "small"),
        ("count_if(small)", "this is int32 where true or false is needed", "small"),
        ("sum(titel)", "there is no column `titel`", "titel"),
        ("max(ind) IGNORE NULLS", "`max` leaves nulls out by itself, and takes no `IGNORE NULLS` or `RESPECT NULLS`", "max"),
        ("array_agg(ind ORDER BY day)", "`array_agg` takes no clause within its brackets", "array_agg"),
        (
            "percentile_cont(2) WITHIN GROUP (ORDER BY ind)",
            "the share of `percentile_cont` is a number from 0 to 1, and is written out",
            "2",
        ),
        ("percentile_cont(0.5)", "`percentile_cont` takes a share and an order", "percentile_cont"),
        (
            "percentile_disc(0.5) WITHIN GROUP (ORDER BY ind DESC)",
            "the order can only be `ORDER BY x`: nulls are left out",
            "percentile_disc",
        ),
        ("max(NULL)", "no column can have the type null", "max"),
        ("count(*) + 1 / 0", "the expression fails whatever the row is", ""),
        ("max(title) + 1", "`+` does not take text and int64", "max(title) + 1"),
    ];
    for (text, message, part) in cases {
        let problems = aggregates(&[("v", text)], &posts().schema()).map(|plan| plan.output_schema()).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let (column, problem) = &problems[0];
        let found: String = text.chars().skip(problem.span.start).take(problem.span.len()).collect();
        assert_eq!(problem.message, message, "{text}");
        if !part.is_empty() {
            assert_eq!((column.as_str(), found.trim_end_matches(')')), ("v", part), "{text}");
        }
    }
    let suggestion = |text| ParsedAggregate::new(text).unwrap_err().suggestion;
    assert_eq!(suggestion("meddian(ind)").as_deref(), Some("median"));
    assert_eq!(suggestion("summ(ind)").as_deref(), Some("sum"));
}

#[test]
fn an_aggregate_names_its_columns_once_each_time() {
    let parsed = ParsedAggregate::new("sum(a * b) / count(*) FILTER (WHERE a > \"c d\")").unwrap();
    let names: Vec<&str> = parsed.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, parsed.text()), (vec!["a", "b", "a", "c d"], "sum(a * b) / count(*) FILTER (WHERE a > \"c d\")"));
    let plan = aggregates(&[("n", "count(*)"), ("m", "max(small)")], &posts().schema()).unwrap();
    assert_eq!(plan.columns(), [1]);
}

#[test]
fn a_batch_of_another_schema_is_a_bug_and_no_panic() {
    let plan = aggregates(&[("n", "sum(ind + 1)"), ("m", "max(title)")], &posts().schema()).unwrap();
    let mut accumulator = plan.open(0).unwrap();
    assert!(accumulator.update(&posts().project(&[0]).unwrap(), &[0; 4], 1).is_err());
    assert!(accumulator.update(&posts().project(&[4, 0]).unwrap(), &[0; 4], 1).is_err());
    assert!(accumulator.merge(&posts().project(&[0]).unwrap(), &[0; 4], 1).is_err());
    assert!(accumulator.merge(&posts().project(&[4, 4, 4]).unwrap(), &[0; 4], 1).is_err());
}

const BEGIN: &str = "<!-- aggregates: written from runtime/sql/src/aggregate/functions.rs by its tests with BLESS=1 -->\n";
const END: &str = "<!-- end of aggregates -->";

#[test]
fn the_page_lists_every_aggregate_function() {
    let mut expected = "\n| function | result | what it is, and how exact |\n|---|---|---|\n".to_owned();
    for doc in AGGREGATES {
        let others: Vec<String> = doc.names[1..].iter().map(|name| format!(", `{name}`")).collect();
        expected += &format!("| `{}`{} | {} | {} |\n", doc.call.replace(", count", "`, `count"), others.concat(), doc.result, doc.about);
    }
    expected += "\n";
    check_page(BEGIN, END, &expected);
}
