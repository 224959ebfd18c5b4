//! `pipelines/popularity.yaml` from Kafka and from Kinesis: exact against a model over the same posts, late ones included, and against a batch.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{DAY, assert_same_rows, seconds, time};
use crate::kafka_broker::{Producer, address, topic};
use crate::support::{Database, KinesisStream, Random, Running, Workshop, kinesis_address, repository, until};

const CATEGORIES: [Option<&str>; 4] = [Some("art"), Some("travel"), Some("tattoos"), None];
const POSTERS: [Option<&str>; 4] = [Some("Ann"), Some("Böb"), Some("User Info Error"), None];

struct Seen {
    /// Seconds since 1970.
    at: i64,
    category: Option<&'static str>,
    poster: Option<&'static str>,
    followers: &'static str,
}

impl Seen {
    fn some(count: i64) -> Vec<Self> {
        let mut random = Random::with_seed(51);
        let mut of = |index: i64| {
            // Most are some seconds late; every tenth is five minutes late, and changes windows that have closed.
            let late = random.below(50) as i64 + if index % 10 == 0 { 300 } else { 0 };
            Self {
                at: DAY + 7_200 + index * 20 - late,
                category: CATEGORIES[random.below(4) as usize],
                poster: POSTERS[random.below(4) as usize],
                followers: ["17", "5k", "2M", "User Info Error"][random.below(4) as usize],
            }
        };
        (0..count).map(&mut of).collect()
    }

    fn line(&self) -> String {
        json!({ "sent": time(self.at), "category": self.category, "poster_name": self.poster, "follower_count": self.followers })
            .to_string()
    }

    fn known_followers(&self) -> Option<i64> {
        match self.followers {
            "17" => Some(17),
            "5k" => Some(5_000),
            "2M" => Some(2_000_000),
            _ => None,
        }
    }
}

/// Windows of an hour that begin every ten minutes.
fn windows_of(at: i64) -> impl Iterator<Item = i64> {
    let first = at.div_euclid(600) * 600 + 600;
    (first..first + 3_600).step_by(600)
}

fn categories(seen: &[Seen]) -> Vec<Value> {
    let mut groups: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for (seen, category) in seen.iter().filter_map(|seen| Some((seen, seen.category?))) {
        windows_of(seen.at).for_each(|end| *groups.entry((category, end)).or_default() += 1);
    }
    let row = |((category, end), posts): ((&str, i64), i64)| json!({ "category": category, "window_start": (end - 3_600) * 1_000_000, "window_end": end * 1_000_000, "posts": posts });
    groups.into_iter().map(row).collect()
}

fn posters(seen: &[Seen]) -> Vec<Value> {
    let mut groups: BTreeMap<(&str, i64), (i64, Option<i64>)> = BTreeMap::new();
    let known = |seen: &Seen| seen.poster.filter(|poster| *poster != "User Info Error");
    for (seen, poster) in seen.iter().filter_map(|seen| Some((seen, known(seen)?))) {
        for end in windows_of(seen.at) {
            let group = groups.entry((poster, end)).or_default();
            *group = (group.0 + 1, group.1.max(seen.known_followers()));
        }
    }
    let row = |((poster, end), (posts, followers)): ((&str, i64), (i64, Option<i64>))| json!({ "poster": poster, "window_start": (end - 3_600) * 1_000_000, "window_end": end * 1_000_000, "posts": posts, "followers": followers });
    groups.into_iter().map(row).collect()
}

