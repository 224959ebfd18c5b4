//! Files of a keyed state that are changed, cut short, swapped or gone: the run stops and says so, whatever it would have computed.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{Post, change_checkpoint};
use crate::support::{Running, Workshop, until};

const PIPELINE: &str = r#"
name: damaged
mode: stream
epoch: { every: 100ms }
sources: { posts: { files: { path: "posts/*.jsonl" }, schema: { ind: int64, category: text, time: timestamp, followers: int64 } } }
stages:
  once: { from: posts, dedup: { by: [ind] } }
  days: { from: once, aggregate: { by: [category], window: { tumbling: 1day, time: time }, compute: { COMPUTE } } }
sinks: { days: { from: days, files: { path: out/days, format: jsonl } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

/// Two runs of one stage, of equal length.
const TWINS: &str = r#"
name: twins
sources: { posts: { files: { path: "posts/*.jsonl" }, schema: { ind: int64, category: text } } }
stages: { once: { from: posts, dedup: { by: [ind] } } }
sinks: { posts: { from: once, files: { path: out/posts, format: jsonl } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

/// The files of keyed states, by name.
pub fn files(workshop: &Workshop) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "run") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&workshop.path(".wasmill"), &mut found);
    found.sort();
    found
}

/// A workshop whose state holds groups of both stages.
pub fn with_state() -> Workshop {
    with_state_of("posts: count(*)", "stage days: holds 5 keys in 1 files")
}

/// The same with another computation of the second one, whose state shows with these words.
pub fn with_state_of(compute: &str, shows: &str) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("p.yaml", &PIPELINE.replace("COMPUTE", compute));
    let posts = Post::some(61, 2_000);
    workshop.write("posts/a.jsonl", &posts.iter().map(Post::line).collect::<String>());
    let running = Running::spawn(workshop.wasmill(&["run", "p.yaml", "--set", "lanes=1"]));
    until("groups of both stages in the state", || {
        let shown = workshop.run(&["state", "show", "p.yaml"]).stdout;
        shown.contains("stage once: holds 2,000 keys") && shown.contains(shows)
    });
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, Some(0));
    assert!(files(&workshop).len() >= 2, "{:?}", files(&workshop));
    workshop
}

