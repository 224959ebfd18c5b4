//! `pipelines/analyses` over real rows, compared with the results of another pipeline.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::assert_same_rows;
use crate::kafka_broker::{Producer, address, topic};
use crate::support::{Running, Store, Workshop, repository};

pub fn golden() -> PathBuf {
    std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from).expect("WASMILL_REAL_DATA names the folder of the real rows").join("golden")
}

/// The name of a column there, and its name here.
pub type Renamed = (&'static str, &'static str);

/// A table of that pipeline, with the names of ours. Texts that look like numbers are numbers.
pub fn theirs(file: &Path, names: &[Renamed]) -> Vec<Value> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let header: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(|name| names.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new).to_owned())
        .collect();
    let value = |text: &str| match text.parse::<f64>() {
        _ if text.is_empty() => Value::Null,
        Ok(number) => json!(number),
        Err(_) => json!(text),
    };
    let rows = reader.records().map(|record| header.iter().cloned().zip(record.unwrap().iter().map(value)).collect());
    rows.collect()
}

/// Numbers of any type as floats, and texts that look like numbers, too.
pub fn as_floats(mut rows: Vec<Value>) -> Vec<Value> {
    for value in rows.iter_mut().filter_map(Value::as_object_mut).flat_map(|row| row.values_mut()) {
        if let Some(number) = value.as_f64().or_else(|| value.as_str()?.parse().ok()) {
            *value = json!(number);
        }
    }
    rows
}

/// The raw rows of that pipeline.
pub fn golden_rows(workshop: &Workshop) {
    for table in ["pin", "geo", "user"] {
        let rows = std::fs::read_to_string(golden().join(format!("raw_{table}.jsonl"))).unwrap();
        workshop.write(&format!("data/{table}/raw.jsonl"), &rows);
    }
}

