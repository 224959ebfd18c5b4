//! Objects, a table and the state in MinIO, which lists uploads for a whole key only: kills at every point of a commit, and nothing is left over.

use crate::kafka_broker::variable;
use crate::support::{Ended, Pins, Running, Store, Workshop, expected};

const POINTS: [&str; 10] = [
    "engine-before-prepare",
    "engine-before-checkpoint",
    "engine-after-checkpoint",
    "delta-after-rename",
    "delta-commit-before-log",
    "delta-commit-after-log",
    "s3-commit-before-token",
    "s3-commit-after-token",
    "s3-commit-after-complete",
    "engine-after-commit",
];

const POSTS: u64 = 1_000;

fn run(workshop: &Workshop, store: &Store, failpoint: Option<&str>) -> Ended {
    let state = format!("{}/state", store.prefix);
    let mut command = workshop.wasmill(&["run", "pins.yaml", "--state", &state]);
    Store::environment(&mut command);
    let address = variable("WASMILL_TEST_MINIO");
    command.env("WASMILL_TEST_S3", &address).env("AWS_ENDPOINT_URL_S3", &address);
    if let Some(point) = failpoint {
        command.env("FAILPOINTS", format!("{point}=return(kill)"));
    }
    Running::spawn(command).wait()
}

#[test]
fn kills_at_every_point_of_a_commit_lose_nothing_and_leave_no_uploads() {
    let (workshop, store) = (Workshop::new(), Store::on(variable("WASMILL_TEST_MINIO")));
    let (prefix, options) = (&store.prefix, Store::options());
    let pipeline = format!(
        r#"
name: pins
mode: batch
lanes: 2
sources:
  pins: {{ files: {{ path: "data/*.jsonl" }} }}
stages:
  clean_pins: {{ from: pins, plugin: clean-pin }}
sinks:
  pin_table: {{ from: clean_pins, delta: {{ uri: "{prefix}/pin_table", connection: {options} }} }}
  pin_objects: {{ from: clean_pins, s3: {{ uri: "{prefix}/pins", format: jsonl, connection: {options} }} }}
dead_letters:
  s3: {{ uri: "{prefix}/dead_letters", format: jsonl, connection: {options} }}
"#
    );
    workshop.write("pins.yaml", &pipeline);
    let mut posts = 0;
    for point in POINTS {
        workshop.write(&format!("data/{posts}.jsonl"), &Pins(posts..posts + POSTS).lines());
        posts += POSTS;
        let killed = run(&workshop, &store, Some(point));
        assert!(killed.stderr.contains(&format!("failpoint {point}: ")), "{point} was never met: {}", killed.stderr);
    }
    store.age_notes();
    let ended = run(&workshop, &store, None);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    store.copy_to("dead_letters", &workshop.path("dead"));
    store.copy_to("pins", &workshop.path("objects"));
    let dead = workshop.jsonl_rows("dead");
    expected(0..posts).check(&store.delta_rows("pin_table"), &dead);
    expected(0..posts).check(&workshop.jsonl_rows("objects"), &dead);
    assert_eq!(store.pending_uploads(), Vec::<String>::new());
    let notes: Vec<String> = store.keys().into_iter().filter(|key| is_note(key)).collect();
    assert_eq!(notes, Vec::<String>::new(), "notes of uploads that are no more");
}

/// Notes lie in a folder beside the sink's token.
fn is_note(key: &str) -> bool {
    key.split_once("_wasmill/").is_some_and(|(_, rest)| rest.contains('/'))
}
