//! `wasmill report`: the page, read by another program, says what lies in the places of the pipeline.

use std::process::Command;

use serde_json::Value;

use crate::support::{Database, Store, Workshop, repository};

const PIPELINE: &str = r#"
name: shown
sources:
  pins: { files: { path: "data/*.jsonl" }, schema: { index: int64, category: string, followers: int64 }, max_reject_share: 0.5 }
stages:
  per_category: { from: pins, aggregate: { by: [category], compute: { posts: count(*), most: max(followers) } } }
sinks:
  table: { from: pins, delta: { uri: out/table } }
  lines: { from: pins, files: { path: "out/li[n]es", format: csv } }
  objects: { from: pins, s3: { uri: "PREFIX/objects", format: parquet, connection: CONNECTION } }
  rows: { from: pins, postgres: { connection: { url: "${env:PG_URL}" }, table: pins } }
  categories: { from: per_category, files: { path: out/categories, format: csv } }
  shown: { from: pins, console: { rows: 1 } }
dead_letters:
  files: { path: out/dead_letters, format: jsonl }
"#;

/// A pipeline of seven good rows and two bad ones, and the tables of its page.
struct Shown {
    workshop: Workshop,
    database: Database,
}

impl Shown {
    fn new() -> Self {
        let (workshop, store) = (Workshop::new(), Store::new());
        let row = |index: u32, category: &str, followers: &str| {
            format!("{{\"index\": {index}, \"category\": {category}, \"followers\": {followers}}}\n")
        };
        let rows = [
            row(1, "\"art\"", "10"),
            row(2, "\"art\"", "9"),
            row(3, "\"art\"", "null"),
            row(4, "\"<script>alert(1)</script>\"", "100"),
            row(5, "null", "-1"),
            row(6, "\"travel & more\"", "7"),
            row(7, "\"travel & more\"", "null"),
            row(8, "\"art\"", "\"canary of a reject\""),
            row(9, "\"art\"", "\"several\""),
        ];
        workshop.write("data/a.jsonl", &rows.concat());
        workshop.write("shown.yaml", &PIPELINE.replace("PREFIX", &store.prefix).replace("CONNECTION", Store::options()));
        Self { workshop, database: Database::new() }
    }

    fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.workshop.wasmill(arguments);
        command.env("PG_URL", self.database.url());
        let ended = crate::support::Running::spawn(command).wait();
        (ended.code, format!("{}{}", ended.stdout, ended.stderr))
    }

    fn well(&self, arguments: &[&str]) -> String {
        let (code, printed) = self.command(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {printed}");
        printed
    }

    fn tables(&self, page: &str) -> Value {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python: `make test` sets it");
        let script = repository().join("tests/foreign/read_page.py");
        let output = Command::new(python).arg(script).arg(self.workshop.path(page)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["loads"], serde_json::json!([]), "it loads nothing");
        read["sections"].clone()
    }
}

/// A row of a table by its first cell.
fn row<'a>(table: &'a Value, first: &str) -> Vec<&'a str> {
    let rows = table.as_array().unwrap().iter().map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect());
    rows.into_iter().find(|row: &Vec<&str>| row[0] == first).unwrap_or_else(|| panic!("no row `{first}` in {table}"))
}

#[test]
fn a_page_shows_the_run_the_rejects_and_every_place_that_can_be_read_back() {
    let shown = Shown::new();
    shown.well(&["run", "shown.yaml"]);
    shown.well(&["report", "shown.yaml", "-o", "report.html"]);
    let page = shown.tables("report.html");
    let nodes: Vec<Vec<&str>> = page["The last run"][0]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect())
        .collect();
    let named = |row: &&Vec<&str>, name: &str| row[1].split(' ').next() == Some(name);
    let counts = |name: &str| nodes.iter().find(|row| named(row, name)).unwrap_or_else(|| panic!("{name}: {nodes:?}"))[2..8].to_vec();
    assert_eq!(counts("pins"), ["9", "0", "7", "2", "0", "0"]);
    assert_eq!(counts("per_category"), ["7", "4", "4", "0", "0", "7"]);
    assert_eq!(counts("table"), ["7", "0", "7", "0", "0", "0"]);
    assert_eq!(page["Rejects"][0].as_array().unwrap().len(), 2, "one reason: {}", page["Rejects"]);
    assert_eq!(page["Rejects"][0][1][3], "2");
    for name in ["table", "lines", "objects", "rows"] {
        let (rows, columns) = (&page[name][0], &page[name][1]);
        assert_eq!(rows.as_array().unwrap().len(), 8, "{name}: a header and seven rows");
        assert_eq!(row(rows, "4"), ["4", "<script>alert(1)</script>", "100"], "{name}");
        assert_eq!(row(rows, "7"), ["7", "travel & more", "null"], "{name}");
        let [nulls, distinct, least, greatest, commonest] = row(columns, "category")[2..] else { panic!("{columns}") };
        assert_eq!((nulls, distinct, least, greatest), ("1 (14.3 %)", "3", "<script>alert(1)</script>", "travel & more"), "{name}");
        assert_eq!(commonest, "art 3 (42.9 %)travel & more 2 (28.6 %)", "{name}");
        assert_eq!(row(columns, "followers")[2..6], ["2 (28.6 %)", "5", "-1", "100"], "{name}");
    }
    assert_eq!(row(&page["categories"][0], "art"), ["art", "3", "10"]);
    assert_eq!(page["shown"], Value::Null, "a console holds nothing");
    let text = std::fs::read_to_string(shown.workshop.path("report.html")).unwrap();
    assert!(text.contains("canary of a reject"), "a rejected record is shown");
    assert_eq!(text.matches("<svg").count(), 5, "bars for every table that was read");
}

#[test]
fn a_run_that_failed_is_shown_as_one_and_an_unreadable_place_does_not_spoil_the_rest() {
    let shown = Shown::new();
    shown.well(&["run", "shown.yaml"]);
    shown.workshop.write("data/b.jsonl", &"{\"index\": \"no number\"}\n".repeat(200));
    let (code, printed) = shown.command(&["run", "shown.yaml", "--json"]);
    assert_eq!(code, Some(6), "{printed}");
    shown.workshop.write("events.jsonl", &printed);
    shown.database.run("DROP TABLE pins");
    shown.well(&["report", "shown.yaml", "-o", "report.html", "--run", "events.jsonl"]);
    let text = std::fs::read_to_string(shown.workshop.path("report.html")).unwrap();
    assert!(text.contains("It <span class=\"bad\">failed</span>"), "{text}");
    assert_eq!(text.matches("It is not shown").count(), 1, "only the table that is gone");
    assert_eq!(shown.tables("report.html")["table"][0].as_array().unwrap().len(), 8, "what was committed before is there");
    shown.workshop.write("none.jsonl", "{}\n");
    let (code, printed) = shown.command(&["report", "shown.yaml", "-o", "report.html", "--run", "none.jsonl"]);
    assert!(code == Some(2) && printed.contains("no event of a run that ended"), "{printed}");
}
