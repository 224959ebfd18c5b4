//! A table that grows, followed by its cursor, while the process is killed again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::same_rows;
use crate::support::{Ended, MysqlDatabase, Random, Running, Workshop, number_from_environment, until};

fn pipeline(cursor: &str, sink: &str) -> String {
    format!(
        r#"
name: follow
lanes: 2
batch_rows: 100
sources:
  rows: {{ mysql: {{ connection: {{ url: "${{env:MYSQL_URL}}" }}, table: users, {cursor}, poll: 100ms }} }}
sinks:
  copy: {{ from: rows, {sink} }}
dead_letters:
  files: {{ path: out/dead, format: jsonl }}
epoch: {{ every: 150ms, rows: 500 }}
"#
    )
}

fn start(workshop: &Workshop, database: &MysqlDatabase, mode: &str) -> Running {
    let mut command = workshop.wasmill(&["run", "follow.yaml", "--mode", mode]);
    command.env("MYSQL_URL", database.url());
    Running::spawn(command)
}

/// Inserts rows in transactions that last up to 200 ms, from several connections, until it is told to stop: greater
/// ids are visible before smaller ones again and again.
fn write(database: &MysqlDatabase, writer: u64, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let rows: Vec<String> = (0..20).map(|row| format!("('{writer}-{number}-{row}', now(6))")).collect();
        let insert = format!("INSERT INTO users (name, date_joined) VALUES {}", rows.join(", "));
        database.run(&format!("START TRANSACTION; {insert}; SELECT SLEEP({}); {insert}; COMMIT", (writer % 4) as f64 / 20.0));
        number += 1;
    }
}

fn table(database: &MysqlDatabase) {
    database.run(
        "CREATE TABLE users (ind bigint AUTO_INCREMENT PRIMARY KEY, name varchar(50), date_joined datetime(6) NOT NULL, INDEX (date_joined)); \
         INSERT INTO users (name, date_joined) SELECT CONCAT('first ', seq), '2017-10-05' + INTERVAL seq DIV 10 DAY FROM seq_1_to_1000",
    );
}

/// Writers write while the stream is killed at random; in the end all rows are there once, whole.
fn kill_while_it_grows(name: &str, cursor: &str) {
    let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
    table(&database);
    workshop.write("follow.yaml", &pipeline(cursor, "files: { path: out/copy, format: jsonl }"));
    let (stop, mut random) = (AtomicBool::new(false), Random::of(name));
    std::thread::scope(|scope| {
        let database = &database;
        let stop = &stop;
        (0..4).for_each(|writer| drop(scope.spawn(move || write(database, writer, stop))));
        for _ in 0..number_from_environment("WASMILL_CRASH_KILLS", 5) {
            let mut running = start(&workshop, database, "stream");
            let early = running.ends_within(Duration::from_millis(300 + random.below(2_500)));
            let ended = running.kill();
            assert!(!early, "a stream does not end: {}", ended.stderr);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let running = start(&workshop, &database, "stream");
    let count = database.run("SELECT count(*) FROM users").trim().parse::<usize>().unwrap();
    until("all rows are there", || workshop.jsonl_rows("out/copy").len() >= count);
    running.signal(Signal::TERM);
    well(&running.wait());
    // JSON has no digits, three or six behind the second, whatever the time needs.
    let expected = database.rows(
        "SELECT ind, name, REGEXP_REPLACE(DATE_FORMAT(date_joined, '%Y-%m-%dT%H:%i:%s.%f'), '([.]000)?000$', '') AS date_joined FROM users",
    );
    same_rows(workshop.jsonl_rows("out/copy"), expected);
    assert!(workshop.jsonl_rows("out/dead").is_empty());
}

fn well(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_growing_table_is_followed_by_its_key_exactly_once() {
    kill_while_it_grows("mysql by id", "cursor: ind, delay: 1500ms");
}

#[test]
fn a_growing_table_is_followed_by_a_time_that_rows_share_exactly_once() {
    kill_while_it_grows("mysql by time", "cursor: date_joined, order_by: [ind], delay: 1500ms");
}

#[test]
fn each_batch_reads_what_came_since_the_one_before() {
    let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
    table(&database);
    workshop.write("follow.yaml", &pipeline("cursor: ind, delay: 0s", "delta: { uri: out/copy }"));
    let numbers = |database: &MysqlDatabase| {
        well(&start(&workshop, database, "batch").wait());
        workshop.delta_numbers("out/copy")
    };
    assert!(numbers(&database).into_iter().eq(1..=1000));
    let again = start(&workshop, &database, "batch").wait();
    assert!(again.code == Some(0) && again.stderr.contains("nothing new"), "{}", again.stderr);
    database.run("INSERT INTO users (name, date_joined) SELECT 'new', now() FROM seq_1_to_10");
    let rows = numbers(&database);
    assert_eq!((rows.len(), rows.iter().filter(|ind| **ind > 1000).count()), (1010, 10));
}

#[test]
fn a_row_among_equal_ones_that_comes_too_late_stops_the_stream() {
    let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
    table(&database);
    workshop
        .write("follow.yaml", &pipeline("cursor: date_joined, order_by: [ind], delay: 200ms", "files: { path: out/copy, format: jsonl }"));
    let mut running = start(&workshop, &database, "stream");
    until("all rows are there", || workshop.jsonl_rows("out/copy").len() == 1000);
    database.run("INSERT INTO users SELECT -1, 'late', max(date_joined) FROM users");
    assert!(running.ends_within(Duration::from_secs(60)), "it goes on");
    let ended = running.wait();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    for told in ["error[mysql/late-row]", "1 rows came with date_joined = 2018-01-13", "`delay`"] {
        assert!(ended.stderr.contains(told), "{told} in {}", ended.stderr);
    }
}

#[test]
fn rows_come_within_their_delay_and_a_poll() {
    let (workshop, database) = (Workshop::new(), MysqlDatabase::new());
    table(&database);
    workshop.write("follow.yaml", &pipeline("cursor: ind, delay: 500ms", "files: { path: out/copy, format: jsonl }"));
    let running = start(&workshop, &database, "stream");
    until("all rows are there", || workshop.jsonl_rows("out/copy").len() == 1000);
    let begun = Instant::now();
    database.run("INSERT INTO users (name, date_joined) VALUES ('new', now())");
    until("the new row is there", || workshop.jsonl_rows("out/copy").len() == 1001);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    running.signal(Signal::TERM);
    well(&running.wait());
    let last: Vec<Value> = workshop.jsonl_rows("out/copy").into_iter().filter(|row| row["name"] == "new").collect();
    assert_eq!(last.len(), 1);
}
