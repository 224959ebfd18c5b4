//! `wasmill diff`: exit statuses, and what it prints, on tables that others wrote too.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Pins, Store, Workshop, repository};

/// Runs a script of `tests/foreign` in the Python that has `deltalake`.
pub fn foreign(script: &str, arguments: &[&str], input: &str) {
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
    let mut command = Command::new(python);
    command.arg(repository().join("tests/foreign").join(script)).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes rows into a table of the workshop.
pub fn write(workshop: &Workshop, table: &str, mode: &str, rows: &str) {
    foreign("write_delta.py", &[workshop.path(table).to_str().unwrap(), mode], rows);
}

/// What `diff --output json` says, and its exit status.
fn difference(workshop: &Workshop, arguments: &[&str]) -> (i32, Value) {
    let ended = workshop.run(&[&["diff", "--output", "json"], arguments].concat());
    let value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}{}", ended.stdout, ended.stderr));
    (ended.code.unwrap(), value)
}

const PIPELINE: &str = r#"
name: pins
sources:
  pins: { files: { path: "data/*.jsonl" } }
stages:
  clean_pins: { from: pins, plugin: clean-pin }
sinks:
  pin_table: { from: clean_pins, delta: { uri: out/one } }
dead_letters:
  files: { path: out/dead, format: jsonl }
"#;

/// The same rows in two tables of different files and folders.
fn two_tables() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &Pins(0..4_000).lines());
    workshop.write("data/b.jsonl", &Pins(4_000..9_000).lines());
    workshop.write("pins.yaml", PIPELINE);
    workshop.run_well(&["run", "pins.yaml", "--set", "batch_rows=500", "--set", "lanes=2"]);
    let other = ["--set", "sinks.pin_table.delta.uri=out/two", "--set", "sinks.pin_table.delta.partition_by=[poster_name]"];
    workshop.run_well(&[&["run", "pins.yaml", "--set", "name=other", "--set", "lanes=1"][..], &other[..]].concat());
    workshop
}

#[test]
fn rows_are_equal_whatever_files_they_lie_in_and_one_other_cell_is_found() {
    let workshop = two_tables();
    let rows = workshop.delta_numbers("out/one").len();
    let ended = workshop.run_well(&["diff", "out/one", "out/two"]);
    assert!(ended.stdout.contains(&format!("equal: {},{:03} rows", rows / 1000, rows % 1000)), "{}", ended.stdout);
    workshop.run_well(&["diff", "out/one", "out/two", "--key", "ind"]);

    let two = workshop.path("out/two");
    foreign("write_delta.py", &[two.to_str().unwrap(), "update", "title", "'Another'", "ind = 4001"], "");
    foreign("write_delta.py", &[two.to_str().unwrap(), "delete", "ind = 7"], "");
    let (code, found) = difference(&workshop, &["out/one", "out/two", "--key", "ind"]);
    assert_eq!(code, 1);
    let counts = ["rows_changed", "rows_only_left", "rows_only_right", "rows_in_both"].map(|name| found[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0, rows as u64 - 2]);
    assert_eq!(found["changed"][0]["key"], serde_json::json!({"ind": 4001}));
    assert_eq!(found["changed"][0]["cells"], serde_json::json!([{"column": "title", "left": "Title 4001", "right": "Another"}]));
    assert_eq!(found["only_left"][0]["ind"], 7);
    // Without a key the changed row is one on each side.
    let (code, found) = difference(&workshop, &["out/one", "out/two", "--limit", "1"]);
    assert_eq!((code, found["rows_only_left"].as_u64(), found["rows_only_right"].as_u64()), (1, Some(2), Some(1)));
    assert_eq!(found["only_left"].as_array().unwrap().len(), 1, "no more than were asked for");
    // People see the same.
    let ended = workshop.run(&["diff", "out/one", "out/two", "--key", "ind"]);
    assert_eq!(ended.code, Some(1));
    for told in
        ["~ {\"ind\":4001}", "title: \"Title 4001\" -> \"Another\"", "- {\"ind\":7,", "1 changed, 1 only on the left, 0 only on the right"]
    {
        assert!(ended.stdout.contains(told), "{told}:\n{}", ended.stdout);
    }
    // What a table was can still be compared.
    workshop.run_well(&["diff", "out/two", "out/one", "--left-version", "0"]);
}

