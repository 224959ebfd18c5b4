//! What a run does and says: rows, formats, wiring, signals, tables, exit statuses.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::matrix::START_POINTS;
use crate::support::{Expected, Pins, Running, Workshop, expected, until};

const PIPELINE: &str = r#"
name: pins
sources:
  pins: { files: { path: "data/*.jsonl" } }
stages:
  clean_pins: { from: pins, plugin: clean-pin }
sinks:
  pin_table: { from: clean_pins, delta: { uri: out/pin_table } }
dead_letters:
  files: { path: out/dead_letters, format: jsonl }
epoch: { rows: 1000 }
lanes: 2
batch_rows: 300
"#;

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("pins.yaml", PIPELINE);
    workshop.write("data/a.jsonl", &Pins(0..3000).lines());
    workshop
}

fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_batch_that_is_run_again_adds_nothing() {
    let workshop = workshop();
    workshop.run_well(&["run", "pins.yaml"]);
    let again = workshop.run_well(&["run", "pins.yaml"]);
    assert!(again.stderr.contains("nothing new"), "{}", again.stderr);
    expected(0..3000).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}

#[test]
fn every_row_is_accounted_for_in_every_node() {
    let workshop = workshop();
    let ended = workshop.run_well(&["run", "pins.yaml", "--json"]);
    let events = events(&ended.stdout);
    let summary = events.iter().find(|event| event["event"] == "finished").expect("a finished event");
    let nodes = summary["summary"]["nodes"].as_array().unwrap();
    let count = |node: &Value, key: &str| node["counts"][key].as_u64().unwrap();
    for node in nodes {
        let came = count(node, "rows_in") + count(node, "rows_added");
        assert_eq!(came, count(node, "rows_out") + count(node, "rows_rejected") + count(node, "rows_filtered"), "{node}");
    }
    let of = |name: &str| nodes.iter().find(|node| node["name"] == name).unwrap();
    let expected = expected(0..3000);
    assert_eq!(count(of("pins"), "rows_in"), 3000);
    assert_eq!(count(of("pins"), "rows_rejected"), 60);
    assert_eq!(count(of("clean_pins"), "rows_in"), 2940);
    assert_eq!(count(of("clean_pins"), "rows_rejected"), expected.dead.len() as u64 - 60);
    assert_eq!(count(of("pin_table"), "rows_out"), expected.table.len() as u64);
    assert_eq!(count(of("dead_letters"), "rows_out"), expected.dead.len() as u64);
}

