//! What people do first: write a pipeline file with `init`, look at rows with `--preview`, run a little with `--limit`.

use serde_json::{Value, json};

use crate::support::{Pins, Workshop, expected};

const PIPELINE: &str = "name: pins\nlanes: 2\nsources: { pins: { files: { path: \"data/*.jsonl\" } } }\n\
    stages: { clean_pins: { from: pins, plugin: clean-pin, max_reject_share: 50% } }\n\
    sinks:\n  pin_table: { from: clean_pins, delta: { uri: out/pin_table } }\n";
const DEAD_LETTERS: &str = "dead_letters: { files: { path: out/dead_letters, format: jsonl } }\n";

/// What lies in the folder, but for the pipeline and the data.
fn written(workshop: &Workshop) -> Vec<String> {
    let names = std::fs::read_dir(workshop.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !["data", "p.yaml"].contains(&name.as_str())).collect()
}

#[test]
fn a_preview_shows_rows_and_rejects_and_changes_nothing() {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &Pins(0..100).lines());
    // A sink that can't be reached is not asked, and a stream is shown as a batch.
    let away =
        "  archive: { from: clean_pins, postgres: { connection: { url: \"postgres://u@127.0.0.1:1/d\" }, table: pins } }\nmode: stream\n";
    workshop.write("p.yaml", &format!("{PIPELINE}{away}"));
    let ended = workshop.run_well(&["run", "p.yaml", "--preview"]);
    let shown = &ended.stdout;
    for part in ["pin_table (delta out/pin_table)", "archive (postgres pins)", "dead_letters", "Title 0", "Title 19", "follower_count"] {
        assert!(shown.contains(part), "{part} in\n{shown}\n{}", ended.stderr);
    }
    assert!(!shown.contains("Title 20") && shown.contains("bad-number"), "{shown}");
    assert!(ended.stderr.contains("preview of 20 source records; nothing was written"), "{}", ended.stderr);
    assert_eq!(written(&workshop), [""; 0]);
    let ended = workshop.run_well(&["run", "p.yaml", "--preview", "--limit", "3", "--quiet"]);
    assert!(ended.stdout.contains("Title 2") && !ended.stdout.contains("Title 3"), "{}", ended.stdout);
    assert_eq!(written(&workshop), [""; 0]);
}

#[test]
fn a_preview_reads_from_the_beginning_and_touches_no_state() {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &Pins(0..100).lines());
    workshop.write("p.yaml", &(PIPELINE.to_owned() + DEAD_LETTERS));
    workshop.run_well(&["run", "p.yaml"]);
    let before = workshop.run_well(&["state", "show", "p.yaml"]).stdout;
    let ended = workshop.run_well(&["run", "p.yaml", "--preview", "--limit", "2"]);
    assert!(ended.stdout.contains("Title 0") && ended.stdout.contains("Title 1"), "{}", ended.stdout);
    assert_eq!(workshop.run_well(&["state", "show", "p.yaml"]).stdout, before);
    expected(0..100).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}

#[test]
fn limited_runs_commit_what_they_read_and_the_next_one_resumes() {
    let workshop = Workshop::new();
    for file in 0..3 {
        workshop.write(&format!("data/{file}.jsonl"), &Pins(file * 1000..(file + 1) * 1000).lines());
    }
    workshop.write("p.yaml", &(PIPELINE.to_owned() + DEAD_LETTERS + "mode: stream\n"));
    let rows = || workshop.delta_rows("out/pin_table").len() + workshop.jsonl_rows("out/dead_letters").len();
    for (limit, total) in [("7", 7), ("1", 8), ("1500", 1508)] {
        workshop.run_well(&["run", "p.yaml", "--limit", limit]);
        assert_eq!(rows(), total);
    }
    expected(0..1508).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
    workshop.run_well(&["run", "p.yaml", "--mode", "batch"]);
    expected(0..3000).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}

