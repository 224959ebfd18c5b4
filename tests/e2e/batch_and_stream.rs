//! One pipeline file, read from Kafka as a stream and, as a batch, from the objects into which another pipeline landed the same topic raw, gives
//! the same table.

use rustix::process::Signal;

use crate::connect_layout::deal;
use crate::delta_diff::foreign;
use crate::kafka_broker::{Producer, address, topic, until};
use crate::support::{Running, Store, Workshop};

const ROWS: usize = 4_000;

fn pipeline(topic: &str) -> String {
    format!(
        r#"
name: pins
mode: stream
lanes: 2
batch_rows: 500
sources:
  pins:
    kafka: {{ connection: {{ brokers: "{}" }}, topics: [{topic}] }}
    max_reject_share: 60%
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 60% }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: out/stream }} }}
dead_letters:
  files: {{ path: out/dead_stream, format: jsonl }}
epoch: {{ every: 200ms, rows: 1500 }}
"#,
        address()
    )
}

/// Lands the topic as it is, in Kafka Connect's layout.
fn landing(topic: &str, prefix: &str) -> String {
    format!(
        r#"
name: landing
lanes: 2
sources:
  pins: {{ kafka: {{ connection: {{ brokers: "{}" }}, topics: [{topic}], format: raw }} }}
sinks:
  raw: {{ from: pins, s3: {{ uri: "{prefix}/topics", connection: {}, format: jsonl, layout: connect, flush_size: 300 }} }}
"#,
        address(),
        Store::options()
    )
}

/// What was wrong with each record that was rejected, and the record, sorted.
fn rejected(workshop: &Workshop, folder: &str) -> Vec<String> {
    let told = |row: &serde_json::Value| ["code", "column", "record", "record_base64"].map(|name| row[name].to_string()).join(" ");
    let mut all: Vec<String> = workshop.jsonl_rows(folder).iter().map(told).collect();
    all.sort();
    all
}

#[test]
fn a_stream_and_a_replay_of_its_raw_records_give_the_same_table() {
    let (workshop, store, topic) = (Workshop::new(), Store::new(), topic(3));
    workshop.write("pins.yaml", &pipeline(&topic));
    // Posts with everything that is wrong with real ones, lines that are no JSON among them.
    workshop.run_well(&["emulate", "--out", "data", "--tables", "pin", "--rows", &ROWS.to_string(), "--seed", "11", "--dirt", "heavy"]);
    let text = std::fs::read(workshop.path("data/pin/pin-00000.jsonl")).unwrap();
    let mut values: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    values.extend(["{\"index\": 1, \"title\": ", "[1, 2]", "\"text\"", "null"].map(str::to_owned));
    let partitions = deal(&values, 3);
    let producer = Producer::new(&[]);
    for (partition, values) in partitions.iter().enumerate() {
        values.iter().for_each(|value| producer.send(&topic, partition as i32, value.as_bytes()));
    }
    producer.flush();
    workshop.write("landing.yaml", &landing(&topic, &store.prefix));
    workshop.run_well(&["run", "landing.yaml"]);
    assert!(store.keys().iter().filter(|key| key.contains(&format!("{topic}+"))).count() > 10, "{:?}", store.keys());

    let running = Running::spawn(workshop.wasmill(&["run", "pins.yaml"]));
    let mut last = 0;
    until(|| {
        let seen = workshop.delta_numbers("out/stream").len() + workshop.jsonl_rows("out/dead_stream").len();
        assert!(seen >= last && seen <= values.len(), "{seen} after {last}");
        last = seen;
        seen == values.len()
    });
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, Some(0));

    // The same file, another source: the objects.
    let uri = format!("sources.pins.s3.uri={}/topics/{topic}/", store.prefix);
    let mut command = workshop.wasmill(&[
        "run",
        "pins.yaml",
        "--mode",
        "batch",
        "--set",
        "name=replay",
        "--set",
        "sources.pins.kafka=",
        "--set",
        &uri,
        "--set",
        "sources.pins.s3.format=jsonl",
        "--set",
        "sinks.pin_table.delta.uri=out/batch",
        "--set",
        "dead_letters.files.path=out/dead_batch",
    ]);
    Store::environment(&mut command);
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let ended = workshop.run_well(&["diff", "out/stream", "out/batch"]);
    assert!(ended.stdout.starts_with("--- out/stream") && ended.stdout.contains("equal: "), "{}", ended.stdout);
    let (stream, batch) = (rejected(&workshop, "out/dead_stream"), rejected(&workshop, "out/dead_batch"));
    assert!(stream.len() > 50, "{} rejects", stream.len());
    assert_eq!(stream, batch, "the same records are rejected, for the same reasons");

    // One other cell is a difference.
    let ind = workshop.delta_rows("out/batch")[0]["ind"].clone();
    let arguments = ["update", "title", "'Another title'", &format!("ind = {ind}")];
    let batch = workshop.path("out/batch");
    foreign("write_delta.py", &[&[batch.to_str().unwrap()], &arguments[..]].concat(), "");
    let ended = workshop.run(&["diff", "out/stream", "out/batch"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("Another title"), "{}", ended.stdout);
}
