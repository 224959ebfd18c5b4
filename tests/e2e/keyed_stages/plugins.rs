//! A plugin and expressions in one aggregate.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::json;

use super::{Post, check_invariant};
use crate::support::{Running, Workshop, until};

const PIPELINE: &str = r#"
name: weighted
epoch: { rows: 100 }
sources:
  posts: { files: { path: "posts/*.jsonl" }, schema: { ind: int64, category: text, time: timestamp, followers: int64 } }
stages:
  weighed:
    from: posts
    select: { category: category, value: "CAST(followers AS DOUBLE)", weight: "CAST(ind % 7 - 1 AS DOUBLE)", tenth: "100 / (ind % 10)" }
    max_reject_share: 100%
  means:
    from: weighed
    aggregate:
      by: [category]
      compute:
        posts: count(*)
        mean: { plugin: weighted-mean, limits: { memory: 64MiB } }
        tenths: sum(1000 / (tenth - 11))
    max_reject_share: 100%
sinks:
  means: { from: means, files: { path: out/means, format: jsonl } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

/// What a key computes.
#[derive(Default)]
struct Expected {
    posts: u64,
    weighted: f64,
    weights: f64,
    tenths: i64,
}

/// A row that the plugin rejects is not counted by the expressions, and the other way round.
#[test]
fn what_one_computation_rejects_is_in_none() {
    let posts = Post::some(41, 1_200);
    for (lanes, batch_rows) in [(1, 1_000), (2, 17), (4, 100)] {
        let workshop = Workshop::new();
        for (file, part) in posts.chunks(170).enumerate() {
            workshop.write(&format!("posts/{file}.jsonl"), &part.iter().map(Post::line).collect::<String>());
        }
        workshop.write("p.yaml", &format!("{PIPELINE}lanes: {lanes}\nbatch_rows: {batch_rows}\n"));
        let ended = workshop.run_well(&["run", "p.yaml", "--json"]);
        check_invariant(&ended.stdout);

        // 100 / (ind % 10) is 11 for 9, and nothing for 0; weights of -1 are refused where there is a value.
        let (mut groups, mut rejects): (BTreeMap<Option<&str>, Expected>, BTreeMap<&str, usize>) = Default::default();
        for post in &posts {
            let weight = (post.ind % 7 - 1) as f64;
            let code = match post.ind % 10 {
                // The plugin is asked last.
                0 | 9 => "sql-division-by-zero",
                _ if weight < 0.0 && post.followers.is_some() => "negative-weight",
                _ => {
                    let group = groups.entry(post.category).or_default();
                    group.posts += 1;
                    if let Some(followers) = post.followers {
                        group.weighted += followers as f64 * weight;
                        group.weights += weight;
                    }
                    group.tenths += 1000 / (100 / (post.ind % 10) - 11);
                    continue;
                }
            };
            *rejects.entry(code).or_default() += 1;
        }
        let mut dead: BTreeMap<String, usize> = BTreeMap::new();
        for row in workshop.jsonl_rows("out/dead_letters") {
            *dead.entry(row["code"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(dead, rejects.into_iter().map(|(code, count)| (code.to_owned(), count)).collect(), "{lanes} lanes");
        let rows = workshop.jsonl_rows("out/means");
        assert_eq!(rows.len(), groups.len());
        for row in rows {
            let columns: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!(columns, ["category", "posts", "mean", "tenths"], "in the order of the file");
            let Expected { posts: count, weighted: sum, weights, tenths } = &groups[&row["category"].as_str()];
            assert_eq!((&row["posts"], &row["tenths"]), (&json!(count), &json!(tenths)), "{row}");
            let mean = row["mean"].as_f64().unwrap();
            assert!((mean - sum / weights).abs() < 1e-9 * mean.abs().max(1.0), "{row}: {}", sum / weights);
        }
    }
}

/// A configuration is a part of what a state means: another one stops the run before it reads anything.
#[test]
fn a_state_of_another_configuration_is_refused() {
    let workshop = Workshop::new();
    let line =
        |hour: u32| json!({ "time": format!("2026-03-01T{hour:02}:00:00"), "value": 1.5, "weight": 1.0, "other": 2.0 }).to_string() + "\n";
    workshop.write("posts/a.jsonl", &(0..20).map(line).collect::<String>());
    let pipeline = |weight: &str| {
        format!(
            "name: changed\nmode: stream\nsources: {{ posts: {{ files: {{ path: 'posts/*.jsonl' }} }} }}\nstages:\n  means:\n    from: posts\n    aggregate:\n      \
             window: {{ tumbling: 1day, time: time }}\n      compute: {{ mean: {{ plugin: weighted-mean, config: {{ weight: {weight} }} }} }}\n\
             sinks: {{ means: {{ from: means, files: {{ path: out/means, format: jsonl }} }} }}\n\
             dead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}\nepoch: {{ every: 100ms }}\n"
        )
    };
    let holds = || workshop.run(&["state", "show", "p.yaml"]).stdout.contains("means: holds 1 keys in 1 files");
    let run_until_it_holds = || {
        let running = Running::spawn(workshop.wasmill(&["run", "p.yaml"]));
        until("groups in the state", holds);
        running.signal(Signal::TERM);
        assert_eq!(running.wait().code, Some(0));
    };
    workshop.write("p.yaml", &pipeline("weight"));
    run_until_it_holds();
    workshop.write("p.yaml", &pipeline("other"));
    let ended = workshop.run(&["run", "p.yaml"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("state/other-stage") && ended.stderr.contains("drop-stage"), "{}", ended.stderr);
    workshop.run_well(&["state", "drop-stage", "p.yaml", "means"]);
    assert!(!holds());
    workshop.write("posts/b.jsonl", &line(21));
    run_until_it_holds();
}

/// Rows of a key that are there no more could not be replaced: the run stops before it shows some that stay.
#[test]
fn several_rows_per_key_are_no_running_results() {
    let workshop = Workshop::new();
    workshop.write("posts/a.jsonl", &Post::some(43, 200).iter().map(Post::line).collect::<String>());
    let pipeline = |emit: &str| {
        format!(
            "name: several\nsources: {{ posts: {{ files: {{ path: 'posts/*.jsonl' }} }} }}\nstages:\n  frequent:\n    from: posts\n    aggregate:\n      \
             by: [category]\n      compute: {{ top: {{ plugin: mode, config: {{ value: {{ name: followers, type: int64 }}, k: 3 }} }} }}\n      emit: {emit}\n\
             sinks: {{ shown: {{ from: frequent, console: {{}} }} }}\ndead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}\n"
        )
    };
    workshop.write("p.yaml", &pipeline("every_epoch"));
    let ended = workshop.run(&["run", "p.yaml"]);
    assert_eq!(ended.code, Some(2), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("error[keyed/rows-per-key]: ") && ended.stderr.contains("stage frequent"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("followers"), "nothing is shown: {}", ended.stdout);
    workshop.write("p.yaml", &pipeline("at_close"));
    let ended = workshop.run_well(&["run", "p.yaml"]);
    assert!(ended.stdout.contains("followers") && ended.stdout.contains("count"), "{}", ended.stdout);
}
