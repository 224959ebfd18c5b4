//! A store that does what it is asked and whose answer is lost: what was done counts, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_smithy_async::time::StaticTimeSource;
use sink_contract::uploads;
use store::Prefix;
use store::proxy::Proxy;
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink};
use wasmill_engine::{Checkpoint, CommitOutcome, Put, Result, Sink, StateStore, Token, WriterContext};
use wasmill_formats::SinkFormat;
use wasmill_objects::{S3Config, S3State};
use wasmill_s3::sink::{S3Sink, S3SinkConfig};

fn through(proxy: &Proxy) -> S3Config {
    S3Config { endpoint: Some(proxy.address.clone()), ..store::config() }
}

fn token(epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(3), epoch, previous: epoch - 1 }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn prepare(sink: &dyn Sink, epoch: u64) -> serde_json::Value {
    try_prepare(sink, epoch).unwrap()
}

fn try_prepare(sink: &dyn Sink, epoch: u64) -> Result<serde_json::Value> {
    let Token { pipeline, sink: name, incarnation, .. } = token(epoch);
    let mut writer = sink.writer(WriterContext { pipeline, sink: name, incarnation, epoch, lane: 0, schema: schema() })?;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![epoch as i64]));
    writer.write(&RecordBatch::try_new(schema(), vec![numbers]).unwrap())?;
    sink.prepare(&token(epoch), vec![writer.prepare()?])
}

/// Commits with the answers to some requests lost; every commit was done by this process, and says so.
fn commit_with(sink: &dyn Sink, proxy: &Proxy, losses: &[&'static [&'static str]]) -> u64 {
    for (index, texts) in losses.iter().enumerate() {
        let epoch = index as u64 + 1;
        let prepared = prepare(sink, epoch);
        let before = proxy.lost();
        proxy.lose(texts, 1);
        assert_eq!(sink.commit(&token(epoch), &prepared).unwrap(), CommitOutcome::Done, "{texts:?}");
        assert_eq!(proxy.lost(), before + 1, "{texts:?} was never asked");
        assert_eq!(sink.commit(&token(epoch), &prepared).unwrap(), CommitOutcome::Already, "{texts:?}");
    }
    losses.len() as u64
}

fn delta_commits_once_whichever_answer_is_lost() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let config = DeltaConfig { connection: Some(through(&proxy)), ..DeltaConfig::new(prefix.uri("table")) };
    let sink = DeltaSink::new(config, &schema()).unwrap();
    let epochs =
        commit_with(&sink, &proxy, &[&["PUT ", "_delta_log"], &["POST ", "uploadId="], &["PUT ", "_delta_log"], &["GET ", "_delta_log"]]);
    let mut numbers = uploads::delta_numbers(&prefix, "table");
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=epochs as i64));
    let entries = prefix.names().iter().filter(|name| name.ends_with(".json")).count() as u64;
    assert_eq!(entries, epochs, "one version a commit");
}

fn objects_are_committed_once_whichever_answer_is_lost() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let sink = S3Sink::new(S3SinkConfig::new(prefix.uri("place"), through(&proxy), SinkFormat::Jsonl), &schema()).unwrap();
    let epochs = commit_with(&sink, &proxy, &[&["PUT ", "_wasmill/p.s.json"], &["POST ", "uploadId="], &["PUT ", "_wasmill/p.s.json"]]);
    let mut numbers = uploads::object_numbers(&prefix, "place");
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=epochs as i64));
}

/// What is noted of uploads.
fn notes(prefix: &Prefix) -> Vec<String> {
    prefix.names().into_iter().filter(|name| name.split_once("_wasmill/").is_some_and(|(_, rest)| rest.contains('/'))).collect()
}

fn an_upload_whose_beginning_was_not_heard_of_is_aborted_by_the_next_start() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let config = |s3| S3SinkConfig::new(prefix.uri("place"), s3, SinkFormat::Jsonl);
    let sink = S3Sink::new(config(through(&proxy)), &schema()).unwrap();
    proxy.lose(&["POST ", "?uploads"], 1);
    let prepared = prepare(&sink, 1);
    assert_eq!((proxy.lost(), uploads::pending(&prefix).len()), (1, 2), "the first of the two is nobody's");
    assert_eq!(sink.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!((uploads::pending(&prefix).len(), notes(&prefix).len()), (1, 1));
    let next = S3Sink::new(config(store::config()), &schema()).unwrap();
    next.clean_up(&token(2)).unwrap();
    assert_eq!((uploads::pending(&prefix).len(), notes(&prefix).len()), (0, 1), "the lost request might come once more");
    age_notes(&prefix);
    next.clean_up(&token(2)).unwrap();
    assert_eq!((uploads::pending(&prefix).len(), notes(&prefix).len()), (0, 0));
    assert_eq!(uploads::object_numbers(&prefix, "place"), [1]);
}

