//! The source `http`: what was answered is in the table, once, whatever is killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Connection, ask, get, post};
use super::{Listening, emulated, post_by_python};
use crate::kafka_broker::ports::free_ports;
use crate::support::{Random, Workshop, number_from_environment, until};

fn pipeline(port: u16) -> String {
    format!(
        r#"
name: posted
mode: stream
lanes: 2
sources:
  numbers:
    http: {{ server: {{ listen: "127.0.0.1:{port}" }} }}
    schema: {{ n: int64 }}
    max_reject_share: 100%
sinks:
  table:
    from: numbers
    delta: {{ uri: out/table, write: append }}
dead_letters:
  files: {{ path: out/dead_letters, format: jsonl }}
epoch: {{ every: 200ms }}
"#
    )
}

fn start(workshop: &Workshop) -> Listening {
    let port = free_ports(1)[0];
    workshop.write("posted.yaml", &pipeline(port));
    Listening::start(workshop.wasmill(&["run", "posted.yaml"]), port)
}

fn numbers(workshop: &Workshop) -> Vec<u64> {
    let mut numbers: Vec<u64> = workshop.delta_rows("out/table").iter().map(|row| row["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn every_protocol_reaches_the_table_and_a_retry_is_one() {
    let workshop = Workshop::new();
    let server = start(&workshop);
    let port = server.port;
    assert_eq!(post(port, "/ingest/numbers", "application/json", r#"[{"n": 1}, {"n": 2}]"#).json(), json!({ "accepted": 2 }));
    assert_eq!(post(port, "/ingest/numbers", "text/csv", "n,other\n3,x\n").status, 200);
    let rest =
        post(port, "/topics/numbers", "application/vnd.kafka.json.v2+json", r#"{"records":[{"value":{"n":4}},{"value":{"n":"5"}}]}"#);
    assert_eq!(rest.json()["offsets"][1], json!({ "partition": 0, "offset": 4, "error_code": null, "error": null }));
    let put = ask(port, "PUT", "/streams/numbers/record", &[], br#"{"Data":{"n":6},"PartitionKey":"p"}"#);
    assert_eq!(put.json(), json!({ "ShardId": "shardId-000000000000", "SequenceNumber": "5" }));
    let retried = |body: &str| ask(port, "POST", "/ingest/numbers", &[("Idempotency-Key", "seven")], body.as_bytes());
    assert_eq!((retried(r#"{"n":7}"#).status, retried(r#"{"n":7}"#).status, retried(r#"{"n":8}"#).status), (200, 200, 422));
    assert_eq!(post(port, "/ingest/numbers", "application/json", r#"{"n":"not a number"}"#).status, 200);
    assert_eq!(get(port, "/topics").json(), json!(["numbers"]));
    assert_eq!(post(port, "/ingest/others", "application/json", "{}").status, 404);
    until("all are in the table", || numbers(&workshop).len() == 7);
    server.stop();
    assert_eq!(numbers(&workshop), (1..8).collect::<Vec<u64>>());
    let dead = workshop.jsonl_rows("out/dead_letters");
    assert_eq!((dead.len(), &dead[0]["record"], &dead[0]["position"]), (1, &json!(r#"{"n":"not a number"}"#), &json!(7)));
}

#[test]
fn what_was_accepted_behind_a_stop_is_of_the_next_run_and_of_a_batch() {
    let workshop = Workshop::new();
    let server = start(&workshop);
    (0..20).for_each(|n| assert_eq!(post(server.port, "/ingest/numbers", "", &json!({ "n": n }).to_string()).status, 200));
    // No epoch may have read them.
    server.running.kill();
    workshop.run_well(&["run", "posted.yaml", "--mode", "batch"]);
    assert_eq!(numbers(&workshop), (0..20).collect::<Vec<u64>>());
    workshop.run_well(&["run", "posted.yaml", "--drain"]);
    assert_eq!(numbers(&workshop).len(), 20);
    std::fs::remove_dir_all(workshop.path(".wasmill/state/posted/http")).unwrap();
    let ended = workshop.run(&["run", "posted.yaml", "--mode", "batch"]);
    assert!(ended.code == Some(5) && ended.stderr.contains("http/log-lost"), "{}", ended.stderr);
}

#[test]
fn tables_share_an_address_as_the_emulator_needs_it() {
    let (workshop, port) = (Workshop::new(), free_ports(1)[0]);
    let source = |table: &str, columns: &str| {
        format!(
            "  {table}:\n    http: {{ server: {{ listen: \"127.0.0.1:{port}\" }}, names: [0a1b.{table}, streaming-0a1b-{table}] }}\n    schema: {columns}\n"
        )
    };
    let sink = |table: &str| format!("  {table}_table: {{ from: {table}, delta: {{ uri: out/{table}, write: append }} }}\n");
    let tables =
        [("pin", "{ index: int64, title: text }"), ("geo", "{ ind: int64, country: text }"), ("user", "{ ind: int64, age: int64 }")];
    let sources: String = tables.iter().map(|(table, columns)| source(table, columns)).collect();
    let sinks: String = tables.iter().map(|(table, _)| sink(table)).collect();
    workshop.write("three.yaml", &format!("name: three\nmode: stream\nsources:\n{sources}sinks:\n{sinks}epoch: {{ every: 200ms }}\n"));
    let server = Listening::start(workshop.wasmill(&["run", "three.yaml"]), port);
    until("all three listen", || get(port, "/topics").json().as_array().unwrap().len() == 6);
    let rows = emulated(20);
    let url = format!("http://127.0.0.1:{port}");
    for protocol in ["kafka", "kinesis"] {
        let answers = post_by_python(&[protocol, &url, "0a1b"], &rows, &[]);
        assert!(answers.iter().all(|answer| answer["status"] == 200), "{answers:?}");
    }
    until("all are in their tables", || tables.iter().all(|(table, _)| workshop.delta_rows(&format!("out/{table}")).len() == 40));
    server.stop();
    let indices: BTreeSet<i64> = workshop.delta_rows("out/pin").iter().map(|row| row["index"].as_i64().unwrap()).collect();
    let posted: BTreeSet<i64> = rows.iter().filter(|(table, _)| *table == "pin").map(|(_, row)| row["index"].as_i64().unwrap()).collect();
    assert_eq!(indices, posted);
}

/// Posts numbers on and on. Each is sent until it is answered, with the same key, to whatever port the pipeline has now.
struct Load {
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<u64>>>,
}

impl Load {
    fn start(threads: u64, port: &Arc<AtomicU16>) -> Self {
        let (next, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let run = |_| {
            let (next, stop, port) = (Arc::clone(&next), Arc::clone(&stop), Arc::clone(port));
            std::thread::spawn(move || {
                let (mut connection, mut answered) = (None, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let from = next.fetch_add(3, Ordering::Relaxed);
                    let body = json!([{ "n": from }, { "n": from + 1 }, { "n": from + 2 }]).to_string();
                    send(&mut connection, &port, from, &body);
                    answered.extend(from..from + 3);
                }
                answered
            })
        };
        let threads = (0..threads).map(run).collect();
        Self { next, stop, threads }
    }

    /// Ends it; every number that was answered.
    fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answered: Vec<u64> = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        answered.sort_unstable();
        answered
    }
}

fn send(connection: &mut Option<Connection>, port: &AtomicU16, key: u64, body: &str) {
    let (key, deadline) = (format!("k{key}"), Instant::now() + Duration::from_secs(120));
    loop {
        assert!(Instant::now() < deadline, "{key} is not answered");
        if connection.is_none() {
            *connection = Connection::open(port.load(Ordering::Relaxed)).ok();
        }
        let asked = connection.as_mut().map(|open| open.ask("POST", "/ingest/numbers", &[("Idempotency-Key", &key)], body.as_bytes()));
        match asked {
            Some(Ok(answer)) if answer.status == 200 => return,
            // It is busy, or stops.
            Some(Ok(answer)) => assert!([404, 429, 503].contains(&answer.status), "{}: {:?}", answer.status, answer.json()),
            Some(Err(_)) | None => *connection = None,
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn killed_under_load_every_answered_row_is_there_once() {
    let kills = number_from_environment("WASMILL_CRASH_KILLS", 6);
    let mut random = Random::of("http under load");
    let (workshop, port) = (Workshop::new(), Arc::new(AtomicU16::new(0)));
    let mut server = start(&workshop);
    port.store(server.port, Ordering::Relaxed);
    let load = Load::start(8, &port);
    for _ in 0..kills {
        let before = load.next.load(Ordering::Relaxed);
        until("requests go on", || load.next.load(Ordering::Relaxed) > before + 300);
        std::thread::park_timeout(Duration::from_millis(random.below(400)));
        server.running.kill();
        server = start(&workshop);
        port.store(server.port, Ordering::Relaxed);
    }
    let answered = load.end();
    assert!(answered.len() as u64 > kills * 300);
    server.stop();
    workshop.run_well(&["run", "posted.yaml", "--drain"]);
    assert_eq!(numbers(&workshop), answered, "of {} answered rows", answered.len());
}
