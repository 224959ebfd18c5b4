//! Duplicates, windows and running results, killed at every moment of an epoch and started again with other numbers of lanes: exact, no window lost or
//! emitted twice.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{Post, assert_same_rows, seconds, windows};
use crate::kafka_broker::{Producer, address, topic};
use crate::matrix::KEYED_POINTS;
use crate::support::{Database, Random, Running, Store, Workshop, number_from_environment, until};

/// The other moments at which a process with keyed stages can end.
const ENGINE_POINTS: &[&str] = &[
    "lane-after-batch",
    "engine-before-prepare",
    "engine-before-checkpoint",
    "engine-after-checkpoint",
    "engine-after-sink-commit",
    "engine-after-claim",
];

/// In which order numbers of lanes follow one another.
const LANES: [&str; 3] = ["4", "1", "3"];

/// How many posts come before each kill: some four windows.
const POSTS: i64 = 320;

/// Where results go, and how they are read.
trait Place {
    /// The sink, and what the window emits.
    fn yaml(&self) -> (String, &'static str);
    /// What of the pipeline lies elsewhere.
    fn state(&self) -> Option<String> {
        None
    }
    fn rows(&self, workshop: &Workshop) -> Vec<Value>;
}

struct Kills<P: Place> {
    place: P,
    workshop: Workshop,
    topic: String,
    producer: Producer,
    posts: Vec<Post>,
    sent: i64,
    starts: usize,
}

impl<P: Place> Kills<P> {
    fn new(place: P, posts: i64) -> Self {
        let (workshop, topic) = (Workshop::new(), topic(2));
        let (sink, emit) = place.yaml();
        let state = place.state().map(|state| format!("state: {{ path: {state}, memory: 16MiB }}\n")).unwrap_or_default();
        let text = format!(
            r#"
name: killed
mode: stream
epoch: {{ every: 100ms, rows: 200 }}
batch_rows: 40
sources:
  posts:
    kafka: {{ connection: {{ brokers: "{}" }}, topics: [{topic}] }}
    schema: {{ ind: int64, category: text, time: timestamp, followers: int64 }}
stages:
  once: {{ from: posts, dedup: {{ by: [ind], time: time, within: 30m, delay: 2m }} }}
  # A join of a stream with itself: every row meets itself.
  pairs: {{ join: {{ left: once, right: followed, on: ind, within: 10m, time: {{ left: time, right: at }} }} }}
  followed: {{ from: once, select: {{ ind: ind, at: time, count: followers }} }}
  windows:
    from: pairs
    aggregate:
      by: [category]
      window: {{ tumbling: 10m, time: time, delay: 2m }}
      compute: {{ posts: "count(*)", sum: sum(count), median: median(count) }}
      emit: {emit}
sinks:
  results: {{ from: windows, {sink} }}
dead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}
{state}"#,
            address()
        );
        workshop.write("p.yaml", &text);
        let producer = Producer::new(&[]);
        Self { place, workshop, topic, producer, posts: Post::keyed(31, posts), sent: 0, starts: 0 }
    }

    fn send(&mut self, count: i64) {
        let posts = self.posts.iter().filter(|post| (self.sent..self.sent + count).contains(&post.ind));
        super::send(&self.producer, &self.topic, posts);
        self.sent = (self.sent + count).min(self.posts.len() as i64);
    }

    fn start(&mut self, failpoints: &str) -> Running {
        let lanes = format!("lanes={}", LANES[self.starts % LANES.len()]);
        self.starts += 1;
        let mut command = self.workshop.wasmill(&["run", "p.yaml", "--set", &lanes]);
        command.env("FAILPOINTS", failpoints);
        Store::environment(&mut command);
        Running::spawn(command)
    }

