//! `pipelines/s3-to-delta.yaml`: objects of Kafka Connect in, three tables and dead letters out.

use std::path::Path;

use crate::connect_layout::{deal, put_raw};
use crate::support::{Pins, Running, Store, Workshop, expected, repository};

/// Puts the rows of the workshop's folders as objects of three topics, two partitions each. Answers what to set.
pub fn put_topics(workshop: &Workshop, store: &Store) -> Vec<String> {
    let mut set = Vec::new();
    for table in ["pin", "geo", "user"] {
        let mut values = Vec::new();
        for entry in std::fs::read_dir(workshop.path(&format!("data/{table}"))).unwrap() {
            let text = std::fs::read(entry.unwrap().path()).unwrap();
            values.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        }
        assert!(!values.is_empty(), "there are rows of {table}");
        put_raw(store, workshop, &format!("pinterest.{table}"), &deal(&values, 2), 100);
        set.push(format!("sources.{table}s.s3.uri={}/topics/pinterest.{table}/**/*.json", store.prefix));
        set.push(format!("sources.{table}s.s3.connection.endpoint={}", std::env::var("WASMILL_TEST_S3").unwrap()));
    }
    set
}

/// Runs the shipped pipeline in the workshop.
fn run(workshop: &Workshop, set: &[String]) {
    let mut arguments = vec!["run", "s3-to-delta.yaml"];
    arguments.extend(set.iter().flat_map(|one| ["--set", one.as_str()]));
    let mut command = workshop.wasmill(&arguments);
    Store::environment(&mut command);
    command.env_remove("AWS_ENDPOINT_URL_S3");
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn objects_of_three_topics_become_three_tables() {
    let (workshop, store) = (Workshop::new(), Store::new());
    std::fs::copy(repository().join("pipelines/s3-to-delta.yaml"), workshop.path("s3-to-delta.yaml")).unwrap();
    workshop.run_well(&["emulate", "--out", "data", "--tables", "geo,user", "--rows", "700", "--seed", "7", "--dirt", "none"]);
    workshop.write("data/pin/a.jsonl", &Pins(0..900).lines());
    let set = put_topics(&workshop, &store);
    run(&workshop, &set);
    expected(0..900).check(&workshop.delta_rows("out/s3/pin_table"), &workshop.jsonl_rows("out/s3/dead_letters"));
    let counts = ["geo", "user"].map(|table| workshop.delta_rows(&format!("out/s3/{table}_table")).len());
    assert_eq!(counts, [700, 700]);
    // What was read is known: a second run writes nothing, and only new objects are read by the next.
    run(&workshop, &set);
    let more = Pins(900..1_000).lines().lines().map(str::to_owned).collect();
    put_raw(&store, &workshop, "pinterest.pin", &[Vec::new(), Vec::new(), more], 100);
    run(&workshop, &set);
    assert_eq!(workshop.delta_numbers("out/s3/pin_table").len(), crate::support::expected(0..1_000).table.len());
    assert!(Path::new(&workshop.path(".wasmill/state/s3-to-delta")).exists());
}
