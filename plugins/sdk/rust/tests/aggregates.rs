//! Aggregates, as the state of one group and over columns: states in every type, results of several rows, rejects, and the SDK's errors for
//! authors who contradict themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{Field, Schema};
use serde_json::{Value, json};
use wasmill_plugin::aggregate::{GroupedRows, Groups, Linked, Rejects};
use wasmill_plugin::group::Bytes;
use wasmill_plugin::prelude::*;
use wasmill_plugin::record::{Days, Micros, NoConfig};
use wasmill_plugin::{PerGroup, testing};

/// The state of a group with a field of every kind: the last row, by `n`.
#[derive(Default, Clone, GroupState)]
struct Last {
    n: Option<i64>,
    text: String,
    bytes: Bytes,
    flag: bool,
    day: Option<Days>,
    time: Option<Micros>,
    seen: Vec<i64>,
    words: Vec<Option<String>>,
    nested: Vec<Vec<f64>>,
}

#[derive(InputRecord)]
struct Row<'a> {
    n: i64,
    text: Option<&'a str>,
    day: Option<Days>,
    time: Option<Micros>,
}

#[derive(OutputRecord)]
struct Shown {
    n: Option<i64>,
    text: String,
    bytes: i64,
    day: Option<Days>,
    time: Option<Micros>,
    seen: Vec<i64>,
    words: Vec<Option<String>>,
    nested: i64,
}

impl Group for Last {
    type Config = NoConfig;
    type Row<'a> = Row<'a>;
    type Result = Shown;

    fn update(&mut self, row: Row<'_>, _: &NoConfig) -> Result<(), Reject> {
        if row.n < 0 {
            return Err(Reject::new("negative", "n is negative").at_column("n"));
        }
        self.seen.push(row.n);
        if self.n < Some(row.n) {
            self.n = Some(row.n);
            self.text = row.text.unwrap_or_default().to_owned();
            self.bytes = Bytes(self.text.clone().into_bytes());
            self.flag = true;
            (self.day, self.time) = (row.day, row.time);
            self.words = vec![row.text.map(str::to_owned), None];
            self.nested = vec![Vec::new(), vec![row.n as f64; 2]];
        }
        Ok(())
    }

    fn merge(&mut self, mut other: Self, _: &NoConfig) -> Result<(), Refusal> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.append(&mut other.seen);
        if self.n < other.n {
            *self = other;
        }
        self.seen = seen;
        Ok(())
    }

    fn finish(mut self, _: &NoConfig) -> Shown {
        self.seen.sort_unstable();
        let nested = self.nested.iter().flatten().sum::<f64>() as i64;
        let (bytes, words) = (self.bytes.0.len() as i64, self.words);
        Shown { n: self.n, text: self.text, bytes, day: self.day, time: self.time, seen: self.seen, words, nested }
    }
}

wasmill_plugin::group!(Last);

fn cases(folder: &str, text: &str) -> tempfile::TempDir {
    let cases = tempfile::Builder::new().prefix(folder).tempdir().unwrap();
    std::fs::write(cases.path().join("cases.yaml"), text).unwrap();
    cases
}

#[test]
fn a_state_keeps_fields_of_every_kind() {
    let cases = cases(
        "kinds",
        r#"
name: the last row of each key, and all that were seen
key: k
input:
  - {k: a, n: 3, text: "drei ä", day: "2022-07-07", time: "2022-07-07T00:18:41Z"}
  - {k: b, n: 1, text: eins}
  - {k: a, n: 9}
  - {k: a, n: -1, text: no}
  - {k: b, n: 2, text: "", day: "1969-12-31"}
  - {k: a, n: 5, text: five}
  - {k: c, n: -7}
output:
  - {k: a, n: 9, text: "", bytes: 0, seen: [3, 5, 9], words: [null, null], nested: 18}
  - {k: b, n: 2, text: "", bytes: 0, day: "1969-12-31", seen: [1, 2], words: ["", null], nested: 4}
rejects:
  - {row: 3, code: negative, column: n}
  - {row: 6, code: negative, column: n}
"#,
    );
    assert_eq!(testing::aggregate_cases::<PerGroup<Last>>(cases.path()), 1);
}

