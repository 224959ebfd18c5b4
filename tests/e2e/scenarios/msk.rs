//! JSON of a bucket with inferred columns, cleaned, joined and queried in SQL; and MSK's IAM as far as a broker here can judge it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rows::{Rows, comparable, golden_joined};
use super::{Scenario, over_both};
use crate::kafka_broker::{address, variable};
use crate::keyed_stages::analyses::{as_floats, golden, theirs};
use crate::keyed_stages::assert_same_rows;
use crate::support::{Running, Store, repository};

over_both!(run);

/// A result, as a golden file has it.
struct Median {
    table: &'static str,
    golden: &'static str,
    /// What the file calls the table's year.
    renamed: &'static [(&'static str, &'static str)],
}

const MEDIANS: [Median; 3] = [
    Median { table: "followers_per_age", golden: "q5_median_followers_per_age_group", renamed: &[] },
    Median {
        table: "followers_per_joining_year",
        golden: "q7_median_followers_per_joining_year",
        renamed: &[("post_year", "joining_year")],
    },
    Median {
        table: "followers_per_age_and_joining_year",
        golden: "q8_median_followers_per_age_group_and_joining_year",
        renamed: &[("post_year", "joining_year")],
    },
];

fn run(rows: Rows) {
    let mut scenario = Scenario::of("msk-and-databricks", rows);
    scenario.run_to_the_end();
    let table = |name: &str| scenario.workshop.duckdb_rows(&format!("out/databricks/{name}"));
    for (frame, name) in [("df_pin", "pin"), ("df_geo", "geo"), ("df_user", "user")] {
        let mut posted = scenario.workshop.jsonl_rows(&format!("data/{name}"));
        // The folders of the objects name a column, too.
        posted.iter_mut().for_each(|row| row["partition"] = json!(0));
        let compared = |rows| as_floats(comparable(raw_times_as_texts(rows)));
        assert_same_rows(compared(table(frame)), compared(posted), frame);
    }
    if rows == Rows::Real {
        assert_same_rows(comparable(table("joined")), golden_joined(), "the joined rows");
    } else {
        let analyses = repository().join("pipelines/analyses/analyses.yaml");
        scenario.workshop.run_well(&["run", analyses.to_str().unwrap(), "--quiet"]);
    }
    for Median { table: name, golden: file, renamed } in MEDIANS {
        let expected = match rows {
            Rows::Real => theirs(&golden().join(format!("{file}.csv")), renamed),
            Rows::Generated => as_floats(scenario.workshop.duckdb_rows(&format!("out/analyses/{name}"))),
        };
        assert!(!expected.is_empty(), "{name}");
        assert_same_rows(as_floats(table(name)), expected, name);
    }
    let joined = table("joined");
    assert_same_rows(
        as_floats(table("followers_per_age_and_post_year")),
        as_floats(by_age_and_post_year(&joined)),
        "by age and year of the post",
    );
    refused_with_a_token(&scenario);
    scenario.report(&format!("{} joined rows, medians by age group and year", joined.len()));
}

/// Raw rows with times in one form, as inference may read texts as times.
fn raw_times_as_texts(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        for column in ["timestamp", "date_joined"] {
            let text = row.get(column).and_then(Value::as_str).map(|text| text.replacen(' ', "T", 1));
            text.into_iter().for_each(|text| row[column] = json!(text));
        }
    }
    rows
}

/// The medians that a model computes from the joined rows.
fn by_age_and_post_year(joined: &[Value]) -> Vec<Value> {
    let mut groups: BTreeMap<(&str, i64), Vec<i64>> = BTreeMap::new();
    for row in joined {
        let age = match row["age"].as_i64() {
            Some(18..=24) => "18-24",
            Some(25..=35) => "25-35",
            Some(36..=50) => "36-50",
            Some(51..) => "50+",
            _ => continue,
        };
        let Some(time) = row["timestamp"].as_i64() else { continue };
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(time as u64);
        let year: i64 = humantime::format_rfc3339(time).to_string()[..4].parse().unwrap();
        if (2018..=2022).contains(&year) {
            groups.entry((age, year)).or_default().extend(row["follower_count"].as_i64());
        }
    }
    let median = |mut values: Vec<i64>| {
        values.sort_unstable();
        (!values.is_empty()).then(|| (values[(values.len() - 1) / 2] + values[values.len() / 2]) as f64 / 2.0)
    };
    let row = |((age, year), followers): ((&str, i64), Vec<i64>)| json!({ "age_group": age, "post_year": year, "median_follower_count": median(followers) });
    groups.into_iter().map(row).collect()
}

/// The pipeline with IAM, against a broker that judges tokens of its own kind only: the token gets there, and the run says who refused it.
fn refused_with_a_token(scenario: &Scenario) {
    let security = format!(
        "sources.topics.kafka.connection.security={{ tls: {{ ca: \"{}/ca.pem\" }}, auth: msk_iam, aws: {{ region: us-east-1 }} }}",
        variable("WASMILL_TEST_KAFKA_TLS")
    );
    let pipeline = "pipelines/scenarios/msk-and-databricks/land.yaml";
    let mut command = scenario.workshop.wasmill(&["run", pipeline, "--set", "name=with-iam", "--set", &security]);
    Store::environment(&mut command);
    command.env("PINTEREST_ID", &scenario.id).env("PINTEREST_BUCKET", format!("{}/iam", scenario.store.prefix));
    command.env("KAFKA_BROKERS", variable("WASMILL_TEST_KAFKA_SASL_SSL"));
    assert_ne!(variable("WASMILL_TEST_KAFKA_SASL_SSL"), address());
    let ended = Running::spawn(command).wait();
    assert!(ended.code == Some(5) && ended.stderr.contains("refuse the connection"), "{:?} {}", ended.code, ended.stderr);
    assert!(!ended.stderr.contains(&variable("WASMILL_TEST_S3_SECRET_KEY")), "{}", ended.stderr);
}
