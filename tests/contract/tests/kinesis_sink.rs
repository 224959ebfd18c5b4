//! The sink `kinesis` against a real server: at least once, in order, and what happens when records are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kinesis_server;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use kinesis_server::proxy::{Fate, Proxy};
use kinesis_server::{Stream, connection, connection_to};
use serde_json::Value;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, LocalDepot, Sink, Token, WriterContext};
use wasmill_kinesis::{KinesisSink, KinesisSinkConfig};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("key", DataType::Utf8, true), Field::new("id", DataType::Int64, false)]))
}

/// Rows with the keys `k0` to `k6`.
fn rows(numbers: Range<i64>) -> RecordBatch {
    let keys: StringArray = numbers.clone().map(|number| Some(format!("k{}", number % 7))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(Int64Array::from_iter_values(numbers))]).unwrap()
}

fn config(stream: &Stream) -> KinesisSinkConfig {
    KinesisSinkConfig { partition_key: Some("key".into()), ..KinesisSinkConfig::of_stream(&stream.name, connection()) }
}

fn sink(config: &KinesisSinkConfig, folder: &Path) -> KinesisSink {
    KinesisSink::new(config.clone(), &schema(), Arc::new(LocalDepot::new(folder))).unwrap()
}

fn token(epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(1), epoch, previous: epoch - 1 }
}

/// Writes an epoch and prepares it.
fn prepare(sink: &KinesisSink, epoch: u64, batches: &[RecordBatch]) -> Value {
    let token = token(epoch);
    let (pipeline, name) = (token.pipeline.clone(), token.sink.clone());
    let context = WriterContext { pipeline, sink: name, incarnation: token.incarnation, epoch, lane: 0, schema: schema() };
    let mut writer = sink.writer(context).unwrap();
    for batch in batches {
        assert!(writer.write(batch).unwrap().is_empty());
    }
    sink.prepare(&token, vec![writer.prepare().unwrap()]).unwrap()
}

/// The ids in a stream by key, in the order of the shards.
fn ids(stream: &Stream) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in stream.shards().iter().flat_map(|shard| stream.records(&shard.shard_id)) {
        let row: Value = serde_json::from_slice(record.data.as_ref()).unwrap();
        assert_eq!(row["key"].as_str(), record.partition_key.as_deref());
        all.entry(record.partition_key.unwrap()).or_default().push(row["id"].as_i64().unwrap());
    }
    all
}

/// What each key has to have, in order.
fn expected(numbers: Range<i64>) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    numbers.for_each(|number| all.entry(format!("k{}", number % 7)).or_default().push(number));
    all
}