    fn at_point(&mut self, point: &str, passes: u64) {
        self.send(POSTS);
        let mut running = self.start(&format!("{point}={passes}*off->return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none(), "{point} was never passed {passes} times:\n{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("failpoint {point}: ")), "{point}: {}", ended.stderr);
    }

    fn at_random(&mut self, random: &mut Random) {
        self.send(POSTS);
        let mut running = self.start("");
        running.ends_within(Duration::from_millis(random.below(1_500)));
        running.kill();
    }

    /// Runs to the end of what was sent, and compares everything.
    fn finish(mut self) -> Workshop {
        self.send(self.posts.len() as i64);
        let latest = |partition: i64| self.posts.iter().filter(|post| post.ind % 2 == partition).map(|post| post.time).max().unwrap();
        // The delays of both stages with delays.
        let watermark = latest(0).min(latest(1)) - 240;
        let is_closed = |row: &Value| self.place.yaml().1 == "every_epoch" || seconds(&row["window_end"]) <= watermark;
        let expected: Vec<Value> = windows(&self.posts).into_iter().filter(is_closed).collect();
        let running = self.start("");
        until("all windows", || {
            let found = self.place.rows(&self.workshop);
            let posts = |rows: &[Value]| rows.iter().map(|row| row["posts"].as_i64().unwrap()).sum::<i64>();
            found.len() >= expected.len() && posts(&found) >= posts(&expected)
        });
        running.signal(Signal::TERM);
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_same_rows(self.place.rows(&self.workshop), expected, "after all kills");
        assert_eq!(self.workshop.jsonl_rows("out/dead_letters").len(), 0);
        self.workshop
    }
}

/// Every point once, or as many kills as `WASMILL_CRASH_KILLS` says, and some at random.
fn kill_everywhere<P: Place>(name: &str, place: P) {
    let mut random = Random::of(name);
    let wanted = number_from_environment("WASMILL_CRASH_KILLS", 0) as usize;
    let points: Vec<&str> = KEYED_POINTS.iter().chain(ENGINE_POINTS).copied().collect();
    let points: Vec<&str> = points.iter().copied().cycle().take(wanted.div_ceil(2).max(points.len())).collect();
    let at_random = (wanted / 2).max(2);
    let mut kills = Kills::new(place, (points.len() + at_random + 1) as i64 * POSTS);
    for (index, point) in points.iter().enumerate() {
        let passes = match *point {
            "engine-after-claim" => 0,
            _ => random.below(3),
        };
        kills.at_point(point, passes);
        if index < at_random {
            kills.at_random(&mut random);
        }
    }
    kills.finish();
}

struct DeltaOnDisk;

impl Place for DeltaOnDisk {
    fn yaml(&self) -> (String, &'static str) {
        ("delta: { uri: out/windows }".to_owned(), "at_close")
    }

    fn rows(&self, workshop: &Workshop) -> Vec<Value> {
        workshop.duckdb_rows_if_any("out/windows")
    }
}

/// Running results, and the state in a bucket.
struct DeltaUpserted(Store);

impl Place for DeltaUpserted {
    fn yaml(&self) -> (String, &'static str) {
        ("delta: { uri: out/windows, write: upsert, key: [category, window_start, window_end] }".to_owned(), "every_epoch")
    }

    fn state(&self) -> Option<String> {
        Some(format!("\"{}/state\"", self.0.prefix))
    }

    fn rows(&self, workshop: &Workshop) -> Vec<Value> {
        workshop.duckdb_rows_if_any("out/windows")
    }
}

struct PostgresUpserted(Database);

impl Place for PostgresUpserted {
    fn yaml(&self) -> (String, &'static str) {
        let key = "write: upsert, key: [category, window_start, window_end]";
        (format!("postgres: {{ connection: {{ url: \"{}\" }}, table: windows, {key} }}", self.0.url()), "every_epoch")
    }

    fn rows(&self, _: &Workshop) -> Vec<Value> {
        super::postgres::rows_of(&self.0, "windows")
    }
}

/// A process that slept between the exchange and the commit, while another one took its pipeline over, changes nothing when it wakes up.
#[test]
fn a_process_that_slept_between_exchange_and_commit_is_fenced() {
    for point in ["keyed-after-seal", "keyed-after-emit"] {
        let mut kills = Kills::new(DeltaUpserted(Store::new()), 4 * POSTS);
        kills.send(2 * POSTS);
        let sleeper = kills.start(&format!("{point}=3*off->1*return(stop)"));
        sleeper.wait_until_stopped();
        let workshop = kills.finish();
        let before = workshop.duckdb_rows("out/windows");
        sleeper.signal(Signal::CONT);
        let ended = sleeper.wait();
        assert_ne!(ended.code, Some(0), "{point}: it was taken over: {}", ended.stderr);
        assert_same_rows(workshop.duckdb_rows("out/windows"), before, point);
    }
}

#[test]
fn windows_into_delta_on_disk() {
    kill_everywhere("windows into delta", DeltaOnDisk);
}

#[test]
fn running_results_into_delta_with_the_state_in_a_bucket() {
    kill_everywhere("running results into delta", DeltaUpserted(Store::new()));
}

#[test]
fn running_results_into_postgres() {
    kill_everywhere("running results into postgres", PostgresUpserted(Database::new()));
}
