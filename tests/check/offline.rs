//! `wasmill check --offline` opens no connection: every connector in all its roles is pointed at a listener that counts.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::WASMILL;

/// Takes connections, counts them and ends them.
struct Counter {
    address: SocketAddr,
    count: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Counter {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (count, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, over) = (Arc::clone(&count), Arc::clone(&is_over));
        let address = listener.local_addr().unwrap();
        let serve = move || loop {
            match listener.accept() {
                Ok(_) => drop(counted.fetch_add(1, Ordering::Relaxed)),
                // The queue is empty: what came before the end has been counted.
                Err(error) if error.kind() == ErrorKind::WouldBlock && over.load(Ordering::Relaxed) => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        };
        Self { address, count, is_over, thread: Some(std::thread::spawn(serve)) }
    }

    /// How many connections there were.
    fn count(mut self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.count.load(Ordering::Relaxed)
    }
}

/// Every connector that has a server, as whatever it can be. Half of them take credentials from AWS's chain.
fn pipeline(address: SocketAddr, dead_letters: &str) -> String {
    let (kafka, postgres) = (format!("{{ brokers: \"{address}\" }}"), format!("{{ url: \"postgres://mill@{address}/pins\" }}"));
    let aws = format!("{{ endpoint: \"http://{address}\" }}");
    let msk = format!("{{ brokers: \"{address}\", security: {{ auth: msk_iam }} }}");
    let connection = match dead_letters {
        "kafka" => format!("kafka: {{ connection: {kafka}, topic: dead }}"),
        "postgres" => format!("postgres: {{ connection: {postgres}, table: dead }}"),
        "s3" => format!("s3: {{ connection: {aws}, uri: \"s3://lake/dead\", format: jsonl }}"),
        _ => format!("delta: {{ connection: {aws}, uri: \"s3://lake/dead\" }}"),
    };
    format!(
        "name: everything\n\
         sources:\n\
         \x20 topic: {{ kafka: {{ connection: {kafka}, topics: [pin] }}, schema: {{ index: int64 }} }}\n\
         \x20 msk: {{ kafka: {{ connection: {msk}, topics: [pin] }}, schema: {{ index: int64 }} }}\n\
         \x20 stream: {{ kinesis: {{ connection: {aws}, stream: pin }}, schema: {{ index: int64 }} }}\n\
         \x20 regional: {{ kinesis: {{ stream: pin }}, schema: {{ index: int64 }} }}\n\
         \x20 objects: {{ s3: {{ connection: {aws}, uri: \"s3://lake/pins/*.parquet\" }} }}\n\
         \x20 typed: {{ s3: {{ uri: \"s3://lake/pins/*.jsonl\" }}, columns: [index], schema: {{ index: int64 }} }}\n\
         \x20 lake: {{ delta: {{ connection: {aws}, uri: \"s3://lake/pin_table\" }} }}\n\
         \x20 table: {{ postgres: {{ connection: {postgres}, table: pins }} }}\n\
         \x20 rds: {{ mysql: {{ connection: {{ url: \"mysql://mill@{address}/pins\" }}, table: pins, cursor: index }} }}\n\
         stages:\n\
         \x20 of_objects: {{ from: objects, plugin: clean-pin }}\n\
         \x20 of_lake: {{ from: lake, plugin: clean-pin }}\n\
         \x20 of_table: {{ from: table, drop: [board] }}\n\
         \x20 of_rds: {{ from: rds, drop: [board] }}\n\
         sinks:\n\
         \x20 to_topic: {{ from: topic, kafka: {{ connection: {kafka}, topic: clean }} }}\n\
         \x20 to_msk: {{ from: msk, kafka: {{ connection: {msk}, topic: clean }} }}\n\
         \x20 to_stream: {{ from: stream, kinesis: {{ connection: {aws}, stream: clean, delivery: at_least_once }} }}\n\
         \x20 to_region: {{ from: regional, s3: {{ uri: \"s3://lake/clean\", format: jsonl }} }}\n\
         \x20 to_objects: {{ from: of_objects, s3: {{ connection: {aws}, uri: \"s3://lake/other\", format: parquet }} }}\n\
         \x20 to_lake: {{ from: of_lake, delta: {{ connection: {aws}, uri: \"s3://lake/clean_table\" }} }}\n\
         \x20 to_table: {{ from: typed, postgres: {{ connection: {postgres}, table: clean }} }}\n\
         \x20 to_table_of_rds: {{ from: of_rds, postgres: {{ connection: {postgres}, table: third }} }}\n\
         \x20 to_table_of_table: {{ from: of_table, postgres: {{ connection: {postgres}, table: other }} }}\n\
         dead_letters: {{ {connection} }}\n\
         state: s3://lake/state\n"
    )
}

/// Everything that hands out credentials of AWS is the listener.
fn check(address: SocketAddr, dead_letters: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.yaml"), pipeline(address, dead_letters)).unwrap();
    let mut command = Command::new(WASMILL);
    command.current_dir(folder.path()).args(["check", "p.yaml"]).args(arguments).env_clear();
    for variable in ["XDG_CACHE_HOME", "WASMILL_CACHE", "TMPDIR"] {
        command.envs(std::env::var_os(variable).map(|value| (variable, value)));
    }
    let here = format!("http://{address}");
    command.env("HOME", folder.path()).env("WASMILL_PLUGINS", super::plugins());
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &here).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{here}/credentials"));
    command.env("AWS_ENDPOINT_URL_STS", &here);
    command.output().unwrap()
}

#[test]
fn an_offline_check_opens_no_connection_for_any_connector_in_any_role() {
    for dead_letters in ["kafka", "postgres", "s3", "delta"] {
        let counter = Counter::new();
        let output = check(counter.address, dead_letters, &["--offline", "--json"]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(counter.count(), 0, "with dead letters into {dead_letters}");
        let found: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let not_checked: Vec<&str> = found["not_checked"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
        for name in ["topic", "msk", "stream", "regional", "objects", "typed", "lake", "table", "rds"] {
            assert!(not_checked.iter().any(|what| what.contains(&format!("source `{name}`"))), "{name} in {not_checked:#?}");
        }
        for name in ["to_topic", "to_msk", "to_stream", "to_region", "to_objects", "to_lake", "to_table", "to_table_of_table"] {
            assert!(not_checked.iter().any(|what| what.contains(&format!("sink `{name}`"))), "{name} in {not_checked:#?}");
        }
        assert!(not_checked.iter().any(|what| what.contains("`dead_letters`")), "{not_checked:#?}");
    }
}

#[test]
fn without_it_the_same_check_does() {
    let counter = Counter::new();
    let output = check(counter.address, "kafka", &[]);
    assert_ne!(output.status.code(), Some(0), "nobody answers there");
    assert!(counter.count() > 0);
}
