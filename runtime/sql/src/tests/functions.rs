//! Every function that is offered does what its example says, and none is offered that could change from run to run.

use std::collections::BTreeSet;

use datafusion_expr::Volatility;

use super::*;
use crate::functions::find;
use crate::{FUNCTIONS, Group};

#[test]
fn every_function_gives_what_its_example_says() {
    let mut wrong = Vec::new();
    for function in FUNCTIONS {
        let found = match expression(function.example, &posts().schema()) {
            Ok(_) => computed(function.example)[0].clone(),
            Err(problems) if function.result == "NULL" => format!("{problems:?}"),
            Err(problems) => format!("{problems:?}"),
        };
        if found != function.result {
            wrong.push(format!("{} = {found}, not {}", function.example, function.result));
        }
        let called = |name: &&str| function.example.starts_with(&format!("{name}("));
        assert!(function.names.iter().any(called), "{} is no example of {:?}", function.example, function.names);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_name_is_that_of_one_function_which_never_changes() {
    let mut names = BTreeSet::new();
    for name in FUNCTIONS.iter().flat_map(|function| function.names) {
        assert!(names.insert(*name), "{name} is listed twice");
        let function = find(name).unwrap_or_else(|| panic!("{name} is no function of DataFusion"));
        assert_eq!(function.signature().volatility, Volatility::Immutable, "{name}");
    }
}

const BEGIN: &str = "<!-- functions: written from runtime/sql/src/functions.rs by its tests with BLESS=1 -->\n";
const END: &str = "<!-- end of functions -->";

#[test]
fn the_page_lists_every_function() {
    let mut expected = String::new();
    for (group, title) in [
        (Group::Choice, "Nulls and choices"),
        (Group::Text, "Texts"),
        (Group::Regex, "Regular expressions"),
        (Group::Number, "Numbers"),
        (Group::Time, "Dates and times"),
    ] {
        expected += &format!("\n### {title}\n\n| function | for example | gives |\n|---|---|---|\n");
        for function in FUNCTIONS.iter().filter(|function| function.group == group) {
            let names: Vec<String> = function.names.iter().map(|name| format!("`{name}`")).collect();
            expected += &format!("| {} | `{}` | `{}` |\n", names.join(", "), function.example, function.result);
        }
    }
    expected += "\n";
    check_page(BEGIN, END, &expected);
}

/// Values at the ends of their types: a function gives a value or refuses the row, and does not take the process with it.
#[test]
fn extreme_values_are_values_or_rejects() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), None]));
    let small: ArrayRef = Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), Some(0), Some(-1), None]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::MAX), Some(f64::NAN), Some(f64::NEG_INFINITY), Some(-0.0), None]));
    let texts_of: ArrayRef = Arc::new(StringArray::from(vec![Some(""), Some("\u{10ffff}é"), Some("9e9999"), Some("\0"), None]));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), None]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(i32::MIN), Some(i32::MAX), Some(0), Some(-1), None]));
    let columns = [("n", numbers), ("s", small), ("f", floats), ("t", texts_of), ("u", times), ("d", days)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap();
    let mut computed = 0;
    let names = ["n", "s", "f", "t", "u", "d"];
    for function in FUNCTIONS.iter().flat_map(|function| function.names) {
        let calls = names.iter().map(|one| format!("{function}({one})"));
        let pairs = names.iter().flat_map(|one| names.iter().map(move |two| format!("{function}({one}, {two})")));
        let written = names.iter().flat_map(|one| {
            ["'year', {}", "'week', {}", "'second', {}", "INTERVAL '1 month', {}", "{}, 2", "{}, -3", "{}, 'a', ''", "{}, '%Y'"]
                .map(|form| format!("{function}({})", form.replace("{}", one)))
        });
        for call in calls.chain(pairs).chain(written) {
            let Ok(expression) = expression(&call, &batch.schema()) else { continue };
            let evaluated = expression.evaluate(&batch).unwrap();
            assert_eq!(evaluated.values.len(), 5, "{call}");
            computed += 1;
        }
    }
    for text in [
        "CAST(d AS TIMESTAMP)",
        "CAST(d AS TIMESTAMP(0))",
        "CAST(u AS TIMESTAMP(9))",
        "CAST(u AS DATE)",
        "u + INTERVAL '1 month'",
        "d - INTERVAL '1 month'",
        "CAST(f AS INT)",
        "CAST(f AS DECIMAL(38, 0))",
        "CAST(n AS DECIMAL(3, 2))",
        "u AT TIME ZONE 'Europe/Berlin'",
        "CAST(u AS TEXT)",
        "CAST(d AS TEXT)",
        "d - d > 3",
    ] {
        let expression = expression(text, &batch.schema()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        assert_eq!(expression.evaluate(&batch).unwrap().values.len(), 5, "{text}");
        computed += 1;
    }
    assert!(computed > 300, "only {computed} calls were computed");
}
