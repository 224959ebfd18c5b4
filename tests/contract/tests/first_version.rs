//! What Wasmill 0.1 wrote into states is read and committed by every later version: the bytes of a state whose newest epoch is noted and
//! committed nowhere, with sinks of every kind. `fixtures/first_version/README.md` says how they were made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Each server of the tests brings the proxy along, and these tests use several.
#![allow(clippy::duplicate_mod)]

mod kafka_broker;
mod kinesis_server;
mod postgres;
mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};
use sink_contract::{readers, uploads};
use store::Prefix;
use tempfile::TempDir;
use wasmill_delta::{DeltaConfig, DeltaSink};
use wasmill_engine::{Checkpoint, CommitOutcome, Depot, LocalState, Mode, Progress, Read, Sink, Source, SplitState, StateStore, Token};
use wasmill_files::{FilesConfig, FilesSource};
use wasmill_files::{FilesSink, FilesSinkConfig};
use wasmill_formats::SinkFormat;
use wasmill_kafka::{KafkaSink, KafkaSinkConfig};
use wasmill_kinesis::{KinesisSink, KinesisSinkConfig};
use wasmill_objects::S3State;
use wasmill_postgres::{PostgresConfig, PostgresSink};
use wasmill_reading::Paths;
use wasmill_s3::sink::{S3Sink, S3SinkConfig};

/// The rows that were written.
const IDS: [i64; 4] = [1, 2, 3, 5];
const PIPELINE: &str = "first-version";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first_version")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The state and the local places of the sinks, as the process left them that was killed.
struct Left {
    folder: TempDir,
    state: LocalState,
    checkpoint: Checkpoint,
}

impl Left {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixtures().join("state"), &folder.path().join("state").join(PIPELINE));
        copy(&fixtures().join("out"), &folder.path().join("out"));
        let state = LocalState::open(&folder.path().join("state"), PIPELINE).unwrap();
        let checkpoint = state.latest().unwrap().unwrap();
        Self { folder, state, checkpoint }
    }

    fn place(&self, name: &str) -> String {
        self.folder.path().join("out").join(name).to_str().unwrap().to_owned()
    }

    fn depot(&self) -> Arc<dyn Depot> {
        self.state.depot()
    }

    fn token(&self, sink: &str) -> Token {
        self.checkpoint.token(sink)
    }

    fn prepared(&self, sink: &str) -> Value {
        self.checkpoint.sinks[sink].prepared.clone().unwrap()
    }

    /// Commits what is prepared for a sink, and finds it committed the second time.
    fn commit(&self, name: &str, prepared: &Value, sink: &dyn Sink) {
        let token = self.token(name);
        assert_eq!(sink.commit(&token, prepared).unwrap(), CommitOutcome::Done, "{name}");
        assert_eq!(sink.commit(&token, prepared).unwrap(), CommitOutcome::Already, "{name}");
        if sink.remembers() {
            let held = sink.committed(PIPELINE, name).unwrap().unwrap();
            assert_eq!((held.incarnation, held.epoch), (token.incarnation, token.epoch), "{name}");
        }
        sink.clean_up(&Token { epoch: token.epoch + 1, previous: token.epoch, ..token }).unwrap();
    }
}

