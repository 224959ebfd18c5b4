//! The server and the way to it: answers that are lost, connections that are cut, a server that is killed, an outage.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{add_file, check, workshop};
use crate::support::{Database, Ended, Proxy, Running, Server, Workshop};

/// `COMMIT` as a client sends it.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

fn start(workshop: &Workshop, url: &str, arguments: &[&str], failpoints: &str) -> Running {
    let mut command = workshop.wasmill(&[&["run", "pipeline.yaml"], arguments].concat());
    command.env("PG_URL", url).env("FAILPOINTS", failpoints);
    Running::spawn(command)
}

fn well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_commit_whose_answer_is_lost_is_read_back_and_not_repeated() {
    let (workshop, database) = (workshop(6), Database::new());
    let proxy = Proxy::before(database.server());
    proxy.lose_answers_to(COMMIT, 5);
    let ended = start(&workshop, &database.url_through(proxy.address()), &[], "").wait();
    well(&ended);
    assert_eq!(proxy.lost(), 5);
    assert_eq!(ended.stderr.matches("retrying").count(), 5, "logged once per commit:\n{}", ended.stderr);
    check(&database, 6);
}

#[test]
fn connections_that_are_cut_cost_nothing_but_time() {
    let (workshop, database) = (workshop(10), Database::new());
    let proxy = Proxy::before(database.server());
    let url = database.url_through(proxy.address());
    let mut running = start(&workshop, &url, &[], "");
    let mut cuts = 0;
    // Rarer and rarer, so that every step of a commit is cut off and each of them gets through in the end.
    while !running.ends_within(Duration::from_millis(10 * (cuts + 1))) {
        proxy.cut();
        cuts += 1;
        assert!(cuts < 100, "it never ends");
    }
    well(&running.wait());
    assert!(cuts > 3, "{cuts} cuts");
    check(&database, 10);
}

#[test]
fn a_server_that_is_killed_around_a_commit_has_the_epoch_once() {
    let mut server = Server::start();
    for point in ["postgres-commit-before-copy", "postgres-commit-before-commit", "postgres-commit-after-commit"] {
        let (workshop, database) = (workshop(4), server.database());
        let sleeper = start(&workshop, &database.url(), &[], &format!("{point}=1*off->1*return(stop)"));
        sleeper.wait_until_stopped();
        server.kill();
        sleeper.signal(Signal::CONT);
        server.start_again();
        well(&sleeper.wait());
        check(&database, 4);
    }
}

#[test]
fn a_server_that_is_killed_and_restarted_under_a_stream_keeps_every_row_once() {
    let mut server = Server::start();
    let (workshop, database) = (workshop(2), server.database());
    let running = start(&workshop, &database.url(), &["--mode", "stream", "--set", "epoch.every=100ms"], "");
    let mut files = 2;
    for round in 0..6 {
        (0..3).for_each(|file| add_file(&workshop, files + file));
        files += 3;
        wait_for_rows(&database, files * 500);
        match round % 2 {
            0 => server.kill(),
            _ => server.stop(),
        }
        server.start_again();
    }
    wait_for_rows(&database, files * 1_860);
    running.signal(Signal::TERM);
    well(&running.wait());
    check(&database, files);
}

