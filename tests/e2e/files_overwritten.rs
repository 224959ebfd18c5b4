//! The sink `files` with `write: overwrite`: each run replaces what the one before wrote, whenever a process ends.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, Workshop};

const PIPELINE: &str = r#"
name: counted
lanes: 3
batch_rows: 10
sources: { posts: { files: { path: "posts/*.jsonl" }, schema: { category: text, followers: int64 } } }
stages:
  # A run without results reads rows, too.
  known: { from: posts, filter: followers is not null }
  counts: { from: known, aggregate: { by: [category], compute: { posts: count(*), most: max(followers) } } }
sinks:
  counts: { from: counts, files: { path: out/counts, format: csv, write: overwrite } }
  parts: { from: known, files: { path: out/parts, format: csv, write: overwrite, partition_by: [category] } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

/// All moments of a commit at which a process can end, the first and the second sink's.
const POINTS: [(&str, u64); 9] = [
    ("engine-before-checkpoint", 0),
    ("engine-after-checkpoint", 0),
    ("files-commit-before-token", 0),
    ("files-commit-after-token", 0),
    ("files-commit-after-removal", 0),
    ("files-commit-after-rename", 0),
    ("files-commit-after-removal", 1),
    ("files-commit-after-rename", 1),
    ("sink-clean-up", 0),
];

fn workshop() -> Workshop {
    Workshop::of(&[("p.yaml", PIPELINE)])
}

/// Writes posts of some categories, and returns what the sinks have to hold.
fn posts(workshop: &Workshop, categories: &[&str], count: i64) -> [Vec<Value>; 2] {
    let post = |(index, category): (i64, &&str)| json!({ "category": category, "followers": index });
    let posts: Vec<Value> = (0..count).flat_map(|index| categories.iter().map(move |category| (index, category))).map(post).collect();
    workshop.write("posts/a.jsonl", &posts.iter().map(|post| format!("{post}\n")).collect::<String>());
    let counted = |category: &&str| json!({ "category": category, "posts": count.to_string(), "most": (count - 1).to_string() });
    let followers = posts.iter().map(|post| json!({ "followers": post["followers"].to_string() })).collect();
    [if count == 0 { Vec::new() } else { categories.iter().map(counted).collect() }, followers]
}

fn check(workshop: &Workshop, expected: &[Vec<Value>; 2], what: &str) {
    for (folder, expected) in ["out/counts", "out/parts"].iter().zip(expected) {
        crate::keyed_stages::assert_same_rows(workshop.csv_rows(folder), expected.clone(), &format!("{folder}, {what}"));
    }
}

/// The folders of partitions.
fn partitions(workshop: &Workshop) -> Vec<String> {
    let names = std::fs::read_dir(workshop.path("out/parts")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn each_run_replaces_what_the_one_before_wrote() {
    let workshop = workshop();
    for (categories, count) in
        [(&["art", "travel"][..], 50), (&["art", "it's, \"quoted\""], 20), (&["art"], 20), (&["art"], 0), (&["diy"], 3)]
    {
        let expected = posts(&workshop, categories, count);
        let ended = workshop.run_well(&["run", "p.yaml"]);
        assert!(!ended.stderr.contains("results-per-run"), "{}", ended.stderr);
        check(&workshop, &expected, &format!("{categories:?}, {count} of each"));
        let folders = if count == 0 { 0 } else { categories.len() };
        assert_eq!(partitions(&workshop).len(), folders, "folders of partitions without rows go: {:?}", partitions(&workshop));
    }
    // A state that was reset does not know the files any more, and the sink does.
    workshop.run_well(&["state", "reset", "p.yaml"]);
    let expected = posts(&workshop, &["art", "travel"], 9);
    workshop.run_well(&["run", "p.yaml"]);
    check(&workshop, &expected, "after a reset");
}

#[test]
fn a_run_that_is_killed_has_replaced_all_or_nothing() {
    for (point, passes) in POINTS {
        let workshop = workshop();
        let before = posts(&workshop, &["art", "travel"], 40);
        workshop.run_well(&["run", "p.yaml"]);
        let after = posts(&workshop, &["travel", "diy"], 30);
        let mut command = workshop.wasmill(&["run", "p.yaml"]);
        command.env("FAILPOINTS", format!("{point}={passes}*off->return(kill)"));
        let mut running = Running::spawn(command);
        let died = running.ends_within(Duration::from_secs(60));
        let ended = running.kill();
        assert!(died && ended.code.is_none() && ended.stderr.contains(&format!("failpoint {point}: ")), "{point}: {}", ended.stderr);
        if ["engine-before-checkpoint", "engine-after-checkpoint", "files-commit-before-token", "sink-clean-up"].contains(&point) {
            check(&workshop, &before, &format!("killed at {point}"));
        }
        // What was decided is finished first; then all of it is computed again.
        workshop.run_well(&["run", "p.yaml"]);
        check(&workshop, &after, &format!("after {point}"));
        let hidden = workshop.path("out/counts/.wasmill/counted.counts");
        let left: Vec<_> = std::fs::read_dir(&hidden).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "{point}");
    }
}

#[test]
fn files_of_others_stop_the_run_before_it_reads() {
    let stops = |workshop: &Workshop, file: &Path| {
        let ended = workshop.run(&["run", "p.yaml"]);
        assert_eq!(ended.code, Some(5), "{}", ended.stderr);
        assert!(ended.stderr.contains("error[files/other-files]") && ended.stderr.contains(file.to_str().unwrap()), "{}", ended.stderr);
    };
    let workshop = workshop();
    let first = posts(&workshop, &["art"], 5);
    workshop.run_well(&["run", "p.yaml"]);
    let foreign = workshop.write("out/parts/category=art/mine.csv", "followers\n7\n");
    let second = posts(&workshop, &["art"], 6);
    stops(&workshop, &foreign);
    std::fs::remove_file(&foreign).unwrap();
    check(&workshop, &first, "nothing was changed");
    workshop.run_well(&["run", "p.yaml"]);
    check(&workshop, &second, "the file is gone");

    // A sink that has appended: only its last epoch is known to be its own.
    let workshop = self::workshop();
    posts(&workshop, &["art"], 5);
    let append = ["--set", "sinks.counts.files.write=append", "--set", "sinks.parts.files.write=append"];
    let run = [&["run", "p.yaml"][..], &append].concat();
    workshop.run_well(&run);
    workshop.write("posts/b.jsonl", "{\"category\": \"diy\", \"followers\": 1}\n");
    workshop.run_well(&run);
    let ended = workshop.run(&["run", "p.yaml"]);
    assert!(ended.code == Some(5) && ended.stderr.contains("files/other-files"), "{}", ended.stderr);
}
