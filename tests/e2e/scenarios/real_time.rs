//! A pipeline that listens itself: windows in Postgres that are those of a model, and a batch over the rows that it kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rows::Rows;
use super::{Scenario, over_both};
use crate::keyed_stages::analyses::{as_floats, golden, theirs};
use crate::keyed_stages::assert_same_rows;
use crate::support::{json_lines, repository, until};

over_both!(run);

/// The length of a window, in microseconds.
const WINDOW: i64 = 600_000_000;

/// What the windows have to hold, from the raw rows with the times at which they were accepted.
fn model(mut raw: Vec<Value>) -> Vec<Value> {
    raw.sort_by_key(|row| row["arrived"].as_i64());
    let (mut seen, mut windows) = (BTreeSet::new(), BTreeMap::<(String, i64), (i64, Option<i64>)>::new());
    for row in raw.iter().filter(|row| !row["index"].is_null()) {
        if !seen.insert(row["index"].as_i64()) {
            continue;
        }
        let Some(profile) = row["poster_name"].as_str().filter(|name| !["User Info Error", "None"].contains(name)) else { continue };
        let followers = row["follower_count"].as_str().and_then(|text| text.replace('k', "000").replace('M', "000000").parse::<i64>().ok());
        let start = row["arrived"].as_i64().unwrap().div_euclid(WINDOW) * WINDOW;
        let window = windows.entry((profile.to_owned(), start)).or_default();
        *window = (window.0 + 1, window.1.max(followers));
    }
    let row = |((profile, start), (posts, followers)): ((String, i64), (i64, Option<i64>))| json!({ "profile": profile, "window_start": start, "window_end": start + WINDOW, "posts": posts, "followers": followers });
    windows.into_iter().map(row).collect()
}

/// The windows as Postgres has them.
fn windows(scenario: &Scenario) -> Vec<Value> {
    if scenario.database.rows("profile_popularity").is_empty() {
        return Vec::new();
    }
    let micros = |column: &str| format!("'{column}', (extract(epoch from {column}) * 1000000)::bigint");
    let times = format!("jsonb_build_object({}, {})", micros("window_start"), micros("window_end"));
    json_lines(scenario.database.run(&format!("SELECT to_jsonb(t) || {times} FROM profile_popularity AS t")).as_bytes())
}

fn run(rows: Rows) {
    let mut scenario = Scenario::of("real-time-and-historical", rows);
    scenario.run_through("Post");
    let raw = |scenario: &Scenario, table: &str| scenario.workshop.duckdb_rows_if_any(&format!("out/real-time/raw/{table}"));
    let dead = |scenario: &Scenario| scenario.workshop.jsonl_rows("out/real-time/dead_letters/live").len();
    let kept =
        |scenario: &Scenario| ["pin", "geo", "user"].into_iter().map(|table| raw(scenario, table).len()).sum::<usize>() + dead(scenario);
    let posted: usize = ["pin", "geo", "user"].iter().map(|table| scenario.lines(table)).sum();
    until("every posted row is kept", || kept(&scenario) >= posted);
    let expected = model(raw(&scenario, "pin"));
    assert!(expected.len() >= 100, "{} windows", expected.len());
    let sum = |rows: &[Value]| rows.iter().map(|row| row["posts"].as_i64().unwrap()).sum::<i64>();
    until("every window is in Postgres while it is open", || sum(&windows(&scenario)) >= sum(&expected));
    assert_same_rows(windows(&scenario), expected.clone(), "windows while they are open");
    scenario.run_to_the_end();
    assert_same_rows(windows(&scenario), expected.clone(), "windows at the end");
    assert_eq!(kept(&scenario), posted, "every row is kept once, or a dead letter");
    check_history(&scenario, rows);
    scenario
        .report(&format!("{posted} rows posted, {} windows of profiles in Postgres, the categories of the years in Delta", expected.len()));
}

fn check_history(scenario: &Scenario, rows: Rows) {
    let expected = match rows {
        Rows::Real => {
            let raw = |row: Value| {
                let Value::Object(mut row) = row else { panic!("{row}") };
                row.remove("arrived");
                Value::Object(row)
            };
            let kept = scenario.workshop.duckdb_rows("out/real-time/raw/pin").into_iter().map(raw).collect();
            assert_same_rows(kept, scenario.workshop.jsonl_rows("data/pin"), "raw posts");
            theirs(&golden().join("q2_top_category_per_year.csv"), &[])
        }
        Rows::Generated => {
            let analyses = repository().join("pipelines/analyses/analyses.yaml");
            scenario.workshop.run_well(&["run", analyses.to_str().unwrap(), "--quiet"]);
            as_floats(scenario.workshop.duckdb_rows("out/analyses/category_per_year"))
        }
    };
    assert!(expected.len() >= 5);
    let found = |rows: Vec<Value>, what| assert_same_rows(as_floats(rows), expected.clone(), what);
    found(scenario.workshop.duckdb_rows("out/real-time/category_of_the_year"), "categories in Delta");
    found(scenario.workshop.csv_rows("out/real-time/category_of_the_year_csv"), "categories as CSV");
}