/// The rows of a table of Postgres, with times as DuckDB gives them.
fn rows_of(database: &Database, table: &str) -> Vec<Value> {
    if database.run(&format!("select to_regclass('{table}')")).trim().is_empty() {
        return Vec::new();
    }
    let micros = |column: &str| format!("'{column}', (extract(epoch from {column}) * 1000000)::bigint");
    let times = format!("jsonb_build_object({}, {})", micros("window_start"), micros("window_end"));
    let rows = database.run(&format!("select to_jsonb(t) || {times} from {table} as t"));
    rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs the pipeline as a stream until every window is there that can be, then as a batch.
fn check(workshop: &Workshop, seen: &[Seen], splits: usize, source: &[String]) {
    let database = Database::new();
    let pipeline = repository().join("pipelines/popularity.yaml");
    let common = ["stages.seen.select.at=sent", "sources.pins.schema.sent=timestamp", "epoch.every=100ms", "lanes=3"];
    let command = |more: &[&str]| {
        let set = source.iter().map(String::as_str).chain(common).flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["run", pipeline.to_str().unwrap()].into_iter().chain(set).chain(more.iter().copied()).collect();
        let mut command = workshop.wasmill(&arguments);
        command.env("PG_URL", database.url()).env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    };
    let latest = |split: usize| seen.iter().enumerate().filter(move |(index, _)| index % splits == split).map(|(_, seen)| seen.at).max();
    let watermark = (0..splits).filter_map(latest).min().unwrap() - 60;
    let closed = |rows: Vec<Value>| rows.into_iter().filter(|row| seconds(&row["window_end"]) <= watermark).collect::<Vec<_>>();
    let (expected_categories, expected_posters) = (closed(categories(seen)), closed(posters(seen)));
    assert!(expected_categories.len() > 50 && expected_posters.len() > 50);
    let posts = |rows: &[Value]| rows.iter().map(|row| row["posts"].as_i64().unwrap()).sum::<i64>();

    let running = Running::spawn(command(&[]));
    until("all windows that have closed", || {
        posts(&workshop.duckdb_rows_if_any("out/popularity/categories")) >= posts(&expected_categories)
            && posts(&rows_of(&database, "popular_posters")) >= posts(&expected_posters)
    });
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_same_rows(workshop.duckdb_rows("out/popularity/categories"), expected_categories.clone(), "categories in Delta");
    assert_same_rows(rows_of(&database, "popular_categories"), expected_categories, "categories in Postgres");
    assert_same_rows(workshop.duckdb_rows("out/popularity/posters"), expected_posters.clone(), "posters in Delta");
    assert_same_rows(rows_of(&database, "popular_posters"), expected_posters, "posters in Postgres");

    let moved = ["name=replay", "sinks.category_table.delta.uri=out/batch/categories", "sinks.poster_table.delta.uri=out/batch/posters"];
    let moved = moved.into_iter().chain(["sinks.category_rows.postgres.table=b_categories", "sinks.poster_rows.postgres.table=b_posters"]);
    let moved: Vec<&str> = ["--mode", "batch"].into_iter().chain(moved.flat_map(|set| ["--set", set])).collect();
    let ended = Running::spawn(command(&moved)).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_same_rows(workshop.duckdb_rows("out/batch/categories"), categories(seen), "categories of the batch");
    assert_same_rows(rows_of(&database, "b_posters"), posters(seen), "posters of the batch");
    assert_eq!(workshop.jsonl_rows("out/popularity/dead_letters").len(), 0);
}

#[test]
fn from_kafka() {
    let (workshop, seen, topic, producer) = (Workshop::new(), Seen::some(1_200), topic(2), Producer::new(&[]));
    for (index, seen) in seen.iter().enumerate() {
        producer.send(&topic, (index % 2) as i32, seen.line().as_bytes());
    }
    producer.flush();
    let source = [format!("sources.pins.kafka.connection.brokers={}", address()), format!("sources.pins.kafka.topics=[{topic}]")];
    check(&workshop, &seen, 2, &source);
}

#[test]
fn from_kinesis() {
    let (workshop, seen, stream) = (Workshop::new(), Seen::some(1_200), KinesisStream::new(1));
    stream.put(&seen.iter().map(|seen| ("key".to_owned(), seen.line())).collect::<Vec<_>>());
    let source = [
        "sources.pins.kafka=".to_owned(),
        format!("sources.pins.kinesis.stream={}", stream.name),
        format!("sources.pins.kinesis.connection={{ endpoint: \"{}\", region: us-east-1 }}", kinesis_address()),
    ];
    check(&workshop, &seen, 1, &source);
}
