//! Rows of a database through a gateway into topics, objects and tables, and through Kinesis beside.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rows::{Rows, comparable};
use super::{Scenario, over_both};
use crate::keyed_stages::analyses::{assert_equal_tables, assert_golden};
use crate::keyed_stages::assert_same_rows;
use crate::support::{KinesisStream, repository, until};

over_both!(run);

fn run(rows: Rows) {
    let mut scenario = Scenario::of("legacy-and-stream", rows);
    scenario.run_through("Post");
    let table = |name: &str| format!("out/legacy/stream/{}_{name}_table", scenario.id);
    let topic = |name: &str| format!("{}.{name}", scenario.id);
    let user_table = table("user");
    until("the streams have begun to write", || {
        !scenario.workshop.duckdb_rows_if_any(&user_table).is_empty()
            && scenario.store.keys().iter().any(|key| key.contains("/partition=0/"))
    });
    let names = ["pin", "geo", "user"].map(|name| (name, table(name), topic(name)));
    scenario.run_to_the_end();
    for (name, table, topic) in names {
        assert_eq!(scenario.landed(&topic).len(), 4_000, "{topic}: every step of the emulator landed");
        let expected = scenario.cleaned(name);
        // So many steps pick every row of a table.
        assert_same_rows(comparable(scenario.workshop.duckdb_rows(&format!("out/legacy/{name}"))), expected.clone(), name);
        let put = put_numbers(&scenario, name);
        assert!(put.len() > 30 && put.len() < 60, "{} different rows of 60", put.len());
        let streamed = expected.into_iter().filter(|row| put.contains(&row["ind"].as_i64())).collect();
        assert_same_rows(comparable(scenario.workshop.duckdb_rows(&table)), streamed, &format!("{name} through Kinesis"));
    }
    assert_eq!(scenario.workshop.jsonl_rows("out/legacy/dead_letters").len(), 0);
    check_analyses(&scenario, rows);
    scenario.report("4,000 steps to Kafka and 60 to Kinesis; objects, tables and eight analyses");
}

/// The numbers of the rows in a stream.
fn put_numbers(scenario: &Scenario, name: &str) -> BTreeSet<Option<i64>> {
    // The scenario removes it.
    let stream = std::mem::ManuallyDrop::new(KinesisStream::of(&format!("streaming-{}-{name}", scenario.id)));
    let rows: Vec<Value> = stream.datas().concat().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(rows.len(), 60);
    rows.iter().map(|row| row.get("index").unwrap_or(&row["ind"]).as_i64()).collect()
}

fn check_analyses(scenario: &Scenario, rows: Rows) {
    if rows == Rows::Real {
        assert_golden(|table| scenario.workshop.duckdb_rows(&format!("out/analyses/{table}")), "legacy-and-stream");
        assert_golden(|table| scenario.workshop.csv_rows(&format!("out/analyses/csv/{table}")), "legacy-and-stream, CSV");
        return;
    }
    // The same analyses straight from the files from which the database was filled.
    let moved = crate::keyed_stages::analyses::moved_to("judge");
    let pipeline = repository().join("pipelines/analyses/analyses.yaml");
    let set = moved.iter().flat_map(|set| ["--set", set.as_str()]);
    let arguments: Vec<&str> = ["run", pipeline.to_str().unwrap(), "--quiet"].into_iter().chain(set).collect();
    scenario.workshop.run_well(&arguments);
    assert_equal_tables(&scenario.workshop, "judge", "analyses");
}
