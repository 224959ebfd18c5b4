//! Values on their way through files of our own, and what our own emulator wraps: equal when they come back.

use serde_json::{Value, json};

use crate::support::Workshop;
use crate::values::{input, results};

const KINDS: &str = "schema: { id: int64, s: text, l: \"list<text>\", o: \"struct<k: text, n: list<int64>>\", f: float64, b: bool, \
    ts: \"timestamp(us, UTC)\", d: date, bin: binary }";

/// Takes a Parquet file through our own CSV, JSON lines and Parquet, each into a table, and the file itself into the table `t`.
fn round_trips(workshop: &Workshop, schema: &str) {
    workshop.write(
        "there.yaml",
        &format!(
            "name: there\nsources:\n  a: {{ files: {{ path: \"in/*\" }}, {schema} }}\nsinks:\n  c: {{ from: a, files: {{ path: csv, format: csv }} }}\n\
             \x20 j: {{ from: a, files: {{ path: jsonl, format: jsonl }} }}\n  q: {{ from: a, files: {{ path: parquet, format: parquet }} }}\n  t: {{ from: a, delta: {{ uri: t }} }}\n"
        ),
    );
    workshop.run_well(&["run", "there.yaml"]);
    for form in ["csv", "jsonl", "parquet"] {
        let back = format!(
            "name: {form}\nsources:\n  a: {{ files: {{ path: \"{form}/*.{form}\" }}, {schema}, max_reject_share: 100% }}\nsinks:\n  t: {{ from: a, delta: {{ uri: back/{form} }} }}\n\
             dead_letters: {{ files: {{ path: dead/{form}, format: jsonl }} }}\n"
        );
        workshop.write("back.yaml", &back);
        workshop.run_well(&["run", "back.yaml"]);
    }
}

#[test]
fn empty_and_null_come_back_from_our_own_files() {
    let workshop = Workshop::new();
    workshop.write(
        "in/a.jsonl",
        "{\"id\":1,\"s\":\"\",\"bin\":\"\"}\n{\"id\":2,\"s\":null,\"bin\":null}\n{\"id\":3,\"s\":\" x\",\"bin\":\"/w==\"}\n",
    );
    let schema = "schema: { id: int64, s: text, bin: binary }";
    round_trips(&workshop, schema);
    for form in ["csv", "jsonl", "parquet"] {
        workshop.run_well(&["diff", "t", &format!("back/{form}")]);
    }
}

