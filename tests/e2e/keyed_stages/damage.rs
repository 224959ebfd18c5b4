//! Files of a keyed state that are changed, cut short, swapped or gone: the run stops and says so, whatever it would have computed.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::Post;
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
    change("two files that are swapped", &|files| {
        let aside = files[0].with_extension("aside");
        std::fs::rename(&files[0], &aside).unwrap();
        std::fs::rename(&files[1], &files[0]).unwrap();
        std::fs::rename(&aside, &files[1]).unwrap();
    });
}
