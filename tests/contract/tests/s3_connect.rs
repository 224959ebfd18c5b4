//! The sink `s3` in Kafka Connect's layout, on a real store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::Value;
use sink_contract::uploads;
use store::Prefix;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, RowReject, Sink, Token, WriterContext};
use wasmill_formats::Compression;
use wasmill_formats::SinkFormat;
use wasmill_s3::sink::{S3Layout, S3Sink, S3SinkConfig};

fn token(previous: u64, epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(1), epoch, previous }
}

/// Where values lie: topic, partition, offset.
type Place = (&'static str, i32, i64);

/// Raw values of a source.
fn raw(rows: &[(Place, Option<&[u8]>)]) -> RecordBatch {
    with_places(rows.iter().map(|(place, _)| *place), "value", Arc::new(BinaryArray::from_iter(rows.iter().map(|(_, value)| *value))))
}

fn with_places(places: impl Iterator<Item = Place> + Clone, name: &str, values: ArrayRef) -> RecordBatch {
    let kind = values.data_type().clone();
    let columns: Vec<ArrayRef> = vec![
        values,
        Arc::new(StringArray::from_iter_values(places.clone().map(|(topic, ..)| topic))),
        Arc::new(Int32Array::from_iter_values(places.clone().map(|(_, partition, _)| partition))),
        Arc::new(Int64Array::from_iter_values(places.map(|(.., offset)| offset))),
    ];
    let places = [("_source.topic", DataType::Utf8), ("_source.partition", DataType::Int32), ("_source.offset", DataType::Int64)];
    let places = places.map(|(name, kind)| Field::new(name, kind, false));
    let schema = Schema::new([vec![Field::new(name, kind, true)], places.to_vec()].concat());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// A place in the store, and the sinks on it.
struct World {
    prefix: Prefix,
    flush_size: u64,
    compression: Compression,
}

impl World {
    fn new(flush_size: u64) -> Self {
        Self { prefix: Prefix::new(), flush_size, compression: Compression::None }
    }

    fn sink(&self, schema: &SchemaRef) -> S3Sink {
        let config = S3SinkConfig {
            layout: S3Layout::Connect,
            flush_size: Some(self.flush_size),
            compression: self.compression,
            ..S3SinkConfig::new(self.prefix.uri("topics"), store::config(), SinkFormat::Jsonl)
        };
        S3Sink::new(config, schema).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = self.prefix.names().into_iter().filter(|name| !name.contains("/_wasmill/"));
        names.map(|name| name.strip_prefix("topics/").unwrap().to_owned()).collect()
    }

    fn text(&self, name: &str) -> Vec<u8> {
        self.prefix.get(&format!("topics/{name}"))
    }
}

fn prepare(sink: &S3Sink, token: &Token, lanes: &[Vec<RecordBatch>]) -> (Value, Vec<RowReject>) {
    let mut rejects = Vec::new();
    let parts = lanes.iter().enumerate().map(|(lane, batches)| {
        let Token { pipeline, sink: name, incarnation, epoch, .. } = token.clone();
        let mut writer =
            sink.writer(WriterContext { pipeline, sink: name, incarnation, epoch, lane, schema: batches[0].schema() }).unwrap();
        batches.iter().for_each(|batch| rejects.extend(writer.write(batch).unwrap()));
        writer.prepare().unwrap()
    });
    let parts = parts.collect();
    (sink.prepare(token, parts).unwrap(), rejects)
}

fn objects_are_called_by_their_first_record_and_hold_the_original_bytes() {
    let world = World::new(3);
    // Malformed, not UTF-8, JSON over two lines; offsets with a gap, as compaction and transactions leave them.
    let first = raw(&[(("a.b", 0, 7), Some(b"{\"half")), (("a.b", 0, 9), Some(b"\xff\xfe")), (("a.b", 1, 0), Some(b"{\n}"))]);
    let second = raw(&[
        (("a.b", 0, 10), Some(b"10")),
        (("a.b", 0, 11), Some(b"11")),
        (("a.b", 0, 12), Some(b" 12 ")),
        (("c", 0, 12_345_678_901), Some(b"far")),
        (("c", 0, 12_345_678_902), None),
        (("c", 0, 12_345_678_903), Some(b"x\ny")),
    ]);
    let sink = world.sink(&first.schema());
    let (prepared, rejects) = prepare(&sink, &token(0, 1), &[vec![first, second]]);
    assert_eq!(world.names(), [""; 0], "nothing is seen before the commit");
    assert_eq!(sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
    let rejects: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect();
    assert_eq!(rejects, [(4, "null-value"), (5, "line-feed")]);
    let objects: Vec<(String, Vec<u8>)> = world.names().into_iter().map(|name| (name.clone(), world.text(&name))).collect();
    let expected: [(&str, &[u8]); 4] = [
        ("a.b/partition=0/a.b+0+0000000007.json", b"{\"half\n\xff\xfe\n10\n"),
        ("a.b/partition=0/a.b+0+0000000011.json", b"11\n 12 \n"),
        ("a.b/partition=1/a.b+1+0000000000.json", b"{ }\n"),
        ("c/partition=0/c+0+12345678901.json", b"far\n"),
    ];
    assert!(objects.iter().map(|(name, text)| (name.as_str(), text.as_slice())).eq(expected), "{objects:?}");
}

fn columns_become_json_and_objects_may_be_compressed() {
    let world = World { compression: Compression::Gzip, ..World::new(10) };
    let places = [("t", 0, 0), ("t", 0, 1)];
    let records = with_places(places.into_iter(), "n", Arc::new(Int64Array::from(vec![Some(1), None])));
    let sink = world.sink(&records.schema());
    let (prepared, rejects) = prepare(&sink, &token(0, 1), &[vec![records]]);
    sink.commit(&token(0, 1), &prepared).unwrap();
    assert_eq!((world.names(), rejects.len()), (vec!["t/partition=0/t+0+0000000000.json.gz".to_owned()], 0));
    let mut text = String::new();
    let compressed = world.text("t/partition=0/t+0+0000000000.json.gz");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(compressed.as_slice()), &mut text).unwrap();
    assert_eq!(text, "{\"n\":1}\n{\"n\":null}\n");
}

fn epochs_that_were_never_noted_leave_nothing_and_are_written_again() {
    let world = World::new(2);
    let values = |offsets: std::ops::Range<i64>| {
        let rows: Vec<_> = offsets.map(|offset| (("t", 0, offset), Some(b"x".as_slice()))).collect();
        raw(&rows)
    };
    let schema = values(0..1).schema();
    let sink = world.sink(&schema);
    let (committed, _) = prepare(&sink, &token(0, 1), &[vec![values(0..4)]]);
    assert_eq!(sink.commit(&token(0, 1), &committed).unwrap(), CommitOutcome::Done);
    // Prepared, and the process ended before the checkpoint.
    let (lost, _) = prepare(&sink, &token(1, 2), &[vec![values(4..7)]]);
    assert_eq!((lost["files"].as_array().unwrap().len(), uploads::pending(&world.prefix).len()), (2, 2));
    drop(sink);
    let next = world.sink(&schema);
    assert_eq!(next.committed("p", "s").unwrap().unwrap().epoch, 1);
    assert_eq!(next.commit(&token(0, 1), &committed).unwrap(), CommitOutcome::Already);
    next.clean_up(&token(1, 2)).unwrap();
    assert_eq!(uploads::pending(&world.prefix).len(), 0);
    // The same records come again, under the same names, from another process that cuts them otherwise.
    let (again, _) = prepare(&next, &token(1, 3), &[vec![values(4..5), values(5..9)]]);
    assert_eq!(next.commit(&token(1, 3), &again).unwrap(), CommitOutcome::Done);
    let names: Vec<String> = [0, 2, 4, 6, 8].iter().map(|offset| format!("t/partition=0/t+0+{offset:010}.json")).collect();
    assert_eq!(world.names(), names);
    assert!(names[..4].iter().all(|name| world.text(name) == b"x\nx\n") && world.text(&names[4]) == b"x\n");
    let fenced = next.commit(&token(1, 2), &lost).unwrap_err();
    assert!(fenced.message().contains("fenced"), "{fenced}");
}

fn a_clean_up_that_comes_late_leaves_what_a_successor_has_begun() {
    let world = World::new(2);
    let values = || raw(&[(("t", 0, 0), Some(b"x"))]);
    let schema = values().schema();
    // A process ends with epoch 1 prepared. Of the two that follow, the one that has claimed epoch 2 sleeps before its clean-up.
    let _lost = prepare(&world.sink(&schema), &token(0, 1), &[vec![values()]]);
    let (sleeper, successor) = (world.sink(&schema), world.sink(&schema));
    let (prepared, _) = prepare(&successor, &token(0, 4), &[vec![values()]]);
    assert_eq!(uploads::pending(&world.prefix).len(), 2, "both of one name");
    sleeper.clean_up(&token(0, 2)).unwrap();
    assert_eq!(successor.commit(&token(0, 4), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!((world.names().len(), uploads::pending(&world.prefix).len()), (1, 1));
    // What it could not tell apart, the next start can.
    world.sink(&schema).clean_up(&token(4, 5)).unwrap();
    assert_eq!((world.names().len(), uploads::pending(&world.prefix).len()), (1, 0));
}

fn a_prefix_belongs_to_one_sink() {
    let world = World::new(2);
    let records = raw(&[(("t", 0, 0), Some(b"x"))]);
    let sink = world.sink(&records.schema());
    let (prepared, _) = prepare(&sink, &token(0, 1), &[vec![records]]);
    sink.commit(&token(0, 1), &prepared).unwrap();
    assert_eq!(sink.committed("p", "s").unwrap().unwrap().epoch, 1);
    let error = sink.committed("another", "s").unwrap_err();
    assert!(error.message().contains("belongs to another sink") && error.message().contains("p.s.json"), "{error:?}");
}

fn a_process_that_slept_before_its_clean_up_leaves_its_successors_uploads_alone() {
    let world = World::new(10);
    let values = |from: i64| raw(&[(("t", 0, from), Some(b"x".as_slice()))]);
    let schema = values(0).schema();
    let (abandoned, late, newer) = (world.sink(&schema), world.sink(&schema), world.sink(&schema));
    abandoned.clean_up(&token(0, 1)).unwrap();
    let (_lost, _) = prepare(&abandoned, &token(0, 2), &[vec![values(0)]]);
    // The late one has claimed epoch 2 and sleeps; another one claims epoch 3 and reads the same records.
    newer.clean_up(&token(0, 3)).unwrap();
    assert_eq!(uploads::pending(&world.prefix).len(), 0);
    let (prepared, _) = prepare(&newer, &token(0, 4), &[vec![values(0)]]);
    late.clean_up(&token(0, 2)).unwrap();
    assert_eq!(uploads::pending(&world.prefix).len(), 1, "names are the same, and so is the prefix");
    assert_eq!(newer.commit(&token(0, 4), &prepared).unwrap(), CommitOutcome::Done);
    assert_eq!(world.names(), ["t/partition=0/t+0+0000000000.json"]);
    assert_eq!(newer.committed("p", "s").unwrap().unwrap().epoch, 4, "a claim is no other sink's token");
}

fn many_partitions_of_a_topic_have_one_object_each() {
    const PARTITIONS: i32 = 40;
    let world = World::new(1000);
    let batch = |from: i64| {
        let rows =
            (0..PARTITIONS).flat_map(|partition| (from..from + 3).map(move |offset| (("t", partition, offset), Some(b"x".as_slice()))));
        raw(&rows.collect::<Vec<_>>())
    };
    let batches: Vec<RecordBatch> = (0..5).map(|turn| batch(turn * 3)).collect();
    let sink = world.sink(&batches[0].schema());
    let (prepared, _) = prepare(&sink, &token(0, 1), &[batches]);
    sink.commit(&token(0, 1), &prepared).unwrap();
    let names = world.names();
    assert_eq!(names.len() as i32, PARTITIONS, "{names:?}");
    assert!(names.iter().all(|name| name.ends_with("+0000000000.json") && world.text(name).len() == 15 * 2), "{names:?}");
}

store::on_each_store![
    objects_are_called_by_their_first_record_and_hold_the_original_bytes,
    columns_become_json_and_objects_may_be_compressed,
    epochs_that_were_never_noted_leave_nothing_and_are_written_again,
    a_clean_up_that_comes_late_leaves_what_a_successor_has_begun,
    a_prefix_belongs_to_one_sink,
    a_process_that_slept_before_its_clean_up_leaves_its_successors_uploads_alone,
    many_partitions_of_a_topic_have_one_object_each,
];