#[test]
fn repeated_rows_columns_and_types_count() {
    let workshop = Workshop::new();
    write(
        &workshop,
        "a",
        "overwrite",
        "{\"n\": 1, \"x\": NaN, \"s\": \"p\"}\n{\"n\": 1, \"x\": NaN, \"s\": \"p\"}\n{\"n\": 2, \"x\": 0.0, \"s\": null}\n",
    );
    write(&workshop, "b", "overwrite", "{\"s\": null, \"n\": 2, \"x\": -0.0}\n{\"s\": \"p\", \"n\": 1, \"x\": NaN}\n");
    let (code, found) = difference(&workshop, &["a", "b"]);
    assert_eq!((code, found["rows_in_both"].as_u64(), found["rows_only_left"].as_u64()), (1, Some(2), Some(1)), "{found}");
    write(&workshop, "b", "append", "{\"s\": \"p\", \"n\": 1, \"x\": NaN}\n");
    assert_eq!(difference(&workshop, &["a", "b"]).0, 0);
    let (code, found) = difference(&workshop, &["a", "b", "--key", "n"]);
    assert_eq!((code, found["keys_repeated"].as_u64()), (0, Some(1)));

    write(&workshop, "c", "overwrite", "{\"n\": 1, \"x\": \"NaN\", \"more\": 1}\n");
    let (code, found) = difference(&workshop, &["a", "c"]);
    assert_eq!(code, 1);
    assert_eq!(
        found["columns"],
        serde_json::json!([{"column": "x", "left": "float64", "right": "text"}, {"column": "s", "left": "text", "right": null},
            {"column": "more", "left": null, "right": "int64"}])
    );
    let (code, _) = difference(&workshop, &["a", "c", "--ignore", "x", "--ignore", "s", "--ignore", "more", "--left-version", "0"]);
    assert_eq!(code, 1, "n stands twice on one side");
}

#[test]
fn deleted_rows_mapped_columns_and_partitions_are_read_as_they_are_meant() {
    let workshop = Workshop::new();
    foreign("odd_delta.py", &[workshop.path("odd").to_str().unwrap()], "");
    let rows = |numbers: &mut dyn Iterator<Item = u64>| -> String {
        numbers.map(|n| format!("{{\"half\": \"{}\", \"text\": \"text {n}\", \"n\": {n}}}\n", if n < 50 { "a" } else { "b" })).collect()
    };
    write(&workshop, "plain", "overwrite", &rows(&mut (0..100).filter(|n| *n != 3 && *n != 50)));
    workshop.run_well(&["diff", "odd", "plain"]);
    write(&workshop, "plain", "append", &rows(&mut (3..4)));
    let (code, found) = difference(&workshop, &["odd", "plain", "--key", "n"]);
    assert_eq!((code, found["only_right"].clone()), (1, serde_json::json!([{"n": 3, "text": "text 3", "half": "a"}])));
}

#[test]
fn what_can_not_be_compared_is_neither_equal_nor_different() {
    let workshop = Workshop::new();
    write(&workshop, "a", "overwrite", "{\"n\": 1}\n");
    let ended = workshop.run(&["diff", "a", "nowhere"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no Delta table at nowhere"), "{}", ended.stderr);
    let ended = workshop.run(&["diff", "a", "a", "--key", "m"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--key names `m`") && ended.stderr.contains("has n"), "{}", ended.stderr);
    assert_eq!(workshop.run(&["diff", "a", "a", "--left-version", "9"]).code, Some(5));
    assert_eq!(workshop.run(&["diff", "a"]).code, Some(2));
}

#[test]
fn a_table_in_a_bucket_is_compared_with_one_on_disk() {
    let (workshop, store) = (two_tables(), Store::new());
    let uri = format!("{}/three", store.prefix);
    let mut command = workshop.wasmill(&["run", "pins.yaml", "--set", "name=third", "--set", &format!("sinks.pin_table.delta.uri={uri}")]);
    Store::environment(&mut command);
    assert_eq!(crate::support::Running::spawn(command).wait().code, Some(0));
    let endpoint = std::env::var("WASMILL_TEST_S3").unwrap();
    let mut command = workshop.wasmill(&["diff", "out/one", &uri, "--endpoint", &endpoint]);
    Store::environment(&mut command);
    command.env_remove("AWS_ENDPOINT_URL_S3");
    let ended = crate::support::Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
