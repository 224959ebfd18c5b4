//! The shipped plugins over real rows: `WASMILL_REAL_DATA` names the folder that holds them. Ignored, unless asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Ended, Workshop};

fn real_data() -> PathBuf {
    std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from).expect("WASMILL_REAL_DATA names the folder of the real rows")
}

/// Runs one table's rows through its plugin into JSON lines.
fn clean(workshop: &Workshop, table: &str, input: &std::path::Path, config: &str) -> (Ended, Vec<Value>) {
    let pipeline = format!(
        "name: real-{table}\nsources:\n  rows: {{ files: {{ path: '{}' }} }}\nstages:\n  clean: {{ from: rows, plugin: clean-{table}, config: {config}, max_reject_share: 1.0 }}\n\
         sinks:\n  out: {{ from: clean, files: {{ path: out/{table}, format: jsonl }} }}\ndead_letters:\n  files: {{ path: out/dead_{table}, format: jsonl }}\n",
        input.display()
    );
    workshop.write(&format!("{table}.yaml"), &pipeline);
    let ended = workshop.run_well(&["run", &format!("{table}.yaml"), "--json"]);
    (ended, workshop.jsonl_rows(&format!("out/{table}")))
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn no_real_row_is_lost() {
    let data = real_data();
    let workshop = Workshop::new();
    for (table, rows) in [("pin", 2185), ("geo", 2178), ("user", 2178)] {
        let (ended, out) = clean(&workshop, table, &data.join(format!("raw/{table}.jsonl")), "{}");
        let dead = workshop.jsonl_rows(&format!("out/dead_{table}"));
        assert_eq!(out.len() + dead.len(), rows, "{table}: {}", ended.stderr);
        println!("{table}: {} rows, {} dead letters", out.len(), dead.len());
    }
}

/// Times as that pipeline wrote them: `2021-03-28T14:54:07.000+0000`.
fn canonical(mut row: Value) -> String {
    for key in ["timestamp", "date_joined"] {
        if let Some(Value::String(text)) = row.get_mut(key) {
            *text = text.trim_end_matches("+0000").trim_end_matches('Z').trim_end_matches(".000").to_owned();
        }
    }
    let object = row.as_object().unwrap();
    let sorted: std::collections::BTreeMap<_, _> = object.iter().filter(|(_, value)| !value.is_null()).collect();
    serde_json::to_string(&sorted).unwrap()
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn real_rows_come_out_as_another_pipeline_had_them() {
    let data = real_data();
    let workshop = Workshop::new();
    // What that pipeline does differently: it keeps the space before save_location, and nulls two more descriptions.
    let pin = r#"{ null_descriptions: ["Untitled", "Art."], save_location_prefix: "Local save in" }"#;
    for (table, config) in [("pin", pin), ("geo", "{}"), ("user", "{}")] {
        let (_, out) = clean(&workshop, table, &data.join(format!("golden/raw_{table}.jsonl")), config);
        let golden = std::fs::read(data.join(format!("golden/clean_{table}.jsonl"))).unwrap();
        let golden: Vec<Value> = serde_json::Deserializer::from_slice(&golden).into_iter().collect::<Result<_, _>>().unwrap();
        let ours: BTreeSet<String> = out.into_iter().map(canonical).collect();
        let theirs: BTreeSet<String> = golden.into_iter().map(canonical).collect();
        assert_eq!(ours.difference(&theirs).next(), None, "{table}: rows that they do not have");
        assert_eq!(theirs.difference(&ours).next(), None, "{table}: rows that we do not have");
        assert!(ours.len() > 300, "{table}: {} rows", ours.len());
    }
}
