//! The sign of life of runs, and what `wasmill health` says about it.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Pins, Running, Workshop, until};

const PIPELINE: &str = r#"
name: pins
sources: { pins: { files: { path: "data/*.jsonl" } } }
sinks: { pin_files: { from: pins, files: { path: out/pins, format: jsonl } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
epoch: { every: 200ms }
"#;

fn workshop() -> Workshop {
    let workshop = Workshop::of(&[("pins.yaml", PIPELINE)]);
    workshop.write("data/a.jsonl", &Pins(0..300).lines());
    workshop
}

fn health(workshop: &Workshop, more: &[&str]) -> (Option<i32>, String) {
    let ended = workshop.run(&[&["health", "beat.json"][..], more].concat());
    (ended.code, ended.stdout + &ended.stderr)
}

#[test]
fn a_stream_is_healthy_while_it_works_and_not_when_it_is_stuck_or_gone() {
    let workshop = workshop();
    assert_eq!(health(&workshop, &[]).0, Some(1), "it has not begun");
    let stream = Running::spawn(workshop.wasmill(&["run", "pins.yaml", "--mode", "stream", "--heartbeat", "beat.json"]));
    until("it is ready", || health(&workshop, &["--ready"]).0 == Some(0));
    until("its rows are committed", || {
        let (_, text) = health(&workshop, &["--json"]);
        let beat: Value = serde_json::from_str(&text).unwrap();
        beat["heartbeat"]["committed_rows"] == 300
    });
    let (status, text) = health(&workshop, &["--max-age", "30s"]);
    assert_eq!((status, text.starts_with("pins: running")), (Some(0), true), "{text}");

    stream.signal(Signal::STOP);
    until("a stopped process is noticed", || health(&workshop, &["--max-age", "1s"]).0 == Some(1));
    let (_, text) = health(&workshop, &["--max-age", "1s"]);
    assert!(text.contains("the last sign of life is"), "{text}");
    stream.signal(Signal::CONT);
    until("it works again", || health(&workshop, &["--max-age", "30s"]).0 == Some(0));

    stream.signal(Signal::TERM);
    assert_eq!(stream.wait().code, Some(0));
    let (status, text) = health(&workshop, &[]);
    assert_eq!((status, text.as_str()), (Some(1), "pins: the run has ended\n"));
}

/// A commit that hangs has a thread of its own, so that the coordinator goes on: what was read and waits tells.
#[test]
fn a_stream_whose_commits_hang_is_not_healthy() {
    let workshop = workshop();
    let mut command = workshop.wasmill(&["run", "pins.yaml", "--mode", "stream", "--heartbeat", "beat.json"]);
    command.env("FAILPOINTS", "engine-after-checkpoint=1*off->sleep(60000)");
    workshop.write("data/b.jsonl", &Pins(300..600).lines());
    let stream = Running::spawn(command);
    let mut more = 600;
    until("the stall is noticed", || {
        more += 10;
        workshop.write(&format!("data/{more}.jsonl"), &Pins(more..more + 10).lines());
        let (status, text) = health(&workshop, &["--max-stall", "1s"]);
        status == Some(1) && text.contains("nothing was committed for")
    });
    assert_eq!(health(&workshop, &[]).0, Some(0), "it gives signs of life, and ten minutes have not passed");
    stream.kill();
}

#[test]
fn a_run_that_fails_and_a_file_that_is_none_are_said() {
    let workshop = workshop();
    let failed = workshop.run(&["run", "pins.yaml", "--heartbeat", "beat.json", "--set", "lanes=none"]);
    assert_eq!(failed.code, Some(2));
    assert_eq!(health(&workshop, &[]), (Some(1), "pins: the run has failed\n".into()));
    workshop.write("beat.json", "{}");
    let (status, text) = health(&workshop, &[]);
    assert_eq!(status, Some(5));
    assert!(text.contains("error[command/heartbeat]"), "{text}");
}
