//! `wasmill emulate --to http`: rows of MariaDB through gateways into Kafka and Kinesis, and into a pipeline that listens.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Listening, gateway};
use crate::kafka_broker::{address, committed, create, ports::free_ports, unique};
use crate::mysql::emulate::{TABLES, emulate, filled, rows};
use crate::mysql::same_rows;
use crate::proxy::Action;
use crate::support::{Ended, KinesisStream, MysqlDatabase, Proxy, Running, Workshop, kinesis_address, until};

const TABLE_NAMES: [&str; 3] = ["pin", "geo", "user"];

/// Routes to Kafka and to Kinesis, with what they may be asked by.
fn both(workshop: &Workshop) -> Listening {
    let auth = "auth: [{ token: \"${secret:GATEWAY_TOKEN}\" }, { user: pins, password: \"${secret:GATEWAY_PASSWORD}\" }]";
    let yaml = format!(
        r#"
gateway: both
server: {{ listen: "127.0.0.1:PORT" }}
routes:
  proxy:
    protocol: kafka_rest
    to: {{ kafka: {{ connection: {{ brokers: "{}" }} }} }}
    rate: 20
    {auth}
  streams:
    protocol: kinesis_api
    prefix: /test
    to: {{ kinesis: {{ connection: {{ endpoint: "{}", region: us-east-1 }} }} }}
    {auth}
"#,
        address(),
        kinesis_address()
    );
    gateway(workshop, &yaml)
}

/// Posts rows with the variables that an operator has for it.
fn post(database: &MysqlDatabase, url: &str, arguments: &[&str]) -> Ended {
    let workshop = Workshop::new();
    let mut command = workshop.wasmill(&["emulate", "--from", "${env:MYSQL_URL}", "--to", "http", "--url", "${env:POST_URL}"]);
    command.args(arguments).env("MYSQL_URL", database.url()).env("POST_URL", url).env("GATEWAY_TOKEN", "t0ken-of-tests");
    Running::spawn(command).wait()
}

/// The rows of one of three tables.
fn of_table(shown: &[Value], table: usize) -> Vec<Value> {
    shown.iter().skip(table).step_by(3).cloned().collect()
}

#[test]
fn rows_reach_kafka_and_kinesis_through_a_gateway_as_they_are_shown() {
    let (database, workshop, id) = (filled(), Workshop::new(), unique("id"));
    let topics = TABLE_NAMES.map(|table| format!("{id}.{table}"));
    topics.iter().for_each(|topic| create(topic, 1));
    let streams = TABLE_NAMES.map(|table| KinesisStream::named(&format!("streaming-{id}-{table}"), 1));
    let server = both(&workshop);
    let shown = rows(&emulate(&database, &["--tables", TABLES, "--rows", "20", "--seed", "100"]));
    let options = ["--tables", TABLES, "--rows", "20", "--seed", "100", "--no-keys", "--names"];

    let proxy = format!("http://127.0.0.1:{}/topics/{{name}}", server.port);
    let (names, token) = (topics.join(","), ["--token", "${env:GATEWAY_TOKEN}"]);
    // More a second than the route takes.
    let begun = Instant::now();
    for _ in 0..2 {
        let ended = post(&database, &proxy, &[&options[..], &[names.as_str()], &token].concat());
        assert!(ended.code == Some(0) && ended.stderr.contains("60 rows") && ended.stderr.contains("429"), "{}", ended.stderr);
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "80 of 120 requests had to wait for their second: {:?}", begun.elapsed());
    for (table, topic) in topics.iter().enumerate() {
        let read: Vec<Value> = committed(topic).iter().map(|record| record.json()).collect();
        let once = of_table(&shown, table);
        assert_eq!(read, [once.clone(), once].concat(), "{topic}: the same seed gives the same rows");
    }

    let api = format!("http://pins:hush-of-tests@127.0.0.1:{}/test/streams/{{name}}/record", server.port);
    let names = streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(",");
    let ended = post(&database, &api, &[&options[..], &[names.as_str()]].concat());
    assert!(ended.code == Some(0) && ended.stderr.contains("60 rows"), "{}", ended.stderr);
    for (table, stream) in streams.iter().enumerate() {
        let put: Vec<Value> = stream.datas().concat().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        assert_eq!(put, of_table(&shown, table), "{}", stream.name);
    }
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
    server.stop();
}