#[test]
fn a_row_with_a_null_where_the_record_has_no_option_is_rejected() {
    let accumulated = testing::aggregate::<PerGroup<Last>>(&json!({}), &[json!({ "text": "a" }), json!({ "n": 1 })], &[0, 0]).unwrap();
    assert_eq!((accumulated.rejects[0].row, accumulated.rejects[0].code.as_str()), (0, "missing-value"));
    assert_eq!(accumulated.rows()[0]["seen"], json!([1]));
}

/// An aggregate over columns whose behaviour is chosen by its configuration. By itself it returns the values of each group in order.
struct Sorted {
    act: String,
    values: Vec<Vec<i64>>,
}

#[wasmill_plugin::config]
struct Config {
    act: String,
}

impl Sorted {
    fn grow(&mut self, count: usize) {
        self.values.resize(self.values.len().max(count), Vec::new());
    }

    fn rows(&mut self, count: usize) -> GroupedRows {
        self.grow(count);
        let (mut groups, mut all) = (Vec::new(), Vec::new());
        for (group, mut values) in std::mem::take(&mut self.values).into_iter().enumerate() {
            if self.act != "unordered" {
                values.sort_unstable();
            }
            groups.extend(values.iter().map(|_| group as u32));
            all.extend(values);
        }
        GroupedRows::of(groups, vec![Arc::new(Int64Array::from(all)) as ArrayRef])
    }
}

impl Aggregate for Sorted {
    type Config = Config;

    fn plan(config: Config, plan: &mut AggregatePlan) -> Result<Self, Refusal> {
        plan.read("n", DataType::Int64).state("n", DataType::Int64).state_version(3);
        match config.act.as_str() {
            "no output" => {}
            "twice" => {
                plan.output("n", DataType::Int64).output("n", DataType::Int64);
            }
            _ => {
                plan.output("n", DataType::Int64);
            }
        }
        Ok(Self { act: config.act, values: Vec::new() })
    }

    fn update(&mut self, rows: &Batch, groups: &Groups<'_>, rejects: &mut Rejects) -> Result<(), Refusal> {
        self.grow(groups.count());
        let n = rows.int64("n")?;
        for row in (0..rows.len()).rev() {
            if n.is_null(row) {
                rejects.reject(row, Reject::new("no-n", "n is null"));
                rejects.reject(row, Reject::new("again", "the first reason counts"));
            } else {
                self.values[groups.of(row)].push(n.value(row));
            }
        }
        if self.act == "reject beyond" {
            rejects.reject(rows.len(), Reject::new("beyond", ""));
        }
        Ok(())
    }

    fn merge(&mut self, states: &Batch, groups: &Groups<'_>) -> Result<(), Refusal> {
        self.grow(groups.count());
        let n = states.int64("n")?;
        let known: Vec<bool> = self.values.iter().map(|values| !values.is_empty() && self.act == "forgetful").collect();
        let kept = groups.of_rows().enumerate().filter(|(_, group)| !known[*group]);
        kept.for_each(|(row, group)| self.values[group].push(n.value(row)));
        Ok(())
    }

    fn take_state(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        Ok(self.rows(count))
    }

    fn finish(&mut self, count: usize) -> Result<GroupedRows, Refusal> {
        Ok(match self.act.as_str() {
            "no columns" => GroupedRows::one_each(Vec::new()),
            "floats" => GroupedRows::one_each(vec![Arc::new(Float64Array::from(vec![0.0; count]))]),
            "too few" => GroupedRows::one_each(vec![Arc::new(Int64Array::from(vec![0; count - 1]))]),
            _ => self.rows(count),
        })
    }
}

wasmill_plugin::aggregate!(Sorted);

fn sorted(act: &str) -> Result<Vec<Value>, String> {
    let rows = [json!({ "n": 3 }), json!({ "n": 5 }), json!({ "n": 1 }), json!({ "n": null }), json!({ "n": 2 })];
    let found = testing::aggregate::<Sorted>(&json!({ "act": act }), &rows, &[0, 2, 0, 2, 0]);
    found.map(|found| found.rows()).map_err(|refusal| refusal.message().to_owned())
}

