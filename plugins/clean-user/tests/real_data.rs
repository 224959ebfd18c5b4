//! The plugin over real rows, which are not part of the repository: `WASMILL_REAL_DATA` names the folder that holds `raw/` and `golden/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clean_user::CleanUser;
use serde_json::{Value, json};
use wasmill_plugin::testing;
use wasmill_plugin::time;

fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("did not run: WASMILL_REAL_DATA does not say where the real rows are");
    }
    folder
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A row's own columns in the order of their names, with its time as a number.
fn canonical(row: &Value) -> String {
    let mut columns: Vec<_> = row.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).collect();
    columns.sort_by_key(|(name, _)| *name);
    let micros = row["date_joined"].as_str().and_then(time::parse_micros);
    let rest: Vec<_> = columns.into_iter().filter(|(name, _)| *name != "date_joined").collect();
    format!("{micros:?} {}", serde_json::to_string(&rest).unwrap())
}

#[test]
fn golden_rows_come_out_as_that_pipeline_had_them() {
    let Some(folder) = real_data() else { return };
    let input = rows(&folder.join("golden/raw_user.jsonl"));
    let outcome = testing::transform::<CleanUser>(json!({}), &input).unwrap();
    assert_eq!(outcome.rejects, []);
    let found: BTreeSet<_> = outcome.rows().iter().map(canonical).collect();
    let expected: BTreeSet<_> = rows(&folder.join("golden/clean_user.jsonl")).iter().map(canonical).collect();
    assert_eq!(expected.len(), 316);
    let missing: Vec<_> = expected.difference(&found).take(3).collect();
    let surplus: Vec<_> = found.difference(&expected).take(3).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?}\nsurplus {surplus:#?}");
    println!("{} rows gave the {} different rows of the golden table", input.len(), found.len());
}

#[test]
fn no_raw_row_is_lost() {
    let Some(folder) = real_data() else { return };
    let input = rows(&folder.join("raw/user.jsonl"));
    let outcome = testing::transform::<CleanUser>(json!({}), &input).unwrap();
    assert_eq!(outcome.rejects, []);
    assert_eq!(outcome.rows().len(), input.len());
    println!("{} rows in, {} rows out, none rejected", input.len(), outcome.rows().len());
}