#[test]
fn a_limit_never_replaces_a_table() {
    let workshop = Workshop::new();
    workshop.write("data/a.jsonl", &Pins(0..100).lines());
    workshop.write("p.yaml", &(PIPELINE.replace("uri: out/pin_table", "uri: out/pin_table, write: overwrite") + DEAD_LETTERS));
    workshop.run_well(&["run", "p.yaml"]);
    let ended = workshop.run(&["run", "p.yaml", "--limit", "5"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("would replace its table by a few rows"), "{}", ended.stderr);
    workshop.run_well(&["run", "p.yaml", "--limit", "5", "--preview"]);
    assert_eq!(workshop.delta_rows("out/pin_table").len(), expected(0..100).table.len());
    for arguments in
        [&["--limit", "0"][..], &["--limit", "5", "--mode", "stream"], &["--preview", "--mode", "stream"], &["--preview", "--json"]]
    {
        let ended = workshop.run(&[&["run", "p.yaml"], arguments].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn init_writes_a_pipeline_that_runs_and_never_writes_over_one() {
    let workshop = Workshop::new();
    workshop.write("data/posts.csv", "id,title\n1,one\n2,two\n");
    let init = ["init", "my posts.yaml", "--source", "data/posts.csv", "--sink", "out/posts"];
    let ended = workshop.run_well(&init);
    assert!(ended.stdout.contains("my posts.yaml is written"), "{}", ended.stdout);
    let text = std::fs::read_to_string(workshop.path("my posts.yaml")).unwrap();
    assert!(text.contains("name: my-posts\n"), "{text}");
    workshop.run_well(&["check", "my posts.yaml"]);
    workshop.run_well(&["run", "my posts.yaml"]);
    let mut rows = workshop.delta_rows("out/posts");
    rows.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(Value::from(rows), json!([{ "id": 1, "title": "one" }, { "id": 2, "title": "two" }]));
    let again = workshop.run(&init);
    assert!(again.code == Some(2) && again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(workshop.path("my posts.yaml")).unwrap(), text);
    // The table is a source by what lies in its folder.
    workshop.run_well(&["init", "copy.yaml", "--source", "out/posts", "--sink", "files:out/copy"]);
    workshop.run_well(&["run", "copy.yaml"]);
    assert_eq!(workshop.jsonl_rows("out/copy").len(), 2);
    workshop.run_well(&["init", "demo.yaml", "--source", "emulator:geo", "--sink", "console"]);
    assert!(workshop.run_well(&["run", "demo.yaml"]).stdout.contains("country"));
}

#[test]
fn init_leaves_nothing_that_does_not_pass_and_says_what_is_missing() {
    let workshop = Workshop::new();
    let cases = [
        (&["init", "p.yaml", "--source", "data/*.csv", "--sink", "out/posts"][..], "is not written: it would not pass"),
        (&["init", "p.yaml", "--source", "mongodb:posts", "--sink", "out/posts"], "`mongodb` is not a kind of source"),
        (&["init", "p.yaml", "--source", "data/*.csv"], "`--sink` is missing"),
        (&["init", "--source", "emulator:pin", "--sink", "console"], "`PIPELINE` is missing"),
        (&["init", "no/such/folder/p.yaml", "--source", "emulator:pin", "--sink", "console"], "create no/such/folder/p.yaml"),
    ];
    for (arguments, told) in cases {
        let ended = workshop.run(arguments);
        assert!(ended.code != Some(0) && ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
        assert_eq!(written(&workshop), [""; 0], "{arguments:?}");
        assert!(!workshop.path("p.yaml").exists(), "{arguments:?}");
    }
}

#[test]
fn the_demo_fills_a_table_writes_over_nothing_and_adds_nothing_the_second_time() {
    let workshop = Workshop::new();
    let own = "name: pin-to-console\nsources:\n  pins:\n    emulator: { table: geo, rows: 3 }\nsinks:\n  screen:\n    from: pins\n    console: {}\n";
    workshop.write("pipelines/pin-to-console.yaml", own);
    let ended = workshop.run_well(&["demo", "--rows", "3000"]);
    assert!(ended.stdout.contains("country"), "the pipeline that is there is run: {}", ended.stdout);
    assert_eq!(std::fs::read_to_string(workshop.path("pipelines/pin-to-console.yaml")).unwrap(), own);
    let rows = workshop.delta_rows("out/pin_table");
    let dead = workshop.jsonl_rows("out/dead_letters");
    assert!(!dead.is_empty() && rows.len() + dead.len() == 3000, "{} rows, {} dead letters", rows.len(), dead.len());
    let shown: Vec<Value> =
        ended.stdout.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(shown.len() == 1 && dead.contains(&shown[0]), "{}", ended.stdout);
    workshop.run_well(&["demo", "--rows", "3000"]);
    assert_eq!(workshop.delta_rows("out/pin_table").len(), rows.len());
    assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), dead.len());
}