#[test]
fn a_file_is_read_on_in_its_middle() {
    let left = Left::new();
    let (id, state) = left.checkpoint.sources["rows"].first_key_value().unwrap();
    let data = left.folder.path().join("data");
    copy(&fixtures().join("data"), &data);
    let text = std::fs::read_to_string(data.join("a.jsonl")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let path = data.join("a.jsonl").to_str().unwrap().to_owned();
    let config = FilesConfig { path: Paths::One(path.clone()), ..FilesConfig::default() };
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    for read in 0..=lines.len() {
        let mut position = state.position.clone();
        position["offset"] = lines[..read].concat().len().into();
        let progress = Progress::from([(id.replace("data/a.jsonl", &path).into(), SplitState { position, done: false })]);
        let mut source = FilesSource::new("rows", config.clone(), Arc::clone(&schema) as SchemaRef, Mode::Batch).unwrap();
        let mut rest = 0;
        for split in source.discover(&progress).unwrap().splits {
            let mut reader = source.opener().open(&split).unwrap();
            loop {
                match reader.read(100).unwrap() {
                    Read::Batch(batch) => rest += batch.batch.records.num_rows() + batch.rejects.len(),
                    Read::Idle | Read::Skipping => {}
                    Read::End => break,
                }
            }
        }
        assert_eq!(rest, lines.len() - read, "{read} lines were read");
    }
}

fn with(prepared: &Value, key: &str, value: Value) -> Value {
    let mut changed = prepared.clone();
    changed[key] = value;
    changed
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let ids = batches.iter().flat_map(|batch| batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec());
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids
}

fn ids_of_lines(text: &str) -> Vec<i64> {
    let mut ids: Vec<i64> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// The visible files of a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).collect()
}

#[test]
fn the_checkpoint_is_read() {
    let left = Left::new();
    assert_eq!((left.checkpoint.pipeline.as_str(), left.checkpoint.epoch), (PIPELINE, 2));
    let progress = &left.checkpoint.sources["rows"];
    assert!(progress.len() == 1 && progress.values().all(|state| state.done), "{progress:?}");
    let sinks: Vec<&str> = left.checkpoint.sinks.keys().map(String::as_str).collect();
    let every =
        ["bucket_table", "dead_letters", "kafka", "kinesis", "lines", "objects", "parquet", "postgres", "screen", "table", "upserts"];
    assert_eq!(sinks, every);
    assert!(left.checkpoint.sinks.values().all(|sink| sink.previous == 0 && sink.prepared.is_some()));
    assert!(!left.state.is_noted_committed(2));
    // The epoch's commits are done, and 0.1 notes it.
    std::fs::write(left.folder.path().join("state").join(PIPELINE).join("committed-0000000002"), "").unwrap();
    assert!(left.state.is_noted_committed(2));
}

#[test]
fn a_delta_table_on_disk_is_committed() {
    let left = Left::new();
    let sink = DeltaSink::without_columns(DeltaConfig::new(left.place("table"))).unwrap();
    left.commit("table", &left.prepared("table"), &sink);
    let (_, files) = readers::delta_table(Path::new(&left.place("table"))).unwrap();
    assert_eq!(ids(&files.iter().flat_map(|file| file.batches.clone()).collect::<Vec<_>>()), IDS);
}

#[test]
fn files_are_committed() {
    let left = Left::new();
    let sink = |name: &str, format| FilesSink::without_columns(FilesSinkConfig::new(left.place(name), format)).unwrap();
    left.commit("parquet", &left.prepared("parquet"), &sink("parquet", SinkFormat::Parquet));
    let batches: Vec<RecordBatch> = files(&left.place("parquet")).iter().flat_map(|file| readers::parquet_batches(file)).collect();
    assert_eq!(ids(&batches), IDS);
    left.commit("lines", &left.prepared("lines"), &sink("lines", SinkFormat::Jsonl));
    assert_eq!(files(&left.place("lines")).len(), 1);
    left.commit("dead_letters", &left.prepared("dead_letters"), &sink("dead_letters", SinkFormat::Jsonl));
    let dead = std::fs::read_to_string(&files(&left.place("dead_letters"))[0]).unwrap();
    assert!(dead.lines().count() == 2 && dead.contains("a record that can't be decoded"), "{dead}");
}

#[test]
fn spooled_rows_are_copied_into_postgres() {
    let (left, server) = (Left::new(), postgres::Schema::new());
    for (name, table) in [("postgres", "first_version"), ("upserts", "first_version_upserts")] {
        let config = PostgresConfig::new(postgres::url(), server.table(table));
        let (schema, _) = config.table.split_once('.').unwrap();
        let prepared = with(&left.prepared(name), "table", json!({ "schema": schema, "name": table }));
        left.commit(name, &prepared, &PostgresSink::without_columns(&config, left.depot()).unwrap());
        let rows =
            server.rows(&format!("SELECT id, name, price, seen AT TIME ZONE 'UTC', day, tags::text, flag FROM $s.{table} ORDER BY id"));
        assert_eq!(rows[1], ["2", "grüße, \"zwei\"", "-0.01", "1969-12-31 23:59:59.999999", "1969-12-31", "{}", "f"]);
        assert_eq!(rows[2], ["3", "∅", "∅", "∅", "∅", "∅", "∅"]);
        assert_eq!(rows.iter().map(|row| row[0].parse::<i64>().unwrap()).collect::<Vec<_>>(), IDS);
    }
    assert_eq!(left.depot().list("spool/first-version.postgres").unwrap(), Vec::<String>::new());
}

#[test]
fn spooled_records_are_produced_into_kafka() {
    let (left, topic) = (Left::new(), kafka_broker::topic(1));
    let config =
        KafkaSinkConfig { commits_topic: kafka_broker::unique("commits"), ..KafkaSinkConfig::of_topic(kafka_broker::address(), &topic) };
    let prepared = with(&left.prepared("kafka"), "topic", json!(topic));
    left.commit("kafka", &prepared, &KafkaSink::without_columns(&config, left.depot()).unwrap());
    let mut numbers: Vec<i64> = kafka_broker::committed(&topic).iter().map(|record| record.json()["id"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, IDS);
}

#[test]
fn spooled_rows_are_put_into_kinesis() {
    let (left, stream) = (Left::new(), kinesis_server::Stream::new(1));
    let config = KinesisSinkConfig::of_stream(&stream.name, kinesis_server::connection());
    let prepared = with(&left.prepared("kinesis"), "stream", json!(stream.name));
    left.commit("kinesis", &prepared, &KinesisSink::without_columns(config, left.depot()).unwrap());
    let records = stream.shards().iter().flat_map(|shard| stream.records(&shard.shard_id)).collect::<Vec<_>>();
    let text: Vec<String> = records.iter().map(|record| String::from_utf8(record.data.as_ref().to_vec()).unwrap()).collect();
    // A row without a partition key was refused.
    assert_eq!(ids_of_lines(&text.join("\n")), [1, 2, 5]);
}

#[test]
fn the_note_of_what_was_put_into_kinesis_is_heeded() {
    let left = Left::new();
    let token = left.token("kinesis");
    let note = json!({ "incarnation": token.incarnation, "epoch": token.epoch });
    let path = left.folder.path().join("state").join(PIPELINE).join("spool/first-version.kinesis.put");
    std::fs::write(path, note.to_string()).unwrap();
    let config = KinesisSinkConfig::of_stream("nowhere", kinesis_server::connection_to("http://127.0.0.1:1"));
    let sink = KinesisSink::without_columns(config, left.depot()).unwrap();
    assert_eq!(sink.commit(&token, &left.prepared("kinesis")).unwrap(), CommitOutcome::Already);
}

/// Uploads the parts again whose ids and ETags another store gave.
fn upload_again(prefix: &Prefix, place: &str, prepared: &Value) -> Value {
    let mut prepared = prepared.clone();
    for file in prepared["files"].as_array_mut().unwrap() {
        let path = file["path"].as_str().unwrap().to_owned();
        let bytes = std::fs::read(fixtures().join("objects").join(place).join(&path)).unwrap();
        assert_eq!(file["upload"]["parts"].as_array().unwrap().len(), 1);
        let key = prefix.path(&format!("{place}/{path}"));
        let begin = prefix.client.create_multipart_upload().bucket(&prefix.bucket).key(&key).send();
        let id = prefix.wait(begin).unwrap().upload_id.unwrap();
        let part = prefix.client.upload_part().bucket(&prefix.bucket).key(&key).upload_id(&id).part_number(1);
        let tag = prefix.wait(part.body(ByteStream::from(bytes)).send()).unwrap().e_tag.unwrap();
        file["upload"] = json!({ "id": id, "parts": [tag] });
    }
    prepared
}

#[test]
fn uploads_of_objects_are_completed() {
    let (left, prefix) = (Left::new(), Prefix::new());
    let prepared = upload_again(&prefix, "objects", &left.prepared("objects"));
    let sink = S3Sink::without_columns(S3SinkConfig::new(prefix.uri("objects"), store::config(), SinkFormat::Jsonl)).unwrap();
    left.commit("objects", &prepared, &sink);
    let path = prepared["files"][0]["path"].as_str().unwrap();
    assert_eq!(ids_of_lines(&String::from_utf8(prefix.get(&format!("objects/{path}"))).unwrap()), IDS);
    assert_eq!(uploads::pending(&prefix).len(), 0);
}

#[test]
fn uploads_of_a_delta_table_are_completed() {
    let (left, prefix) = (Left::new(), Prefix::new());
    let prepared = upload_again(&prefix, "table", &left.prepared("bucket_table"));
    let config = DeltaConfig { connection: Some(store::config()), ..DeltaConfig::new(prefix.uri("table")) };
    left.commit("bucket_table", &prepared, &DeltaSink::without_columns(config).unwrap());
    let there = tempfile::tempdir().unwrap();
    for name in prefix.names() {
        let path = there.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, prefix.get(&name)).unwrap();
    }
    let (_, files) = readers::delta_table(&there.path().join("table")).unwrap();
    assert_eq!(ids(&files.iter().flat_map(|file| file.batches.clone()).collect::<Vec<_>>()), IDS);
}

/// With its state in a bucket, 0.1 kept the spools in a folder of the working directory that was named after the address of the state.
#[test]
fn spools_that_lie_beside_a_process_whose_state_is_in_a_bucket_are_committed() {
    let (left, prefix, server) = (Left::new(), Prefix::new(), postgres::Schema::new());
    for entry in std::fs::read_dir(fixtures().join("state")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let name = format!("state/{PIPELINE}/{}", entry.file_name().unwrap().to_str().unwrap());
        prefix.put(&name, std::fs::read(&entry).unwrap());
    }
    let address = prefix.uri("state");
    let folder = PathBuf::from(&address).join(PIPELINE);
    copy(&fixtures().join("state/spool"), &folder.join("spool"));
    let _removed = Removed(PathBuf::from("s3:").join(&prefix.bucket).join(&prefix.key));
    let state = S3State::open_with(&address, PIPELINE, &store::config()).unwrap();
    assert_eq!(state.latest().unwrap().unwrap(), left.checkpoint);
    let config = PostgresConfig::new(postgres::url(), server.table("first_version"));
    let (schema, _) = config.table.split_once('.').unwrap();
    let prepared = with(&left.prepared("postgres"), "table", json!({ "schema": schema, "name": "first_version" }));
    left.commit("postgres", &prepared, &PostgresSink::without_columns(&config, state.depot()).unwrap());
    assert_eq!(server.column("SELECT id FROM $s.first_version ORDER BY id"), ["1", "2", "3", "5"]);
    let spooled = std::fs::read_dir(folder.join("spool/first-version.postgres")).unwrap().count();
    assert_eq!(spooled, 0, "what is committed is removed");
}

/// Removes a folder of the working directory, and those around it that are empty then, with the test.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        self.0.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty()).for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
}
