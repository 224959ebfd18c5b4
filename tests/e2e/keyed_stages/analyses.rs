//! `pipelines/analyses` over real rows, compared with the results of another pipeline.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::assert_same_rows;
use crate::support::{Workshop, repository};

fn golden() -> PathBuf {
    std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from).expect("WASMILL_REAL_DATA names the folder of the real rows").join("golden")
}

/// A table of that pipeline, with the names of ours. Texts that look like numbers are numbers.
fn theirs(file: &Path, names: &[(&str, &str)]) -> Vec<Value> {
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
        let results: [(&str, &str, &[(&str, &str)]); 8] = [
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
