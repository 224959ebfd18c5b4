//! Stages with keys in whole runs: duplicates, joins, aggregates, compared with what a naive model computes from the same rows.

pub mod analyses;
mod damage;
mod drained;
mod held;
mod plugins;
mod popularity;
mod postgres;
mod running;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wasmill_engine::Checkpoint;

use crate::kafka_broker::Producer;
use crate::support::{Random, Workshop};

/// A row of the left input.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    pub ind: i64,
    pub category: Option<&'static str>,
    /// Seconds since 1970.
    pub time: i64,
    pub followers: Option<i64>,
}

const CATEGORIES: [&str; 4] = ["art", "tattoos", "it's \"quoted\"", ""];

impl Post {
    /// Posts with distinct numbers, in the order of their numbers; times go up and down.
    pub fn some(seed: u64, count: i64) -> Vec<Self> {
        let mut random = Random::with_seed(seed);
        let mut post = |ind| Self {
            ind,
            category: CATEGORIES.get(random.below(5) as usize).copied(),
            time: DAY + ind * 7 + random.below(60) as i64,
            followers: (random.below(5) > 0).then(|| random.below(1_000) as i64 - 100),
        };
        (0..count).map(&mut post).collect()
    }

    /// The same, each with a category: one that a primary key can hold.
    pub fn keyed(seed: u64, count: i64) -> Vec<Self> {
        let known = |post: Self| Self { category: post.category.or(Some("none")), ..post };
        Self::some(seed, count).into_iter().map(known).collect()
    }

    pub fn line(&self) -> String {
        json!({ "ind": self.ind, "category": self.category, "time": time(self.time), "followers": self.followers }).to_string() + "\n"
    }
}

/// The day of all posts begins here, in seconds since 1970.
const DAY: i64 = 1_699_920_000;

/// A time of that day as posts have it.
pub fn time(seconds: i64) -> String {
    let of_day = seconds - DAY;
    assert!((0..86_400).contains(&of_day));
    format!("2023-11-14T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// A timestamp of a table, as DuckDB gives it, in seconds since 1970.
pub fn seconds(timestamp: &Value) -> i64 {
    timestamp.as_i64().unwrap_or_else(|| panic!("no timestamp: {timestamp}")) / 1_000_000
}

/// Writes rows into some files of a folder, in an order of chance, and some of them twice.
fn deal(workshop: &Workshop, folder: &str, lines: &[String], seed: u64) {
    let mut random = Random::with_seed(seed);
    let mut all: Vec<&String> = lines.iter().chain(lines.iter().filter(|_| random.below(4) == 0).collect::<Vec<_>>()).collect();
    let mut random = Random::with_seed(seed + 1);
    for index in (1..all.len()).rev() {
        all.swap(index, random.below(index as u64 + 1) as usize);
    }
    for (file, part) in all.chunks(all.len().div_ceil(5).max(1)).enumerate() {
        workshop.write(&format!("{folder}/{file}.jsonl"), &part.iter().map(|line| line.as_str()).collect::<String>());
    }
}

/// Fails with the rows that only one of them has, if they differ in more than their order.
pub fn assert_same_rows(found: Vec<Value>, expected: Vec<Value>, what: &str) {
    let (found, expected) = (sorted(found), sorted(expected));
    let difference = similar::TextDiff::from_lines(&expected.join("\n"), &found.join("\n")).unified_diff().context_radius(0).to_string();
    assert!(difference.is_empty(), "{what}: {} rows, {} expected\n{difference}", found.len(), expected.len());
}

/// Changes the newest checkpoint of a pipeline, which does not run.
fn change_checkpoint(workshop: &Workshop, pipeline: &str, change: impl FnOnce(&mut Checkpoint)) {
    let folder = workshop.path(&format!(".wasmill/state/{pipeline}"));
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("epoch-")).max().unwrap();
    let mut checkpoint = Checkpoint::decode(&std::fs::read(&newest).unwrap()).unwrap();
    change(&mut checkpoint);
    std::fs::write(newest, checkpoint.encode().unwrap()).unwrap();
}

/// Sends each post to a partition by its number, every fourth one twice.
pub fn send<'p>(producer: &Producer, topic: &str, posts: impl IntoIterator<Item = &'p Post>) {
    for post in posts {
        for _ in 0..=i64::from(post.ind % 4 == 0) {
            producer.send(topic, (post.ind % 2) as i32, post.line().trim().as_bytes());
        }
    }
    producer.flush();
}

