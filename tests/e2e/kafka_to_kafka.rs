//! Kafka -> clean-pin -> Kafka, dead letters into Kafka too: exact rows for readers of what is committed, whatever is killed, lost or put to sleep.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use crate::kafka::{PARTITIONS, flow, send};
use crate::kafka_broker::{Broker, Producer, Proxy, Seen, address, create_at, read_at, unique, until};
use crate::support::{Flow, Random, Running, Workshop, expected, number_from_environment};

/// Every point at which an epoch can be cut off, and how often it is passed before the kill: each commit point for the dead letters, and for the sink behind
/// them or the next epoch.
const POINTS: [(&str, &str); 12] = [
    ("lane-after-batch", "3*off->"),
    ("engine-before-prepare", "1*off->"),
    ("engine-before-checkpoint", "1*off->"),
    ("engine-after-checkpoint", "1*off->"),
    ("kafka-commit-before-token", "2*off->"),
    ("kafka-commit-before-token", "1*off->"),
    ("kafka-commit-before-commit", "2*off->"),
    ("kafka-commit-before-commit", "1*off->"),
    ("kafka-commit-after-commit", "2*off->"),
    ("kafka-commit-after-commit", "1*off->"),
    ("engine-after-sink-commit", "2*off->"),
    ("engine-after-commit", "1*off->"),
];

/// Three topics of a broker, and the pipeline between them.
struct Mill {
    workshop: Workshop,
    brokers: String,
    name: String,
}

impl Mill {
    fn new(brokers: &str) -> Self {
        let mill = Self { workshop: Workshop::new(), brokers: brokers.to_owned(), name: unique("k") };
        ["posts", "clean", "dead"].iter().for_each(|topic| create_at(brokers, &mill.topic(topic), PARTITIONS));
        let (posts, clean, dead) = (mill.topic("posts"), mill.topic("clean"), mill.topic("dead"));
        mill.workshop.write(
            "pipeline.yaml",
            &format!(
                r#"
name: {name}
mode: stream
lanes: 2
batch_rows: 500
sources:
  pins: {{ kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{posts}] }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 50% }}
sinks:
  pin_topic: {{ from: clean_pins, kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {clean}, key: unique_id, commits_topic: {name}.commits }} }}
dead_letters:
  kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {dead}, commits_topic: {name}.commits }}
epoch: {{ every: 200ms, rows: 2000 }}
"#,
                name = mill.name
            ),
        );
        mill
    }

    fn topic(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    fn start(&self, mode: &str, failpoints: &str) -> Running {
        let mut command = self.workshop.wasmill(&["run", "pipeline.yaml", "--mode", mode]);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    fn flow(&self) -> Flow {
        flow(self.brokers.clone(), self.topic("posts"))
    }

    fn send(&self, posts: std::ops::Range<u64>) {
        send(&Producer::at(&self.brokers, &[]), &self.topic("posts"), posts);
    }

    /// The values of a topic that readers of what is committed see.
    fn committed(&self, topic: &str) -> Vec<serde_json::Value> {
        read_at(&self.brokers, &self.topic(topic), "read_committed").iter().map(Seen::json).collect()
    }

    fn clean(&self) -> Vec<serde_json::Value> {
        self.committed("clean")
    }

    /// Ends with a batch, and looks: every post is in the one topic or in the other, once.
    fn finish(&self, posts: u64) {
        let ended = self.start("batch", "").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        self.check(posts);
        let spools = std::fs::read_dir(self.workshop.path(&format!(".wasmill/state/{}/spool", self.name))).unwrap();
        let spooled: usize = spools.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum();
        assert_eq!(spooled, 0, "the spool is empty when everything is committed");
    }

    fn check(&self, posts: u64) {
        expected(0..posts).check(&self.clean(), &self.committed("dead"));
    }
}

#[test]
fn a_stream_into_kafka_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
    println!("WASMILL_CRASH_SEED={seed}");
    let (mut random, mut killed) = (Random::with_seed(seed), BTreeMap::<String, u32>::new());
    let mill = Mill::new(&address());
    let flow = mill.flow();
    for kill in 0..number_from_environment("WASMILL_CRASH_KILLS", 2 * POINTS.len() as u64) {
        let (point, after) = POINTS[kill as usize / 2 % POINTS.len()];
        let at_point = kill % 2 == 0;
        let mut running = mill.start("stream", &if at_point { format!("{point}={after}return(kill)") } else { String::new() });
        let patience = if at_point { Duration::from_secs(60) } else { Duration::from_millis(random.below(1500)) };
        let died = running.ends_within(patience);
        let ended = running.kill();
        assert!(ended.code.is_none() && died == at_point, "{point}: {died} {:?}\n{}", ended.code, ended.stderr);
        *killed.entry(if at_point { point.to_owned() } else { "random".to_owned() }).or_default() += 1;
    }
    let posts = flow.end();
    mill.finish(posts);
    println!("{posts} posts, kills: {killed:?}");
}