/// Fails unless the tables of results hold what that pipeline computed. `rows_of` reads one.
pub fn assert_golden(rows_of: impl Fn(&str) -> Vec<Value>, what: &str) {
    let (golden, ours) = (golden(), |table: &str| as_floats(rows_of(table)));
    let year = [("post_year", "joining_year")];
    let results: [(&str, &str, &[Renamed]); 8] = [
        ("q1_top_category_per_country", "category_per_country", &[]),
        ("q2_top_category_per_year", "category_per_year", &[]),
        ("q3a_followers_per_country_poster", "followers_per_poster", &[]),
        ("q4_top_category_per_age_group", "category_per_age", &[]),
        ("q5_median_followers_per_age_group", "followers_per_age", &[]),
        // That pipeline called every year `post_year`.
        ("q6_users_joined_per_year", "users_per_joining_year", &year),
        ("q7_median_followers_per_joining_year", "followers_per_joining_year", &year),
        ("q8_median_followers_per_age_group_and_joining_year", "followers_per_age_and_joining_year", &year),
    ];
    for (file, table, names) in results {
        let expected = theirs(&golden.join(format!("{file}.csv")), names);
        assert!(!expected.is_empty());
        assert_same_rows(ours(table), expected, &format!("{table}, {what}"));
    }
    // That pipeline kept one of the countries that tie.
    let top = ours("country_of_top_poster");
    let kept = theirs(&golden.join("q3b_country_of_top_user.csv"), &[]);
    assert!(kept.iter().all(|row| top.contains(row)), "{what}: {top:?}");
    let most = kept[0]["follower_count"].clone();
    let ties = theirs(&golden.join("q3a_followers_per_country_poster.csv"), &[]);
    let ties: std::collections::BTreeSet<String> =
        ties.iter().filter(|row| row["follower_count"] == most).map(|row| row["country"].to_string()).collect();
    assert_eq!(top.iter().map(|row| row["country"].to_string()).collect::<std::collections::BTreeSet<_>>(), ties, "{what}");
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn the_analyses_of_real_rows_are_those_of_another_pipeline() {
    for lanes in ["1", "2", "4"] {
        let workshop = Workshop::new();
        golden_rows(&workshop);
        let pipeline = repository().join("pipelines/analyses/analyses.yaml");
        let set = format!("lanes={lanes}");
        workshop.run_well(&["run", pipeline.to_str().unwrap(), "--set", &set]);
        assert_golden(|table| workshop.duckdb_rows(&format!("out/analyses/{table}")), &format!("{lanes} lanes"));
        assert_golden(|table| workshop.csv_rows(&format!("out/analyses/csv/{table}")), &format!("{lanes} lanes, CSV"));
        // Each run replaces what the one before has written.
        workshop.run_well(&["run", pipeline.to_str().unwrap(), "--set", "lanes=3"]);
        assert_golden(|table| workshop.csv_rows(&format!("out/analyses/csv/{table}")), "CSV of a second run");
    }
}

/// The results, each with what the names of its sinks begin with.
pub const TABLES: [(&str, &str); 9] = [
    ("q1", "category_per_country"),
    ("q2", "category_per_year"),
    ("q3a", "followers_per_poster"),
    ("q3b", "country_of_top_poster"),
    ("q4", "category_per_age"),
    ("q5", "followers_per_age"),
    ("q6", "users_per_joining_year"),
    ("q7", "followers_per_joining_year"),
    ("q8", "followers_per_age_and_joining_year"),
];

/// The values that move the results into a folder, under a name of its own.
pub fn moved_to(name: &str) -> Vec<String> {
    let tables = TABLES.iter().map(|(sink, table)| format!("sinks.{sink}_table.delta.uri=out/{name}/{table}"));
    let files = TABLES.iter().map(|(sink, table)| format!("sinks.{sink}_csv.files.path=out/{name}/csv/{table}"));
    tables.chain(files).chain([format!("name={name}")]).collect()
}

/// The analyses with some values set.
pub fn analyses(workshop: &Workshop, set: &[String], more: &[&str]) -> Command {
    let pipeline = repository().join("pipelines/analyses/analyses.yaml");
    let arguments = ["run", pipeline.to_str().unwrap()].into_iter().chain(set.iter().flat_map(|set| ["--set", set.as_str()]));
    let mut command = workshop.wasmill(&arguments.chain(more.iter().copied()).collect::<Vec<_>>());
    Store::environment(&mut command);
    command
}

/// Fails unless two folders of results are equal, and none is empty. The CSV files have the rows of the tables.
pub fn assert_equal_tables(workshop: &Workshop, expected: &str, found: &str) {
    for (_, table) in TABLES {
        let ended = workshop.run_well(&["diff", &format!("out/{expected}/{table}"), &format!("out/{found}/{table}")]);
        assert!(ended.stdout.contains("equal: "), "{found}, {table}: {}", ended.stdout);
        let rows = as_floats(workshop.duckdb_rows(&format!("out/{found}/{table}")));
        assert!(!rows.is_empty(), "{table} is empty");
        assert_same_rows(as_floats(workshop.csv_rows(&format!("out/{found}/csv/{table}"))), rows, &format!("{table} of {found} as CSV"));
    }
}

/// Runs the analyses with some values set, and compares every result with that of the run over files.
fn same_as_from_files(workshop: &Workshop, name: &str, set: &[String]) {
    let set: Vec<String> = set.iter().cloned().chain(moved_to(name)).collect();
    let ended = Running::spawn(analyses(workshop, &set, &[])).wait();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    assert_equal_tables(workshop, "analyses", name);
}

/// The sources of the analyses, each with its table.
const SOURCES: [(&str, &str); 3] = [("pins", "pin"), ("geos", "geo"), ("users", "user")];

/// Sends the rows of the files in `data` to topics, in an order of chance and some of them twice. Returns the values that let the analyses read them.
pub fn send_to_topics(workshop: &Workshop, seed: u64) -> Vec<String> {
    let (producer, mut set) = (Producer::new(&[]), Vec::new());
    for (source, table) in SOURCES {
        let lines: Vec<String> = workshop.text_lines(&format!("data/{table}")).into_iter().map(|line| line + "\n").collect();
        super::deal(workshop, &format!("dealt/{table}"), &lines, seed);
        let topic = topic(3);
        for (index, line) in workshop.text_lines(&format!("dealt/{table}")).iter().enumerate() {
            producer.send(&topic, (index % 3) as i32, line.as_bytes());
        }
        set.push(format!("sources.{source}.files="));
        set.push(format!("sources.{source}.kafka.connection.brokers={}", address()));
        set.push(format!("sources.{source}.kafka.topics=[{topic}]"));
    }
    producer.flush();
    set
}

/// The rows of each table come from topics, objects or Delta tables, in another order and some of them twice: the results stay.
#[test]
fn the_analyses_give_the_same_wherever_the_rows_come_from() {
    let (workshop, store) = (Workshop::new(), Store::new());
    workshop.run_well(&["emulate", "--out", "data", "--rows", "1500", "--seed", "3"]);
    let pipeline = repository().join("pipelines/analyses/analyses.yaml");
    workshop.run_well(&["run", pipeline.to_str().unwrap()]);

    let (kafka, mut s3, mut delta) = (send_to_topics(&workshop, 5), Vec::new(), Vec::new());
    for (source, table) in SOURCES {
        let files: Vec<PathBuf> =
            std::fs::read_dir(workshop.path(&format!("dealt/{table}"))).unwrap().map(|file| file.unwrap().path()).collect();
        let objects: Vec<(PathBuf, String)> =
            files.into_iter().map(|file| (file.clone(), format!("{table}/{}", file.file_name().unwrap().to_str().unwrap()))).collect();
        store.put(&objects);
        s3.push(format!("sources.{source}.files="));
        s3.push(format!("sources.{source}.s3.uri={}/{table}/", store.prefix));
        s3.push(format!("sources.{source}.s3.connection={}", Store::options()));
        s3.push(format!("sources.{source}.s3.format=jsonl"));
        delta.push(format!("sources.{source}.files="));
        delta.push(format!("sources.{source}.delta.uri=out/pinterest/{table}_table"));
        delta.push(format!("stages.clean_{source}.plugin="));
        delta.push(format!("stages.clean_{source}.filter=\"true\""));
    }
    let lanes = |set: Vec<String>, lanes: u32| set.into_iter().chain([format!("lanes={lanes}")]).collect::<Vec<_>>();
    same_as_from_files(&workshop, "from-kafka", &lanes(kafka.clone(), 1));
    same_as_from_files(&workshop, "from-kafka-again", &lanes(kafka, 2));
    same_as_from_files(&workshop, "from-s3", &lanes(s3, 2));
    workshop.run_well(&["run", repository().join("pipelines/pinterest-to-delta.yaml").to_str().unwrap()]);
    same_as_from_files(&workshop, "from-delta", &lanes(delta, 3));
}
