//! An ingest API, a batch into a bucket and a table, and a stream into Postgres: one plugin, the same rows.

use super::rows::{Rows, comparable};
use super::{Scenario, over_both};
use crate::keyed_stages::assert_same_rows;
use crate::support::until;

over_both!(run);

fn run(rows: Rows) {
    let mut scenario = Scenario::of("local", rows);
    scenario.run_through("Post");
    let expected = scenario.cleaned("pin");
    until("the stream has put every post into Postgres", || scenario.database.rows("pinterest").len() >= expected.len());
    scenario.run_to_the_end();
    let posted = scenario.landed(&format!("{}.pin", scenario.id)).len();
    assert_eq!(posted, scenario.lines("pin"), "every post is in the topic once");
    assert_same_rows(comparable(scenario.database.rows("pinterest")), expected.clone(), "Postgres");
    assert_same_rows(comparable(scenario.workshop.duckdb_rows("out/local/pinterest")), expected.clone(), "Delta");
    let dead = |part: &str| {
        let letters = scenario.workshop.jsonl_rows(&format!("out/local/dead_letters/{part}"));
        let mut told: Vec<String> =
            letters.iter().map(|letter| ["code", "column", "record"].map(|key| letter[key].to_string()).join(" ")).collect();
        told.sort();
        told
    };
    assert_eq!(dead("stream"), dead("clean"), "the same posts are rejected for the same reasons");
    assert_eq!(dead("land").len(), 0);
    let (rows, dead) = (expected.len(), dead("clean").len());
    scenario.report(&format!("{posted} posts, {rows} rows in Postgres and in Delta, {dead} dead letters of each"));
}