#[test]
fn a_broker_that_is_restarted_while_epochs_commit_is_waited_for() {
    let mut broker = Broker::start();
    let mill = Mill::new(&broker.address());
    let flow = mill.flow();
    let running = mill.start("stream", "");
    for _ in 0..2 {
        let before = mill.clean().len();
        until(|| mill.clean().len() > before + 500);
        broker.kill();
        broker.start_again();
    }
    let before = mill.clean().len();
    until(|| mill.clean().len() > before + 500);
    let posts = flow.end();
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    mill.finish(posts);
}

#[test]
fn commits_whose_answers_are_lost_count_once() {
    let mut proxy = None;
    let broker = Broker::behind(|own| proxy.insert(Proxy::before_kafka(own)).address());
    let (mill, proxy) = (Mill::new(&broker.address()), proxy.unwrap());
    mill.send(0..6_000);
    proxy.lose_ends_of_transactions(4, false);
    let ended = mill.start("batch", "").wait();
    assert_eq!((ended.code, proxy.lost()), (Some(0), 4), "{}", ended.stderr);
    mill.check(6_000);
    // Nobody answers any more: the epoch waits for the next start.
    mill.send(6_000..8_000);
    let yaml = std::fs::read_to_string(mill.workshop.path("pipeline.yaml")).unwrap();
    mill.workshop.write("pipeline.yaml", &yaml.replace(", commits_topic", ", retry: { for: 3s }, commits_topic"));
    proxy.lose_ends_of_transactions(1, true);
    let ended = mill.start("batch", "").wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("a later start resumes"), "{}", ended.stderr);
    proxy.refuse(false);
    mill.workshop.write("pipeline.yaml", &yaml);
    mill.finish(8_000);
}

#[test]
fn a_process_that_slept_in_the_middle_of_its_commit_is_fenced() {
    for point in ["kafka-commit-before-token", "kafka-commit-before-commit", "kafka-commit-after-commit"] {
        let mill = Mill::new(&address());
        mill.send(0..12_000);
        let sleeper = mill.start("batch", &format!("{point}=1*off->1*return(stop)"));
        sleeper.wait_until_stopped();
        std::fs::remove_file(mill.workshop.path(&format!(".wasmill/state/{}/lock", mill.name))).unwrap();
        mill.finish(12_000);
        sleeper.signal(Signal::CONT);
        let woken = sleeper.wait();
        assert_eq!(woken.code, Some(5), "{point}: {}", woken.stderr);
        assert!(woken.stderr.contains("another process has taken over") || woken.stderr.contains("fenced"), "{}", woken.stderr);
        mill.finish(12_000);
    }
}

#[test]
fn a_topic_is_copied_as_it_is() {
    let (workshop, from, to) = (Workshop::new(), unique("from"), unique("to"));
    [&from, &to].iter().for_each(|topic| create_at(&address(), topic, 3));
    let producer = Producer::new(&[]);
    let values: [Option<&[u8]>; 4] = [Some(b"{\"half"), Some(b"\xff\n"), Some(b""), None];
    for (index, value) in values.iter().enumerate() {
        let key = [0xff, index as u8];
        producer.send_all_of(
            &from,
            2 - index as i32 % 3,
            (index != 1).then_some(&key),
            *value,
            &[],
            Some(1_700_000_000_000 + index as i64),
        );
    }
    producer.flush();
    workshop.write(
        "copy.yaml",
        &format!(
            r#"
name: copy
sources:
  old:
    kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{from}], format: raw, tombstones: row }}
    schema: {{ value: binary, "_source.key": binary, "_source.partition": int32, "_source.timestamp": "timestamp(ms, UTC)" }}
sinks:
  new:
    from: old
    kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {to}, format: raw, key: _source.key, partition: _source.partition, timestamp: _source.timestamp }}
dead_letters:
  files: {{ path: dead, format: jsonl }}
"#,
            brokers = address()
        ),
    );
    workshop.run_well(&["run", "copy.yaml"]);
    let read = |topic: &str| {
        let records = read_at(&address(), topic, "read_committed");
        records.into_iter().map(|record| (record.partition, record.time, record.key, record.value)).collect::<Vec<_>>()
    };
    assert_eq!(read(&to).len(), 4);
    assert_eq!(read(&to), read(&from));
}
