//! Requests that are malformed, huge, slow, or from somebody else.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::client::{Answer, Connection, ask, get, post};
use super::{Listening, gateway, post_by_python};
use crate::kafka_broker::{address, committed, create, topic, unique, variable};
use crate::support::Workshop;

fn guarded(workshop: &Workshop, topic: &str) -> Listening {
    let yaml = format!(
        r#"
gateway: guarded
server: {{ listen: "127.0.0.1:PORT", max_body: 64KiB, max_buffered: 1MiB, body_timeout: 1s, header_timeout: 1s, access_log: true }}
routes:
  pins:
    protocol: ingest
    into: {topic}
    to: {{ kafka: {{ connection: {{ brokers: "{0}" }} }} }}
  proxy:
    protocol: kafka_rest
    prefix: /guarded
    to: {{ kafka: {{ connection: {{ brokers: "{0}" }} }} }}
    auth: [{{ token: "${{secret:GATEWAY_TOKEN}}" }}, {{ user: pins, password: "${{secret:GATEWAY_PASSWORD}}" }}]
  rare:
    protocol: ingest
    into: {topic}
    prefix: /rare
    rate: 2
    to: {{ kafka: {{ connection: {{ brokers: "{0}" }} }} }}
"#,
        address()
    );
    gateway(workshop, &yaml)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn hostile_requests_are_refused_and_leave_nothing_behind() {
    let (workshop, topic) = (Workshop::new(), topic(1));
    let server = guarded(&workshop, &topic);
    let port = server.port;
    let refused = |content_type: &str, body: &str| {
        let answer = post(port, "/ingest/pins", content_type, body);
        (answer.status, answer.message())
    };
    let (status, message) = refused("application/json", "{\"a\": 1}\n{\"a\": ,}");
    assert!(status == 400 && message.contains("line 2 column 7"), "{message}");
    let (status, message) = refused("application/x-ndjson", "{\"a\": 1}\n[1]\n");
    assert_eq!((status, message.as_str()), (400, "line 2, column 1: a record must be an object, and this is an array"));
    let (status, message) = refused("text/csv", "a,b\n1,2\n3\n");
    assert_eq!((status, message.as_str()), (400, "line 3: the row has 1 values, and the header 2"));
    assert_eq!(refused("image/png", "x").0, 415);

    let huge = ask(port, "POST", "/ingest/pins", &[], &vec![b' '; 1 << 20]);
    assert_eq!((huge.status, huge.header("connection")), (413, Some("close")));
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert_eq!(ask(port, "POST", "/ingest/pins", &[("Content-Encoding", "gzip")], &bomb[..bomb.len().min(60_000)]).status, 413);
    assert_eq!(ask(port, "POST", "/ingest/pins", &[("Content-Encoding", "gzip")], b"plain").status, 400);
    assert_eq!(ask(port, "POST", "/ingest/pins", &[("Content-Encoding", "br")], b"x").status, 415);

    // Lies about its length, says nothing at all, speaks another protocol.
    let mut slow = Connection::open(port).unwrap();
    let begun = Instant::now();
    slow.write(b"POST /ingest/pins HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    assert_eq!(slow.answer().unwrap().status, 408);
    assert!(slow.is_closed());
    let mut silent = Connection::open(port).unwrap();
    silent.write(b"POST /ing").unwrap();
    assert!(silent.is_closed());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let mut other = Connection::open(port).unwrap();
    other.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").unwrap();
    assert!(other.answer().is_err() || other.is_closed());

    assert!(committed(&topic).is_empty(), "what was refused went nowhere");
    let good = ask(port, "POST", "/ingest/pins", &[("Content-Encoding", "gzip")], &gzip(b"[{\"a\":1},{\"a\":2}]"));
    assert_eq!((good.status, good.json()), (200, json!({ "accepted": 2 })));
    assert_eq!(committed(&topic).iter().map(|record| record.json()).collect::<Vec<_>>(), [json!({ "a": 1 }), json!({ "a": 2 })]);

    let limited: Vec<Answer> = (0..6).map(|_| post(port, "/rare/ingest/rare", "application/json", "[]")).collect();
    let refused = limited.iter().find(|answer| answer.status == 429).expect("more than two per second");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let stderr = server.stop().stderr;
    let lines: Vec<Value> = stderr.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["status"] == 413 && line["path"] == "/ingest/pins" && line["route"] == "pins"), "{stderr}");
    assert!(!stderr.contains("\"a\""), "an access log has no bodies: {stderr}");
}