#[test]
fn every_kind_of_value_comes_back_from_our_own_files() {
    let workshop = Workshop::new();
    input(&workshop, "every-kind");
    round_trips(&workshop, KINDS);
    // Texts tell -0.0 from 0.0.
    let rows = |table: &str| {
        let mut rows = workshop.delta_rows(table);
        rows.sort_by_key(|row| row["id"].as_i64());
        rows.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = rows("t");
    assert_eq!(expected.len(), 6);
    let all = expected.join("\n");
    for value in [
        "\"f\":-0.0",
        "\"f\":5e-324",
        "\"9999-12-31 23:59:59.999999+00:00\"",
        "\"0001-01-01 00:00:00+00:00\"",
        "\"0001-01-01\"",
        "b''",
        "\"n\":[null]",
    ] {
        assert!(all.contains(value), "{value} in\n{all}");
    }
    for form in ["csv", "jsonl", "parquet"] {
        assert_eq!(rows(&format!("back/{form}")), expected, "{form}");
        assert_eq!(workshop.jsonl_rows(&format!("dead/{form}")), [Value::Null; 0], "{form}");
    }
}

#[test]
fn floats_that_are_no_numbers_come_back_from_our_own_files() {
    let workshop = Workshop::new();
    input(&workshop, "no-numbers");
    round_trips(&workshop, "schema: { id: int64, f: float64 }");
    for form in ["csv", "jsonl", "parquet"] {
        // NaN equals NaN there.
        let ended = workshop.run_well(&["diff", "t", &format!("back/{form}")]);
        assert!(ended.stdout.contains("equal: 3 rows"), "{}", ended.stdout);
    }
}

const PLACES: &str = r#"
name: places
sources:
  a: { files: { path: "in/*" }, SCHEMA max_reject_share: 100% }
stages:
  s: { from: a, plugin: clean-geo, config: { wrapped_values: unwrap }, max_reject_share: 100% }
sinks:
  t: { from: s, delta: { uri: out/t } }
dead_letters: { files: { path: out/dead, format: jsonl } }
"#;

fn places(schema: &str) -> (Vec<Value>, Vec<Value>) {
    let workshop = Workshop::new();
    let place = |ind: i64, country: &str| {
        format!("{{\"ind\":{ind},\"country\":{country},\"latitude\":1.5,\"longitude\":2.5,\"timestamp\":\"2022-07-07T00:18:41\"}}\n")
    };
    workshop.write("in/a.jsonl", &(place(1, "[\"Albania\"]") + &place(2, "\"Albania\"") + &place(3, "[\"a\", \"b\"]")));
    workshop.write("p.yaml", &PLACES.replace("SCHEMA", schema));
    workshop.run_well(&["run", "p.yaml"]);
    let (mut rows, dead) = results(&workshop);
    rows.sort_by_key(|row| row["ind"].as_i64());
    (rows, dead)
}

#[test]
fn a_plugin_unwraps_arrays_of_json() {
    for schema in ["", "schema: { ind: int64, country: text, latitude: float64, longitude: float64, timestamp: text },"] {
        let (rows, dead) = places(schema);
        let countries: Vec<&str> = rows.iter().map(|row| row["country"].as_str().unwrap()).collect();
        assert_eq!((countries, dead.len()), (vec!["Albania", "Albania", "[\"a\", \"b\"]"], 0), "{schema}");
    }
}

/// A record as it would be if none of its values were wrapped in an array.
fn unwrapped(record: &str) -> Value {
    let mut record: Value = serde_json::from_str(record).unwrap();
    for value in record.as_object_mut().unwrap().values_mut() {
        if let Some([item]) = value.as_array().map(Vec::as_slice) {
            *value = item.clone();
        }
    }
    record
}

#[test]
fn what_the_emulator_wraps_comes_out_as_if_it_had_not_been() {
    let workshop = Workshop::new();
    for (folder, share) in [("plain", 0.0), ("wrapped", 0.5)] {
        let dirt = json!({"base": "heavy", "malformed": 0.0, "wrapped": share}).to_string();
        workshop.run_well(&["emulate", "--out", folder, "--rows", "2000", "--seed", "3", "--dirt", &dirt]);
    }
    for (table, column) in [("pin", "category"), ("geo", "country"), ("user", "first_name")] {
        let mut dead = Vec::new();
        for folder in ["plain", "wrapped"] {
            let lines = std::fs::read_to_string(workshop.path(&format!("{folder}/{table}/{table}-00000.jsonl"))).unwrap();
            let wrapped = lines.matches(&format!("\"{column}\": [\"")).count();
            assert!(if folder == "plain" { wrapped == 0 } else { wrapped > 500 }, "{table} {folder}: {wrapped}");
            let pipeline = format!(
                "name: {folder}-{table}\nsources:\n  a: {{ files: {{ path: \"{folder}/{table}/*\" }}, max_reject_share: 100% }}\n\
                 stages:\n  s: {{ from: a, plugin: clean-{table}, config: {{ wrapped_values: unwrap }}, max_reject_share: 100% }}\n\
                 sinks:\n  t: {{ from: s, delta: {{ uri: out/{folder}/{table} }} }}\n\
                 dead_letters: {{ files: {{ path: dead/{folder}/{table}, format: jsonl }} }}\n"
            );
            workshop.write("p.yaml", &pipeline);
            workshop.run_well(&["run", "p.yaml"]);
            let letters = workshop.jsonl_rows(&format!("dead/{folder}/{table}"));
            let told = letters.iter().map(|letter| (letter["code"].to_string(), unwrapped(letter["record"].as_str().unwrap()).to_string()));
            let mut told: Vec<_> = told.collect();
            told.sort();
            dead.push(told);
        }
        assert!(!dead[0].is_empty() && dead[0] == dead[1], "{table}: the dead letters differ: {dead:#?}");
        workshop.run_well(&["diff", &format!("out/plain/{table}"), &format!("out/wrapped/{table}")]);
        assert_eq!(workshop.delta_rows(&format!("out/wrapped/{table}")).len() + dead[1].len(), 2000, "{table}: every row is somewhere");
    }
}
