//! The source `http`: the contract over its log, and streams that listen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use wasmill_contract::{Seen, check_source, read_all, seen};
use wasmill_engine::{Mode, Progress, Read, Result, Source, SplitState};
use wasmill_gateway::Record;
use wasmill_http::log::{Limits, Log};
use wasmill_http::{HttpConfig, HttpFormat, HttpSource};

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

fn ids() -> SchemaRef {
    schema(&[("id", DataType::Int64)])
}

fn source(config: &HttpConfig, schema: &SchemaRef, mode: Mode, state: &Path) -> HttpSource {
    HttpSource::new("p", "numbers", config, Arc::clone(schema), mode, Some(state)).unwrap()
}

/// The log of the source in a state.
fn log(state: &Path) -> Log {
    Log::open(&state.join("http/numbers"), Limits { max_bytes: 1 << 20, keep_keys: Duration::from_secs(60) }, None).unwrap()
}

fn put(log: &Log, name: &str, records: &[Record]) {
    let taken = log.take(name, records, None).unwrap();
    wasmill_gateway::handle().unwrap().block_on(log.durable(taken)).unwrap();
}

fn value(text: &[u8]) -> Record {
    Record { key: Some(Bytes::from_static(b"k")), timestamp: Some(1_700_000_000_000), ..Record::of_value(text.to_vec()) }
}

/// Requests of some records each, with bad ones among them.
fn fill(state: &Path) {
    let log = log(state);
    for request in 0..20 {
        let record = |number: i32| match number % 10 {
            5 => value(b"{\"id\": 5, \"text\": \"bad \xff byte\"}"),
            7 => value(b"{\"id\": \"seven\"}"),
            8 => Record { value: None, ..value(b"") },
            _ => value(format!("{{\"id\": {number}, \"text\": \"\u{fc} {number}\", \"else\": [{number}]}}").as_bytes()),
        };
        let records: Vec<Record> = (0..request % 7).map(|at| record(request * 7 + at)).collect();
        put(&log, "numbers", &records);
    }
}

#[test]
fn the_contract_holds() {
    let state = tempfile::tempdir().unwrap();
    fill(state.path());
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let columns = schema(&[
        ("_source.topic", DataType::Utf8),
        ("id", DataType::Int64),
        ("text", DataType::Utf8),
        ("_source.offset", DataType::Int64),
        ("_source.timestamp", time),
        ("_source.key", DataType::Utf8),
    ]);
    let config = HttpConfig::at("127.0.0.1:0");
    let all = check_source(|| Box::new(source(&config, &columns, Mode::Batch, state.path())));
    assert_eq!(all.keys().collect::<Vec<_>>(), ["requests"]);
    let records = &all["requests"];
    assert_eq!((records.len(), records[0].1, records.last().unwrap().1), (57, 0, 56));
    let rejects = |code: &str| records.iter().filter(|(.., record)| record.starts_with(code)).count();
    assert!(rejects("invalid-utf8") > 2 && rejects("bad-value") > 2 && rejects("tombstone") > 2);
    let first = &records.iter().find(|(.., record)| record.starts_with('{')).unwrap().2;
    assert!(first.starts_with("{\"_source.topic\":\"numbers\",\"id\":14,") && first.contains("\"_source.key\":\"k\""), "{first}");
}

#[test]
fn raw_records_are_kept_byte_by_byte() {
    let state = tempfile::tempdir().unwrap();
    fill(state.path());
    let config = HttpConfig { format: HttpFormat::Raw, ..HttpConfig::at("127.0.0.1:0") };
    let columns = schema(&[("value", DataType::Binary)]);
    let all = check_source(|| Box::new(source(&config, &columns, Mode::Batch, state.path())));
    assert_eq!(all["requests"].len(), 57);
}

/// What a split gives until it has nothing.
fn read(source: &mut HttpSource, restored: &Progress, count: usize) -> (Vec<Seen>, SplitState) {
    let found = source.discover(restored).unwrap();
    assert!(!found.complete && found.splits.len() == 1);
    let mut reader = source.opener().open(&found.splits[0]).unwrap();
    let (mut all, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records", all.len());
        match reader.read(100).unwrap() {
            Read::Batch(batch) => all.extend(seen(&batch)),
            Read::Idle => std::thread::park_timeout(Duration::from_millis(2)),
            other => panic!("an endless split gives {other:?}"),
        }
    }
    (all, SplitState { position: reader.position(), done: false })
}

