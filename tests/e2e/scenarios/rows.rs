//! The rows that a scenario moves, and what has to become of them.

use serde_json::{Map, Value, json};

use crate::keyed_stages::analyses::golden;
use crate::support::{Workshop, json_lines, repository};

/// Which rows.
#[derive(Clone, Copy, PartialEq)]
pub enum Rows {
    /// Those that the page generates.
    Generated,
    /// Real ones, for which there are the results of another pipeline.
    Real,
}

fn golden_rows(name: &str) -> Vec<Value> {
    comparable(json_lines(&std::fs::read(golden().join(format!("{name}.jsonl"))).unwrap()))
}

/// The posted rows of a table, cleaned, each once: those of another pipeline, or those that `pipelines/pinterest-to-delta.yaml` makes of the files.
pub fn cleaned(workshop: &Workshop, rows: Rows, table: &str) -> Vec<Value> {
    if rows == Rows::Real {
        return golden_rows(&format!("clean_{table}"));
    }
    if !workshop.path("out/pinterest").exists() {
        let pipeline = repository().join("pipelines/pinterest-to-delta.yaml");
        let config = r#"stages.clean_pins.config={ null_descriptions: ["Untitled", "Art."] }"#;
        workshop.run_well(&["run", pipeline.to_str().unwrap(), "--set", config, "--quiet"]);
    }
    once(comparable(workshop.duckdb_rows(&format!("out/pinterest/{table}_table"))))
}

/// Posts with their places and people, as another pipeline joined them.
pub fn golden_joined() -> Vec<Value> {
    golden_rows("joined")
}

/// Rows as all readers give them: without nulls, times in microseconds. Another pipeline keeps the blank before `save_location`.
pub fn comparable(rows: Vec<Value>) -> Vec<Value> {
    rows.into_iter()
        .map(|row| {
            let Value::Object(row) = row else { panic!("not a row: {row}") };
            let known = row.into_iter().filter(|(_, value)| !value.is_null());
            known.map(|(name, value)| (name.clone(), comparable_value(&name, value))).collect::<Map<_, _>>().into()
        })
        .collect()
}

fn comparable_value(name: &str, value: Value) -> Value {
    match (name, value.as_str()) {
        ("timestamp" | "date_joined", Some(text)) => {
            let text = format!("{}Z", text.trim_end_matches("+0000").trim_end_matches(".000"));
            let time = humantime::parse_rfc3339(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            json!(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64)
        }
        ("save_location", Some(text)) => json!(text.trim_start()),
        _ => value,
    }
}

/// Rows without those that are equal to one before.
pub fn once(rows: Vec<Value>) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    rows.into_iter().filter(|row| seen.insert(row.to_string())).collect()
}