#[test]
fn an_aggregate_over_columns_returns_several_rows_or_none_for_a_group() {
    assert_eq!(sorted("").unwrap(), [json!({ "n": 1 }), json!({ "n": 2 }), json!({ "n": 3 }), json!({ "n": 5 })]);
    let cases = cases(
        "columns",
        r#"
name: groups have as many rows as values
config: {act: ""}
key: k
input:
  - {k: 1, n: 7}
  - {k: 2}
  - {k: 1, n: 7}
  - {k: 3, n: 2}
  - {k: 1, n: 1}
output: [{k: 1}, {k: 1}, {k: 1}, {k: 3}]
columns: [k]
rejects: [{row: 1, code: no-n, message: n is null}]
"#,
    );
    // The key of a case must not be a column of the results too.
    assert_eq!(testing::aggregate_cases::<Sorted>(cases.path()), 1);
}

#[test]
fn a_linked_aggregate_takes_and_returns_arrays() {
    let column = |values: Vec<Option<i64>>| vec![Arc::new(Int64Array::from(values)) as ArrayRef];
    let schema = Schema::new(vec![Field::new("other", DataType::Utf8, true), Field::new("n", DataType::Int64, true)]);
    let mut linked = Linked::<Sorted>::open(Config { act: String::new() }, &schema).unwrap();
    assert_eq!(linked.crossing().collect::<Vec<_>>(), ["n"]);
    assert_eq!(linked.update(column(vec![Some(3), None, Some(1), Some(2)]), &[0, 0, 2, 0], 3).unwrap(), 1);
    let (states, groups) = linked.take_state().unwrap().into_parts();
    assert_eq!((&states, &groups), (&column(vec![Some(2), Some(3), Some(1)]), &Some(vec![0, 0, 2])));
    linked.merge(states, &[0, 0, 1], 2).unwrap();
    linked.merge(column(vec![Some(7)]), &[1], 2).unwrap();
    assert_eq!(linked.finish().unwrap().into_parts(), (column(vec![Some(2), Some(3), Some(1), Some(7)]), Some(vec![0, 0, 1, 1])));
    assert_eq!(linked.finish().unwrap().into_parts(), (column(Vec::new()), Some(Vec::new())));
    assert!(linked.update(column(vec![Some(1)]), &[1], 1).is_err());
}

#[test]
fn contradictions_are_refused() {
    for (act, message) in [
        ("no output", "the output has no columns"),
        ("twice", "the output would have two columns called n"),
        ("reject beyond", "update rejects row 5 of a batch of 5"),
        ("no columns", "finish returns 0 columns, and the plan has 1"),
        ("floats", "finish returns column n as Float64, and the plan has Int64"),
        ("too few", "finish returns 2 values of column n for 3 rows"),
    ] {
        assert_eq!(sorted(act).unwrap_err(), message);
    }
}

fn failure(folder: &str, case: &str) -> String {
    let cases = cases(folder, case);
    let failure = std::panic::catch_unwind(|| testing::aggregate_cases::<Sorted>(cases.path())).unwrap_err();
    failure.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_result_that_depends_on_the_rows_of_a_call_is_a_failure() {
    let text = failure("unordered", "name: by calls\nconfig: {act: unordered}\ninput: [{n: 1}, {n: 2}]\noutput: [{n: 2}, {n: 1}]\n");
    assert!(text.contains("with 1 row a call:"), "{text}");
}

/// Of five rows, two in two instances are enough.
#[test]
fn states_that_do_not_merge_fail_with_the_smallest_example() {
    let case = "name: all values\nconfig: {act: forgetful}\ninput: [{n: 5}, {n: 3}, {n: 3}, {n: 4}, {n: 1}]\noutput: [{n: 1}, {n: 3}, {n: 3}, {n: 4}, {n: 5}]\n";
    let text = failure("forgetful", case);
    let example = text.split_once("the result depends on how rows are cut and merged\n").unwrap().1;
    assert_eq!(example.lines().filter(|line| line.trim().starts_with("row ")).count(), 2, "{text}");
    assert_eq!(example.matches("- at once: {n: ").count(), 2, "{text}");
    assert_eq!(example.matches(", merged: {n: ").count(), 1, "{text}");
}
