//! The stages `select` and `filter` in whole runs: rows, rejects with their records, and what sources are asked for.

use serde_json::{Value, json};

use crate::support::Workshop;

fn pipeline(workshop: &Workshop, text: &str) {
    workshop.write("p.yaml", &format!("{text}\ndead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}\n"));
}

/// Rows by a column, in its order.
fn by(mut rows: Vec<Value>, column: &str) -> Vec<Value> {
    rows.sort_by_key(|row| row[column].as_i64());
    rows
}

/// What the dead letters say, but for when.
fn reasons(workshop: &Workshop) -> Vec<Value> {
    let picked = |row: &Value| {
        let keys = ["stage", "code", "column", "message", "record", "position", "plugin"];
        keys.iter().map(|key| ((*key).to_owned(), row[*key].clone())).collect::<serde_json::Map<_, _>>()
    };
    by(workshop.jsonl_rows("out/dead_letters").iter().map(|row| Value::Object(picked(row))).collect(), "position")
}

const POSTS: [&str; 7] = [
    r#"{"index":1,"timestamp":"2026-01-02T03:04:05Z","age":"18","likes":10,"followers":4,"note":"x"}"#,
    r#"{"index":2,"timestamp":"2025-12-31T23:59:59Z","age":"17","likes":1,"followers":1,"note":"x"}"#,
    r#"{"index":3,"timestamp":"2024-02-29T00:00:00Z","age":"many","likes":1,"followers":1,"note":"x"}"#,
    r#"{"index":4,"timestamp":"2024-02-29T00:00:00Z","age":"40","likes":3,"followers":0,"note":"x"}"#,
    r#"{"index":5,"timestamp":null,"age":null,"likes":3,"followers":2,"note":"x"}"#,
    r#"{"index":9223372036854775807,"timestamp":null,"age":"99","likes":3,"followers":2,"note":"x"}"#,
    r#"{"index":7,"timestamp":null,"age":"30","likes":null,"followers":0,"note":"x"}"#,
];

#[test]
fn rows_are_computed_and_kept_and_those_that_fail_are_rejected() {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", &POSTS.map(|line| format!("{line}\n")).concat());
    pipeline(
        &workshop,
        "name: sql\nsources: { posts: { files: { path: in/a.jsonl }, schema: { timestamp: \"timestamp(us, UTC)\", age: text } } }\nstages:\n  \
         adults: { from: posts, filter: CAST(age AS INT) >= 18, max_reject_share: 100% }\n  \
         table:\n    from: adults\n    max_reject_share: 100%\n    select:\n      next: index + 1\n      post_year: extract(year from timestamp)\n      \
         share: likes / followers\n      exact: CAST(likes AS DECIMAL(10, 2)) * 1.1\n      index: index\n      file: _source.path\n\
         sinks:\n  delta_table: { from: table, delta: { uri: out/table } }\n  text: { from: table, files: { path: out/text, format: csv } }",
    );
    let ended = workshop.run_well(&["run", "p.yaml"]);
    assert!(!ended.stderr.contains("note"), "a column that nobody wants is nothing to report: {}", ended.stderr);

    let expected = json!([
        { "next": 2, "post_year": 2026, "share": 2, "exact": "11.000", "index": 1, "file": "in/a.jsonl" },
        { "next": 8, "post_year": null, "share": null, "exact": null, "index": 7, "file": "in/a.jsonl" },
    ]);
    let rows = by(workshop.duckdb_rows("out/table"), "index");
    assert_eq!(json!(rows), expected);
    let columns: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(columns, ["next", "post_year", "share", "exact", "index", "file"], "in the order of the file");
    let files: Vec<_> = std::fs::read_dir(workshop.path("out/text")).unwrap().map(|file| file.unwrap().path()).collect();
    let texts: Vec<String> = files.iter().filter(|file| file.is_file()).map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_eq!(texts.concat(), "next,post_year,share,exact,index,file\n2,2026,2,11.000,1,in/a.jsonl\n8,,,,7,in/a.jsonl\n");

    let starts: Vec<usize> = (0..POSTS.len()).map(|row| POSTS[..row].iter().map(|line| line.len() + 1).sum()).collect();
    let dead = |row: usize, stage: &str, code: &str, column: Value, message: &str| json!({ "stage": stage, "code": code, "column": column, "message": message, "record": POSTS[row], "position": starts[row], "plugin": null });
    let cast = "`CAST(age AS INT) >= 18`: the value can't be converted: Cannot cast string 'many' to value of Int32 type";
    let overflow = "`index + 1`: the result is out of range: Overflow happened on: 9223372036854775807 + 1";
    let divided = "`likes / followers`: division by zero";
    let expected = json!([
        dead(2, "adults", "sql-cast", Value::Null, cast),
        dead(3, "table", "sql-division-by-zero", json!("share"), divided),
        dead(5, "table", "sql-out-of-range", json!("next"), overflow),
    ]);
    assert_eq!(json!(reasons(&workshop)), expected);

    let plan = workshop.run_well(&["plan", "p.yaml"]).stdout;
    assert!(plan.contains("decodes  6 columns"), "index, timestamp, age, likes, followers and the path: {plan}");
    assert!(plan.contains("stage adults (keeps rows where CAST(age AS INT) >= 18)"), "{plan}");
    assert!(plan.contains("(selects next: index + 1, post_year: extract(year from timestamp)"), "{plan}");
}

