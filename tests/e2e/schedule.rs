//! `wasmill schedule`: real processes, killed and stopped, and what the history has of them.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, Running, Workshop, until};

/// Three thousand posts, slowly: a run that lasts some seconds.
const SLOW: &str = r#"
name: slow
sources: { pins: { emulator: { table: pin, rows: 3000, rate: 600, dirt: none } } }
sinks: { pin_table: { from: pins, delta: { uri: out/slow } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
epoch: { every: 200ms }
lanes: 1
"#;

const QUICK: &str = r#"
name: quick
sources: { pins: { emulator: { table: pin, rows: 100, dirt: none } } }
sinks: { pin_table: { from: pins, delta: { uri: out/quick } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
"#;

const ENDLESS: &str = r#"
name: endless
mode: stream
sources: { pins: { emulator: { table: pin, rate: 50 } } }
sinks: { pin_files: { from: pins, files: { path: out/endless, format: jsonl } } }
dead_letters: { files: { path: out/dead_letters, format: jsonl } }
epoch: { every: 200ms }
"#;

const SCHEDULE: &str = r#"
name: nightly
jobs:
  quick: { cron: "0 0 * * *", pipeline: quick.yaml, catch_up: latest, retry: { times: 2, backoff: 1s } }
  slow: { cron: "0 0 * * *", pipeline: slow.yaml, retry: { times: 1, backoff: 1s } }
  wrong: { cron: "0 0 * * *", pipeline: wrong.yaml, retry: { times: 5 } }
  endless: { cron: "0 0 * * *", pipeline: endless.yaml, timeout: 3s }
  listing: { cron: "0 0 * * *", command: [list] }
"#;

fn workshop() -> Workshop {
    Workshop::of(&[
        ("schedule.yaml", SCHEDULE),
        ("slow.yaml", SLOW),
        ("quick.yaml", QUICK),
        ("endless.yaml", ENDLESS),
        ("wrong.yaml", "name: wrong\nsauces: {}\n"),
    ])
}

fn history(workshop: &Workshop, job: &str) -> Vec<Value> {
    let printed = workshop.run(&["schedule", "history", "schedule.yaml", "--job", job, "--json", "--limit", "1000"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    printed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The entries of a kind.
fn of<'a>(history: &'a [Value], event: &str) -> Vec<&'a Value> {
    history.iter().filter(|entry| entry["event"] == event).collect()
}

fn outcomes(workshop: &Workshop, job: &str) -> Vec<String> {
    of(&history(workshop, job), "ended").iter().map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
}

fn schedule(workshop: &Workshop, more: &[&str]) -> Running {
    Running::spawn(workshop.wasmill(&[&["schedule", "schedule.yaml"][..], more].concat()))
}

fn run(workshop: &Workshop, more: &[&str]) -> Ended {
    schedule(workshop, more).wait()
}

/// The history of a scheduler that has known a job for three days.
fn known_for_days(workshop: &Workshop, job: &str) {
    let three_days_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 86_400);
    let at = humantime::format_rfc3339_seconds(three_days_ago).to_string();
    let entry = json!({ "event": "known", "job": job, "at": at, "times": "0 0 * * * UTC" });
    workshop.write(".wasmill/schedules/nightly/history.jsonl", &format!("{entry}\n"));
}

fn rows_of(workshop: &Workshop, table: &str) -> usize {
    let rows = workshop.delta_rows(table);
    let different: std::collections::BTreeSet<u64> = rows.iter().map(|row| row["index"].as_u64().unwrap()).collect();
    assert_eq!(rows.len(), different.len(), "some rows are there twice");
    rows.len()
}

#[test]
fn what_was_missed_is_caught_up_with_once() {
    let workshop = workshop();
    known_for_days(&workshop, "quick");
    let ended = run(&workshop, &["--once"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("quick: started (due ") && ended.stderr.contains("quick: succeeded"), "{}", ended.stderr);
    let entries = history(&workshop, "quick");
    let skipped = of(&entries, "skipped");
    assert_eq!((skipped.len(), &skipped[0]["count"], &skipped[0]["why"]), (1, &json!(2), &json!("superseded")));
    let ends = of(&entries, "ended");
    assert_eq!((ends.len(), &ends[0]["outcome"], &ends[0]["rows"]), (1, &json!("succeeded"), &json!(100)));
    assert_eq!(rows_of(&workshop, "out/quick"), 100);
    let again = run(&workshop, &["--once"]);
    assert_eq!((again.code, outcomes(&workshop, "quick").len()), (Some(0), 1), "{}", again.stderr);
    assert_eq!(outcomes(&workshop, "slow"), [""; 0], "what does not catch up was not run");
    let table = workshop.run(&["schedule", "history", "schedule.yaml"]);
    assert!(table.stdout.contains("succeeded") && table.stdout.contains("2 skipped"), "{}", table.stdout);
}

#[test]
fn a_mistake_is_not_retried_and_its_status_is_that_of_the_run() {
    let workshop = workshop();
    let ended = run(&workshop, &["--now", "wrong"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("wrong: failed (configuration, exit status 2)"), "{}", ended.stderr);
    assert_eq!(outcomes(&workshop, "wrong"), ["failed"]);
    let unknown = run(&workshop, &["--now", "quik"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("did you mean `quick`?"), "{}", unknown.stderr);
    assert_eq!(run(&workshop, &["--now", "listing"]).code, Some(0), "another command of Wasmill");
}

#[test]
fn a_run_that_is_killed_is_retried_and_brings_nothing_down() {
    let workshop = workshop();
    let mut command = workshop.wasmill(&["schedule", "schedule.yaml", "--now", "quick", "--json"]);
    command.env("FAILPOINTS", "delta-commit-before-log=return(kill)");
    let ended = Running::spawn(command).wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert_eq!(outcomes(&workshop, "quick"), ["killed", "killed", "killed"]);
    let events: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends: Vec<(bool, u64)> =
        of(&events, "ended").iter().map(|event| (event["retry_at"].is_string(), event["attempt"].as_u64().unwrap())).collect();
    assert_eq!(ends, [(true, 1), (true, 2), (false, 3)]);
    let moment = |text: &Value| humantime::parse_rfc3339(text.as_str().unwrap()).unwrap();
    let waits: Vec<u64> = of(&events, "ended")
        .iter()
        .zip(of(&events, "started").iter().skip(1))
        .map(|(ended, started)| moment(&started["at"]).duration_since(moment(&ended["at"])).unwrap().as_secs())
        .collect();
    assert!(waits[0] >= 1 && waits[1] >= 2, "the backoff doubles: {waits:?}");
    let well = run(&workshop, &["--now", "quick"]);
    assert_eq!((well.code, rows_of(&workshop, "out/quick")), (Some(0), 100), "{}", well.stderr);
}

#[test]
fn a_scheduler_that_is_killed_leaves_its_run_to_the_next_one() {
    let workshop = workshop();
    let scheduler = schedule(&workshop, &["--now", "slow"]);
    until("the run commits rows", || workshop.path("out/slow/_delta_log/00000000000000000001.json").exists());
    scheduler.kill();
    let beside = run(&workshop, &["--now", "slow"]);
    assert_eq!(beside.code, Some(5), "{}", beside.stderr);
    assert!(beside.stderr.contains("error[schedule/job-is-running]"), "{}", beside.stderr);
    let next = run(&workshop, &["--once"]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert!(next.stderr.contains("slow: succeeded"), "{}", next.stderr);
    let entries = history(&workshop, "slow");
    assert_eq!((of(&entries, "started").len(), outcomes(&workshop, "slow")), (1, vec!["succeeded".to_owned()]));
    assert_eq!(rows_of(&workshop, "out/slow"), 3000);
}

#[test]
fn a_run_that_dies_with_its_scheduler_is_taken_up() {
    let workshop = workshop();
    let scheduler = schedule(&workshop, &["--now", "slow"]);
    until("the run commits rows", || workshop.path("out/slow/_delta_log/00000000000000000001.json").exists());
    scheduler.kill();
    let run_of = std::fs::read_to_string(workshop.path(".wasmill/schedules/nightly/jobs/slow/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(run_of.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    let next = run(&workshop, &["--once"]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert_eq!(outcomes(&workshop, "slow"), ["interrupted", "succeeded"]);
    assert_eq!(rows_of(&workshop, "out/slow"), 3000);
}

#[test]
fn of_two_schedulers_one_runs() {
    let workshop = workshop();
    let first = schedule(&workshop, &[]);
    until("it holds the lock", || workshop.path(".wasmill/schedules/nightly/history.jsonl").exists());
    let second = run(&workshop, &[]);
    assert_eq!(second.code, Some(5));
    let text = &second.stderr;
    assert!(text.contains("error[state/in-use]: another process (process") && text.contains("is running schedule `nightly`"), "{text}");
    first.signal(Signal::TERM);
    assert_eq!(first.wait().code, Some(0));
}

#[test]
fn a_stop_lets_runs_finish_their_epoch_and_the_next_scheduler_takes_them_up() {
    let workshop = workshop();
    let scheduler = schedule(&workshop, &["--now", "slow"]);
    until("the run commits rows", || workshop.path("out/slow/_delta_log/00000000000000000001.json").exists());
    scheduler.signal(Signal::INT);
    let ended = scheduler.wait();
    assert!(ended.stderr.contains("slow: stopped"), "{}", ended.stderr);
    assert_eq!(outcomes(&workshop, "slow"), ["stopped"]);
    let next = run(&workshop, &["--once"]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    assert_eq!(outcomes(&workshop, "slow"), ["stopped", "succeeded"]);
    assert_eq!(rows_of(&workshop, "out/slow"), 3000);
}

#[test]
fn a_run_that_takes_too_long_is_stopped() {
    let workshop = workshop();
    let ended = run(&workshop, &["--now", "endless"]);
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("endless: timed out"), "{}", ended.stderr);
    assert!(!workshop.jsonl_rows("out/endless").is_empty(), "what it had read is committed");
}

#[test]
fn a_scheduler_runs_jobs_at_their_times() {
    let minutely = SCHEDULE.replacen("\"0 0 * * *\"", "\"* * * * *\"", 1);
    let workshop = workshop();
    workshop.write("schedule.yaml", &minutely);
    let begun = Instant::now();
    let mut scheduler = schedule(&workshop, &["--heartbeat", "beat.json"]);
    until("it gives signs of life", || workshop.run(&["health", "beat.json", "--ready"]).code == Some(0));
    while outcomes(&workshop, "quick").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no minute comes");
        assert!(!scheduler.ends_within(Duration::from_millis(200)), "it ended");
    }
    let entries = history(&workshop, "quick");
    let started = of(&entries, "started")[0];
    assert!(started["scheduled"].as_str().unwrap().ends_with(":00Z"), "{started}");
    scheduler.signal(Signal::TERM);
    assert_eq!(scheduler.wait().code, Some(0));
    assert_eq!(rows_of(&workshop, "out/quick"), 100);
}
