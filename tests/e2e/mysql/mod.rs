//! Rows of MySQL into tables and files, wherever the process or the server is killed: equal, row by row, to what another client reads.

mod batch;
pub mod emulate;
mod stream;

use serde_json::Value;

/// Rows in an order of their own, without columns that only one side has.
fn sorted(mut rows: Vec<Value>) -> Vec<String> {
    rows.iter_mut().for_each(sort_columns);
    let mut texts: Vec<String> = rows.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

fn sort_columns(row: &mut Value) {
    row.as_object_mut().unwrap().sort_keys();
}

/// Both have the same rows; the first difference is shown.
pub fn same_rows(found: Vec<Value>, expected: Vec<Value>) {
    let (found, expected) = (sorted(found), sorted(expected));
    let missing: Vec<_> = expected.iter().filter(|row| found.binary_search(row).is_err()).take(3).collect();
    let foreign: Vec<_> = found.iter().filter(|row| expected.binary_search(row).is_err()).take(3).collect();
    assert!(found == expected, "{} rows, and {} are expected\nmissing: {missing:#?}\nforeign: {foreign:#?}", found.len(), expected.len());
}
