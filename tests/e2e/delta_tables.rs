//! Tables as sources, and the commands that keep them in shape, run as people run them.

use rustix::process::Signal;
use serde_json::Value;

use crate::delta_diff::{foreign, write};
use crate::support::{Pins, Running, Workshop};

const COPY: &str = r#"
name: copy
lanes: 2
batch_rows: 300
sources:
  raw: { delta: { uri: raw, follow: 100ms } }
sinks:
  copy: { from: raw, delta: { uri: out/copy } }
dead_letters:
  files: { path: out/dead, format: jsonl }
epoch: { every: 200ms, rows: 1000 }
"#;

fn numbers(range: std::ops::Range<u64>) -> String {
    range.map(|n| format!("{{\"ind\": {n}, \"title\": \"Title {n}\"}}\n")).collect()
}

#[test]
fn a_table_is_copied_exactly_once_wherever_the_copying_is_killed() {
    let workshop = Workshop::new();
    workshop.write("copy.yaml", COPY);
    (0..8).for_each(|part| write(&workshop, "raw", "append", &numbers(part * 500..part * 500 + 500)));
    for (kills, point) in [
        "lane-after-batch=3*off->return(kill)",
        "engine-before-checkpoint=1*off->return(kill)",
        "engine-after-checkpoint=1*off->return(kill)",
        "delta-commit-after-log=1*off->return(kill)",
    ]
    .iter()
    .enumerate()
    {
        let mut command = workshop.wasmill(&["run", "copy.yaml"]);
        command.env("FAILPOINTS", point);
        let ended = Running::spawn(command).wait();
        assert_eq!(ended.code, None, "{point}: {}", ended.stderr);
        // New versions between the kills.
        let start = 4_000 + kills as u64 * 500;
        write(&workshop, "raw", "append", &numbers(start..start + 500));
    }
    workshop.run_well(&["run", "copy.yaml"]);
    workshop.run_well(&["diff", "raw", "out/copy"]);
    // A compaction by another program is nothing new; what comes after it is.
    foreign("write_delta.py", &[workshop.path("raw").to_str().unwrap(), "optimize"], "");
    write(&workshop, "raw", "append", &numbers(6_000..6_100));
    workshop.run_well(&["run", "copy.yaml"]);
    workshop.run_well(&["diff", "raw", "out/copy"]);
    assert_eq!(workshop.delta_numbers("out/copy").len(), 6_100);
    // A delete stops the next run, with what to do.
    foreign("write_delta.py", &[workshop.path("raw").to_str().unwrap(), "delete", "ind = 7"], "");
    let ended = workshop.run(&["run", "copy.yaml"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("removes or changes rows") && ended.stderr.contains("on_change: ignore"), "{}", ended.stderr);
    workshop.run_well(&["run", "copy.yaml", "--set", "sources.raw.delta.on_change=ignore"]);
    assert_eq!(workshop.delta_numbers("out/copy").len(), 6_100);
}

#[test]
fn a_stream_follows_a_table() {
    let workshop = Workshop::new();
    workshop.write("copy.yaml", COPY);
    write(&workshop, "raw", "append", &numbers(0..100));
    let running = Running::spawn(workshop.wasmill(&["run", "copy.yaml", "--mode", "stream"]));
    let copied = |rows: usize| crate::kafka_broker::until(|| workshop.delta_numbers("out/copy").len() == rows);
    copied(100);
    write(&workshop, "raw", "append", &numbers(100..150));
    copied(150);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, Some(0));
    workshop.run_well(&["diff", "raw", "out/copy", "--key", "ind"]);
}

#[test]
fn columns_that_a_stage_needs_are_checked_against_the_table() {
    let workshop = Workshop::new();
    write(&workshop, "raw", "append", &numbers(0..3));
    let pipeline = COPY.replace("from: raw, delta", "from: clean, delta");
    workshop.write("copy.yaml", &pipeline.replace("sinks:", "stages:\n  clean: { from: raw, plugin: clean-pin }\nsinks:"));
    let ended = workshop.run(&["check", "copy.yaml"]);
    let told = ended.stdout + &ended.stderr;
    assert_eq!(ended.code, Some(2), "{told}");
    assert!(told.contains("it gets: ind, title"), "{told}");
}

/// A table of many small files, written by a pipeline.
fn small_files() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("copy.yaml", COPY);
    for part in 0..5 {
        write(&workshop, "raw", "append", &numbers(part * 100..part * 100 + 100));
        workshop.run_well(&["run", "copy.yaml"]);
    }
    workshop
}

