//! `wasmill doctor`: what it says of places that are well and of places that are not, and that it leaves all of them as they were.

use crate::kafka_broker::{Producer, address, topic, unique};
use crate::support::{Database, Ended, Pins, Running, Store, Workshop};

/// From Kafka and files into Delta in S3, Postgres and objects, with state in S3.
fn pipeline(store: &Store, topic: &str) -> String {
    let (prefix, s3, brokers) = (&store.prefix, Store::options(), address());
    format!(
        r#"
name: visit
mode: stream
sources:
  posts: {{ kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{topic}] }}, schema: {{ index: int64 }} }}
  files: {{ files: {{ path: pins/*.jsonl }}, schema: {{ index: int64 }} }}
  objects: {{ s3: {{ uri: "{prefix}/in/*.jsonl", connection: {s3} }}, schema: {{ index: int64 }} }}
sinks:
  lake: {{ from: posts, delta: {{ uri: "{prefix}/table", connection: {s3} }} }}
  store: {{ from: files, s3: {{ uri: "{prefix}/objects", connection: {s3}, format: jsonl }} }}
  database: {{ from: posts, postgres: {{ connection: {{ url: "${{env:PG_URL}}" }}, table: posts }} }}
  disk: {{ from: objects, delta: {{ uri: out/table }} }}
  topic: {{ from: posts, kafka: {{ connection: {{ brokers: "{brokers}" }}, topic: {topic}, commits_topic: {topic}-commits }} }}
dead_letters: {{ files: {{ path: dead, format: jsonl }} }}
"#
    )
}

fn doctor(workshop: &Workshop, database: &str, more: &[&str]) -> Ended {
    let mut command = workshop.wasmill(&["doctor", "visit.yaml"]);
    command.args(more).env("PG_URL", database).env("WRONG_SECRET", "wrong-secret");
    Store::environment(&mut command);
    Running::spawn(command).wait()
}

#[test]
fn places_that_are_well_are_said_to_be_and_stay_as_they_were() {
    let (workshop, store, database, topic) = (Workshop::new(), Store::new(), Database::new(), topic(2));
    let producer = Producer::new(&[]);
    producer.send(&topic, 0, b"{\"index\": 1}");
    producer.flush();
    workshop.write("pins/a.jsonl", &Pins(0..10).lines());
    workshop.write("visit.yaml", &pipeline(&store, &topic));
    store.put(&[(workshop.path("pins/a.jsonl"), "in/a.jsonl".into())]);
    let ended = doctor(&workshop, &database.url(), &["--state", &format!("{}/state", store.prefix)]);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let said = |role: &str, what: &str| {
        let found = ended.stdout.lines().any(|line| line.starts_with("ok ") && line.contains(&format!(" {role}: ")) && line.contains(what));
        assert!(found, "{role}: {what} is not in\n{}", ended.stdout);
    };
    said("source posts", "the brokers");
    said("source posts", &format!("the topic {topic} can be read: 2 partitions, 1 offsets"));
    said("source files", "pins/*.jsonl: 1 file");
    said("source objects", "in/a.jsonl can be read");
    said("sink lake", "conditional puts work");
    said("sink lake", "the clocks agree");
    said("sink lake", "there is no table at");
    said("sink store", "conditional puts work");
    said("sink database", "PostgreSQL");
    said("sink database", "the table public.posts does not exist; the first commit creates it");
    said("sink disk", "out/table can be written");
    said("sink topic", &format!("the topic {topic} can be written: 2 partitions"));
    said("sink topic", "the token does not exist; the first commit creates it");
    said("dead letters", "dead can be written");
    said("state", "conditional puts work");
    assert_eq!(ended.stdout.lines().filter(|line| !line.starts_with("ok ")).count(), 0, "{}", ended.stdout);
    // Nothing was made anywhere.
    let mut left: Vec<_> = std::fs::read_dir(workshop.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["pins", "visit.yaml"]);
    assert_eq!(store.keys(), ["in/a.jsonl"], "no object is left behind, hidden ones neither");
    assert_eq!(database.run("SELECT count(*) FROM pg_class WHERE relname IN ('posts', 'wasmill_commits')").trim(), "0");
}

#[test]
fn each_place_that_is_not_well_has_a_line_and_a_way_out() {
    let (workshop, store, database) = (Workshop::new(), Store::new(), Database::new());
    workshop.write("visit.yaml", &pipeline(&store, "posts"));
    workshop.write("dead", "a file where the folder should be");
    let missing = unique("missing");
    let refused = database.url().replace("postgres@", "nobody:hunter2@");
    let sets = [
        format!("sources.posts.kafka.topics=[{missing}]"),
        "sinks.lake.delta.uri=s3://no-such-bucket/table".to_owned(),
        "sinks.store.s3.connection.secret_access_key=${env:WRONG_SECRET}".to_owned(),
        "sources.objects.s3.connection.endpoint=http://127.0.0.1:9".to_owned(),
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let ended = doctor(&workshop, &refused, &sets);
    assert_eq!(ended.code, Some(5), "{}\n{}", ended.stdout, ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let said = |role: &str, what: &str, help: &str| {
        let found = lines.iter().position(|line| line.starts_with("BAD ") && line.contains(&format!(" {role}: ")) && line.contains(what));
        let at = found.unwrap_or_else(|| panic!("{role}: {what} is not in\n{}", ended.stdout));
        assert!(lines[at + 1].contains("help: ") && lines[at + 1].contains(help), "{role}: {}", lines[at + 1]);
    };
    said("source posts", &format!("the topic {missing} does not exist"), "wasmill topics create");
    said("source objects", "cannot list", "can it be reached");
    said("sink lake", "NoSuchBucket", "does the bucket exist");
    said("sink store", "SignatureDoesNotMatch", "check the credentials");
    said("sink database", "nobody", "");
    said("dead letters", "is a file", "choose another place");
    assert!(lines.iter().any(|line| line.starts_with("doubt") && line.contains("no file matches pins/*.jsonl")), "{}", ended.stdout);
    for secret in ["hunter2", "wrong-secret"] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{secret} is shown");
    }
}

#[test]
fn brokers_and_servers_that_are_away_are_reported_within_seconds() {
    let (workshop, store) = (Workshop::new(), Store::new());
    workshop.write("visit.yaml", &pipeline(&store, "posts"));
    workshop.write("pins/a.jsonl", &Pins(0..10).lines());
    let ended =
        doctor(&workshop, "postgres://nobody@127.0.0.1:9/none", &["--json", "--set", "sources.posts.kafka.connection.brokers=127.0.0.1:9"]);
    assert_eq!(ended.code, Some(5), "{}\n{}", ended.stdout, ended.stderr);
    let findings: Vec<serde_json::Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bad = |role: &str, what: &str| {
        let found = findings
            .iter()
            .any(|finding| finding["role"] == role && finding["outcome"] == "bad" && finding["what"].as_str().unwrap().contains(what));
        assert!(found, "{role}: {what} is not in {}", ended.stdout);
    };
    bad("source posts", "no Kafka broker of 127.0.0.1:9 responded within 10 s");
    bad("sink database", "cannot connect to 127.0.0.1:9");
}
