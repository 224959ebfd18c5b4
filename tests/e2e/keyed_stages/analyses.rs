//! `pipelines/analyses` over real rows, compared with the results of another pipeline.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::assert_same_rows;
use crate::kafka_broker::{Producer, address, topic};
use crate::support::{Running, Store, Workshop, repository};

fn golden() -> PathBuf {
    std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from).expect("WASMILL_REAL_DATA names the folder of the real rows").join("golden")
}

/// The name of a column there, and its name here.
type Renamed = (&'static str, &'static str);

/// A table of that pipeline, with the names of ours. Texts that look like numbers are numbers.
fn theirs(file: &Path, names: &[Renamed]) -> Vec<Value> {
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

/// Numbers of any type as floats.
fn ours(workshop: &Workshop, table: &str) -> Vec<Value> {
    let mut rows = workshop.duckdb_rows(&format!("out/analyses/{table}"));
    for value in rows.iter_mut().filter_map(Value::as_object_mut).flat_map(|row| row.values_mut()) {
        if let Some(number) = value.as_f64() {
            *value = json!(number);
        }
    }
    rows
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn the_analyses_of_real_rows_are_those_of_another_pipeline() {
    let golden = golden();
    for lanes in ["1", "2", "4"] {
        let workshop = Workshop::new();
        for table in ["pin", "geo", "user"] {
            let rows = std::fs::read_to_string(golden.join(format!("raw_{table}.jsonl"))).unwrap();
            workshop.write(&format!("data/{table}/raw.jsonl"), &rows);
        }
        let pipeline = repository().join("pipelines/analyses/analyses.yaml");
        let set = format!("lanes={lanes}");
        workshop.run_well(&["run", pipeline.to_str().unwrap(), "--set", &set]);
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
            assert_same_rows(ours(&workshop, table), expected, &format!("{table} with {lanes} lanes"));
        }
        // That pipeline kept one of the countries that tie.
        let top = ours(&workshop, "country_of_top_poster");
        let kept = theirs(&golden.join("q3b_country_of_top_user.csv"), &[]);
        assert!(kept.iter().all(|row| top.contains(row)), "{top:?}");
        let most = kept[0]["follower_count"].clone();
        let ties = theirs(&golden.join("q3a_followers_per_country_poster.csv"), &[]);
        let ties: std::collections::BTreeSet<String> =
            ties.iter().filter(|row| row["follower_count"] == most).map(|row| row["country"].to_string()).collect();
        assert_eq!(top.iter().map(|row| row["country"].to_string()).collect::<std::collections::BTreeSet<_>>(), ties);
    }
}

/// The tables of results.
const TABLES: [&str; 9] = [
    "category_per_country",
    "category_per_year",
    "followers_per_poster",
    "country_of_top_poster",
    "category_per_age",
    "followers_per_age",
    "users_per_joining_year",
    "followers_per_joining_year",
    "followers_per_age_and_joining_year",
];

/// Runs the analyses with some values set, and compares every result with that of the run over files.
fn same_as_from_files(workshop: &Workshop, name: &str, set: &[String]) {
    let tables = TABLES.iter().enumerate();
    let moved = tables.map(|(index, table)| {
        let sinks = ["q1_table", "q2_table", "q3a_table", "q3b_table", "q4_table", "q5_table", "q6_table", "q7_table", "q8_table"];
        format!("sinks.{}.delta.uri=out/{name}/{table}", sinks[index])
    });
    let set: Vec<String> = set.iter().cloned().chain(moved).chain([format!("name={name}")]).collect();
    let pipeline = repository().join("pipelines/analyses/analyses.yaml");
    let arguments = ["run", pipeline.to_str().unwrap()].into_iter().chain(set.iter().flat_map(|set| ["--set", set.as_str()]));
    let mut command = workshop.wasmill(&arguments.collect::<Vec<_>>());
    Store::environment(&mut command);
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    for table in TABLES {
        let ended = workshop.run_well(&["diff", &format!("out/analyses/{table}"), &format!("out/{name}/{table}")]);
        assert!(ended.stdout.contains("equal: "), "{name}, {table}: {}", ended.stdout);
        assert!(!workshop.duckdb_rows(&format!("out/{name}/{table}")).is_empty(), "{table} is empty");
    }
}

/// The rows of each table come from topics, objects or Delta tables, in another order and some of them twice: the results stay.
#[test]
fn the_analyses_give_the_same_wherever_the_rows_come_from() {
    let (workshop, store) = (Workshop::new(), Store::new());
    workshop.run_well(&["emulate", "--out", "data", "--rows", "1500", "--seed", "3"]);
    let pipeline = repository().join("pipelines/analyses/analyses.yaml");
    workshop.run_well(&["run", pipeline.to_str().unwrap()]);

    let producer = Producer::new(&[]);
    let (mut kafka, mut s3, mut delta) = (Vec::new(), Vec::new(), Vec::new());
    for (source, table) in [("pins", "pin"), ("geos", "geo"), ("users", "user")] {
        let lines: Vec<String> = workshop.text_lines(&format!("data/{table}")).into_iter().map(|line| line + "\n").collect();
        super::deal(&workshop, &format!("dealt/{table}"), &lines, 5);
        let topic = topic(3);
        for (index, line) in workshop.text_lines(&format!("dealt/{table}")).iter().enumerate() {
            producer.send(&topic, (index % 3) as i32, line.as_bytes());
        }
        kafka.push(format!("sources.{source}.files="));
        kafka.push(format!("sources.{source}.kafka.connection.brokers={}", address()));
        kafka.push(format!("sources.{source}.kafka.topics=[{topic}]"));
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
    producer.flush();
    let lanes = |set: Vec<String>, lanes: u32| set.into_iter().chain([format!("lanes={lanes}")]).collect::<Vec<_>>();
    same_as_from_files(&workshop, "from-kafka", &lanes(kafka.clone(), 1));
    same_as_from_files(&workshop, "from-kafka-again", &lanes(kafka, 2));
    same_as_from_files(&workshop, "from-s3", &lanes(s3, 2));
    workshop.run_well(&["run", repository().join("pipelines/pinterest-to-delta.yaml").to_str().unwrap()]);
    same_as_from_files(&workshop, "from-delta", &lanes(delta, 3));
}