#[test]
fn a_rewrite_that_another_writer_overtakes_starts_over() {
    let workshop = small_files();
    let mut command = workshop.wasmill(&["table", "optimize", "out/copy", "--output", "json"]);
    command.env("FAILPOINTS", "delta-optimize-written=1*return(stop)");
    let sleeper = Running::spawn(command);
    sleeper.wait_until_stopped();
    // While it sleeps, one of its rows is removed and others are added.
    foreign("write_delta.py", &[workshop.path("out/copy").to_str().unwrap(), "delete", "ind = 250"], "");
    write(&workshop, "raw", "append", &numbers(500..600));
    workshop.run_well(&["run", "copy.yaml"]);
    sleeper.signal(Signal::CONT);
    let ended = sleeper.wait();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let done: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(done["conflicts"], 1, "{done}");
    assert!(workshop.delta_numbers("out/copy").into_iter().eq((0..600).filter(|n| *n != 250)));
    let files = workshop.delta_file_count("out/copy");
    assert_eq!(files, 1, "all small files are one");
    // A killed rewrite leaves nothing that is seen.
    let mut command = workshop.wasmill(&["table", "optimize", "out/copy"]);
    write(&workshop, "raw", "append", &numbers(600..700));
    workshop.run_well(&["run", "copy.yaml"]);
    command.env("FAILPOINTS", "delta-optimize-before-log=return(kill)");
    assert_eq!(Running::spawn(command).wait().code, None);
    assert_eq!(workshop.delta_numbers("out/copy").len(), 699);
    workshop.run_well(&["table", "optimize", "out/copy"]);
    assert_eq!((workshop.delta_numbers("out/copy").len(), workshop.delta_file_count("out/copy")), (699, 1));
}

#[test]
fn a_table_is_kept_in_shape_by_hand() {
    let workshop = small_files();
    let rows: Value = serde_json::from_str(&workshop.run_well(&["table", "history", "out/copy", "--output", "json"]).stdout).unwrap();
    assert!(rows.as_array().unwrap().len() >= 5 && rows[0]["who"].as_str().unwrap().contains("copy/copy epoch"), "{rows}");
    let before = rows[0]["version"].to_string();
    let told = workshop.run_well(&["table", "optimize", "out/copy", "--dry-run"]).stdout;
    assert!(told.contains("would become 1"), "{told}");
    let told = workshop.run_well(&["table", "optimize", "out/copy"]).stdout;
    assert!(told.contains("became 1") && told.contains("500 rows"), "{told}");
    workshop.run_well(&["diff", "out/copy", "out/copy", "--left-version", &before]);
    assert!(workshop.run_well(&["table", "optimize", "out/copy"]).stdout.contains("nothing to do"));
    assert!(workshop.run_well(&["table", "history", "out/copy", "--limit", "1"]).stdout.contains("OPTIMIZE"));

    let told = workshop.run_well(&["table", "vacuum", "out/copy"]).stdout;
    assert!(told.contains("0 files"), "everything is younger than seven days: {told}");
    let ended = workshop.run(&["table", "vacuum", "out/copy", "--keep", "10m"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("at least 1h"), "{}", ended.stderr);
    let told = workshop.run_well(&["table", "vacuum", "out/copy", "--keep", "0s", "--force", "--dry-run"]).stdout;
    let files = workshop.parquet_files("out/copy");
    assert!(files > 5 && told.contains(&format!("{} files", files - 1)), "{told}");
    workshop.run_well(&["table", "vacuum", "out/copy", "--keep", "0s", "--force"]);
    assert_eq!(workshop.parquet_files("out/copy"), 1);
    workshop.run_well(&["diff", "raw", "out/copy"]);
    // The pipeline goes on, and so does one that reads the table: the rewrite was nothing new to it.
    write(&workshop, "raw", "append", &numbers(500..510));
    workshop.run_well(&["run", "copy.yaml"]);
    workshop.run_well(&["diff", "raw", "out/copy"]);
    let ended = workshop.run(&["table", "history", "nowhere"]);
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.contains("no Delta table at nowhere"), "{}", ended.stderr);
}

#[test]
fn a_pipeline_grows_its_table() {
    let workshop = Workshop::new();
    let pins = |text: &str| workshop.write("data/a.jsonl", text);
    workshop.write(
        "grow.yaml",
        "name: grow\nsources:\n  rows: { files: { path: \"data/*.jsonl\" } }\nsinks:\n  out: { from: rows, delta: { uri: out/t } }\n",
    );
    pins(&Pins(0..0).lines());
    pins("{\"n\": 1, \"a\": \"x\"}\n");
    workshop.run_well(&["run", "grow.yaml"]);
    pins("{\"n\": 1, \"a\": \"x\"}\n{\"n\": 2, \"b\": 1.5}\n");
    let ended = workshop.run(&["check", "grow.yaml"]);
    let told = ended.stdout + &ended.stderr;
    assert_eq!(ended.code, Some(2), "{told}");
    assert!(told.contains("the table has no column `b`"), "{told}");
    let grow = ["--set", "sinks.out.delta.schema_evolution=add_columns"];
    workshop.run_well(&[&["run", "grow.yaml"][..], &grow[..]].concat());
    let mut rows = workshop.delta_rows("out/t");
    rows.sort_by_key(|row| row["n"].as_i64());
    assert_eq!(serde_json::json!(rows), serde_json::json!([{"n": 1, "a": "x", "b": null}, {"n": 2, "a": null, "b": 1.5}]));
}