fn stops(workshop: &Workshop, what: &str) {
    let before = workshop.jsonl_rows("out/days").len();
    workshop.write("posts/b.jsonl", &Post::some(62, 2_500)[2_000..].iter().map(Post::line).collect::<String>());
    let ended = workshop.run(&["run", "p.yaml", "--mode", "batch"]);
    assert_eq!(ended.code, Some(5), "{what}: {}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("error[keyed/run-damaged]") || ended.stderr.contains("error[state/"), "{what}: {}", ended.stderr);
    assert_eq!(workshop.jsonl_rows("out/days").len(), before, "{what}");
}

#[test]
fn a_state_that_is_damaged_stops_the_run() {
    let change = |what: &str, damage: &dyn Fn(&[PathBuf])| {
        let workshop = with_state();
        damage(&files(&workshop));
        stops(&workshop, what);
    };
    for (name, at) in [("the header", 0.0), ("a block", 0.3), ("the footer", 0.97)] {
        change(name, &|files| {
            for file in files {
                let mut bytes = std::fs::read(file).unwrap();
                let at = (bytes.len() as f64 * at) as usize;
                bytes[at] ^= 0x10;
                std::fs::write(file, bytes).unwrap();
            }
        });
    }
    change("a file that is cut short", &|files| {
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }
    });
    change("a file that is gone", &|files| std::fs::remove_file(&files[0]).unwrap());
    change("two files that are swapped", &|files| swap(&files[0], &files[1]));
}

fn swap(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    std::fs::rename(one, &aside).unwrap();
    std::fs::rename(other, one).unwrap();
    std::fs::rename(&aside, other).unwrap();
}

/// A workshop whose state has runs with a key each, and two of them that are equally long.
fn with_twins() -> (Workshop, [PathBuf; 2]) {
    let workshop = Workshop::new();
    workshop.write("p.yaml", TWINS);
    // Lengths differ by a byte or two. Four runs would become one.
    for ind in 1..=3 {
        workshop.write(&format!("posts/{ind}.jsonl"), &line(ind));
        workshop.run_well(&["run", "p.yaml", "--set", "lanes=1"]);
    }
    let files = files(&workshop);
    assert_eq!(files.len(), 3, "{files:?}");
    let contents: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let pairs = [[0, 1], [0, 2], [1, 2]];
    let twins = pairs.into_iter().find(|[one, other]| contents[*one].len() == contents[*other].len());
    let twins = twins.unwrap_or_else(|| panic!("no equal lengths: {:?}", contents.iter().map(Vec::len).collect::<Vec<_>>()));
    assert_ne!(contents[twins[0]], contents[twins[1]]);
    let twins = twins.map(|twin| files[twin].clone());
    (workshop, twins)
}

fn line(ind: i64) -> String {
    format!("{{\"ind\":{ind},\"category\":\"art\"}}\n")
}

/// The numbers of the posts that have passed, sorted.
fn passed(workshop: &Workshop) -> Vec<i64> {
    let mut numbers: Vec<i64> = workshop.jsonl_rows("out/posts").iter().map(|row| row["ind"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// Nothing but the checkpoint tells them apart: neither their lengths, nor their columns, nor their own checksums.
#[test]
fn runs_of_one_stage_and_of_equal_length_that_are_swapped_stop_the_run() {
    let (workshop, [one, other]) = &with_twins();
    workshop.write("posts/4.jsonl", &(line(2) + &line(4)));
    let before = workshop.jsonl_rows("out/posts");
    swap(one, other);
    for lanes in ["lanes=1", "lanes=3"] {
        let ended = workshop.run(&["run", "p.yaml", "--set", lanes]);
        assert_eq!(ended.code, Some(5), "{lanes}: {}\n{}", ended.stdout, ended.stderr);
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let named = ended.stderr.contains(&name(one)) || ended.stderr.contains(&name(other));
        assert!(named && ended.stderr.contains("error[keyed/run-damaged]"), "{lanes}: {}", ended.stderr);
        for told in ["it holds another run than the checkpoint names", "stage once", "wasmill state drop-stage"] {
            assert!(ended.stderr.contains(told), "{lanes}: {told}: {}", ended.stderr);
        }
        assert_eq!(workshop.jsonl_rows("out/posts"), before, "{lanes}");
    }
    let shown = workshop.run(&["state", "show", "p.yaml"]).stdout;
    assert!(shown.contains("another run than the checkpoint names"), "{shown}");

    swap(one, other);
    workshop.run_well(&["run", "p.yaml"]);
    assert_eq!(passed(workshop), [1, 2, 3, 4]);
}

/// A copy of another run counts its rows twice and loses those of its own, if nobody notices.
#[test]
fn a_run_in_the_place_of_another_stops_a_run_whose_state_had_no_checksums() {
    let (workshop, [one, other]) = &with_twins();
    // As states were written before parts had checksums.
    change_checkpoint(workshop, "twins", |checkpoint| {
        let parts = checkpoint.stages.get_mut("once").unwrap().state.as_mut().unwrap();
        let parts = parts.as_array_mut().unwrap();
        assert_eq!(parts.len(), 3);
        parts.iter_mut().for_each(|part| assert!(part.as_object_mut().unwrap().remove("checksum").unwrap().is_u64()));
    });
    let whole = std::fs::read(one).unwrap();
    std::fs::copy(other, one).unwrap();
    workshop.write("posts/4.jsonl", &(1..=4).map(line).collect::<String>());
    let ended = workshop.run(&["run", "p.yaml"]);
    assert_eq!(ended.code, Some(5), "{}\n{}", ended.stdout, ended.stderr);
    for told in ["error[keyed/run-damaged]", "is not what was written", "its content does not match its digest", "stage once"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    std::fs::write(one, whole).unwrap();
    workshop.run_well(&["run", "p.yaml", "--set", "lanes=1"]);
    assert_eq!(passed(workshop), [1, 2, 3, 4]);
    // Once they have been read whole, they have checksums.
    change_checkpoint(workshop, "twins", |checkpoint| {
        let parts = checkpoint.stages["once"].state.clone().unwrap();
        assert!(parts.as_array().unwrap().iter().all(|part| part["checksum"].is_u64()), "{parts}");
    });
}
