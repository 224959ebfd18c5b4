//! The analyses as streams that are drained: rows come from Kafka, state goes from epoch to epoch, and the results are those of a batch.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::analyses::{TABLES, analyses, assert_equal_tables, assert_golden, golden_rows, moved_to, send_to_topics};
use super::check_invariant;
use crate::matrix::KEYED_POINTS;
use crate::support::{Ended, Random, Running, Workshop, until};

/// As a stream with short epochs, into tables that take what each epoch has.
const DRAIN: [&str; 4] = ["--mode", "stream", "--drain", "--json"];

/// A workshop with raw rows, the results of a batch over their files in `out/analyses`, and the values that read them from topics.
fn sent() -> (Workshop, Vec<String>) {
    let workshop = Workshop::new();
    workshop.run_well(&["emulate", "--out", "data", "--rows", "1500", "--seed", "4"]);
    let ended = Running::spawn(analyses(&workshop, &[], &[])).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let set = send_to_topics(&workshop, 9);
    (workshop, set)
}

/// What a drained stream sets, beside where its rows are.
fn streamed(topics: &[String], name: &str, lanes: usize) -> Vec<String> {
    let kinds = [("table", "delta"), ("csv", "files")];
    let append = TABLES.iter().flat_map(|(sink, _)| kinds.map(|(kind, connector)| format!("sinks.{sink}_{kind}.{connector}.write=append")));
    let own = [format!("lanes={lanes}"), "epoch={ every: 100ms, rows: 150 }".to_owned(), "batch_rows=40".to_owned()];
    topics.iter().cloned().chain(moved_to(name)).chain(append).chain(own).collect()
}

/// The events of a run. The consoles print there, too.
fn events(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(|event: &Value| event["event"].is_string()).collect()
}

fn finished(ended: &Ended) -> Value {
    events(ended).into_iter().find(|event| event["event"] == "finished").map(|event| event["summary"].clone()).unwrap_or_default()
}

/// Drains a stream of the analyses to its end, over several epochs.
fn drain(workshop: &Workshop, topics: &[String], name: &str, lanes: usize) {
    let ended = Running::spawn(analyses(workshop, &streamed(topics, name, lanes), &DRAIN)).wait();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    let summary = finished(&ended);
    assert_eq!((&summary["mode"], &summary["stopped"]), (&Value::from("stream"), &Value::from(false)), "{summary}");
    assert!(summary["epochs"].as_u64().unwrap() >= 5, "{summary}");
    let events: Vec<String> = events(&ended).iter().map(Value::to_string).collect();
    check_invariant(&events.join("\n"));
}

#[test]
fn a_drained_stream_gives_what_a_batch_gives() {
    let (workshop, topics) = sent();
    for lanes in [1, 2] {
        let name = format!("drained-{lanes}");
        drain(&workshop, &topics, &name, lanes);
        assert_equal_tables(&workshop, "analyses", &name);
        // Nothing has come since: nothing is written.
        let again = Running::spawn(analyses(&workshop, &streamed(&topics, &name, 3), &DRAIN)).wait();
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        let summary = finished(&again);
        let sinks: Vec<&Value> = summary["nodes"].as_array().unwrap().iter().filter(|node| node["kind"] == "sink").collect();
        assert!(sinks.len() >= 18 && sinks.iter().all(|sink| sink["counts"]["rows_in"] == 0), "{summary}");
        assert_equal_tables(&workshop, "analyses", &name);
    }
    // As the file has it: the tables are overwritten at the end, in one epoch, whatever they hold.
    let set: Vec<String> = topics.iter().cloned().chain(moved_to("overwritten")).collect();
    for _ in 0..2 {
        let ended = Running::spawn(analyses(&workshop, &set, &DRAIN)).wait();
        assert_eq!((ended.code, &finished(&ended)["epochs"]), (Some(0), &Value::from(1)), "{}", ended.stderr);
        assert_equal_tables(&workshop, "analyses", "overwritten");
    }
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn real_rows_of_a_drained_stream_give_the_results_of_another_pipeline() {
    let workshop = Workshop::new();
    golden_rows(&workshop);
    let topics = send_to_topics(&workshop, 13);
    for lanes in [1, 2] {
        let (batch, drained) = (format!("batch-{lanes}"), format!("drained-{lanes}"));
        let set: Vec<String> = topics.iter().cloned().chain(moved_to(&batch)).chain([format!("lanes={lanes}")]).collect();
        let ended = Running::spawn(analyses(&workshop, &set, &[])).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        drain(&workshop, &topics, &drained, lanes);
        assert_equal_tables(&workshop, &batch, &drained);
        for name in [batch, drained] {
            assert_golden(|table| workshop.duckdb_rows(&format!("out/{name}/{table}")), &name);
            assert_golden(|table| workshop.csv_rows(&format!("out/{name}/csv/{table}")), &format!("{name} as CSV"));
        }
    }
}

/// Killed at points of its epochs and at random, with other numbers of lanes each time: the results are those of a run that nothing ended.
#[test]
fn a_drained_stream_that_is_killed_goes_on() {
    let (workshop, topics) = sent();
    let mut lanes = [2, 1, 3].into_iter().cycle();
    let mut start = |failpoints: &str| {
        let mut command = analyses(&workshop, &streamed(&topics, "killed", lanes.next().unwrap()), &DRAIN);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    };
    // A keyed stage has some of them in every epoch, the engine has the others once in an epoch.
    let points = KEYED_POINTS.iter().map(|point| (*point, 3)).chain([("lane-after-batch", 5)]);
    for (point, passes) in points.chain(["engine-before-checkpoint", "engine-after-checkpoint"].map(|point| (point, 1))) {
        let mut running = start(&format!("{point}={passes}*off->return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none(), "{point} was not passed {passes} times:\n{}", ended.stderr);
    }
    let mut random = Random::of("a_drained_stream_that_is_killed_goes_on");
    for _ in 0..3 {
        let mut running = start("");
        running.ends_within(Duration::from_millis(random.below(1_500)));
        running.kill();
    }
    // In the commit of the results: some are visible, the others are not.
    start("engine-after-sink-commit=4*off->return(kill)").wait();
    let ended = start("").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_equal_tables(&workshop, "analyses", "killed");
}

#[test]
fn a_drained_stream_that_is_stopped_closes_nothing_and_the_next_goes_on() {
    let (workshop, topics) = sent();
    let set = streamed(&topics, "stopped", 2);
    let mut command = analyses(&workshop, &set, &DRAIN);
    command.env("FAILPOINTS", "lane-after-batch=sleep(200)");
    let running = Running::spawn(command);
    let newest = || {
        let names = std::fs::read_dir(workshop.path(".wasmill/state/stopped")).into_iter().flatten();
        let number = |name: String| name.strip_prefix("epoch-")?.strip_suffix(".json")?.parse::<u64>().ok();
        names.filter_map(|file| number(file.unwrap().file_name().into_string().unwrap())).max()
    };
    until("some epochs are committed", || newest() >= Some(3));
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!((ended.code, &finished(&ended)["stopped"]), (Some(0), &Value::from(true)), "{}", ended.stderr);
    for (_, table) in TABLES {
        assert!(workshop.duckdb_rows_if_any(&format!("out/stopped/{table}")).is_empty(), "{table} was closed early");
        assert!(workshop.csv_rows(&format!("out/stopped/csv/{table}")).is_empty(), "{table} was closed early");
    }
    let ended = Running::spawn(analyses(&workshop, &set, &DRAIN)).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_equal_tables(&workshop, "analyses", "stopped");
}
