//! `wasmill state`: it works while plugins are broken and servers are down, and it renames sources.

use crate::support::{Ended, Pins, Workshop, expected};

const PIPELINE: &str = r#"
name: mended
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

/// The same pipeline when nothing of it works but its state and its sinks.
const BROKEN: &str = r#"
name: mended
mode: batch
sources:
  pins: { postgres: { connection: { url: "${env:NOT_SET_ANYWHERE}" }, table: pins, order_by: id } }
stages:
  clean_pins: { from: pins, plugin: no-such-plugin, config: { file: "${file:/no/such/file}" } }
sinks:
  pin_table: { from: clean_pins, delta: { uri: out/pin_table } }
dead_letters:
  files: { path: out/dead_letters, format: jsonl }
"#;

/// Beside them a sink whose server is away.
const AWAY: &str = r#"  archive: { from: clean_pins, postgres: { connection: { url: "postgres://u@127.0.0.1:1/d" }, table: pins, retry: { for: 1s } } }
dead_letters:"#;

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("mended.yaml", PIPELINE);
    add_file(&workshop, 0);
    add_file(&workshop, 1);
    workshop.run_well(&["run", "mended.yaml"]);
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
}

#[test]
fn a_state_is_shown_adopted_and_reset_while_plugins_and_sources_are_broken() {
    let workshop = workshop();
    workshop.write("broken.yaml", BROKEN);
    assert_ne!(workshop.run(&["check", "broken.yaml"]).code, Some(0), "a check looks at all of it");
    let shown = workshop.run_well(&["state", "show", "broken.yaml"]);
    assert!(shown.stdout.contains("source pins: 2 splits begun, 2 done"), "{}", shown.stdout);
    assert!(shown.stdout.contains("sink pin_table: epoch"), "{}", shown.stdout);
    workshop.run_well(&["state", "adopt", "broken.yaml"]);
    add_file(&workshop, 2);
    workshop.run_well(&["run", "mended.yaml"]);
    check(&workshop, 3);
    workshop.run_well(&["state", "reset", "broken.yaml"]);
    workshop.run_well(&["run", "mended.yaml"]);
    assert_eq!(workshop.delta_numbers("out/pin_table").len(), 2 * expected(0..3000).table.len(), "after a reset everything is read again");
}

#[test]
fn a_pending_commit_is_adopted_while_plugins_and_sources_are_broken() {
    let workshop = workshop();
    workshop.write("broken.yaml", BROKEN);
    add_file(&workshop, 2);
    let mut command = workshop.wasmill(&["run", "mended.yaml"]);
    command.env("FAILPOINTS", "engine-after-checkpoint=return(kill)");
    let killed = crate::support::Running::spawn(command).wait();
    assert!(killed.code.is_none() && killed.stderr.contains("failpoint engine-after-checkpoint"), "{}", killed.stderr);
    workshop.run_well(&["state", "adopt", "broken.yaml"]);
    check(&workshop, 3);
    workshop.run_well(&["run", "mended.yaml"]);
    check(&workshop, 3);
}

#[test]
fn a_sink_that_is_out_of_reach_can_be_left_out() {
    let workshop = workshop();
    let away = BROKEN.replace("dead_letters:", AWAY);
    workshop.write("away.yaml", &away);
    let before = workshop.run_well(&["state", "show", "away.yaml"]).stdout;
    for action in ["adopt", "reset"] {
        assert_stopped(&workshop.run(&["state", action, "away.yaml"]), 5, &["sink archive", "127.0.0.1:1"]);
    }
    let after = workshop.run_well(&["state", "show", "away.yaml"]).stdout;
    assert_eq!(before, after, "nothing was forgotten");
    assert_stopped(&workshop.run(&["state", "reset", "away.yaml", "--without", "archiv"]), 2, &["no sink `archiv`", "archive"]);
    workshop.run_well(&["state", "adopt", "away.yaml", "--without", "archive"]);
    add_file(&workshop, 2);
    workshop.run_well(&["run", "mended.yaml"]);
    check(&workshop, 3);
    workshop.run_well(&["state", "reset", "away.yaml", "--without", "archive"]);
}

#[test]
fn a_table_that_is_gone_is_created_by_an_adoption_where_the_pipeline_is_whole() {
    let workshop = workshop();
    workshop.write("broken.yaml", BROKEN);
    std::fs::remove_dir_all(workshop.path("out/pin_table")).unwrap();
    assert_stopped(&workshop.run(&["run", "mended.yaml"]), 5, &["state and sink disagree", "wasmill state adopt"]);
    assert_stopped(&workshop.run(&["state", "adopt", "broken.yaml"]), 5, &["out/pin_table", "its columns are not known"]);
    workshop.run_well(&["state", "adopt", "mended.yaml"]);
    add_file(&workshop, 2);
    workshop.run_well(&["run", "mended.yaml"]);
    assert!(workshop.delta_numbers("out/pin_table").iter().eq(&expected(2000..3000).table), "only what came after the adoption");
}

#[test]
fn a_renamed_source_is_refused_until_its_progress_has_the_new_name() {
    let workshop = workshop();
    workshop.write("renamed.yaml", &PIPELINE.replace("  pins: {", "  posts: {").replace("from: pins", "from: posts"));
    let refused = workshop.run(&["run", "renamed.yaml"]);
    assert_stopped(&refused, 5, &["`pins`", "`posts`", "state rename-source PIPELINE pins posts", "state drop-source PIPELINE pins"]);
    check(&workshop, 2);
    assert_stopped(&workshop.run(&["state", "rename-source", "renamed.yaml", "pins", "post"]), 2, &["no source `post`"]);
    workshop.run_well(&["state", "rename-source", "renamed.yaml", "pins", "posts"]);
    add_file(&workshop, 2);
    workshop.run_well(&["run", "renamed.yaml"]);
    check(&workshop, 3);
}

#[test]
fn another_source_under_a_new_name_is_read_once_the_old_one_is_dropped() {
    let workshop = workshop();
    workshop.write("more/9.jsonl", &Pins(2000..3000).lines());
    let other = PIPELINE.replace("  pins: {", "  posts: {").replace("from: pins", "from: posts").replace("data/*", "more/*");
    workshop.write("other.yaml", &other);
    assert_stopped(&workshop.run(&["run", "other.yaml"]), 5, &["drop-source PIPELINE pins"]);
    workshop.run_well(&["state", "drop-source", "other.yaml", "pins"]);
    workshop.run_well(&["run", "other.yaml"]);
    check(&workshop, 3);
}

#[test]
fn sources_are_added_and_removed_without_a_word() {
    let workshop = workshop();
    workshop.write("more/9.jsonl", &Pins(2000..3000).lines());
    let both =
        PIPELINE.replace("stages:", "  posts: { files: { path: \"more/*.jsonl\" } }\nstages:").replace("from: pins", "from: [pins, posts]");
    workshop.write("both.yaml", &both);
    workshop.run_well(&["run", "both.yaml"]);
    check(&workshop, 3);
    workshop.run_well(&["run", "mended.yaml"]);
    workshop.run_well(&["run", "both.yaml"]);
    check(&workshop, 3);
}
