//! Kafka -> clean-pin -> Delta on disk, with dead letters: exact rows, memory that does not grow, a broker that is killed while records
//! are produced.

use std::ops::Range;
use std::time::Duration;

use crate::kafka_broker::{Broker, Producer, address, create_at, topic, until};
use crate::support::{Flow, Pins, Running, Workshop, expected};

pub const PARTITIONS: i32 = 4;

fn pipeline(brokers: &str, topic: &str) -> String {
    format!(
        r#"
name: kafka-pins
lanes: 2
batch_rows: 500
sources:
  pins:
    kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{topic}], group: "{topic}" }}
stages:
  clean_pins:
    from: pins
    plugin: clean-pin
    max_reject_share: 50%
sinks:
  pin_table:
    from: clean_pins
    delta: {{ uri: out/pin_table, write: append }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ every: 200ms, rows: 2000 }}
"#
    )
}

/// A workshop with the pipeline over a topic of its own.
fn workshop() -> (Workshop, String) {
    let (workshop, topic) = (Workshop::new(), topic(PARTITIONS));
    workshop.write("kafka.yaml", &pipeline(&address(), &topic));
    (workshop, topic)
}

/// The partition and the offset of a post: twenty to a partition, so that each has its share of bad ones.
fn place(number: u64) -> (u64, u64) {
    (number / 20 % PARTITIONS as u64, number / (20 * PARTITIONS as u64) * 20 + number % 20)
}

pub fn send(producer: &Producer, topic: &str, numbers: Range<u64>) {
    let lines = Pins(numbers.clone()).lines();
    for (number, line) in numbers.zip(lines.lines()) {
        producer.send(topic, place(number).0 as i32, line.as_bytes());
    }
    producer.flush();
}

#[test]
fn a_batch_reads_a_topic_once_and_the_next_one_what_came_since() {
    let (workshop, topic) = workshop();
    let producer = Producer::new(&[("compression.codec", "lz4")]);
    send(&producer, &topic, 0..5_000);
    workshop.run_well(&["check", "kafka.yaml"]);
    workshop.run_well(&["run", "kafka.yaml"]);
    workshop.check_posts(5_000);
    workshop.run_well(&["run", "kafka.yaml"]);
    workshop.check_posts(5_000);
    send(&producer, &topic, 5_000..6_000);
    workshop.run_well(&["run", "kafka.yaml"]);
    workshop.check_posts(6_000);
    // What was rejected says where it was: by the decoder and by the plugin alike.
    let dead = workshop.jsonl_rows("out/dead_letters");
    let places: Vec<_> =
        dead.iter().map(|row| (row["partition"].as_str().unwrap().to_owned(), row["position"].as_u64().unwrap())).collect();
    for (row, (partition, position)) in dead.iter().zip(places) {
        let number: u64 = row["record"].as_str().unwrap().split('#').nth(1).unwrap().parse().unwrap();
        let (expected, offset) = place(number);
        assert_eq!((partition, position), (format!("{topic}/{expected}"), offset));
    }
}

#[test]
fn a_stream_ends_well_when_it_is_asked_to_and_a_batch_resumes_from_there() {
    let (workshop, topic) = workshop();
    let producer = Producer::new(&[]);
    let running = Running::spawn(workshop.wasmill(&["run", "kafka.yaml", "--mode", "stream"]));
    send(&producer, &topic, 0..3_000);
    until(|| workshop.delta_numbers("out/pin_table").len() == expected(0..3_000).table.len());
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    workshop.check_posts(3_000);
    send(&producer, &topic, 3_000..4_000);
    workshop.run_well(&["run", "kafka.yaml"]);
    workshop.check_posts(4_000);
}

/// Some 5,000 posts a second.
pub fn flow(brokers: String, topic: String) -> Flow {
    let producer = Producer::at(&brokers, &[("compression.codec", "zstd"), ("enable.idempotence", "true")]);
    Flow::start(250, Duration::from_millis(50), move |posts| send(&producer, &topic, posts))
}

#[test]
fn memory_does_not_grow_with_the_backlog() {
    let (workshop, topic) = workshop();
    let yaml = std::fs::read_to_string(workshop.path("kafka.yaml")).unwrap();
    workshop.write("kafka.yaml", &yaml.replace("batch_rows: 500", "batch_rows: 8192").replace("200ms, rows: 2000", "1s, rows: 100000"));
    let producer = Producer::new(&[("compression.codec", "lz4"), ("linger.ms", "20"), ("batch.size", "500000")]);
    // The second backlog alone is larger than the bound.
    for (first, posts) in [(0, 40_000), (40_000, 700_000)] {
        for from in (first..posts).step_by(20_000) {
            send(&producer, &topic, from..posts.min(from + 20_000));
        }
        let begun = std::time::Instant::now();
        let mut running = Running::spawn(workshop.wasmill(&["run", "kafka.yaml"]));
        let peak = running.peak_memory();
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        println!("{} posts in {:?}, peak memory {peak} MiB", posts - first, begun.elapsed());
        assert!(peak > 0 && peak < 250, "{peak} MiB");
    }
}

#[test]
fn a_broker_that_is_killed_and_comes_back_is_waited_for() {
    let mut broker = Broker::start();
    let workshop = Workshop::new();
    workshop.write("kafka.yaml", &pipeline(&broker.address(), "pins"));
    create_at(&broker.address(), "pins", PARTITIONS);
    let flow = flow(broker.address(), "pins".to_owned());
    let running = Running::spawn(workshop.wasmill(&["run", "kafka.yaml", "--mode", "stream"]));
    for _ in 0..2 {
        let before = workshop.delta_numbers("out/pin_table").len();
        until(|| workshop.delta_numbers("out/pin_table").len() > before + 1_000);
        broker.kill();
        broker.start_again();
    }
    let before = workshop.delta_numbers("out/pin_table").len();
    until(|| workshop.delta_numbers("out/pin_table").len() > before + 1_000);
    let posts = flow.end();
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = |what: &str| ended.stderr.lines().filter(|line| line.contains(what)).count();
    assert_eq!((told("no Kafka broker can be reached"), told("the Kafka brokers respond again")), (2, 2), "{}", ended.stderr);
    workshop.run_well(&["run", "kafka.yaml", "--mode", "batch"]);
    workshop.check_posts(posts);
}
