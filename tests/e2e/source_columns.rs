//! Which columns a source reads: `schema` gives types to some of them, `columns` picks some.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Running, Workshop, until};
use crate::values::{input, moved, reasons};

const FILES: [(&str, &str); 3] = [
    ("a.csv", "id,code,amount\n1,007,1.5\n2,8,x\n"),
    ("a.jsonl", "{\"id\":1,\"code\":\"007\",\"amount\":1.5}\n{\"id\":2,\"code\":\"8\",\"amount\":\"x\"}\n"),
    ("a.json", "[{\"id\":1,\"code\":\"007\",\"amount\":1.5},{\"id\":2,\"code\":\"8\",\"amount\":\"x\"}]"),
];

fn read(file: (&str, &str), keys: &str) -> (Vec<Value>, Vec<Value>) {
    let workshop = Workshop::new();
    workshop.write(&format!("in/{}", file.0), file.1);
    moved(&workshop, &format!("files: {{ path: \"in/*\" }}{keys}"))
}

#[test]
fn a_schema_gives_a_type_to_single_columns_and_keeps_the_others() {
    for file in FILES {
        let (rows, dead) = read(file, ", schema: { amount: float64 }");
        assert_eq!(rows, [json!({"id": 1, "code": "007", "amount": 1.5})], "{}", file.0);
        assert_eq!(reasons(&dead), ["bad-value amount: \"x\" is not a number, and float64 is needed"], "{}", file.0);
        let (rows, _) = read(file, ", schema: { id: text, amount: text, _source.path: text }");
        let path = format!("in/{}", file.0);
        let row = |id: &str, code: &str, amount: &str| json!({"id": id, "code": code, "amount": amount, "_source.path": path});
        assert_eq!(rows, [row("1", "007", "1.5"), row("2", "8", "x")], "{}", file.0);
    }
    let workshop = Workshop::new();
    input(&workshop, "delta");
    let (rows, dead) = moved(&workshop, "delta: { uri: in }, schema: { f: int64 }");
    assert_eq!(rows, [json!({"id": 2, "c": {"lat": 3.0, "lon": 4.0}, "f": 3})]);
    assert_eq!(dead.len(), 1);
}

#[test]
fn columns_picks_those_that_are_read_in_its_order() {
    for file in FILES {
        let (rows, dead) = read(file, ", columns: [amount, id]");
        assert_eq!(rows, [json!({"id": 1, "amount": "1.5"}), json!({"id": 2, "amount": "x"})], "{}", file.0);
        assert_eq!(dead, [Value::Null; 0], "{}", file.0);
        let (rows, dead) = read(file, ", columns: [_source.position, amount], schema: { amount: float64 }");
        let first = rows[0]["_source.position"].as_i64();
        assert_eq!((rows.len(), dead.len(), first.is_some()), (1, 1, true), "{}", file.0);
        assert_eq!(rows[0], json!({"amount": 1.5, "_source.position": first}), "{}", file.0);
    }
}

#[test]
fn a_column_that_the_sample_lacks_is_null_where_later_records_may_have_it() {
    for keys in ["columns: [id, later], schema: { later: date }", "schema: { later: date, code: text, amount: text }"] {
        let (rows, dead) = read(FILES[1], &format!(", {keys}"));
        assert_eq!((rows.len(), dead.len()), (2, 0), "{keys}");
        assert!(rows.iter().all(|row| row["later"].is_null() && row["id"].is_i64()), "{rows:?}");
    }
}

