//! A run that begins deep in a compressed file: it obeys while it passes over what was read, and then reads what follows.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::Signal;
use wasmill_connectors::files::source::{Identity, Position};
use wasmill_engine::{Checkpoint, LocalState, Progress, SplitState, StateStore};

use crate::support::{Running, Workshop};

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
    };
    LocalState::open(&workshop.path(".wasmill/state"), "deep").unwrap().put(&checkpoint).unwrap();
    workshop
}

#[test]
fn a_run_that_passes_over_gigabytes_ends_within_two_seconds_of_a_signal() {
    let workshop = workshop();
    let mut running = Running::spawn(workshop.wasmill(&["run", "deep.yaml"]));
    let claim = workshop.path(".wasmill/state/deep/epoch-0000000002.json");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !claim.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(!running.ends_within(Duration::ZERO), "it is not through yet");
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