/// Makes the notes of uploads two hours older.
fn age_notes(prefix: &Prefix) {
    for name in notes(prefix) {
        let mut note: serde_json::Value = serde_json::from_slice(&prefix.get(&name)).unwrap();
        let written = note["written_unix_seconds"].as_u64().unwrap();
        note["written_unix_seconds"] = (written - 2 * 60 * 60).into();
        prefix.put(&name, note.to_string());
    }
}

/// The sinks whose objects are uploads. Each has rows that it can write.
fn sinks(prefix: &Prefix, s3: S3Config) -> [Box<dyn Sink>; 2] {
    let objects = S3SinkConfig::new(prefix.uri("objects"), s3.clone(), SinkFormat::Jsonl);
    let table = DeltaConfig { connection: Some(s3), ..DeltaConfig::new(prefix.uri("table")) };
    [Box::new(S3Sink::new(objects, &schema()).unwrap()), Box::new(DeltaSink::new(table, &schema()).unwrap())]
}

/// A process is stopped when its key is noted. Another one takes over and cleans up. Then the request for the upload arrives, and the process ends before it
/// does anything else.
fn an_upload_that_begins_behind_a_takeover_is_aborted_by_the_next_start() {
    for index in 0..2 {
        let (prefix, proxy) = (Prefix::new(), Proxy::start());
        let [stopped, successor] = [through(&proxy), store::config()].map(|s3| sinks(&prefix, s3).into_iter().nth(index).unwrap());
        proxy.keep(&["POST ", "?uploads"]);
        let refused = try_prepare(&*stopped, 1).unwrap_err();
        assert!(refused.message().contains("AccessDenied"), "{refused}");
        successor.clean_up(&token(2)).unwrap();
        assert_eq!(uploads::pending(&prefix).len(), 0);
        let answer = proxy.deliver();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(uploads::pending(&prefix).len(), 1, "of a process that knows nothing of it");
        successor.clean_up(&token(3)).unwrap();
        assert_eq!((uploads::pending(&prefix).len(), notes(&prefix).len()), (0, 1));
        age_notes(&prefix);
        successor.clean_up(&token(4)).unwrap();
        assert_eq!(notes(&prefix).len(), 0, "nothing can begin under it any more");
    }
}

/// What the one above rests on: a note is removed when it is so old that the store refuses the request that is signed with its time.
fn what_was_signed_long_ago_is_refused() {
    let prefix = Prefix::new();
    let begin = |minutes: u64| {
        let signed = StaticTimeSource::new(SystemTime::now() - Duration::from_secs(minutes * 60));
        let config = aws_sdk_s3::config::Builder::new().time_source(signed).disable_clock_skew_correction(true);
        let request = prefix.client.create_multipart_upload().bucket(&prefix.bucket).key(prefix.path("x"));
        prefix.wait(request.customize().config_override(config).send())
    };
    let upload = begin(5).unwrap().upload_id.unwrap();
    let refused = begin(16).unwrap_err();
    assert_eq!(refused.code(), Some("RequestTimeTooSkewed"), "{refused:?}");
    let abort = prefix.client.abort_multipart_upload().bucket(&prefix.bucket).key(prefix.path("x")).upload_id(upload);
    prefix.wait(abort.send()).unwrap();
}

fn a_process_that_slept_until_its_note_was_too_old_notes_its_key_again() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let sink = S3Sink::new(S3SinkConfig::new(prefix.uri("place"), through(&proxy), SinkFormat::Jsonl), &schema()).unwrap();
    proxy.refuse(&["POST ", "?uploads"], 1, "RequestTimeTooSkewed");
    let prepared = prepare(&sink, 1);
    assert_eq!((uploads::pending(&prefix).len(), notes(&prefix).len()), (1, 2));
    assert_eq!(sink.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(uploads::object_numbers(&prefix, "place"), [1]);
    // A clock that is wrong is no sleep.
    proxy.refuse(&["POST ", "?uploads"], 9, "RequestTimeTooSkewed");
    let error = try_prepare(&sink, 2).unwrap_err();
    assert!(error.hint_text().unwrap().contains("clock"), "{error:?}");
}

