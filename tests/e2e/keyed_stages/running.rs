//! Windows of a stream: kills, other numbers of lanes, rows that come late; and the same rows as a batch.

use rustix::process::Signal;
use serde_json::Value;

use super::{Post, assert_same_rows, send, windows};
use crate::kafka_broker::{Producer, address, topic};
use crate::support::{Running, Workshop, until};

const PIPELINE: &str = r#"
name: popularity
mode: stream
epoch: { every: 200ms, rows: 300 }
batch_rows: 50
sources:
  posts:
    kafka: { connection: { brokers: "BROKERS" }, topics: [TOPIC] }
    schema: { ind: int64, category: text, time: timestamp, followers: int64 }
stages:
  once: { from: posts, dedup: { by: [ind], time: time, within: 30m, delay: 2m } }
  windows:
    from: once
    aggregate:
      by: [category]
      window: { tumbling: 10m, time: time, delay: 2m }
      compute: { posts: "count(*)", sum: sum(followers), median: median(followers) }
sinks:
  results: { from: windows, delta: { uri: out/windows } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

#[test]
fn windows_of_a_stream_are_exact_over_kills_and_lanes() {
    let posts = Post::some(21, 2_000);
    let (workshop, topic, producer) = (Workshop::new(), topic(2), Producer::new(&[]));
    workshop.write("p.yaml", &PIPELINE.replace("BROKERS", &address()).replace("TOPIC", &topic));
    let rows = || workshop.duckdb_rows_if_any("out/windows");

    // A window closes when both partitions are past its end by the delays of both stages.
    let latest = |partition: i64| posts.iter().filter(|post| post.ind % 2 == partition).map(|post| post.time).max().unwrap();
    let watermark = latest(0).min(latest(1)) - 240;
    let is_closed = |row: &Value| super::seconds(&row["window_end"]) <= watermark;
    let expected: Vec<Value> = windows(&posts).into_iter().filter(is_closed).collect();
    assert!(expected.len() > 80, "{} windows", expected.len());

    send(&producer, &topic, &posts[..700]);
    let first = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--set", "lanes=1"]));
    until("the first windows", || rows().len() > 10);
    first.kill();
    let before = rows().len();
    send(&producer, &topic, &posts[700..1_300]);
    let second = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--set", "lanes=3"]));
    until("more windows", || rows().len() > before + 10);
    second.kill();
    send(&producer, &topic, &posts[1_300..]);
    let third = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--set", "lanes=2"]));
    until("the last windows", || rows().len() >= expected.len());
    // Much later than any window waits.
    producer.send(&topic, 0, Post { ind: 5_000, ..posts[0].clone() }.line().trim().as_bytes());
    producer.flush();
    until("the late row", || !workshop.jsonl_rows("out/dead_letters").is_empty());
    third.signal(Signal::TERM);
    let ended = third.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    assert_same_rows(rows(), expected, "stream");
    let dead = workshop.jsonl_rows("out/dead_letters");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((&dead[0]["code"], &dead[0]["stage"]), (&Value::from("late"), &Value::from("once")));
    assert!(dead[0]["record"].as_str().unwrap().contains("\"ind\":5000"), "the record as it was: {dead:?}");

    // The same file over the same topic as a batch: every window closes at the end.
    let arguments = ["run", "p.yaml", "--mode", "batch", "--set", "name=replay", "--set", "sinks.results.delta.uri=out/batch"];
    workshop.run_well(&[&arguments[..], &["--set", "dead_letters.files.path=out/dead_batch", "--set", "lanes=3"]].concat());
    let mut all = posts.clone();
    all.push(Post { ind: 5_000, ..posts[0].clone() });
    assert_same_rows(workshop.duckdb_rows("out/batch"), windows(&all), "batch");
    assert_eq!(workshop.jsonl_rows("out/dead_batch").len(), 0, "nothing is late before the end of a batch");
}
