//! Kills at every point of an epoch and at random, while files still arrive.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{add_file, check, workshop};
use crate::support::{Database, Running, Workshop};

/// Every point at which an epoch can be cut off, and how often it is passed before the kill. Each commit point is met for the first sink and for the
/// dead letters behind it.
const POINTS: [(&str, &str); 12] = [
    ("lane-after-batch", "3*off->"),
    ("engine-before-prepare", "1*off->"),
    ("engine-before-checkpoint", "1*off->"),
    ("engine-after-checkpoint", "1*off->"),
    ("postgres-commit-before-copy", "2*off->"),
    ("postgres-commit-before-copy", "1*off->"),
    ("postgres-commit-before-commit", "2*off->"),
    ("postgres-commit-before-commit", "1*off->"),
    ("postgres-commit-after-commit", "2*off->"),
    ("postgres-commit-after-commit", "1*off->"),
    ("engine-after-sink-commit", "2*off->"),
    ("engine-after-commit", "1*off->"),
];

fn start(workshop: &Workshop, database: &Database, mode: &str, failpoints: &str) -> Running {
    let mut command = workshop.wasmill(&["run", "pipeline.yaml", "--mode", mode]);
    command.env("PG_URL", database.url()).env("FAILPOINTS", failpoints);
    Running::spawn(command)
}

/// A number that looks random and is the same in every run of a seed.
fn mixed(seed: u64) -> u64 {
    let value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (value ^ (value >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

fn killed_again_and_again(mode: &str) {
    let seed = std::env::var("WASMILL_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(u64::from(std::process::id()));
    println!("{mode}: WASMILL_CRASH_SEED={seed}");
    let (workshop, database) = (workshop(0), Database::new());
    let (mut files, mut kills) = (0, BTreeMap::<String, u32>::new());
    for (index, (point, after)) in POINTS.iter().enumerate() {
        // Enough new rows that every point is passed.
        (0..4).for_each(|file| add_file(&workshop, files + file));
        files += 4;
        let mut running = start(&workshop, &database, mode, &format!("{point}={after}return(kill)"));
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none() && ended.stderr.contains(&format!("failpoint {point}")), "{point}:\n{}", ended.stderr);
        *kills.entry((*point).to_owned()).or_default() += 1;

        add_file(&workshop, files);
        files += 1;
        let mut running = start(&workshop, &database, mode, "");
        let finished = running.ends_within(Duration::from_millis(mixed(seed + index as u64) % 700));
        let ended = running.kill();
        assert!(!finished || ended.code == Some(0), "{}", ended.stderr);
        *kills.entry(if finished { "finished" } else { "random" }.to_owned()).or_default() += 1;
    }
    let ended = start(&workshop, &database, "batch", "").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    println!("{mode}: {files} files, {kills:?}");
    check(&database, files);
    assert_eq!(spooled(&workshop), 0, "the spool is empty when everything is committed");
}

fn spooled(workshop: &Workshop) -> usize {
    let folders = std::fs::read_dir(workshop.path(".wasmill/state/to-postgres/spool")).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn a_batch_into_postgres_that_is_killed_loses_and_doubles_nothing() {
    killed_again_and_again("batch");
}

#[test]
fn a_stream_into_postgres_that_is_killed_loses_and_doubles_nothing() {
    killed_again_and_again("stream");
}

#[test]
fn two_sinks_killed_between_their_commits_agree_in_the_end() {
    let (workshop, database) = (workshop(4), Database::new());
    let both = super::PIPELINE.replace(
        "dead_letters:\n  postgres: { url: \"${env:PG_URL}\", table: dead_letters }",
        "  a_lake:\n    from: clean_pins\n    delta: { uri: out/lake }\n  the_lake:\n    from: clean_pins\n    delta: { uri: out/other }\ndead_letters:\n  postgres: { url: \"${env:PG_URL}\", table: dead_letters }",
    );
    assert!(both.contains("out/lake"));
    workshop.write("pipeline.yaml", &both);
    // Sinks commit in the order of their names: a kill falls behind each of them in turn.
    for passed in 0..4 {
        let mut running = start(&workshop, &database, "batch", &format!("engine-after-sink-commit={passed}*off->return(kill)"));
        assert!(running.ends_within(Duration::from_secs(60)));
        let ended = running.kill();
        assert!(ended.code.is_none() && ended.stderr.contains("failpoint engine-after-sink-commit"), "{}", ended.stderr);
        add_file(&workshop, 4 + passed);
    }
    let ended = start(&workshop, &database, "batch", "").wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    check(&database, 8);
    let table = database.posts().0;
    assert_eq!(workshop.delta_numbers("out/lake"), table);
    assert_eq!(workshop.delta_numbers("out/other"), table);
}