fn a_note_whose_answer_is_lost_is_written_again() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let sink = S3Sink::new(S3SinkConfig::new(prefix.uri("place"), through(&proxy), SinkFormat::Jsonl), &schema()).unwrap();
    proxy.lose(&["PUT ", "_wasmill/p.s/"], 2);
    let prepared = prepare(&sink, 1);
    assert_eq!((proxy.lost(), notes(&prefix).len()), (2, 1));
    assert_eq!(sink.commit(&token(1), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!((uploads::object_numbers(&prefix, "place"), notes(&prefix).len()), (vec![1], 0), "the commit takes the note away");
}

fn parts_whose_answers_are_lost_are_sent_again() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let sink = S3Sink::new(S3SinkConfig::new(prefix.uri("place"), through(&proxy), SinkFormat::Jsonl), &schema()).unwrap();
    proxy.lose(&["PUT ", "partNumber="], 2);
    let prepared = prepare(&sink, 1);
    assert_eq!(proxy.lost(), 2);
    sink.commit(&token(1), &prepared).unwrap();
    assert_eq!(uploads::object_numbers(&prefix, "place"), [1]);
}

fn a_checkpoint_whose_answer_is_lost_is_ours_and_nobody_elses() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let open = |config: &S3Config| S3State::open_with(&prefix.uri("state"), "p", config).unwrap();
    let (first, second) = (open(&through(&proxy)), open(&store::config()));
    let checkpoint = |epoch| Checkpoint {
        pipeline: "p".into(),
        incarnation: Uuid::from_u128(3),
        epoch,
        sources: BTreeMap::new(),
        sinks: BTreeMap::new(),
        stages: BTreeMap::new(),
    };
    proxy.lose(&["PUT ", "epoch-"], 1);
    assert_eq!(first.put(&checkpoint(1)).unwrap(), Put::Done);
    assert_eq!(proxy.lost(), 1);
    // The same claim by another process, equal but for its writer, is not taken for the one that was lost.
    assert_eq!(second.put(&checkpoint(1)).unwrap(), Put::Taken);
    assert_eq!(second.put(&checkpoint(2)).unwrap(), Put::Done);
    proxy.lose(&["PUT ", "epoch-"], 1);
    assert_eq!(first.put(&checkpoint(2)).unwrap(), Put::Taken);
    for epoch in 3..=9 {
        assert_eq!(second.put(&checkpoint(epoch)).unwrap(), Put::Done);
    }
    assert_eq!(first.put(&checkpoint(2)).unwrap(), Put::Taken, "an epoch that was pruned is still taken");
    assert_eq!(first.latest().unwrap().unwrap(), checkpoint(9));
    let kept = prefix.names();
    assert_eq!(kept.len(), 3, "{kept:?}");
    second.note_committed(9);
    assert!(first.is_noted_committed(9) && !first.is_noted_committed(8));
    prefix.put("state/p/epoch-0000000010.json", "{\"wasmill_checkpoint\":1");
    assert!(first.latest().unwrap_err().message().contains("epoch-0000000010.json is damaged"));
    first.forget_before(&checkpoint(11)).unwrap();
    assert_eq!(prefix.names(), Vec::<String>::new());
}

store::on_each_store![
    delta_commits_once_whichever_answer_is_lost,
    objects_are_committed_once_whichever_answer_is_lost,
    an_upload_whose_beginning_was_not_heard_of_is_aborted_by_the_next_start,
    an_upload_that_begins_behind_a_takeover_is_aborted_by_the_next_start,
    what_was_signed_long_ago_is_refused,
    a_process_that_slept_until_its_note_was_too_old_notes_its_key_again,
    a_note_whose_answer_is_lost_is_written_again,
    parts_whose_answers_are_lost_are_sent_again,
    a_checkpoint_whose_answer_is_lost_is_ours_and_nobody_elses,
];