/// The counts of the run tell rows that are left out from rows that are rejected.
#[test]
fn what_a_filter_leaves_out_is_counted_as_filtered() {
    let workshop = Workshop::new();
    let lines: String = (0..5000)
        .map(|id| format!("{{\"id\":{id},\"half\":{}}}\n", if id % 10 == 0 { "null".into() } else { (id % 2).to_string() }))
        .collect();
    workshop.write("in/a.jsonl", &lines);
    pipeline(
        &workshop,
        "name: counts\nbatch_rows: 700\nsources: { a: { files: { path: in/a.jsonl } } }\n\
         stages: { odd: { from: a, filter: half = 1 } }\nsinks: { t: { from: odd, files: { path: out/t, format: jsonl } } }",
    );
    let ended = workshop.run_well(&["run", "p.yaml", "--json"]);
    let ids: Vec<i64> = by(workshop.jsonl_rows("out/t"), "id").iter().map(|row| row["id"].as_i64().unwrap()).collect();
    let expected: Vec<i64> = (0..5000).filter(|id| id % 2 == 1).collect();
    assert_eq!(ids, expected);
    assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), 0);
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let summary = events.into_iter().find(|event| event["event"] == "finished").unwrap();
    let node = summary["summary"]["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "odd").unwrap().clone();
    let counts = ["rows_in", "rows_out", "rows_filtered", "rows_rejected"].map(|key| node["counts"][key].as_u64().unwrap());
    assert_eq!(counts, [5000, 2500, 2500, 0]);
}

/// What a plugin behind needs is read in the type that it needs; the bytes of a record that it rejects are those of the source.
#[test]
fn a_plugin_behind_a_filter_gets_what_it_needs() {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &crate::support::Pins(0..1000).lines());
    pipeline(
        &workshop,
        "name: pins\nsources: { pins: { files: { path: data/a.jsonl } } }\nstages:\n  \
         all: { from: pins, filter: _source.path IS NOT NULL }\n  clean_pins: { from: all, plugin: clean-pin }\n\
         sinks: { pin_table: { from: clean_pins, delta: { uri: out/pin_table } } }",
    );
    workshop.run_well(&["run", "p.yaml"]);
    workshop.check_posts(1000);
}

/// A column that the source adds for a filter alone is not one of the table; one that the file asks for is.
#[test]
fn a_filter_passes_the_columns_that_it_would_get_without_itself() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "id,title\n1,one\n2,two\n");
    for (schema, expected) in [
        ("", json!([{ "id": 1, "title": "one" }, { "id": 2, "title": "two" }])),
        (
            ", schema: { _source.path: text }",
            json!([{ "id": 1, "title": "one", "_source.path": "in/a.csv" }, { "id": 2, "title": "two", "_source.path": "in/a.csv" }]),
        ),
    ] {
        let name = format!("p{}", schema.len());
        pipeline(
            &workshop,
            &format!(
                "name: {name}\nsources: {{ a: {{ files: {{ path: in/a.csv }}{schema} }} }}\n\
                 stages: {{ here: {{ from: a, filter: _source.path LIKE 'in/%' }} }}\n\
                 sinks: {{ t: {{ from: here, files: {{ path: out/{name}, format: jsonl }} }} }}"
            ),
        );
        workshop.run_well(&["run", "p.yaml"]);
        assert_eq!(json!(by(workshop.jsonl_rows(&format!("out/{name}")), "id")), expected);
    }
}

/// A table that grows gets columns that come up later through a filter, and none through a select.
#[test]
fn columns_that_come_up_pass_a_filter_and_no_select() {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", "{\"id\":1,\"title\":\"a\"}\n");
    pipeline(
        &workshop,
        "name: grows\nsources: { a: { files: { path: \"in/*.jsonl\" } }, b: { files: { path: \"in/*.jsonl\" } } }\nstages:\n  \
         kept: { from: a, filter: id > 0 }\n  named: { from: b, select: { id: id, headline: upper(title) } }\nsinks:\n  \
         t: { from: kept, delta: { uri: out/t, schema_evolution: add_columns } }\n  \
         u: { from: named, delta: { uri: out/u, schema_evolution: add_columns } }",
    );
    workshop.run_well(&["run", "p.yaml"]);
    let lines: String = (2..3000).map(|id| format!("{{\"id\":{id},\"title\":\"b\"}}\n")).collect();
    workshop.write("in/b.jsonl", &(lines + "{\"id\":3000,\"title\":\"c\",\"late\":7}\n"));
    let ended = workshop.run_well(&["run", "p.yaml"]);
    let (kept, named) = (by(workshop.delta_rows("out/t"), "id"), by(workshop.delta_rows("out/u"), "id"));
    assert_eq!((kept.len(), named.len()), (3000, 3000), "{}", ended.stderr);
    assert_eq!(kept[2999], json!({ "id": 3000, "title": "c", "late": 7 }));
    assert_eq!(named[2999], json!({ "id": 3000, "headline": "C" }));
}