#[test]
fn a_route_asks_who_is_there() {
    let (workshop, id) = (Workshop::new(), unique("id"));
    create(&format!("{id}.pin"), 1);
    let server = guarded(&workshop, &format!("{id}.pin"));
    let port = server.port;
    let path = format!("/guarded/topics/{id}.pin");
    let with = |value: &str| ask(port, "GET", &path, &[("Authorization", value)], b"").status;
    let nobody = get(port, &path);
    assert_eq!((nobody.status, nobody.code()), (401, 401));
    assert_eq!(nobody.header("www-authenticate"), Some("Basic realm=\"wasmill\", charset=\"UTF-8\""));
    assert_eq!((with("Bearer wrong"), with("Basic cGluczp3cm9uZw=="), with("Bearer t0ken-of-tests")), (401, 401, 200));
    let rows = [("pin", json!({ "index": 1 }))];
    let url = format!("http://pins:hush-of-tests@127.0.0.1:{port}/guarded");
    assert_eq!(post_by_python(&["kafka", &url, &id], &rows, &[])[0]["status"], 200);
    let headers = [("HEADERS", r#"{"Authorization": "Bearer t0ken-of-tests"}"#)];
    assert_eq!(post_by_python(&["kafka", &format!("http://127.0.0.1:{port}/guarded"), &id], &rows, &headers)[0]["status"], 200);
    let described = get(port, "/openapi.json").json();
    assert_eq!(described["paths"]["/guarded/topics/{topic}"]["post"]["security"], json!([{ "bearer": [] }, { "basic": [] }]));
    assert!(described["paths"]["/ingest/pins"]["post"]["requestBody"]["content"].get("text/csv").is_some());
    let stderr = server.stop().stderr;
    assert!(!stderr.contains("t0ken") && !stderr.contains("hush"), "{stderr}");
}

#[test]
fn tls_has_the_certificate_of_the_server() {
    let (workshop, id) = (Workshop::new(), unique("id"));
    create(&format!("{id}.pin"), 1);
    let tls = variable("WASMILL_TEST_POSTGRES_TLS");
    let yaml = format!(
        "gateway: proxy\nserver: {{ listen: \"127.0.0.1:PORT\", tls: {{ certificate: {tls}/server.crt, key: {tls}/server.key }} }}\nroutes:\n  proxy:\n    protocol: kafka_rest\n    to: {{ kafka: {{ connection: {{ brokers: \"{}\" }} }} }}\n",
        address()
    );
    let server = gateway(&workshop, &yaml);
    let rows = [("pin", json!({ "index": 1 }))];
    let url = format!("https://127.0.0.1:{}", server.port);
    let answers = post_by_python(&["kafka", &url, &id], &rows, &[("VERIFY", &format!("{tls}/ca.pem"))]);
    assert_eq!(answers[0]["status"], 200);
    server.stop();
    assert_eq!(committed(&format!("{id}.pin")).len(), 1);
}

#[test]
fn a_file_with_mistakes_starts_nothing_and_shows_them_all() {
    let workshop = Workshop::new();
    workshop.write(
        "gateway.yaml",
        r#"
gateway: g
server: { listen: "somewhere", max_bodi: 1MiB }
routes:
  a: { protocol: kafka_rest, to: { kafka: { connection: { brokers: "b1:9092" } } }, auth: [{ token: in-the-clear }] }
  b: { protocol: ftp, to: {} }
"#,
    );
    let ended = workshop.run(&["gateway", "gateway.yaml"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for found in ["error[unknown-key]", "max_bodi", "error[plain-secret]", "error[wrong-value]"] {
        assert!(ended.stderr.contains(found), "{found}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("in-the-clear"), "{}", ended.stderr);
    workshop.write("gateway.yaml", "gateway: g\nserver: { listen: \"somewhere\" }\nroutes:\n  b: { protocol: ingest, to: {} }\n");
    let ended = workshop.run(&["gateway", "gateway.yaml", "--check"]);
    assert_eq!(ended.code, Some(2));
    for found in ["error[gateway/address]", "gateway.yaml:2:", "error[gateway/route]", "gateway.yaml:4:"] {
        assert!(ended.stderr.contains(found), "{found}: {}", ended.stderr);
    }
}