#[test]
fn an_epoch_is_put_at_its_commit_and_not_again() {
    let (stream, folder) = (Stream::new(2), tempfile::tempdir().unwrap());
    let config = config(&stream);
    let first = sink(&config, folder.path());
    let prepared = prepare(&first, 1, &[rows(0..70), rows(70..140)]);
    assert!(ids(&stream).is_empty(), "nothing is seen before the commit");
    assert_eq!(first.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(ids(&stream), expected(0..140));
    // By this process and by the next one, whose start removes what is left over.
    assert_eq!(first.commit(&token(1), &prepared).unwrap(), CommitOutcome::Already);
    let next = sink(&config, folder.path());
    assert_eq!(next.commit(&token(1), &prepared).unwrap(), CommitOutcome::Already);
    next.clean_up(&token(2)).unwrap();
    assert_eq!(next.commit(&token(1), &prepared).unwrap(), CommitOutcome::Already);
    let prepared = prepare(&next, 2, &[rows(140..150)]);
    assert_eq!(next.commit(&token(2), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(ids(&stream), expected(0..150));
    assert!(!next.remembers());
}

#[test]
fn refused_records_alone_are_put_again_and_none_overtakes_another_of_its_key() {
    let (stream, folder) = (Stream::new(1), tempfile::tempdir().unwrap());
    let proxy = Proxy::start();
    let config = KinesisSinkConfig { connection: connection_to(&proxy.address), ..config(&stream) };
    let mut calls = 0;
    proxy.rule(move |operation, body| {
        let records = serde_json::from_slice::<Value>(body).map_or(0, |body| body["Records"].as_array().map_or(0, Vec::len));
        calls += usize::from(operation == "PutRecords");
        match operation {
            "PutRecords" if calls % 3 == 1 && records > 2 => Fate::FailRecords(vec![0, records / 2]),
            "PutRecords" if calls == 5 => Fate::Refuse(400, "ProvisionedThroughputExceededException"),
            _ => Fate::Pass,
        }
    });
    let sink = sink(&config, folder.path());
    let prepared = prepare(&sink, 1, &[rows(0..100)]);
    assert_eq!(sink.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(ids(&stream), expected(0..100), "each once, and in order");
    assert!(proxy.touched() >= 5, "{}", proxy.touched());
}

#[test]
fn without_an_order_calls_are_full() {
    let (stream, folder) = (Stream::new(2), tempfile::tempdir().unwrap());
    let proxy = Proxy::start();
    let (sender, calls) = std::sync::mpsc::channel();
    proxy.rule(move |operation, body| {
        let body: Value = serde_json::from_slice(body).unwrap();
        if operation == "PutRecords" {
            sender.send(body["Records"].as_array().unwrap().len()).unwrap();
        }
        Fate::Pass
    });
    let config = KinesisSinkConfig { connection: connection_to(&proxy.address), ordered: Some(false), ..config(&stream) };
    let sink = sink(&config, folder.path());
    let prepared = prepare(&sink, 1, &[rows(0..1_200)]);
    sink.commit(&token(1), &prepared).unwrap();
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [500, 500, 200]);
    let mut all: Vec<i64> = ids(&stream).into_values().flatten().collect();
    all.sort_unstable();
    assert_eq!(all, (0..1_200).collect::<Vec<_>>());
}

#[test]
fn a_lost_answer_doubles_what_it_was_about_and_loses_nothing() {
    let (stream, folder) = (Stream::new(1), tempfile::tempdir().unwrap());
    let proxy = Proxy::start();
    proxy.every("PutRecords", 1, 1, Fate::Lose);
    let config = KinesisSinkConfig { connection: connection_to(&proxy.address), ordered: Some(false), ..config(&stream) };
    let sink = sink(&config, folder.path());
    let prepared = prepare(&sink, 1, &[rows(0..600)]);
    assert_eq!(sink.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    let mut all: Vec<i64> = ids(&stream).into_values().flatten().collect();
    all.sort_unstable();
    let twice = (0..500).flat_map(|id| [id, id]).chain(500..600);
    assert_eq!((proxy.touched(), all), (1, twice.collect::<Vec<_>>()));
}

#[test]
fn a_commit_that_is_given_up_is_finished_by_a_later_one() {
    let (stream, folder) = (Stream::new(1), tempfile::tempdir().unwrap());
    let proxy = Proxy::start();
    let config = KinesisSinkConfig {
        connection: connection_to(&proxy.address),
        retry: wasmill_connect::Retry::of("1s"),
        ordered: Some(false),
        ..config(&stream)
    };
    let first = sink(&config, folder.path());
    let prepared = prepare(&first, 1, &[rows(0..20)]);
    proxy.every("PutRecords", 1, usize::MAX, Fate::Refuse(400, "ProvisionedThroughputExceededException"));
    let error = first.commit(&token(1), &prepared).unwrap_err();
    assert!(error.to_string().contains("ProvisionedThroughputExceededException") && error.hint_text().is_some(), "{error}");
    proxy.rule(|_, _| Fate::Pass);
    assert_eq!(sink(&config, folder.path()).commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(ids(&stream), expected(0..20));
    let other = KinesisSinkConfig { stream: "another".into(), ..config };
    assert!(sink(&other, folder.path()).commit(&token(2), &prepared).unwrap_err().to_string().contains("was prepared for the stream"));
}
