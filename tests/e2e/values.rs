//! Values on their way through a pipeline: equal to what other readers see in the input, or in the dead letters with a reason.

use std::process::Command;

use serde_json::{Value, json};

use crate::delta_diff::foreign;
use crate::support::{Workshop, number_from_environment, repository};

/// Runs one source into a Delta table; gives its rows in the order of their ids, and the dead letters in that of their positions.
pub fn moved(workshop: &Workshop, source: &str) -> (Vec<Value>, Vec<Value>) {
    let pipeline = format!(
        "name: values\nsources:\n  a: {{ {source}, max_reject_share: 100% }}\nsinks:\n  t: {{ from: a, delta: {{ uri: out/t }} }}\n\
         dead_letters: {{ files: {{ path: out/dead, format: jsonl }} }}\n"
    );
    workshop.write("p.yaml", &pipeline);
    workshop.run_well(&["run", "p.yaml"]);
    results(workshop)
}

pub fn results(workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
    let (mut rows, mut dead) = (workshop.delta_rows("out/t"), workshop.jsonl_rows("out/dead"));
    rows.sort_by_key(|row| row["id"].as_i64());
    dead.sort_by_key(|letter| letter["position"].as_i64());
    (rows, dead)
}

/// Code and message of each dead letter.
pub fn reasons(dead: &[Value]) -> Vec<String> {
    let text = |letter: &Value, key: &str| letter[key].as_str().unwrap_or_default().to_owned();
    dead.iter().map(|letter| format!("{} {}: {}", text(letter, "code"), text(letter, "column"), text(letter, "message"))).collect()
}

/// What a reason adds where nothing but a sample told the column's type.
fn sampled(column: &str) -> String {
    format!("; the type comes from a sample: name another one in `schema: {{ {column}: … }}`")
}

/// Writes an input of `tests/foreign/inputs.py`, by pyarrow or `deltalake`.
pub fn input(workshop: &Workshop, name: &str) {
    foreign("inputs.py", &[name, workshop.path("in").to_str().unwrap()], "");
}

fn parquet(name: &str, schema: &str) -> (Vec<Value>, Vec<Value>) {
    let workshop = Workshop::new();
    input(&workshop, name);
    moved(&workshop, &format!("files: {{ path: \"in/*.parquet\" }}{schema}"))
}

#[test]
fn random_tables_are_read_as_pyarrow_reads_them_or_rejected() {
    let seed = number_from_environment("WASMILL_SEED", 20_220_707);
    // Shown where any of the steps fails.
    eprintln!("WASMILL_SEED={seed}");
    let workshop = Workshop::new();
    let folder = workshop.path(".");
    let folder = folder.to_str().unwrap();
    foreign("values.py", &["write", folder, &seed.to_string(), "40"], "");
    workshop.run_well(&["run", "pipeline.yaml"]);
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
    let compared = Command::new(python).arg(repository().join("tests/foreign/values.py")).args(["compare", folder]).output().unwrap();
    let told = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success(), "{told}{}", String::from_utf8_lossy(&compared.stderr));
}