/// Rows without the order in which they came.
pub fn sorted(mut rows: Vec<Value>) -> Vec<String> {
    rows.iter_mut().for_each(Value::sort_all_objects);
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

/// Per category and window of ten minutes: the window's bounds, rows, the sum and the median of followers.
pub fn windows(posts: &[Post]) -> Vec<Value> {
    let mut groups: BTreeMap<(Option<&str>, i64), Vec<Option<i64>>> = BTreeMap::new();
    for post in posts {
        groups.entry((post.category, post.time.div_euclid(600) * 600)).or_default().push(post.followers);
    }
    let result = |((category, start), followers): ((Option<&str>, i64), Vec<Option<i64>>)| {
        let mut known: Vec<i64> = followers.iter().copied().flatten().collect();
        known.sort_unstable();
        let median = (!known.is_empty()).then(|| (known[(known.len() - 1) / 2] + known[known.len() / 2]) as f64 / 2.0);
        json!({
            "category": category, "window_start": start * 1_000_000, "window_end": (start + 600) * 1_000_000,
            "posts": followers.len(), "sum": (!known.is_empty()).then(|| known.iter().sum::<i64>()), "median": median,
        })
    };
    groups.into_iter().map(result).collect()
}

const PIPELINE: &str = r#"
name: keyed
sources:
  posts: { files: { path: "posts/*.jsonl" }, schema: { ind: int64, category: text, time: timestamp, followers: int64 } }
  places: { files: { path: "places/*.jsonl" }, schema: { of: int64, country: text } }
stages:
  once: { from: posts, dedup: { by: [ind] } }
  once_places: { from: places, dedup: { by: [of, country] } }
  with_places: { join: { left: once, right: once_places, on: { ind: of }, how: HOW } }
  windows:
    from: once
    aggregate:
      by: [category]
      window: { tumbling: 10m, time: time }
      compute: { posts: "count(*)", sum: sum(followers), median: median(followers) }
sinks:
  joined: { from: with_places, delta: { uri: out/joined, write: overwrite } }
  results: { from: windows, delta: { uri: out/windows, write: overwrite } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

#[test]
fn results_depend_neither_on_lanes_nor_on_batches() {
    let posts = Post::some(5, 700);
    // Some posts have no place, some places have no post, and some posts have two places.
    let places: Vec<(i64, String)> =
        (100..900).flat_map(|of| (0..=i64::from(of % 10 == 0)).map(move |n| (of, format!("c{}", (of + n) % 7)))).collect();
    let lines: Vec<String> = places.iter().map(|(of, country)| format!("{}\n", json!({ "of": of, "country": country }))).collect();
    for (lanes, batch_rows, how) in [(1, 1_000, "inner"), (2, 7, "left"), (3, 1, "full"), (4, 100, "inner")] {
        let workshop = Workshop::new();
        deal(&workshop, "posts", &posts.iter().map(Post::line).collect::<Vec<_>>(), 11);
        deal(&workshop, "places", &lines, 12);
        workshop.write(
            "p.yaml",
            &format!("{}lanes: {lanes}\nbatch_rows: {batch_rows}\nepoch: {{ rows: 100 }}\n", PIPELINE.replace("HOW", how)),
        );
        let ended = workshop.run_well(&["run", "p.yaml", "--json"]);
        assert_same_rows(workshop.duckdb_rows("out/windows"), windows(&posts), &format!("{lanes} lanes, {batch_rows} rows"));

        let mut expected = Vec::new();
        for post in &posts {
            let partners: Vec<&String> = places.iter().filter(|(of, _)| *of == post.ind).map(|(_, country)| country).collect();
            let row = |country: Option<&String>| json!({ "ind": post.ind, "category": post.category, "time": post.time * 1_000_000, "followers": post.followers, "country": country });
            expected.extend(partners.iter().map(|country| row(Some(country))));
            expected.extend((partners.is_empty() && how != "inner").then(|| row(None)));
        }
        let known: BTreeSet<i64> = posts.iter().map(|post| post.ind).collect();
        let alone = places.iter().filter(|(of, _)| how == "full" && !known.contains(of));
        expected
            .extend(alone.map(|(of, country)| json!({ "ind": of, "category": null, "time": null, "followers": null, "country": country })));
        assert_same_rows(workshop.duckdb_rows("out/joined"), expected, &format!("{how} join"));
        assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), 0);
        check_invariant(&ended.stdout);
    }
}

/// `rows_in + rows_added = rows_out + rejected + filtered + aggregated`, at every stage.
pub fn check_invariant(events: &str) {
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let summary = events.into_iter().find(|event| event["event"] == "finished").unwrap();
    let nodes = summary["summary"]["nodes"].as_array().unwrap();
    for node in nodes.iter().filter(|node| node["kind"] == "stage") {
        let count = |key: &str| node["counts"][key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {node}"));
        let into = count("rows_in") + count("rows_added");
        let out = count("rows_out") + count("rows_rejected") + count("rows_filtered") + count("rows_aggregated");
        assert_eq!(into, out, "{node}");
        assert!(into > 0, "{node}");
    }
}

/// The keys of duplicates are known to the next run; an aggregate of an appending batch is about the rows of its run.
#[test]
fn the_next_batch_knows_the_duplicates_of_the_one_before() {
    let posts = Post::some(6, 300);
    let workshop = Workshop::new();
    let lines: Vec<String> = posts.iter().map(Post::line).collect();
    workshop.write("posts/a.jsonl", &lines[..200].concat());
    workshop.write(
        "p.yaml",
        "name: twice\nsources: { posts: { files: { path: 'posts/*.jsonl' } } }\nstages:\n  once: { from: posts, dedup: { by: [ind] } }\n  \
         counted: { from: once, aggregate: { compute: { posts: count(*) } } }\nsinks:\n  rows: { from: once, files: { path: out/rows, format: jsonl } }\n  \
         counts: { from: counted, files: { path: out/counts, format: jsonl } }\ndead_letters: { files: { path: out/dead_letters, format: jsonl } }\n",
    );
    let ended = workshop.run_well(&["run", "p.yaml"]);
    assert!(ended.stderr.contains("results-per-run"), "{}", ended.stderr);
    workshop.write("posts/b.jsonl", &lines[150..].concat());
    workshop.run_well(&["run", "p.yaml"]);
    let mut numbers: Vec<i64> = workshop.jsonl_rows("out/rows").iter().map(|row| row["ind"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<i64>>());
    assert_eq!(sorted(workshop.jsonl_rows("out/counts")), [r#"{"posts":100}"#, r#"{"posts":200}"#]);
    let state = workshop.run_well(&["state", "show", "p.yaml"]).stdout;
    assert!(state.contains("once") && state.contains("holds"), "{state}");
}
