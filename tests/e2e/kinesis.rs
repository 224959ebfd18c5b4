//! Kinesis -> clean-pin -> Delta on disk, with dead letters: exact rows, also when the process is killed again and again while records are
//! produced and the stream is split and merged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::matrix::{ENGINE_POINTS, START_POINTS};
use crate::support::{Flow, KinesisStream, Pins, Random, Running, Workshop, expected, kinesis_address, number_from_environment};

/// A workshop with the pipeline over a stream of its own.
fn workshop(stream: &str) -> Workshop {
    let workshop = Workshop::new();
    let pipeline = format!(
        r#"
name: kinesis-pins
lanes: 2
batch_rows: 500
sources:
  pins:
    kinesis: {{ stream: {stream}, connection: {{ endpoint: "{}", region: us-east-1 }}, poll: 200ms, follow: 300ms }}
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
"#,
        kinesis_address()
    );
    workshop.write("kinesis.yaml", &pipeline);
    workshop
}

/// The binary, with a key that the server does not look at.
fn wasmill(workshop: &Workshop, arguments: &[&str]) -> std::process::Command {
    let mut command = workshop.wasmill(arguments);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test-secret").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn run_well(workshop: &Workshop, arguments: &[&str]) {
    let ended = Running::spawn(wasmill(workshop, arguments)).wait();
    assert_eq!(ended.code, Some(0), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
    assert!(!ended.stderr.contains("test-secret"));
}

fn put(stream: &KinesisStream, numbers: Range<u64>) {
    let lines = Pins(numbers.clone()).lines();
    let records: Vec<_> = numbers.zip(lines.lines()).map(|(number, line)| (format!("k{}", number / 20 % 50), line.to_owned())).collect();
    stream.put(&records);
}

#[test]
fn a_batch_reads_a_stream_once_and_the_next_one_what_came_since() {
    let stream = KinesisStream::new(2);
    let workshop = workshop(&stream.name);
    put(&stream, 0..2_000);
    run_well(&workshop, &["check", "kinesis.yaml"]);
    run_well(&workshop, &["run", "kinesis.yaml"]);
    workshop.check_posts(2_000);
    // Children of a split are read in the same batch as their parents.
    stream.split(&stream.open_shards()[0]);
    put(&stream, 2_000..3_000);
    let open = stream.open_shards();
    stream.merge(&open[1].0, &open[2].0);
    put(&stream, 3_000..3_500);
    run_well(&workshop, &["run", "kinesis.yaml"]);
    workshop.check_posts(3_500);
    run_well(&workshop, &["run", "kinesis.yaml"]);
    workshop.check_posts(3_500);
    // What was rejected says which record it was: by the decoder and by the plugin alike.
    for row in workshop.jsonl_rows("out/dead_letters") {
        let (place, number) = row["partition"].as_str().unwrap().rsplit_once('/').unwrap();
        assert!(place.starts_with(&format!("{}/shardId-", stream.name)) && number.len() > 50, "{row}");
        assert_eq!(row["position"], 0, "a plain record has one part");
    }
}

/// As many posts as the server takes beside its readers; every few seconds a shard is split, or two are merged, which is counted.
fn flow(name: &str, seed: u64) -> (Flow, Arc<AtomicU64>) {
    let changes = Arc::<AtomicU64>::default();
    let count = Arc::clone(&changes);
    let stream = std::mem::ManuallyDrop::new(KinesisStream::of(name));
    let (mut random, mut changed) = (Random::with_seed(seed), Instant::now());
    let send = move |posts: Range<u64>| {
        put(&stream, posts);
        if changed.elapsed() > Duration::from_secs(4) {
            let open = stream.open_shards();
            let at = random.below(open.len() as u64) as usize;
            match open.len() > 3 {
                true => stream.merge(&open[at.max(1) - 1].0, &open[at.max(1)].0),
                false => stream.split(&open[at]),
            }
            count.fetch_add(1, Ordering::Relaxed);
            changed = Instant::now();
        }
    };
    (Flow::start(100, Duration::from_millis(200), send), changes)
}

#[test]
fn a_stream_that_is_killed_again_and_again_while_shards_split_and_merge_loses_and_doubles_nothing() {
    let seed = number_from_environment("WASMILL_CRASH_SEED", u64::from(std::process::id()));
    println!("WASMILL_CRASH_SEED={seed}");
    let (mut random, mut killed) = (Random::with_seed(seed), BTreeMap::<String, u32>::new());
    let stream = KinesisStream::new(2);
    let workshop = workshop(&stream.name);
    let (flow, changes) = flow(&stream.name, seed);
    let changes = || changes.load(Ordering::Relaxed);
    let (wanted, deadline) =
        (number_from_environment("WASMILL_CRASH_KILLS", 2 * ENGINE_POINTS.len() as u64), Instant::now() + Duration::from_secs(120));
    // On, until the stream has changed often enough.
    for kill in (0..).take_while(|kill| *kill < wanted || (changes() < 3 && Instant::now() < deadline)) {
        let point = ENGINE_POINTS[kill as usize / 2 % ENGINE_POINTS.len()];
        let at_point = kill % 2 == 0;
        let mut command = wasmill(&workshop, &["run", "kinesis.yaml", "--mode", "stream"]);
        if at_point {
            // Each start passes some points once only.
            let passes = usize::from(!START_POINTS.contains(&point));
            command.env("FAILPOINTS", format!("{point}={passes}*off->return(kill)"));
        }
        let mut running = Running::spawn(command);
        let patience = if at_point { Duration::from_secs(60) } else { Duration::from_millis(random.below(2500)) };
        let died = running.ends_within(patience);
        let ended = running.kill();
        assert!(ended.code.is_none() && died == at_point, "{point}: {died} {:?}\n{}", ended.code, ended.stderr);
        *killed.entry(if at_point { point.to_owned() } else { "random".to_owned() }).or_default() += 1;
    }
    let (posts, changes) = (flow.end(), changes());
    run_well(&workshop, &["run", "kinesis.yaml", "--mode", "batch"]);
    workshop.check_posts(posts);
    assert!(changes >= 3, "{changes} splits and merges");
    println!("{posts} posts, {changes} splits and merges, kills: {killed:?}");
}

/// A pipeline from files into a stream.
fn sink_workshop(stream: &str) -> Workshop {
    let workshop = Workshop::new();
    let pipeline = format!(
        r#"
name: pins-to-kinesis
lanes: 2
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin, max_reject_share: 50% }}
sinks:
  pins_out:
    from: clean_pins
    kinesis:
      stream: {stream}
      delivery: at_least_once
      partition_key: ind
      connection: {{ endpoint: "{}", region: us-east-1 }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
"#,
        kinesis_address()
    );
    workshop.write("sink.yaml", &pipeline);
    workshop
}

