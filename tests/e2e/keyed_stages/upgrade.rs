//! A plugin that aggregates is replaced by other builds while its stage holds state, with kills around each upgrade: builds of one state version resume
//! with what the one before has kept, and a state of another version is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Post, assert_same_rows, change_checkpoint, send};
use crate::kafka_broker::{Producer, address, topic};
use crate::support::{Ended, Running, Workshop, plugin_folder, until};

const PIPELINE: &str = r#"
name: upgraded
mode: stream
epoch: { every: 100ms, rows: 200 }
batch_rows: 40
sources:
  posts:
    kafka: { connection: { brokers: "BROKERS" }, topics: [TOPIC] }
    schema: { ind: int64, category: text, time: timestamp, followers: int64 }
stages:
  once: { from: posts, dedup: { by: [ind], time: time, within: 30m, delay: 2m } }
  weighed:
    from: once
    select: { category: category, time: time, value: "CAST(followers AS DOUBLE)", weight: "CAST(1 + ind % 4 AS DOUBLE)" }
  means:
    from: weighed
    aggregate:
      by: [category]
      window: { tumbling: 10m, time: time, delay: 2m }
      compute: { posts: "count(*)", mean: { plugin: weighted-mean } }
sinks:
  means: { from: means, delta: { uri: out/means } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

/// Where the runs around the upgrades are killed: each follows one by another build, and reads what that has kept.
const POINTS: [&str; 8] = [
    "keyed-after-emit",
    "engine-after-claim",
    "keyed-after-run",
    "engine-before-checkpoint",
    "keyed-after-seal",
    "engine-after-checkpoint",
    "lane-after-batch",
    "delta-commit-before-log",
];

/// How many posts come before each start: some four windows.
const POSTS: usize = 320;

struct Upgrades {
    workshop: Workshop,
    topic: String,
    producer: Producer,
    posts: Vec<Post>,
    sent: usize,
    builds: u8,
    starts: usize,
}

impl Upgrades {
    fn new(posts: usize) -> Self {
        let (workshop, topic) = (Workshop::new(), topic(2));
        workshop.write("p.yaml", &PIPELINE.replace("BROKERS", &address()).replace("TOPIC", &topic));
        let mut upgrades =
            Self { workshop, topic, producer: Producer::new(&[]), posts: Post::keyed(51, posts as i64), sent: 0, builds: 0, starts: 0 };
        upgrades.upgrade();
        upgrades
    }

    /// Another build of the plugin takes the place of the one that is there: its code is the same, and its digest is another.
    fn upgrade(&mut self) {
        self.builds += 1;
        let mut component = std::fs::read(plugin_folder().join("weighted_mean.wasm")).unwrap();
        // A custom section: its kind, its length, and its name with the name's length.
        let name = b"build";
        component.extend([0, name.len() as u8 + 2, name.len() as u8]);
        component.extend(name);
        component.push(self.builds);
        std::fs::create_dir_all(self.workshop.path("plugins")).unwrap();
        std::fs::write(self.workshop.path("plugins/weighted_mean.wasm"), component).unwrap();
    }

    fn send(&mut self, count: usize) {
        let next = (self.sent + count).min(self.posts.len());
        send(&self.producer, &self.topic, &self.posts[self.sent..next]);
        self.sent = next;
    }

    fn start(&mut self, mode: &str, failpoints: &str) -> Running {
        let lanes = format!("lanes={}", [4, 1, 3][self.starts % 3]);
        self.starts += 1;
        let mut command = self.workshop.wasmill(&["run", "p.yaml", "--mode", mode, "--set", &lanes]);
        command.env("WASMILL_PLUGINS", self.workshop.path("plugins")).env("FAILPOINTS", failpoints);
        Running::spawn(command)
    }

    fn kill_at(&mut self, point: &str) {
        let passes = u32::from(point != "engine-after-claim" && self.starts % 2 == 1);
        let mut running = self.start("stream", &format!("{point}={passes}*off->return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none(), "{point} was never passed:\n{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("failpoint {point}: ")), "{point}: {}", ended.stderr);
    }

    fn shown(&self) -> String {
        let mut command = self.workshop.wasmill(&["state", "show", "p.yaml"]);
        command.env("WASMILL_PLUGINS", self.workshop.path("plugins"));
        Running::spawn(command).wait().stdout
    }

    /// Runs until the stage holds groups.
    fn hold_groups(&mut self) {
        let running = self.start("stream", "");
        until("groups in the state", || {
            self.shown().contains("stage means: holds") && !self.shown().contains("stage means: holds nothing")
        });
        running.signal(Signal::TERM);
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// Runs to the end of what was sent, which closes all windows.
    fn finish(mut self) {
        self.send(self.posts.len());
        let ended = self.start("batch", "").wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_same_rows(self.workshop.duckdb_rows("out/means"), means(&self.posts), "after all upgrades");
        assert_eq!(self.workshop.jsonl_rows("out/dead_letters"), Vec::<Value>::new());
    }
}

/// Per category and window: how many posts, and the mean of followers. Values and weights are whole numbers, so that their sums are exact.
fn means(posts: &[Post]) -> Vec<Value> {
    let mut groups: BTreeMap<(Option<&str>, i64), Vec<&Post>> = BTreeMap::new();
    posts.iter().for_each(|post| groups.entry((post.category, post.time.div_euclid(600) * 600)).or_default().push(post));
    let result = |((category, start), posts): ((Option<&str>, i64), Vec<&Post>)| {
        let known = || posts.iter().filter_map(|post| Some((post.followers?, 1 + post.ind % 4)));
        let weight: i64 = known().map(|(_, weight)| weight).sum();
        let weighted: i64 = known().map(|(value, weight)| value * weight).sum();
        json!({
            "category": category, "window_start": start * 1_000_000, "window_end": (start + 600) * 1_000_000,
            "posts": posts.len(), "mean": (weight > 0).then(|| weighted as f64 / weight as f64),
        })
    };
    groups.into_iter().map(result).collect()
}

#[test]
fn another_build_of_a_plugin_goes_on_with_the_state_wherever_it_is_killed() {
    let mut upgrades = Upgrades::new((POINTS.len() + 2) * POSTS);
    upgrades.send(POSTS);
    upgrades.hold_groups();
    for point in POINTS {
        upgrades.upgrade();
        upgrades.send(POSTS);
        upgrades.kill_at(point);
    }
    upgrades.upgrade();
    upgrades.finish();
}

/// Writes another state version into what a checkpoint says of its plugins.
fn set_state_version(value: &mut Value, version: u32) -> usize {
    match value {
        Value::Array(values) => values.iter_mut().map(|value| set_state_version(value, version)).sum(),
        Value::Object(entries) => {
            let known = entries.get_mut("state_version").map(|found| *found = version.into());
            usize::from(known.is_some()) + entries.values_mut().map(|value| set_state_version(value, version)).sum::<usize>()
        }
        _ => 0,
    }
}

#[test]
fn a_state_of_another_version_is_refused_with_the_way_out() {
    let mut upgrades = Upgrades::new(3 * POSTS);
    upgrades.send(POSTS);
    upgrades.hold_groups();
    let wrote = |upgrades: &Upgrades, version: u32| {
        change_checkpoint(&upgrades.workshop, "upgraded", |checkpoint| {
            let fingerprint = &mut checkpoint.stages.get_mut("means").unwrap().fingerprint;
            assert_eq!(set_state_version(fingerprint, version), 1, "{fingerprint}");
        });
    };
    let means_before = upgrades.workshop.duckdb_rows_if_any("out/means");
    wrote(&upgrades, 7);
    upgrades.upgrade();
    upgrades.send(POSTS);
    for mode in ["stream", "batch"] {
        let Ended { code, stderr, .. } = upgrades.start(mode, "").wait();
        assert_eq!(code, Some(5), "{stderr}");
        for told in ["error[state/other-stage]", "stage `means`", "state_version was 7 and is 0", "wasmill state drop-stage"] {
            assert!(stderr.contains(told), "{told}: {stderr}");
        }
    }
    assert_same_rows(upgrades.workshop.duckdb_rows_if_any("out/means"), means_before, "nothing was computed");
    wrote(&upgrades, 0);
    upgrades.finish();
}
