//! Kafka -> S3 in Kafka Connect's layout, raw: every record as it was, once, under the name that tells its place; and read back, the same table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kafka::{PARTITIONS, flow};
use crate::kafka_broker::{address, committed, create, unique};
use crate::support::{Random, number_from_environment};
use crate::support::{Running, Store, Workshop, expected};

const POINTS: [(&str, &str); 7] = [
    ("engine-before-checkpoint", "1*off->"),
    ("engine-after-checkpoint", "1*off->"),
    ("s3-commit-before-token", "1*off->"),
    ("s3-commit-after-token", "1*off->"),
    ("s3-commit-after-complete", "1*off->"),
    ("engine-after-sink-commit", "1*off->"),
    ("engine-after-commit", "1*off->"),
];

struct Mill {
    workshop: Workshop,
    store: Store,
    topic: String,
}

impl Mill {
    fn new() -> Self {
        let mill = Self { workshop: Workshop::new(), store: Store::new(), topic: unique("raw") };
        create(&mill.topic, PARTITIONS);
        let (brokers, topic, connection) = (address(), &mill.topic, Store::options());
        let land = format!(
            r#"
name: land
mode: stream
lanes: 2
batch_rows: 500
sources:
  pins: {{ kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{topic}], format: raw }} }}
sinks:
  raw: {{ from: pins, s3: {{ uri: {prefix}/topics, connection: {connection}, format: jsonl, layout: connect, flush_size: 300 }} }}
dead_letters:
  s3: {{ uri: {prefix}/dead, connection: {connection}, format: jsonl }}
epoch: {{ every: 300ms, rows: 2000 }}
"#,
            prefix = mill.store.prefix
        );
        let clean = |name: &str, source: &str| {
            format!(
                r#"
name: {name}
lanes: 2
batch_rows: 500
sources:
  pins: {{ {source}, max_reject_share: 50% }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 50% }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: out/{name} }} }}
dead_letters:
  files: {{ path: out/{name}_dead, format: jsonl }}
"#
            )
        };
        mill.workshop.write("land.yaml", &land);
        mill.workshop
            .write("live.yaml", &clean("live", &format!("kafka: {{ connection: {{ brokers: \"{brokers}\" }}, topics: [{topic}] }}")));
        let replay = format!("s3: {{ uri: \"{}/topics/{topic}/\", connection: {connection}, format: jsonl }}", mill.store.prefix);
        mill.workshop.write("replay.yaml", &clean("replay", &replay));
        mill
    }

    fn start(&self, mode: &str, failpoints: &str) -> Running {
        let mut command = self.workshop.wasmill(&["run", "land.yaml", "--mode", mode]);
        command.env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    /// The objects hold the topic: each the records from its own offset on.
    fn check(&self, posts: u64) {
        let folder = self.workshop.path("landed");
        self.store.copy_to(&format!("topics/{}", self.topic), &folder);
        let mut landed: BTreeMap<(i32, i64), Vec<u8>> = BTreeMap::new();
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let place = name.strip_prefix(&self.topic).unwrap().strip_prefix('+').unwrap().strip_suffix(".json").unwrap();
            let (partition, offset) = place.split_once('+').unwrap();
            assert_eq!(offset.len(), 10, "{name}");
            let text = std::fs::read(&path).unwrap();
            let lines: Vec<&[u8]> = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
            assert!(lines.len() <= 300, "{name} has {} lines", lines.len());
            for (index, line) in lines.iter().enumerate() {
                let place = (partition.parse().unwrap(), offset.parse::<i64>().unwrap() + index as i64);
                assert_eq!(landed.insert(place, line.to_vec()), None, "{place:?} is there twice");
            }
        }
        let topic = committed(&self.topic);
        assert_eq!((landed.len() as u64, topic.len() as u64), (posts, posts));
        for record in topic {
            assert_eq!(landed.get(&(record.partition, record.offset)), record.value.as_ref(), "{}/{}", record.partition, record.offset);
        }
        let waiting: Vec<String> = self.store.pending_uploads().into_iter().filter(|key| key.contains("/topics/")).collect();
        assert_eq!(waiting, [""; 0], "uploads that nobody will complete");
    }
}

#[test]
fn raw_records_land_once_however_often_the_process_is_killed_and_replay_to_the_same_table() {
    let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
    println!("WASMILL_CRASH_SEED={seed}");
    let (mut random, mut killed) = (Random::with_seed(seed), BTreeMap::<String, u32>::new());
    let mill = Mill::new();
    let flow = flow(address(), mill.topic.clone());
    for kill in 0..number_from_environment("WASMILL_CRASH_KILLS", 2 * POINTS.len() as u64) {
        let (point, after) = POINTS[kill as usize / 2 % POINTS.len()];
        let at_point = kill % 2 == 0;
        let mut running = mill.start("stream", &if at_point { format!("{point}={after}return(kill)") } else { String::new() });
        let died = running.ends_within(if at_point { Duration::from_secs(60) } else { Duration::from_millis(random.below(1500)) });
        let ended = running.kill();
        assert!(ended.code.is_none() && died == at_point, "{point}: {died} {:?}\n{}", ended.code, ended.stderr);
        *killed.entry(if at_point { point.to_owned() } else { "random".to_owned() }).or_default() += 1;
    }
    let posts = flow.end();
    let ended = mill.start("batch", "").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    println!("{posts} posts, kills: {killed:?}");
    mill.check(posts);

    mill.workshop.run_well(&["run", "live.yaml"]);
    mill.workshop.run_well(&["run", "replay.yaml"]);
    let expected = expected(0..posts);
    for name in ["live", "replay"] {
        assert!(mill.workshop.delta_numbers(&format!("out/{name}")).iter().eq(&expected.table), "{name}: other rows than expected");
        assert!(
            mill.workshop.dead_numbers(&format!("out/{name}_dead")).iter().eq(&expected.dead),
            "{name}: other dead letters than expected"
        );
    }
    let sorted = |name: &str| {
        let mut rows: Vec<String> = mill.workshop.delta_rows(&format!("out/{name}")).iter().map(ToString::to_string).collect();
        rows.sort_unstable();
        rows
    };
    assert!(sorted("live") == sorted("replay"), "the tables differ");
}