/// How often each post lies in a stream.
fn in_stream(stream: &KinesisStream) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for data in stream.datas().into_iter().flatten() {
        let row: serde_json::Value = serde_json::from_str(&data).unwrap();
        *counts.entry(row["ind"].as_u64().unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn a_sink_loses_nothing_and_doubles_only_an_epoch_that_was_killed_after_it_was_put() {
    let stream = KinesisStream::new(2);
    let workshop = sink_workshop(&stream.name);
    let each =
        |posts: Range<u64>, times| expected(posts).table.into_iter().map(move |number| (number, times)).collect::<BTreeMap<_, u32>>();
    workshop.write("data/1.jsonl", &Pins(0..600).lines());
    run_well(&workshop, &["check", "sink.yaml"]);
    run_well(&workshop, &["run", "sink.yaml"]);
    assert_eq!(in_stream(&stream), each(0..600, 1));
    // A start that has nothing to do sends its last commit again, which has been put.
    run_well(&workshop, &["run", "sink.yaml"]);
    assert_eq!(in_stream(&stream), each(0..600, 1));
    workshop.write("data/2.jsonl", &Pins(600..700).lines());
    for point in ["engine-before-checkpoint", "engine-after-checkpoint"] {
        let mut command = wasmill(&workshop, &["run", "sink.yaml"]);
        command.env("FAILPOINTS", format!("{point}=return(kill)"));
        assert_eq!(Running::spawn(command).wait().code, None);
    }
    run_well(&workshop, &["run", "sink.yaml"]);
    assert_eq!(in_stream(&stream), each(0..700, 1), "what was not put is put once");
    workshop.write("data/3.jsonl", &Pins(700..800).lines());
    let mut command = wasmill(&workshop, &["run", "sink.yaml"]);
    command.env("FAILPOINTS", "kinesis-after-put=return(kill)");
    assert_eq!(Running::spawn(command).wait().code, None);
    run_well(&workshop, &["run", "sink.yaml"]);
    let mut all = each(0..700, 1);
    all.extend(each(700..800, 2));
    assert_eq!(in_stream(&stream), all, "what was put before the kill comes twice");
    let dead = workshop.dead_numbers("out/dead_letters");
    assert!(dead.iter().eq(&expected(0..800).dead), "dead letters come once");
}

#[test]
fn a_stream_ends_well_when_it_is_asked_to_and_a_batch_resumes_from_there() {
    let stream = KinesisStream::new(1);
    let workshop = workshop(&stream.name);
    let running = Running::spawn(wasmill(&workshop, &["run", "kinesis.yaml", "--mode", "stream"]));
    put(&stream, 0..1_000);
    let deadline = Instant::now() + Duration::from_secs(60);
    while workshop.delta_numbers("out/pin_table").len() < expected(0..1_000).table.len() {
        assert!(Instant::now() < deadline, "the rows come");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    put(&stream, 1_000..1_200);
    run_well(&workshop, &["run", "kinesis.yaml"]);
    workshop.check_posts(1_200);
}
