//! `wasmill emulate --from`: random rows of tables that exist.

use serde_json::{Value, json};

use crate::kafka_broker::{address, create, read_at, unique};
use crate::support::{Ended, KinesisStream, MysqlDatabase, Running, Store, Workshop, json_lines, kinesis_address};

/// The tables of the domain, with numbers of rows of their own.
pub fn filled() -> MysqlDatabase {
    let database = MysqlDatabase::new();
    database.run(
        "CREATE TABLE pinterest_data (`index` integer PRIMARY KEY, title text, downloaded tinyint); \
         INSERT INTO pinterest_data SELECT seq, CONCAT('Title \\'', seq, '\\' 😀'), 1 FROM seq_0_to_299; \
         CREATE TABLE geolocation_data (ind integer PRIMARY KEY, timestamp datetime, latitude double, country text); \
         INSERT INTO geolocation_data SELECT seq, '2018-01-01' + INTERVAL seq HOUR, seq / 10, 'Côte d''Ivoire' FROM seq_0_to_299; \
         CREATE TABLE user_data (ind integer PRIMARY KEY, first_name text, date_joined datetime); \
         INSERT INTO user_data SELECT seq, CONCAT('User ', seq), '2015-01-01' + INTERVAL seq DAY FROM seq_0_to_249",
    );
    database
}

pub const TABLES: &str = "pinterest_data,geolocation_data,user_data";

pub fn emulate(database: &MysqlDatabase, arguments: &[&str]) -> Ended {
    let workshop = Workshop::new();
    let mut command = workshop.wasmill(&["emulate", "--from", "${env:MYSQL_URL}"]);
    command.args(arguments).env("MYSQL_URL", database.url());
    Store::environment(&mut command);
    Running::spawn(command).wait()
}

pub fn rows(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    json_lines(ended.stdout.as_bytes())
}

#[test]
fn one_random_row_of_each_table_comes_per_step_and_the_same_seed_gives_the_same_rows() {
    let database = filled();
    let play = |seed: &str| rows(&emulate(&database, &["--tables", TABLES, "--rows", "50", "--seed", seed, "--pause", "0s..4ms"]));
    let first = play("100");
    assert_eq!(first, play("100"));
    assert_ne!(first, play("101"));
    assert_eq!(first.len(), 150);
    for step in first.chunks(3) {
        let number = step[0]["index"].as_u64().unwrap();
        assert!(number < 250, "the smallest table has no more");
        assert_eq!(step[0], json!({ "index": number, "title": format!("Title '{number}' 😀"), "downloaded": 1 }));
        assert_eq!((&step[1]["ind"], &step[1]["country"], &step[2]["ind"]), (&json!(number), &json!("Côte d'Ivoire"), &json!(number)));
        assert!(step[1]["timestamp"].as_str().unwrap().starts_with("2018-01-"), "{}", step[1]);
        assert_eq!(step[2]["first_name"], format!("User {number}"));
    }
}

#[test]
fn rows_go_to_topics_and_streams_as_they_go_to_the_console() {
    let database = filled();
    let shown = rows(&emulate(&database, &["--tables", "pinterest_data,user_data", "--rows", "20", "--seed", "7"]));
    let name = unique("emulate");
    let topics = [format!("{name}.pin"), format!("{name}.user")];
    topics.iter().for_each(|topic| create(topic, 2));
    let names = topics.join(",");
    let to_kafka = [
        "--tables",
        "pinterest_data,user_data",
        "--rows",
        "20",
        "--seed",
        "7",
        "--to",
        "kafka",
        "--names",
        &names,
        "--brokers",
        &address(),
    ];
    let ended = emulate(&database, &to_kafka);
    assert!(ended.code == Some(0) && ended.stderr.contains("40 rows"), "{}", ended.stderr);
    for (index, topic) in topics.iter().enumerate() {
        let mut found: Vec<String> = read_at(&address(), topic, "read_committed").iter().map(|seen| seen.json().to_string()).collect();
        let mut expected: Vec<String> = shown.iter().skip(index).step_by(2).map(Value::to_string).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{topic}");
    }
    let stream = KinesisStream::new(1);
    let endpoint = kinesis_address();
    let to_kinesis =
        ["--tables", "pinterest_data", "--rows", "5", "--seed", "7", "--to", "kinesis", "--names", &stream.name, "--endpoint", &endpoint];
    let ended = emulate(&database, &to_kinesis);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut put: Vec<Value> = stream.datas().iter().flatten().map(|data| serde_json::from_str(data).unwrap()).collect();
    put.sort_by_key(|row| row["index"].as_u64());
    let mut expected = rows(&emulate(&database, &["--tables", "pinterest_data", "--rows", "5", "--seed", "7"]));
    expected.sort_by_key(|row| row["index"].as_u64());
    assert_eq!(put, expected);
}

#[test]
fn what_is_wrong_is_reported_without_secrets() {
    let database = filled();
    for (arguments, code, told) in [
        (&["--tables", "nowhere"][..], 5, "doesn't exist"),
        (&["--tables", "user_data", "--names", "a,b"], 2, "has 2 names for 1 tables"),
        (&["--tables", "user_data", "--to", "kafka"], 2, "`--to kafka` needs `--brokers`"),
        (&["--tables", "user_data", "--pause", "2s..1s"], 2, "write the shorter time first"),
        (&["--tables", "user_data", "--out", "x"], 2, "cannot be used with"),
    ] {
        let ended = emulate(&database, arguments);
        assert!(ended.code == Some(code) && ended.stderr.contains(told), "{arguments:?}: {:?} {}", ended.code, ended.stderr);
    }
    let workshop = Workshop::new();
    let ended = workshop.run(&["emulate", "--from", "mysql://u:hunter2@127.0.0.1:1/d?x=y", "--tables", "t"]);
    assert!(ended.code == Some(2) && !ended.stderr.contains("hunter2 "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}