#[test]
fn dead_letters_say_what_where_who_and_why() {
    let workshop = workshop();
    workshop.run_well(&["run", "pins.yaml"]);
    let rows = workshop.jsonl_rows("out/dead_letters");
    let broken = rows.iter().find(|row| row["record"].as_str().unwrap().contains("#49#")).unwrap();
    assert_eq!(broken["record"], r##"{"index": 49, "title": "broken #49#"##, "the original bytes");
    assert_eq!((&broken["stage"], &broken["plugin"]), (&Value::Null, &Value::Null));
    let rejected = rows.iter().find(|row| row["record"].as_str().unwrap().contains("#13#")).unwrap();
    assert_eq!(rejected["stage"], "clean_pins");
    assert_eq!(rejected["column"], "follower_count");
    assert!(rejected["plugin"].as_str().unwrap().starts_with("clean-pin@sha256:"), "{rejected}");
    assert_eq!(rejected["partition"], "data/a.jsonl");
    let text = std::fs::read_to_string(workshop.path("data/a.jsonl")).unwrap();
    let position = usize::try_from(rejected["position"].as_u64().unwrap()).unwrap();
    assert!(text[position..].starts_with(rejected["record"].as_str().unwrap()), "position and record agree");
}

#[test]
fn a_stopped_stream_ends_well_and_the_next_run_resumes() {
    let workshop = workshop();
    let running = Running::spawn(workshop.wasmill(&["run", "pins.yaml", "--mode", "stream"]));
    until("the first rows arrive", || !workshop.delta_rows("out/pin_table").is_empty());
    workshop.write("data/b.jsonl", &Pins(3000..4000).lines());
    until("rows of the second file arrive", || workshop.delta_numbers("out/pin_table").last() >= Some(&3000));
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped"), "{}", ended.stderr);
    workshop.write("data/c.jsonl", &Pins(4000..4500).lines());
    workshop.run_well(&["run", "pins.yaml"]);
    expected(0..4500).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}

#[test]
fn a_second_signal_ends_it_at_once_and_nothing_is_lost() {
    let workshop = workshop();
    let mut command = workshop.wasmill(&["run", "pins.yaml"]);
    // A commit that takes its time.
    command.env("FAILPOINTS", "engine-after-checkpoint=sleep(20000)");
    let mut running = Running::spawn(command);
    let checkpoint = workshop.path(".wasmill/state/pins/epoch-0000000001.json");
    until("the first checkpoint with rows is there", || checkpoint.exists());
    running.signal(Signal::INT);
    assert!(!running.ends_within(Duration::from_millis(300)), "it finishes its epoch first");
    running.signal(Signal::INT);
    assert!(running.ends_within(Duration::from_secs(5)), "the second signal ends it");
    assert_eq!(running.wait().code, Some(130));
    workshop.run_well(&["run", "pins.yaml"]);
    assert!(workshop.delta_numbers("out/pin_table").iter().eq(&expected(0..3000).table));
}

/// Panics of Wasmill's own code: in the coordinating thread, in the committer and in a lane.
#[test]
fn a_bug_ends_the_process_with_status_70_and_the_next_run_resumes() {
    for (point, panics) in [
        ("engine-after-claim", "the coordinator panicked"),
        ("engine-in-clean-up", "the coordinator panicked"),
        ("engine-before-checkpoint", "the commit of epoch 2 panicked"),
        ("engine-after-checkpoint", "the commit of epoch 2 panicked"),
        ("engine-after-sink-commit", "the commit of epoch 1 panicked"),
        ("lane-after-batch", "panicked"),
    ] {
        let workshop = workshop();
        let passes = usize::from(!START_POINTS.contains(&point));
        let mut command = workshop.wasmill(&["run", "pins.yaml"]);
        command.env("FAILPOINTS", format!("{point}={passes}*off->panic"));
        let mut running = Running::spawn(command);
        let has_ended = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(has_ended, "{point}: it hangs: {}", ended.stderr);
        assert_eq!(ended.code, Some(70), "{point}: {}", ended.stderr);
        let message = format!("failpoint {point} panic");
        assert!([panics, &message, "a bug in wasmill"].iter().all(|text| ended.stderr.contains(text)), "{point}: {}", ended.stderr);
        workshop.run_well(&["run", "pins.yaml"]);
        expected(0..3000).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
    }
}

#[test]
fn one_source_feeds_several_stages_and_sinks_and_flows_are_independent() {
    let workshop = workshop();
    workshop.write(
        "geo/a.jsonl",
        "{\"ind\":1,\"timestamp\":\"2022-07-07 00:18:41\",\"latitude\":1.5,\"longitude\":-2.5,\"country\":\"Peru\"}\n",
    );
    workshop.write(
        "many.yaml",
        r#"
name: many
sources:
  pins: { files: { path: "data/*.jsonl" } }
  geos: { files: { path: "geo/*.jsonl" } }
stages:
  one: { from: pins, plugin: clean-pin }
  two: { from: pins, plugin: clean-pin, config: { drop: [title] } }
  places: { from: geos, plugin: clean-geo }
sinks:
  table: { from: one, delta: { uri: out/one } }
  again: { from: one, files: { path: out/again, format: parquet } }
  narrow: { from: two, files: { path: out/narrow, format: jsonl } }
  geo: { from: places, files: { path: out/geo, format: csv } }
dead_letters: { files: { path: out/dead, format: jsonl } }
"#,
    );
    workshop.run_well(&["run", "many.yaml"]);
    let rows = expected(0..3000).table.len();
    assert_eq!(workshop.delta_numbers("out/one").len(), rows);
    let narrow = workshop.jsonl_rows("out/narrow");
    assert_eq!(narrow.len(), rows);
    assert!(narrow[0].get("title").is_none() && narrow[0].get("description").is_some(), "{}", narrow[0]);
    let csv = std::fs::read_dir(workshop.path("out/geo")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    let csv = std::fs::read_to_string(csv).unwrap();
    assert!(csv.starts_with("ind,country,coordinates,timestamp\n1,Peru,"), "{csv}");
}

#[test]
fn overwrite_replaces_the_table_in_one_commit() {
    let workshop = workshop();
    let overwrite = ["run", "pins.yaml", "--set", "sinks.pin_table.delta.write=overwrite"];
    workshop.run_well(&overwrite);
    workshop.write("data/a.jsonl", &Pins(100..700).lines());
    workshop.run_well(&overwrite);
    assert!(workshop.delta_numbers("out/pin_table").iter().eq(&expected(100..700).table));
}

#[test]
fn too_many_rejects_stop_the_run_with_their_reasons() {
    let workshop = workshop();
    let ended = workshop.run(&["run", "pins.yaml", "--set", "stages.clean_pins.max_reject_share=0.01"]);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("stage clean_pins") && ended.stderr.contains("max_reject_share"), "{}", ended.stderr);
    assert!(ended.stderr.matches("data/a.jsonl: {").count() >= 3, "rejects are shown: {}", ended.stderr);
    assert!(workshop.delta_rows("out/pin_table").is_empty());
    let refused = workshop.dead_numbers("out/dead_letters");
    let Expected { table, dead } = expected(0..3000);
    assert!(refused.len() > 10 && refused.iter().all(|number| dead.contains(number)), "dead letters of the refused epoch: {refused:?}");
    // Its records count as not read: all of them arrive, and what is rejected again is in the dead letters again.
    workshop.run_well(&["run", "pins.yaml"]);
    assert!(workshop.delta_numbers("out/pin_table").iter().eq(&table));
    let mut all: Vec<u64> = refused.into_iter().chain(dead).collect();
    all.sort_unstable();
    assert_eq!(workshop.dead_numbers("out/dead_letters"), all);
}

#[test]
fn a_small_batch_that_is_rejected_whole_is_no_success() {
    let workshop = workshop();
    let lines = Pins(0..3000).lines();
    let rejected: Vec<&str> = lines.lines().filter(|line| line.contains("\"many\"")).take(72).collect();
    assert_eq!(rejected.len(), 72);
    workshop.write("data/a.jsonl", &rejected.join("\n"));
    let ended = workshop.run(&["run", "pins.yaml"]);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert_eq!(workshop.dead_numbers("out/dead_letters").len(), 72);
}

#[test]
fn a_mistake_in_the_file_touches_nothing() {
    let workshop = workshop();
    let ended = workshop.run(&["run", "pins.yaml", "--set", "sinks.pin_table.from=clean_pin"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("clean_pins"), "did you mean: {}", ended.stderr);
    assert!(!workshop.path("out").exists() && !workshop.path(".wasmill").exists());
}

#[test]
fn secrets_never_show() {
    let workshop = workshop();
    workshop.write("secret.txt", "out/hushhush\n");
    let path = "sinks.pin_table.delta.uri=${file:secret.txt}";
    for command in [&["plan", "pins.yaml", "--set", path][..], &["run", "pins.yaml", "--set", path], &["check", "pins.yaml", "--set", path]]
    {
        let ended = workshop.run_well(command);
        assert!(!ended.stdout.contains("hushhush") && !ended.stderr.contains("hushhush"), "{command:?}: {}{}", ended.stdout, ended.stderr);
    }
    assert!(!workshop.delta_numbers("out/hushhush").is_empty());
}