fn wait_for_rows(database: &Database, rows: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while (database.posts().0.len() as u64) < rows {
        assert!(Instant::now() < deadline, "{rows} rows did not arrive");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn an_outage_beyond_the_bound_stops_the_run_and_a_later_start_resumes() {
    let (workshop, database) = (workshop(6), Database::new());
    let proxy = Proxy::before(database.server());
    let url = database.url_through(proxy.address());
    let arguments = ["--set", "sinks.pin_table.postgres.retry.for=1s", "--set", "dead_letters.postgres.retry.for=1s"];
    let sleeper = start(&workshop, &url, &arguments, "postgres-commit-before-copy=2*off->1*return(stop)");
    sleeper.wait_until_stopped();
    proxy.refuse(true);
    sleeper.signal(Signal::CONT);
    let ended = sleeper.wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing is lost") && ended.stderr.contains("retry: { for"), "{}", ended.stderr);
    proxy.refuse(false);
    well(&start(&workshop, &url, &arguments, "").wait());
    check(&database, 6);
}

#[test]
fn wrong_credentials_stop_with_what_to_do_and_nothing_is_lost() {
    let (workshop, database) = (workshop(1), Database::new());
    let wrong = database.url().replace("postgres@", "no_such_user:hunter2@");
    let ended = start(&workshop, &wrong, &[], "").wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("pg_hba.conf") && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    well(&start(&workshop, &database.url(), &[], "").wait());
    check(&database, 1);
}

#[test]
fn records_that_postgres_can_not_hold_end_in_dead_letters_in_postgres() {
    let (workshop, database) = (Workshop::new(), Database::new());
    let pipeline = super::PIPELINE
        .replace("    files: { path: \"data/*.jsonl\" }", "")
        .replace("stages:\n  clean_pins: { from: pins, plugin: clean-pin }\n", "")
        .replace("from: clean_pins", "from: pins")
        .replace(
            "pins: { files: { path: \"data/*.jsonl\" } }",
            "pins: { files: { path: \"data/*.jsonl\" }, schema: { ind: int64, title: text, day: date }, max_reject_share: 100% }",
        );
    workshop.write("pipeline.yaml", &pipeline);
    let lines = [
        r##"{"ind": 1, "title": "fine", "day": "2022-07-07"}"##,
        r##"{"ind": 2, "title": "a\u0000b #2#"}"##,
        "{\"ind\": 3, \"title\": \"broken \u{0} #3#",
        r##"{"ind": 4, "title": "fine too"}"##,
    ];
    workshop.write("data/pins.jsonl", &(lines.join("\n") + "\n"));
    well(&start(&workshop, &database.url(), &[], "").wait());
    assert_eq!(database.run("SELECT ind, title, day FROM pin_table ORDER BY 1"), "1|fine|2022-07-07\n4|fine too|\n");
    let dead = database.run(
        "SELECT code, \"column\", coalesce(record, encode(decode(record_base64, 'base64'), 'hex')) FROM dead_letters ORDER BY position",
    );
    let dead: Vec<&str> = dead.lines().collect();
    assert_eq!(dead[0], format!("null-character|title|{}", lines[1]));
    assert!(dead[1].starts_with("malformed-json|"), "{dead:?}");
    let hex: String = lines[2].bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(dead[1].ends_with(&hex), "the original bytes, U+0000 too: {dead:?}");
}

#[test]
fn a_lost_state_is_noticed_before_a_row_comes_twice() {
    let (workshop, database) = (workshop(2), Database::new());
    well(&start(&workshop, &database.url(), &[], "").wait());
    std::fs::remove_dir_all(workshop.path(".wasmill")).unwrap();
    let ended = start(&workshop, &database.url(), &[], "").wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("state and sink disagree"), "{}", ended.stderr);
    check(&database, 2);

    let mut reset = workshop.wasmill(&["state", "reset", "pipeline.yaml"]);
    reset.env("PG_URL", database.url());
    well(&Running::spawn(reset).wait());
    database.run("TRUNCATE pin_table, dead_letters");
    add_file(&workshop, 2);
    well(&start(&workshop, &database.url(), &[], "").wait());
    check(&database, 3);

    // The table is gone while the state is not: nobody may take its rows for written.
    database.run("DROP TABLE pin_table");
    let ended = start(&workshop, &database.url(), &[], "").wait();
    assert!(ended.stderr.contains("state and sink disagree"), "{}", ended.stderr);
    let mut adopt = workshop.wasmill(&["state", "adopt", "pipeline.yaml"]);
    adopt.env("PG_URL", database.url());
    well(&Running::spawn(adopt).wait());
    add_file(&workshop, 3);
    well(&start(&workshop, &database.url(), &[], "").wait());
    let new = crate::support::expected(6_000..8_000);
    assert!(database.numbers("pin_table", "ind").iter().eq(&new.table), "only what came after the adoption");
}
