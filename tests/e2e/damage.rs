//! What may happen to a pipeline's surroundings: full disks, damaged state, changed files, a second process.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::matrix::destination::Postgres;
use crate::matrix::mill::{Mill, State};
use crate::matrix::origin::Files;
use crate::support::{Ended, Pins, Running, Workshop, expected, until};

const PIPELINE: &str = r#"
name: damage
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
epoch: { rows: 2000 }
"#;

fn workshop(files: u64) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("damage.yaml", PIPELINE);
    (0..files).for_each(|file| add_file(&workshop, file));
    workshop
}

fn add_file(workshop: &Workshop, file: u64) {
    workshop.write(&format!("data/{file}.jsonl"), &Pins(file * 1000..(file + 1) * 1000).lines());
}

fn check(workshop: &Workshop, files: u64) {
    expected(0..files * 1000).check(&workshop.delta_rows("out/pin_table"), &workshop.jsonl_rows("out/dead_letters"));
}

fn assert_stopped(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    for text in texts {
        assert!(ended.stderr.contains(text), "expected `{text}` in:\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

fn newest_checkpoint(workshop: &Workshop) -> PathBuf {
    let entries = std::fs::read_dir(workshop.path(".wasmill/state/damage")).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("epoch-")).max().unwrap()
}

/// A file system of its own, taken down with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(at: PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &at);
        Self(at)
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
    assert!(status.success(), "mount {arguments:?} {}: {status} (these tests need root)", at.display());
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_state_stops_the_run_and_a_later_one_resumes() {
    let workshop = workshop(4);
    let full = Mount::new(workshop.path("state"), "size=8k");
    let filler = workshop.path("state/filler");
    std::fs::write(&filler, [0u8; 4096]).unwrap();
    let _ = std::fs::write(workshop.path("state/rest"), [0u8; 4096]);
    let ended = workshop.run(&["run", "damage.yaml", "--state", "state"]);
    assert_stopped(&ended, 5, &["No space left on device", "state"]);
    std::fs::remove_file(workshop.path("state/rest")).unwrap();
    std::fs::remove_file(filler).unwrap();
    mount(&["-o", "remount,size=16M"], &full.0);
    workshop.run_well(&["run", "damage.yaml", "--state", "state"]);
    check(&workshop, 4);
}

#[test]
fn a_full_disk_under_a_table_stops_the_run_and_a_later_one_resumes() {
    let workshop = workshop(4);
    let full = Mount::new(workshop.path("out"), "size=48k");
    let ended = workshop.run(&["run", "damage.yaml"]);
    assert_stopped(&ended, 5, &["No space left on device"]);
    mount(&["-o", "remount,size=64M"], &full.0);
    workshop.run_well(&["run", "damage.yaml"]);
    check(&workshop, 4);
}

#[test]
fn a_full_disk_under_the_spool_stops_the_run_and_a_later_one_resumes() {
    let mut mill = Mill::<Files, Postgres>::new(State::Disk);
    // An epoch that is larger than the disk, compressed as it is.
    let yaml = std::fs::read_to_string(mill.workshop.path("matrix.yaml")).unwrap();
    mill.workshop.write("matrix.yaml", &yaml.replace("every: 200ms, rows: 1500", "every: 60s, rows: 1000000"));
    mill.add(40_000);
    let full = Mount::new(mill.workshop.path(".wasmill"), "size=128k");
    let ended = mill.start("batch", "").wait();
    assert_stopped(&ended, 5, &["No space left on device", "spool"]);
    mount(&["-o", "remount,size=64M"], &full.0);
    mill.add(1_000);
    mill.finish();
    mill.check();
}

#[test]
fn a_read_only_state_folder_is_named() {
    let workshop = workshop(1);
    let _read_only = Mount::new(workshop.path("state"), "ro,size=64k");
    let ended = workshop.run(&["run", "damage.yaml", "--state", "state"]);
    assert_stopped(&ended, 5, &["Read-only file system", "state/damage", "--state"]);
    assert!(!workshop.path("out").exists(), "nothing was touched");
}

#[test]
fn a_truncated_checkpoint_is_never_guessed_at() {
    let workshop = workshop(3);
    workshop.run_well(&["run", "damage.yaml"]);
    let path = newest_checkpoint(&workshop);
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 10, bytes.len() / 2, bytes.len() - 2] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let ended = workshop.run(&["run", "damage.yaml"]);
        assert_stopped(&ended, 5, &["is damaged", path.file_name().unwrap().to_str().unwrap()]);
    }
    std::fs::write(&path, &bytes).unwrap();
    add_file(&workshop, 3);
    workshop.run_well(&["run", "damage.yaml"]);
    check(&workshop, 4);
}