#[test]
fn rows_reach_a_pipeline_once_though_answers_are_lost_and_it_is_killed() {
    let (database, workshop, port) = (filled(), Workshop::new(), free_ports(1)[0]);
    workshop.write(
        "posted.yaml",
        &format!(
            r#"
name: posted
mode: stream
sources:
  pins:
    http: {{ server: {{ listen: "127.0.0.1:{port}" }}, names: [pinterest_data] }}
    schema: {{ index: int64, title: text, downloaded: int64 }}
sinks:
  table: {{ from: pins, delta: {{ uri: out/table, write: append }} }}
epoch: {{ every: 200ms }}
"#
        ),
    );
    let start = || Listening::start(workshop.wasmill(&["run", "posted.yaml"]), port);
    let mut server = start();
    let proxy = Proxy::before_http(([127, 0, 0, 1], port).into());
    let mut asked = 0_u32;
    proxy.rule(move |_| {
        asked += 1;
        if asked.is_multiple_of(7) { Action::Lose } else { Action::Pass }
    });
    let arguments = ["--tables", "pinterest_data", "--rows", "300", "--seed", "9"];
    let url = format!("{}/ingest/{{name}}", proxy.url());
    let mut command =
        Workshop::new().wasmill(&["emulate", "--from", "${env:MYSQL_URL}", "--to", "http", "--url", &url, "--pause", "0s..10ms"]);
    command.args(arguments).env("MYSQL_URL", database.url()).current_dir(workshop.path(""));
    let mut emulating = Running::spawn(command);
    for _ in 0..2 {
        let (before, patience) = (proxy.passed(), 20_000);
        until("rows are posted", || proxy.passed() > before + patience || emulating.ends_within(Duration::ZERO));
        server.running.kill();
        server = start();
    }
    let ended = emulating.wait();
    assert!(ended.code == Some(0) && ended.stderr.contains("300 rows"), "{}", ended.stderr);
    assert!(proxy.lost() > 10, "{} answers were lost", proxy.lost());
    server.stop();
    workshop.run_well(&["run", "posted.yaml", "--drain"]);
    same_rows(workshop.delta_rows("out/table"), rows(&emulate(&database, &arguments)));
}

#[test]
fn what_a_server_refuses_is_reported_without_secrets() {
    let (database, workshop, id) = (filled(), Workshop::new(), unique("id"));
    create(&id, 1);
    let server = both(&workshop);
    let proxy = format!("http://127.0.0.1:{}/topics/{{name}}", server.port);
    let one = ["--tables", "user_data", "--rows", "3", "--names", id.as_str()];
    let token = ["--token", "${env:GATEWAY_TOKEN}"];
    let with_wrong = proxy.replace("//", "//pins:wrong-hush@");
    let (nowhere, nobody) =
        (["--tables", "user_data", "--names", "no-such-topic", "--no-keys"], format!("http://127.0.0.1:{}/x", free_ports(1)[0]));
    for (url, arguments, code, told) in [
        (&proxy, [&one[..], &token].concat(), 5, "`--no-keys`"),
        (&proxy, one.to_vec(), 5, "401 Unauthorized"),
        (&with_wrong, one.to_vec(), 5, "401 Unauthorized"),
        (&proxy, [&nowhere[..], &token].concat(), 5, "404 Not Found"),
        (&nobody, [&one[..], &["--retry", "100ms"]].concat(), 5, "tried for"),
        (&proxy, ["--tables", "user_data,geolocation_data", "--token", "plain-hush"].to_vec(), 2, "'${env:NAME}'"),
        (&nobody, ["--tables", TABLES].to_vec(), 2, "would be mixed"),
    ] {
        let ended = post(&database, url, &arguments);
        assert!(ended.code == Some(code) && ended.stderr.contains(told), "{arguments:?}: {:?} {}", ended.code, ended.stderr);
        assert!(!ended.stderr.contains("hush") && !ended.stderr.contains("t0ken"), "{}", ended.stderr);
    }
    let ended = emulate(&database, &["--tables", TABLES, "--to", "http"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("`--to http` needs `--url`"), "{}", ended.stderr);
    server.stop();
    assert!(committed(&id).is_empty(), "what was refused went nowhere");
}
