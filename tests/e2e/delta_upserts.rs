//! Rows that replace those of their keys in a Delta table: killed in the middle, beside a foreign writer, beside the commands that maintain a table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::delta_diff::{foreign, write};
use crate::support::{Running, Workshop};

const UPSERT: &str = r#"
name: upsert
lanes: 2
batch_rows: 50
sources:
  raw: { files: { path: "data/*.jsonl" } }
sinks:
  table:
    from: raw
    delta: { uri: out/table, write: upsert, key: [ind], partition_by: [kind], checkpoint_every: 3 }
dead_letters:
  files: { path: out/dead, format: jsonl }
epoch: { rows: 100 }
"#;

/// The rows that the table should have, by their keys.
type Model = BTreeMap<u64, Value>;

fn row(ind: u64, version: u64) -> Value {
    json!({"ind": ind, "kind": format!("k{}", (ind + version) % 4), "version": version})
}

/// A new file of rows, of which each has another partition than before.
fn add_version(workshop: &Workshop, model: &mut Model, version: u64) {
    let rows = (0..1_500).filter(|ind| (ind + version).is_multiple_of(3)).map(|ind| row(ind, version));
    let rows: Vec<Value> = rows.collect();
    workshop.write(&format!("data/{version:02}.jsonl"), &rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    model.extend(rows.into_iter().map(|row| (row["ind"].as_u64().unwrap(), row)));
}

fn check(workshop: &Workshop, model: &Model, when: &str) {
    for mut rows in [workshop.delta_rows("out/table"), workshop.duckdb_rows("out/table")] {
        rows.sort_by_key(|row| row["ind"].as_u64());
        assert!(rows.iter().eq(model.values()), "{when}: {} rows and {}", rows.len(), model.len());
    }
}

#[test]
fn a_table_has_the_latest_row_of_each_key_wherever_the_pipeline_is_killed() {
    let workshop = Workshop::new();
    workshop.write("upsert.yaml", UPSERT);
    let mut model = Model::new();
    let points = [
        "delta-after-rename=1*off->return(kill)",
        "delta-upsert-rewritten=return(kill)",
        "delta-commit-before-log=2*off->return(kill)",
        "delta-commit-after-log=1*off->return(kill)",
        "engine-after-checkpoint=2*off->return(kill)",
        "engine-before-checkpoint=1*off->return(kill)",
    ];
    for (round, point) in points.iter().enumerate() {
        add_version(&workshop, &mut model, round as u64);
        let mut command = workshop.wasmill(&["run", "upsert.yaml"]);
        command.env("FAILPOINTS", point);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, None, "{point}: {}", ended.stderr);
        // Another program changes the table while the pipeline is down.
        let (table, new) = (workshop.path("out/table"), 5_000 + round as u64);
        if round > 0 {
            write(&workshop, "out/table", "append", &format!("{}\n", row(new, 99)));
            model.insert(new, row(new, 99));
            foreign("write_delta.py", &[table.to_str().unwrap(), "delete", &format!("ind = {}", new - 1)], "");
            model.remove(&(new - 1));
        }
        workshop.run_well(&["run", "upsert.yaml"]);
        check(&workshop, &model, point);
        if round % 2 == 1 {
            workshop.run_well(&["table", "optimize", "out/table"]);
            workshop.run_well(&["table", "vacuum", "out/table", "--keep", "0s", "--force"]);
            check(&workshop, &model, "in shape");
            assert_eq!(workshop.parquet_files("out/table"), workshop.delta_file_count("out/table"), "stray files beside the table's own");
        }
    }
}

#[test]
fn a_commit_that_another_writer_overtakes_starts_over() {
    let workshop = Workshop::new();
    workshop.write("upsert.yaml", UPSERT);
    let mut model = Model::new();
    add_version(&workshop, &mut model, 0);
    workshop.run_well(&["run", "upsert.yaml"]);
    add_version(&workshop, &mut model, 3);
    let mut command = workshop.wasmill(&["run", "upsert.yaml"]);
    command.env("FAILPOINTS", "delta-upsert-rewritten=1*return(stop)");
    let sleeper = Running::spawn(command);
    sleeper.wait_until_stopped();
    // While it sleeps, rows of files that it has rewritten are removed and changed, and a row of one of its keys comes up.
    let table = workshop.path("out/table");
    foreign("write_delta.py", &[table.to_str().unwrap(), "delete", "ind > 1400"], "");
    foreign("write_delta.py", &[table.to_str().unwrap(), "append"], &format!("{}\n{}\n", row(9, 77), row(7_000, 77)));
    foreign("write_delta.py", &[table.to_str().unwrap(), "optimize"], "");
    model.insert(7_000, row(7_000, 77));
    sleeper.signal(rustix::process::Signal::CONT);
    let ended = sleeper.wait();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    check(&workshop, &model, "overtaken");
}

#[test]
fn what_can_be_no_key_is_found_before_anything_runs() {
    let workshop = Workshop::new();
    workshop.write("data/0.jsonl", "{\"ind\": 1, \"share\": 1.5}\n");
    for (options, told) in [
        ("write: upsert", "`write: upsert` needs a `key`"),
        ("key: [ind]", "`key: [ind]` is only for `write: upsert`"),
        ("write: upsert, key: [share]", "`key: share`: the column is float64"),
        ("write: upsert, key: [other]", "`key: other`: there is no such column"),
    ] {
        let pipeline = UPSERT.replace("write: upsert, key: [ind], partition_by: [kind]", options);
        workshop.write("upsert.yaml", &pipeline);
        let ended = workshop.run(&["check", "upsert.yaml"]);
        let output = ended.stdout + &ended.stderr;
        assert_eq!(ended.code, Some(2), "{output}");
        assert!(output.contains(told), "{output}");
    }
}