#[test]
fn a_lost_state_folder_is_noticed_and_can_be_reset() {
    let workshop = workshop(2);
    workshop.run_well(&["run", "damage.yaml"]);
    std::fs::remove_dir_all(workshop.path(".wasmill/state")).unwrap();
    let ended = workshop.run(&["run", "damage.yaml"]);
    assert_stopped(&ended, 5, &["state and sink disagree: there is no state", "wasmill state adopt", "wasmill state reset"]);
    check(&workshop, 2);
    workshop.run_well(&["state", "reset", "damage.yaml"]);
    workshop.run_well(&["run", "damage.yaml"]);
    assert_eq!(workshop.delta_numbers("out/pin_table").len(), 2 * expected(0..2000).table.len(), "reset reads everything again");
}

#[test]
fn a_foreign_state_folder_is_noticed_and_the_sinks_can_be_adopted() {
    let workshop = workshop(2);
    workshop.run_well(&["run", "damage.yaml"]);
    // Another life of the same pipeline, into other sinks.
    let elsewhere =
        ["--state", "other", "--set", "sinks.pin_table.delta.uri=other_out/pin_table", "--set", "dead_letters.files.path=other_out/dead"];
    workshop.run_well(&[&["run", "damage.yaml"], &elsewhere[..]].concat());
    let ended = workshop.run(&["run", "damage.yaml", "--state", "other"]);
    assert_stopped(&ended, 5, &["state and sink disagree", "wasmill state adopt"]);
    check(&workshop, 2);
    workshop.run_well(&["state", "adopt", "damage.yaml", "--state", "other"]);
    add_file(&workshop, 2);
    workshop.run_well(&["run", "damage.yaml", "--state", "other"]);
    check(&workshop, 3);
}

#[test]
fn a_file_that_changed_under_its_checkpoint_stops_the_run() {
    let workshop = workshop(2);
    workshop.run_well(&["run", "damage.yaml"]);
    workshop.write("data/1.jsonl", &Pins(5000..6000).lines());
    let ended = workshop.run(&["run", "damage.yaml"]);
    assert_stopped(&ended, 5, &["data/1.jsonl", "changed"]);
    check(&workshop, 2);
}

#[test]
fn a_corrupted_plugin_cache_is_compiled_again() {
    let workshop = workshop(1);
    let cache = workshop.path("cache");
    let run = || {
        let mut command = workshop.wasmill(&["run", "damage.yaml"]);
        command.env("WASMILL_CACHE", &cache);
        Running::spawn(command).wait()
    };
    assert_eq!(run().code, Some(0));
    let artifacts: Vec<PathBuf> = walk(&cache);
    assert!(!artifacts.is_empty(), "the cache is empty");
    for artifact in &artifacts {
        let mut bytes = std::fs::read(artifact).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(artifact, bytes).unwrap();
    }
    add_file(&workshop, 1);
    let ended = run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    check(&workshop, 2);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_second_run_at_once_gets_the_holder_of_the_state() {
    let workshop = workshop(2);
    let first = Running::spawn(workshop.wasmill(&["run", "damage.yaml", "--mode", "stream"]));
    until("the first rows arrive", || !workshop.delta_rows("out/pin_table").is_empty());
    let second = workshop.run(&["run", "damage.yaml"]);
    assert_stopped(&second, 5, &["is running pipeline `damage`", "--state"]);
    first.signal(rustix::process::Signal::TERM);
    let ended = first.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    workshop.run_well(&["run", "damage.yaml"]);
    check(&workshop, 2);
}
