//! A process that sleeps while another takes over its pipeline, and wakes up late.

use rustix::process::Signal;

use crate::support::{Pins, Running, Workshop, expected};

const PIPELINE: &str = r#"
name: takeover
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins: { files: { path: "data/*.jsonl" } }
stages:
  clean_pins: { from: pins, plugin: clean-pin }
sinks:
  pin_table: { from: clean_pins, delta: { uri: out/pin_table } }
dead_letters:
  files: { path: out/dead_letters, format: jsonl }
epoch: { rows: 3000 }
"#;

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("takeover.yaml", PIPELINE);
    for file in 0..6 {
        workshop.write(&format!("data/{file}.jsonl"), &Pins(file * 2000..(file + 1) * 2000).lines());
    }
    workshop
}

fn check(workshop: &Workshop) {
    let expected = expected(0..12_000);
    assert!(workshop.delta_numbers("out/pin_table").iter().eq(&expected.table), "each row once in the table");
    assert!(workshop.dead_numbers("out/dead_letters").iter().eq(&expected.dead), "each reject once in the dead letters");
}

/// The first process stops itself at the point; its lock is taken from it, as an operator would who believes it dead; another one
/// finishes the pipeline; then the first wakes up.
fn sleep_at(point: &str) {
    let workshop = workshop();
    let mut command = workshop.wasmill(&["run", "takeover.yaml"]);
    command.env("FAILPOINTS", format!("{point}=1*off->return(stop)"));
    let sleeper = Running::spawn(command);
    sleeper.wait_until_stopped();

    let refused = workshop.run(&["run", "takeover.yaml"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(refused.stderr.contains("is running pipeline `takeover`"), "{}", refused.stderr);

    std::fs::remove_file(workshop.path(".wasmill/state/takeover/lock")).unwrap();
    workshop.run_well(&["run", "takeover.yaml"]);
    check(&workshop);

    sleeper.signal(Signal::CONT);
    let woken = sleeper.wait();
    assert_eq!(woken.code, Some(5), "{}", woken.stderr);
    assert!(woken.stderr.contains("another process has taken over") || woken.stderr.contains("fenced"), "{}", woken.stderr);
    check(&workshop);
    workshop.run_well(&["run", "takeover.yaml"]);
    check(&workshop);
}

#[test]
fn a_sleeper_before_its_checkpoint_is_fenced() {
    sleep_at("engine-before-checkpoint");
}

#[test]
fn a_sleeper_after_its_checkpoint_is_fenced() {
    sleep_at("engine-after-checkpoint");
}

#[test]
fn a_sleeper_in_the_middle_of_a_delta_commit_is_fenced() {
    sleep_at("delta-commit-before-log");
}

#[test]
fn a_sleeper_between_two_sinks_is_fenced() {
    sleep_at("engine-after-sink-commit");
}

#[test]
fn a_sleeper_in_the_middle_of_a_files_commit_is_fenced() {
    sleep_at("files-commit-after-rename");
}
