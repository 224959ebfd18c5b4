//! A run that begins deep in a compressed file: it obeys while it passes over what was read, and then reads what follows.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;
use wasmill_engine::{Checkpoint, LocalState, Progress, SplitState, StateStore};
use wasmill_reading::{Identity, Position};

use crate::support::{Running, Workshop, until};

const PIPELINE: &str = r#"
name: deep
sources:
  logs: { files: { path: "data/*.jsonl.gz" }, schema: { index: int64 } }
sinks:
  rows: { from: logs, files: { path: out, format: jsonl } }
"#;

/// What was read: so many copies of a part of 16 MiB. It takes some seconds to unpack them.
const PARTS: u64 = 1024;

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A file of 16 GiB of which all but the last ten records have been read, as its checkpoint says.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("deep.yaml", PIPELINE);
    let line = b"{\"index\":12345}\n";
    let part = line.repeat(1 << 20);
    let read = PARTS * part.len() as u64;
    let part = packed(&part);
    let rest: String = (0..10).map(|index| format!("{{\"index\":{index}}}\n")).collect();
    let path = workshop.write("data/a.jsonl.gz", "");
    let mut file = std::fs::File::create(&path).unwrap();
    (0..PARTS).for_each(|_| file.write_all(&part).unwrap());
    file.write_all(&packed(rest.as_bytes())).unwrap();
    let (_, identity) = Identity::open(&path).unwrap();
    let position = Position { offset: read, file: identity, ended: false }.to_value();
    let progress = Progress::from([("data/a.jsonl.gz@all".into(), SplitState { position, done: false })]);
    let checkpoint = Checkpoint {
        pipeline: "deep".into(),
        incarnation: uuid::Uuid::now_v7(),
        epoch: 1,
        sources: BTreeMap::from([("logs".to_owned(), progress)]),
        sinks: BTreeMap::new(),
        stages: BTreeMap::new(),
    };
    LocalState::open(&workshop.path(".wasmill/state"), "deep").unwrap().put(&checkpoint).unwrap();
    workshop
}

#[test]
fn a_run_that_passes_over_gigabytes_ends_within_two_seconds_of_a_signal() {
    let workshop = workshop();
    let mut running = Running::spawn(workshop.wasmill(&["run", "deep.yaml"]));
    let claim = workshop.path(".wasmill/state/deep/epoch-0000000002.json");
    until("it claims its epoch", || claim.exists());
    assert!(!running.ends_within(Duration::from_millis(200)), "it is not through yet");
    running.signal(Signal::TERM);
    assert!(running.ends_within(Duration::from_secs(2)), "it obeys while it passes over what was read");
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped"), "{}", ended.stderr);
    assert!(workshop.jsonl_rows("out").is_empty(), "it was not through when it was told to stop");
    // And the next run reads what follows, and nothing else.
    workshop.run_well(&["run", "deep.yaml"]);
    let mut indices: Vec<i64> = workshop.jsonl_rows("out").iter().map(|row| row["index"].as_i64().unwrap()).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..10).collect::<Vec<_>>());
}

const MANY: &str = r#"
name: many
sources:
  logs: { files: { path: "data/*.jsonl" }, schema: { ind: int64 } }
sinks:
  rows: { from: logs, delta: { uri: out/rows } }
epoch: { rows: 300 }
lanes: 2
"#;

/// Thousands of small files, most of which have left the checkpoint by then, and kills around the moments at which they leave it.
#[test]
fn files_that_left_the_checkpoint_are_read_once_whatever_is_killed() {
    let workshop = Workshop::new();
    workshop.write("many.yaml", MANY);
    let mut files = 0;
    let mut add = |count: u64| {
        (files..files + count).for_each(|file| drop(workshop.write(&format!("data/{file:06}.jsonl"), &format!("{{\"ind\":{file}}}\n"))));
        files += count;
        files
    };
    add(1_500);
    for point in ["engine-before-checkpoint", "engine-after-checkpoint", "engine-after-commit"] {
        for passes in [0, 3] {
            let mut command = workshop.wasmill(&["run", "many.yaml"]);
            command.env("FAILPOINTS", format!("{point}={passes}*off->return(kill)"));
            let ended = Running::spawn(command).wait();
            assert_eq!(ended.code, None, "{point} kills: {}", ended.stderr);
            add(1_500);
        }
    }
    let all = add(1);
    workshop.run_well(&["run", "many.yaml"]);
    assert_eq!(workshop.delta_numbers("out/rows"), (0..all).collect::<Vec<_>>());
    let state = LocalState::open_read_only(&workshop.path(".wasmill/state"), "many").unwrap();
    let size = state.latest().unwrap().unwrap().encode().unwrap().len();
    assert!(size < 64 << 10, "a checkpoint of {size} bytes after {all} files");
    // A file that has left the checkpoint is still known: one that grows is read on, one that is another stops the run.
    workshop.write("data/000007.jsonl", "{\"ind\":7}\n{\"ind\":1000007}\n");
    workshop.run_well(&["run", "many.yaml"]);
    assert_eq!(workshop.delta_numbers("out/rows").last(), Some(&1_000_007));
    workshop.write("data/000009.jsonl", "{\"ind\":8}\n");
    let ended = workshop.run(&["run", "many.yaml"]);
    assert!(ended.code != Some(0) && ended.stderr.contains("000009.jsonl changed since it was read"), "{}", ended.stderr);
    assert_eq!(workshop.delta_rows("out/rows").len() as u64, all + 1);
}