#[test]
fn structs_of_parquet_are_read_by_name() {
    let schema = ", schema: { id: int64, c: \"struct<lon: float64, alt: float64>\" }";
    assert_eq!(parquet("struct", schema), (vec![json!({"id": 1, "c": {"lon": 2.0, "alt": null}}), json!({"id": 2, "c": null})], vec![]));
    let schema = ", schema: { id: int64, c: \"struct<lon: int64 not null>\" }";
    assert_eq!(parquet("struct", schema).0, [json!({"id": 1, "c": {"lon": 2}}), json!({"id": 2, "c": null})]);
    let (rows, dead) = parquet("struct", ", schema: { id: int64, c: \"struct<x: int64, y: int64>\" }");
    assert_eq!(rows, [json!({"id": 2, "c": null})]);
    let message =
        "wrong-type c: a struct<lat: float64, lon: float64> (no field has the same name) where struct<x: int64, y: int64> is needed";
    assert_eq!(reasons(&dead), [message]);
    assert_eq!(dead[0]["record"], r#"{"id":1,"c":{"lat":1.0,"lon":2.0}}"#);
    let (rows, _) = parquet("struct-list", ", schema: { id: int64, c: \"list<struct<lon: float64, alt: float64>>\" }");
    assert_eq!(rows, [json!({"id": 1, "c": [{"lon": 2.0, "alt": null}]})]);
}

#[test]
fn structs_that_differ_from_file_to_file_are_read_by_name() {
    let (rows, dead) = parquet("structs-of-files", "");
    let row = |id: i64, a: Value, b: &str| json!({"id": id, "s": {"a": a, "b": b}});
    assert_eq!(rows, [row(1, json!(1), "x"), row(2, json!(2), "y"), row(3, json!(null), "z")]);
    assert_eq!(dead, [Value::Null; 0]);
}

#[test]
fn structs_of_delta_are_read_by_name_and_numbers_lose_nothing() {
    let workshop = Workshop::new();
    input(&workshop, "delta");
    let source = "delta: { uri: in }, schema: { id: int64, c: \"struct<lon: float64, alt: float64>\", f: int64 }";
    let (rows, dead) = moved(&workshop, source);
    assert_eq!(rows, [json!({"id": 2, "c": {"lon": 4.0, "alt": null}, "f": 3})]);
    assert_eq!(reasons(&dead), ["bad-value f: \"2.75\" is not a whole number, and int64 is needed"]);
}

#[test]
fn times_of_96_bits_of_any_year_are_right() {
    let (rows, dead) = parquet("int96", "");
    let times: Vec<&str> = rows.iter().map(|row| row["ts"].as_str().unwrap()).collect();
    assert_eq!(times, ["0001-01-01 00:00:00+00:00", "2022-07-07 00:18:41.000001+00:00", "9999-12-31 23:59:59.999999+00:00"]);
    assert_eq!(
        reasons(&dead),
        ["bad-value ts: \"2022-07-07T00:18:41.000001500\" has more digits of a second than timestamp holds: `timestamp(us, cut)` cuts them"
            .to_owned()
            + &sampled("ts")]
    );
    let (rows, dead) = parquet("int96", ", schema: { id: int64, ts: \"timestamp(ns)\" }");
    assert_eq!(rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    assert!(reasons(&dead).iter().all(|reason| reason.starts_with("out-of-range ts")), "{dead:?}");
    let (rows, dead) = parquet("int96", ", schema: { id: int64, ts: \"timestamp(us, cut)\" }");
    assert_eq!((rows.len(), dead.len()), (4, 0));
    // In a struct in a list as well.
    let (rows, dead) = parquet("int96-nested", "");
    assert_eq!(rows[0]["c"], json!([{"ts": "9999-12-31 23:59:59.999999+00:00"}, {"ts": null}]));
    assert_eq!(dead, [Value::Null; 0]);
}

#[test]
fn times_of_96_bits_in_a_delta_table_keep_their_years() {
    let workshop = Workshop::new();
    input(&workshop, "delta-int96");
    let (rows, dead) = moved(&workshop, "delta: { uri: in }");
    let times = ["0001-01-01 00:00:00+00:00", "2022-07-07 00:18:41.000001+00:00", "9999-12-31 23:59:59.999999+00:00"];
    let row = |(id, time): (i64, &&str)| json!({"id": id, "ts": time, "nested": [{"ts": time}]});
    assert_eq!(rows, (1..).zip(&times).map(row).collect::<Vec<_>>());
    assert_eq!(dead, [Value::Null; 0]);
}

#[test]
fn a_later_file_of_a_wider_type_loses_nothing() {
    let (rows, dead) = parquet("float-later", "");
    assert_eq!(rows, [json!({"id": 1, "v": 1}), json!({"id": 3, "v": 3})]);
    assert_eq!(reasons(&dead), ["bad-value v: \"2.75\" is not a whole number, and int64 is needed".to_owned() + &sampled("v")]);
    let (rows, dead) = parquet("int64-later", "");
    assert_eq!(rows, [json!({"id": 1}), json!({"id": 3})]);
    assert_eq!(reasons(&dead), ["out-of-range id: \"1099511627776\" does not fit into int32".to_owned() + &sampled("id")]);
}

#[test]
fn no_value_of_parquet_is_narrowed_in_silence() {
    // The input's column, the wanted type, the values that come through, and the reasons of the others.
    let cases: [(&str, &str, Vec<Value>, &[&str]); 15] = [
        ("binary", "text", vec![json!("a")], &["invalid-utf8 v: the byte 0xff at byte 0 is not UTF-8"]),
        ("date", "int32", vec![], &["wrong-type v: a date where int32 is needed"; 2]),
        (
            "decimal",
            "decimal(10,1)",
            vec![json!("2.0")],
            &["bad-value v: \"1.55\" has more digits after the point than decimal(10, 1) holds"],
        ),
        ("decimal", "int64", vec![json!(2)], &["bad-value v: \"1.55\" is not a whole number, and int64 is needed"]),
        ("int64", "bool", vec![], &["wrong-type v: an int64 where bool is needed"; 2]),
        ("int64", "date", vec![], &["wrong-type v: an int64 where date is needed"; 2]),
        ("int64", "float32", vec![json!(3.0)], &["bad-value v: \"9007199254740993\" has more digits than float32 holds"]),
        ("int64-beyond-float32", "float32", vec![json!(16_777_216.0)], &["bad-value v: \"16777217\" has more digits than float32 holds"]),
        ("int64", "float64", vec![json!(3.0)], &["bad-value v: \"9007199254740993\" has more digits than float64 holds"]),
        (
            "int64",
            "timestamp(us, UTC)",
            vec![],
            &["wrong-type v: an int64, a number, where timestamp(us, UTC) is needed: declare what numbers count, as in `timestamp(us, UTC, epoch: ms)`";
                2],
        ),
        (
            "timestamp",
            "date",
            vec![json!("2024-01-01")],
            &["bad-value v: \"2024-01-01T01:02:03.456789\" is not midnight, and date is needed"],
        ),
        (
            "timestamp",
            "timestamp(s)",
            vec![json!("2024-01-01 00:00:00+00:00")],
            &[
                "bad-value v: \"2024-01-01T01:02:03.456789\" has more digits of a second than timestamp(s) holds: `timestamp(s, cut)` cuts them",
            ],
        ),
        ("text", "bool", vec![json!(true)], &["bad-value v: \"1e2\" is not true or false"]),
        ("text", "decimal(10,2)", vec![json!("100.00")], &["bad-value v: \"True\" is not a number, and decimal(10, 2) is needed"]),
        ("text", "int64", vec![json!(100)], &["bad-value v: \"True\" is not a number, and int64 is needed"]),
    ];
    for (name, wanted, values, told) in cases {
        let (rows, dead) = parquet(name, &format!(", schema: {{ id: int64, v: \"{wanted}\" }}"));
        let came: Vec<Value> = rows.iter().map(|row| row["v"].clone()).collect();
        assert_eq!((came, reasons(&dead)), (values, told.iter().map(ToString::to_string).collect::<Vec<_>>()), "{name} as {wanted}");
    }
}

#[test]
fn texts_of_parquet_are_numbers_only_where_json_would_call_them_so() {
    let texts = ["1,5", "inf", " 7 ", "007", "yes", "off", "1.5", "-12", "FALSE"];
    // The wanted type, and what becomes of those texts that pass.
    let cases: [(&str, &[(&str, Value)]); 3] = [
        ("float64", &[("1.5", json!(1.5)), ("-12", json!(-12.0))]),
        ("int64", &[("-12", json!(-12))]),
        ("bool", &[("FALSE", json!(false))]),
    ];
    for (wanted, fine) in cases {
        let (rows, dead) = parquet("texts", &format!(", schema: {{ id: int64, v: {wanted} }}"));
        let (mut expected, mut told) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter().enumerate() {
            match fine.iter().find(|(fine, _)| fine == text) {
                Some((_, value)) => expected.push(json!({"id": index + 1, "v": value})),
                None if wanted == "bool" => told.push(format!("bad-value v: {text:?} is not true or false")),
                None if wanted == "int64" && *text == "1.5" => {
                    told.push(format!("bad-value v: {text:?} is not a whole number, and int64 is needed"));
                }
                None => told.push(format!("bad-value v: {text:?} is not a number, and {wanted} is needed")),
            }
        }
        assert_eq!((rows, reasons(&dead)), (expected, told), "{wanted}");
    }
}

#[test]
fn what_a_plugin_needs_loses_nothing() {
    let workshop = Workshop::new();
    input(&workshop, "pins");
    workshop.write(
        "p.yaml",
        "name: pins\nsources:\n  a: { files: { path: \"in/*\" }, max_reject_share: 100% }\n\
         stages:\n  s: { from: a, plugin: clean-pin, max_reject_share: 100% }\n\
         sinks:\n  t: { from: s, delta: { uri: out/t } }\ndead_letters: { files: { path: out/dead, format: jsonl } }\n",
    );
    workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(workshop.delta_numbers("out/t"), [7]);
    let told = reasons(&results(&workshop).1);
    assert_eq!(
        told,
        [
            "bad-value index: \"8.5\" is not a whole number, and int64 is needed",
            "missing-ind index: index is null: the row is no post, or lost its identity"
        ]
    );
}

fn json_lines(lines: &str, schema: &str) -> (Vec<Value>, Vec<Value>) {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", lines);
    moved(&workshop, &format!("files: {{ path: \"in/*\" }}{schema}"))
}

#[test]
fn whole_numbers_of_json_keep_their_digits() {
    let numbers = ["18446744073709551616", "123456789012345678901234567890", "7"];
    let lines: String = numbers.iter().enumerate().map(|(id, number)| format!("{{\"id\":{id},\"n\":{number}}}\n")).collect();
    let (rows, dead) = json_lines(&lines, "");
    assert_eq!(rows.iter().map(|row| row["n"].as_str().unwrap()).collect::<Vec<_>>(), numbers);
    assert_eq!(dead, [Value::Null; 0]);
    // Beside fractions, and within other values.
    let (rows, _) = json_lines("{\"id\":1,\"n\":9007199254740993}\n{\"id\":2,\"n\":0.5}\n", "");
    assert_eq!(rows, [json!({"id": 1, "n": "9007199254740993"}), json!({"id": 2, "n": "0.5"})]);
    let (rows, _) = json_lines("{\"id\":1,\"ids\":[18446744073709551616,1],\"o\":{\"n\":99999999999999999999999}}\n", "");
    assert_eq!(rows, [json!({"id": 1, "ids": ["18446744073709551616", "1"], "o": {"n": "99999999999999999999999"}})]);
    // Where the column is said to be one of floats.
    let (rows, dead) = json_lines("{\"id\":1,\"n\":9007199254740993}\n{\"id\":2,\"n\":0.5}\n", ", schema: { id: int64, n: float64 }");
    assert_eq!((rows, dead.len()), (vec![json!({"id": 2, "n": 0.5})], 1));
}

#[test]
fn numbers_are_times_only_with_an_epoch() {
    let lines = "{\"id\":1,\"ts\":1657153121}\n{\"id\":2,\"ts\":1657153121000}\n{\"id\":3,\"ts\":\"2022-07-07T00:18:41Z\"}\n{\"id\":4,\"ts\":\"1657153121000\"}\n";
    let (rows, dead) = json_lines(lines, ", schema: { id: int64, ts: \"timestamp(us, UTC)\" }");
    assert_eq!(rows, [json!({"id": 3, "ts": "2022-07-07 00:18:41+00:00"})]);
    let told = reasons(&dead);
    let hint = "a number where timestamp(us, UTC) is needed: declare what numbers count, as in `timestamp(us, UTC, epoch: ms)`";
    assert_eq!(told[..2], [format!("wrong-type ts: {hint}"), format!("wrong-type ts: {hint}")]);
    assert_eq!(told[2], "bad-value ts: \"1657153121000\" is not a timestamp such as 2022-07-07T00:18:41");
    let (rows, dead) = json_lines(lines, ", schema: { id: int64, ts: \"timestamp(us, UTC, epoch: ms)\" }");
    let times: Vec<&str> = rows.iter().map(|row| row["ts"].as_str().unwrap()).collect();
    assert_eq!(
        times,
        ["1970-01-20 04:19:13.121000+00:00", "2022-07-07 00:18:41+00:00", "2022-07-07 00:18:41+00:00", "2022-07-07 00:18:41+00:00"]
    );
    assert_eq!(dead, [Value::Null; 0]);
}

#[test]
fn digits_of_a_second_are_cut_only_where_the_column_says_so() {
    let line = "{\"id\":1,\"ts\":\"2024-05-01T10:00:00.001234568Z\"}\n";
    let (rows, dead) = json_lines(line, ", schema: { id: int64, ts: \"timestamp(us, UTC)\" }");
    assert_eq!(rows, [Value::Null; 0]);
    let message = "bad-value ts: \"2024-05-01T10:00:00.001234568Z\" has more digits of a second than timestamp(us, UTC) holds: `timestamp(us, UTC, cut)` cuts them";
    assert_eq!(reasons(&dead), [message]);
    let (rows, dead) = json_lines(line, ", schema: { id: int64, ts: \"timestamp(us, UTC, cut)\" }");
    assert_eq!((rows, dead.len()), (vec![json!({"id": 1, "ts": "2024-05-01 10:00:00.001234+00:00"})], 0));
}

#[test]
fn a_column_of_json_keeps_what_is_nested() {
    let values = [r#"{"a":[1,2,{"b":null}]}"#, r#""plain""#, "[1]", "12.50", "true"];
    let lines: String = values.iter().enumerate().map(|(id, value)| format!("{{\"id\":{id},\"payload\":{value}}}\n")).collect();
    let (rows, dead) = json_lines(&lines, ", schema: { id: int64, payload: json }");
    assert_eq!(rows.iter().map(|row| row["payload"].as_str().unwrap()).collect::<Vec<_>>(), values);
    assert_eq!(dead, [Value::Null; 0]);
    let (rows, dead) = json_lines(&lines, ", schema: { id: int64, payload: text }");
    assert_eq!((rows.len(), dead.len()), (3, 2));
    let (rows, _) = parquet("struct", ", schema: { id: int64, c: json }");
    assert_eq!(rows, [json!({"id": 1, "c": "{\"lat\":1.0,\"lon\":2.0}"}), json!({"id": 2, "c": null})]);
}

#[test]
fn booleans_of_csv_are_read_in_any_case() {
    let workshop = Workshop::new();
    workshop.write("in/a.csv", "id,b\n1,True\n2,FALSE\n3,true\n4,yes\n5,1\n6,\n");
    let (rows, dead) = moved(&workshop, "files: { path: \"in/*\" }, schema: { id: int64, b: bool }");
    let row = |id: i64, b: Option<bool>| json!({"id": id, "b": b});
    assert_eq!(rows, [row(1, Some(true)), row(2, Some(false)), row(3, Some(true)), row(6, None)]);
    assert_eq!(reasons(&dead), ["bad-value b: \"yes\" is not true or false", "bad-value b: \"1\" is not true or false"]);
}
