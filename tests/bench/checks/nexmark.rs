//! The queries of Nexmark give the rows of DuckDB, as batches and as streams, with one lane and with several.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// 90 s, in one or two blocks of each split.
const EVENTS: &str = "90000";
const PER_SECOND: &str = "1000";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.current_dir(repository()).output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert!(output.status.success(), "{command:?}\n{}\n{}", said[0], said[1]);
    output
}

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wasmill-bench"))
}

/// The last line of a run with `--json`.
fn summary(output: &Output) -> serde_json::Value {
    let line = output.stdout.trim_ascii().rsplit(|byte| *byte == b'\n').next().unwrap();
    serde_json::from_slice::<serde_json::Value>(line).unwrap()["summary"].take()
}

/// Runs a query in each mode into empty tables, and compares them with DuckDB.
fn check(query: &str, sources: &[&str], settings: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    run(bench().args(["nexmark", "--events", EVENTS, "--per-second", PER_SECOND, "--out"]).arg(&events));
    for (mode, lanes) in [("batch", 2), ("stream", 1), ("stream", 3)] {
        let out = folder.path().join(format!("{mode}-{lanes}"));
        let mut mill = bench();
        let pipeline = format!("tests/bench/pipelines/nexmark/{query}.yaml");
        mill.args(["mill", "run", &pipeline, "--json", "--mode", mode, "--state"]).arg(out.join("state"));
        let mut set = |setting: String| {
            mill.args(["--set", &setting]);
        };
        for source in sources {
            set(format!("sources.{source}.nexmark.events={EVENTS}"));
            set(format!("sources.{source}.nexmark.per_second={PER_SECOND}"));
        }
        set(format!("lanes={lanes}"));
        set("epoch.rows=2000".to_owned());
        set(format!("sinks.results.delta.uri={}/table", out.display()));
        set(format!("dead_letters.files.path={}/dead_letters", out.display()));
        settings.iter().for_each(|setting| set((*setting).to_owned()));
        let summary = summary(&run(&mut mill));
        let epochs = summary["epochs"].as_u64().unwrap();
        assert!(mode == "batch" || epochs > 2, "{query} as a stream had {epochs} epochs: windows close at its end only");
        let late: Vec<_> = std::fs::read_dir(out.join("dead_letters")).into_iter().flatten().collect();
        assert!(late.is_empty(), "{query} as a {mode} has rejected rows: {late:?}");
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake and duckdb: `make test` sets it");
        run(Command::new(python).arg("tests/bench/baselines/nexmark_duckdb.py").arg(query).arg(&events).arg(out.join("table")));
    }
}

#[test]
fn q1_converts_prices() {
    check("q1", &["bids"], &[]);
}

#[test]
fn q2_picks_auctions() {
    check("q2", &["bids"], &[]);
}

#[test]
fn q3_joins_sellers_and_auctions() {
    check("q3", &["persons", "auctions"], &[]);
}

#[test]
fn q4_averages_winning_bids() {
    // At this rate an auction may be open for 3.4 s.
    check("q4", &["auctions", "bids"], &["stages.on_offers.join.within=4s"]);
}

#[test]
fn q5_finds_the_hottest_auctions() {
    check("q5", &["bids"], &[]);
}

#[test]
fn q7_finds_the_highest_bids() {
    check("q7", &["bids"], &[]);
}

#[test]
fn q8_finds_new_sellers() {
    check("q8", &["persons", "auctions"], &[]);
}

#[test]
fn bids_are_counted_per_auction_and_window() {
    check("bids-per-auction", &["bids"], &[]);
}

#[test]
fn an_aggregate_is_compared_with_a_run_that_reads_the_same_columns() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display();
    let pipeline = "tests/bench/pipelines/nexmark/no-aggregate.yaml";
    let sets = [
        "sources.bids.nexmark.events=10000".to_owned(),
        format!("sinks.results.delta.uri={out}/table"),
        format!("dead_letters.files.path={out}/dead"),
    ];
    let mut mill = bench();
    mill.args(["mill", "run", pipeline, "--json", "--state"]).arg(folder.path().join("state"));
    let output = run(mill.args(sets.iter().flat_map(|set| ["--set", set])));
    let summary = summary(&output);
    let nodes = summary["nodes"].as_array().unwrap();
    let filtered = nodes.iter().find(|node| node["name"] == "kept").unwrap();
    assert_eq!((&filtered["counts"]["rows_in"], &filtered["counts"]["rows_filtered"]), (&9_200.into(), &9_200.into()));
}