fn post(url: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_stream_listens_resumes_and_trims() {
    let state = tempfile::tempdir().unwrap();
    let config = HttpConfig::at("127.0.0.1:0");
    let mut first = source(&config, &ids(), Mode::Stream, state.path());
    assert!(first.url().is_none(), "nothing listens before the run begins");
    let found = first.discover(&Progress::new()).unwrap();
    let url = first.url().unwrap();
    assert!(post(&url, "/ingest/numbers", "{\"id\":1}{\"id\":2}").starts_with("HTTP/1.1 200"));
    assert_eq!(first.rows_behind(), Some(2));
    let mut reader = first.opener().open(&found.splits[0]).unwrap();
    let Read::Batch(batch) = reader.read(1).unwrap() else { panic!("there is a record") };
    assert_eq!((batch.records(), first.rows_behind()), (1, Some(1)));
    let state_then = SplitState { position: reader.position(), done: false };
    drop((reader, first));
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err(), "it listens no more");

    let restored = Progress::from([("requests".into(), state_then)]);
    let mut second = source(&config, &ids(), Mode::Stream, state.path());
    let (records, position) = read(&mut second, &restored, 1);
    assert!(records[0].2.starts_with("{\"id\":2}"), "{records:?}");
    second.committed(&Progress::from([("requests".into(), position.clone())]));
    drop(second);
    let mut third = source(&config, &ids(), Mode::Batch, state.path());
    assert!(third.discover(&Progress::from([("requests".into(), position)])).unwrap().splits.is_empty());
}

#[test]
fn a_batch_listens_to_nothing_and_reads_what_was_there_when_it_began() {
    let state = tempfile::tempdir().unwrap();
    let config = HttpConfig::at("127.0.0.1:0");
    let mut none = source(&config, &ids(), Mode::Batch, state.path());
    let found = none.discover(&Progress::new()).unwrap();
    assert!(found.complete && found.splits.is_empty() && none.url().is_none());
    let log = log(state.path());
    put(&log, "numbers", &[value(b"{\"id\":1}")]);
    let mut batch = source(&config, &ids(), Mode::Batch, state.path());
    let splits = batch.discover(&Progress::new()).unwrap().splits;
    put(&log, "numbers", &[value(b"{\"id\":2}")]);
    assert_eq!(read_all(&batch, batch.opener().open(&splits[0]).unwrap().as_mut(), 100).0.len(), 1);
}

#[test]
fn sources_at_one_address_have_one_configuration_and_names_of_their_own() {
    let state = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = HttpConfig::at(port.to_string());
    let named = |name: &str, config: &HttpConfig| {
        let mut source = HttpSource::new("p", name, config, ids(), Mode::Stream, Some(state.path())).unwrap();
        source.discover(&Progress::new()).map(|_| source)
    };
    let code = |made: Result<HttpSource>| made.err().map(|error| error.kind().unwrap().name);
    let _pins = named("pins", &config).unwrap();
    let users = named("users", &config).unwrap();
    let same = HttpConfig { names: Some(vec!["users".into()]), ..config.clone() };
    assert_eq!(code(named("others", &same)), Some("http/name"));
    let other = HttpConfig { rate: Some(1), ..config.clone() };
    assert_eq!(code(named("others", &other)), Some("http/listeners-differ"));
    let url = format!("http://127.0.0.1:{port}");
    assert!(post(&url, "/ingest/users", "{}").starts_with("HTTP/1.1 200"));
    drop(users);
    assert!(post(&url, "/ingest/users", "{}").starts_with("HTTP/1.1 404"));
    assert!(post(&url, "/ingest/pins", "{}").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_state_in_a_bucket_needs_a_folder() {
    let made = |config: &HttpConfig| HttpSource::new("p", "numbers", config, ids(), Mode::Batch, None);
    let config = HttpConfig::at("1");
    assert_eq!(made(&config).err().unwrap().kind().unwrap().name, "http/folder");
    made(&HttpConfig { folder: Some("somewhere".into()), ..config }).unwrap();
}