#[test]
fn the_columns_of_a_table_stand_in_the_order_in_which_they_are_picked() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "a,b,c\n1,2,3\n");
    workshop.write(
        "p.yaml",
        "name: p\nsources: { a: { files: { path: \"in/*\" }, columns: [c, a] } }\n\
         sinks: { t: { from: a, files: { path: out, format: csv } } }\n",
    );
    workshop.run_well(&["run", "p.yaml"]);
    let written = std::fs::read_dir(workshop.path("out")).unwrap().map(|entry| entry.unwrap().path());
    let written: Vec<String> = written
        .filter(|path| path.extension().is_some_and(|found| found == "csv"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(written, ["c,a\n3,1\n"]);
}

#[test]
fn a_stage_gets_what_it_needs_beside_what_the_schema_names() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "ind,country,latitude,longitude,timestamp,region\n7,Aruba,1.5,2.5,2022-07-07T00:18:41,EU\n");
    workshop.write(
        "p.yaml",
        "name: p\nsources: { a: { files: { path: \"in/*\" }, schema: { country: text } } }\n\
         stages: { s: { from: a, plugin: clean-geo } }\nsinks: { t: { from: s, delta: { uri: out/t } } }\n",
    );
    workshop.run_well(&["run", "p.yaml"]);
    let rows = workshop.delta_rows("out/t");
    assert_eq!((rows.len(), &rows[0]["ind"], &rows[0]["country"]), (1, &json!(7), &json!("Aruba")));
}

#[test]
fn a_stream_without_files_begins_with_the_schema_and_takes_up_the_other_columns() {
    let workshop = Workshop::new();
    workshop.write(
        "p.yaml",
        "name: p\nmode: stream\nepoch: { every: 200ms }\n\
         sources: { a: { files: { path: \"in/*\", follow: 100ms }, schema: { id: int64, at: \"timestamp(us, UTC)\" } } }\n\
         sinks: { t: { from: a, files: { path: out, format: jsonl } } }\n",
    );
    std::fs::create_dir(workshop.path("in")).unwrap();
    let running = Running::spawn(workshop.wasmill(&["run", "p.yaml"]));
    until("the pipeline has begun", || workshop.path(".wasmill/state/p").exists());
    workshop.write("in/a.tmp", "{\"id\":1,\"at\":\"2022-07-07T00:18:41Z\",\"name\":\"x\"}\n");
    std::fs::rename(workshop.path("in/a.tmp"), workshop.path("in/a.jsonl")).unwrap();
    until("the record is written", || workshop.path("out").exists() && !workshop.jsonl_rows("out").is_empty());
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(workshop.jsonl_rows("out"), [json!({"id": 1, "at": "2022-07-07T00:18:41Z", "name": "x"})]);
}

#[test]
fn a_run_names_the_text_that_makes_a_column_text_and_csv_null_makes_it_one_of_numbers() {
    let text = "id,delay,name\n1,5,a\n2,NA,NA\n3,,\n4,\"NA\",\"NA\"\n5,7,\"\"\n";
    let read = |null: &str| {
        let workshop = Workshop::new();
        workshop.write("in/a.csv", text);
        let (rows, dead) = moved(&workshop, &format!("files: {{ path: \"in/*\"{null} }}"));
        assert_eq!(dead, [Value::Null; 0]);
        (rows, workshop.run_well(&["run", "p.yaml"]).stderr)
    };
    let row = |id: i64, delay: Value, name: Value| json!({"id": id, "delay": delay, "name": name});
    let (rows, told) = read("");
    let texts = [
        row(1, json!("5"), json!("a")),
        row(2, json!("NA"), json!("NA")),
        row(3, Value::Null, Value::Null),
        row(4, json!("NA"), json!("NA")),
        row(5, json!("7"), json!("")),
    ];
    assert_eq!(rows, texts);
    let hint = "warning[odd-text]: the column `delay` of `a` is text because of `NA` in 2 of 4 records";
    assert!(told.contains(hint) && told.contains(r#"add `csv: { null: ["", "NA"] }`: then the column is int64"#), "{told}");
    let (rows, told) = read(", csv: { null: [\"\", NA] }");
    let numbers = [
        row(1, json!(5), json!("a")),
        row(2, Value::Null, Value::Null),
        row(3, Value::Null, Value::Null),
        row(4, Value::Null, json!("NA")),
        row(5, json!(7), json!("")),
    ];
    assert_eq!(rows, numbers);
    assert!(!told.contains("odd-text"), "{told}");
}
