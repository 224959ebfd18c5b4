//! The source `kinesis` against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod kinesis_server;
mod kinesis_source {
    pub mod run;
    mod trouble;
}

use std::collections::BTreeSet;
use std::time::Instant;

use arrow_schema::{DataType, TimeUnit};
use contract::{Seen, check_open_source, read_all, seen};
use kinesis_server::{PATIENCE, Stream, pack, until};
use kinesis_source::run::{Run, batch, check_order, config, ids, newest, numbers, schema, sorted, source};
use wasmill_engine::{Mode, Progress, Read, Source};
use wasmill_kinesis::{Aggregates, Consumer, FanOut, KinesisConfig, KinesisFormat, KinesisSource, Start};

const MIDDLE: u128 = u128::MAX / 2;

#[test]
fn the_contract_holds_with_plain_records_and_aggregates() {
    let stream = Stream::new(2);
    for number in 0..40_u32 {
        let hash_key = u128::from(number % 2) * (u128::MAX - 1) + u128::from(number % 2 == 0);
        let data = match number % 10 {
            5 => b"{\"id\": 5, \"text\": \"bad \xff byte\"}".to_vec(),
            6 => {
                let part = |text: &'static str| ("p", Some(hash_key), text.as_bytes());
                pack(&[part("{\"id\":100}"), part("{\"id\": \"bad\"}"), part("{\"id\":102}")])
            }
            7 => b"{\"id\": \"seven\"}".to_vec(),
            8 => Vec::new(),
            _ => format!("{{\"id\": {number}, \"text\": \"\u{fc}\u{1f600} {number}\", \"else\": [{number}]}}").into_bytes(),
        };
        stream.put_at(hash_key, data);
    }
    let columns = schema(&[
        ("_source.shard", DataType::Utf8, false),
        ("id", DataType::Int64, true),
        ("text", DataType::Utf8, true),
        ("_source.sub_sequence", DataType::Int64, false),
        ("_source.partition_key", DataType::Utf8, false),
    ]);
    let all = check_open_source(|| Box::new(source(&config(&stream), &columns, Mode::Batch)));
    let first = format!("{}/shardId-000000000000", stream.name);
    assert_eq!(all.keys().cloned().collect::<Vec<_>>(), [first.clone(), first.replace("000000000000", "000000000001")]);
    let all: Vec<Seen> = all.into_values().flatten().collect();
    assert_eq!(all.len(), 40 + 4 * 2);
    let count = |text: &str| all.iter().filter(|(.., record)| record.contains(text)).count();
    assert_eq!((count("invalid-utf8"), count("bad-value"), count("malformed-json")), (4, 8, 4));
    assert_eq!(count("\"id\":102,\"text\":null,\"_source.sub_sequence\":2,\"_source.partition_key\":\"p\"}"), 4);
    let record = stream.records("shardId-000000000000")[3].sequence_number.clone();
    assert!(all.iter().any(|(place, at, _)| *place == format!("{first}/{record}") && *at == 2), "{all:?}");
}

#[test]
fn a_batch_reads_what_was_there_and_the_next_one_what_came_since() {
    let stream = Stream::new(3);
    stream.put_ids(0..700);
    let (first, progress) = batch(&config(&stream), &Progress::new()).unwrap();
    check_order(&first);
    assert_eq!(sorted(first), numbers(0..700));
    let (nothing, progress) = batch(&config(&stream), &progress).unwrap();
    assert_eq!(nothing, Vec::<String>::new());
    stream.put_ids(700..1000);
    let (second, _) = batch(&config(&stream), &progress).unwrap();
    assert_eq!(sorted(second), numbers(700..1000));
}

#[test]
fn a_batch_reads_all_records_of_one_moment() {
    let stream = Stream::new(1);
    // The first answer has 1,024 records: it ends among those of the last call, which arrived in one millisecond, and nothing is newer than its last.
    stream.put_ids(0..1_200);
    let (read, _) = batch(&config(&stream), &Progress::new()).unwrap();
    assert_eq!(sorted(read), numbers(0..1_200));
}

#[test]
fn a_batch_ends_while_records_keep_arriving() {
    let stream = Stream::new(1);
    stream.put_ids(0..50);
    let mut run = Run::start(&config(&stream), Mode::Batch, &Progress::new()).unwrap();
    stream.put_ids(50..100);
    let deadline = Instant::now() + PATIENCE;
    while run.step().unwrap() {
        assert!(Instant::now() < deadline, "a batch ends");
    }
    let first = sorted(std::mem::take(&mut run.read));
    assert!(first.len() >= 50 && first == numbers(0..first.len() as u64), "{first:?}");
    let (second, _) = batch(&config(&stream), &run.progress).unwrap();
    assert_eq!(sorted(second), numbers(first.len() as u64..100));
}

#[test]
fn a_run_starts_where_it_is_asked_to() {
    let stream = Stream::new(2);
    stream.put_ids(0..20);
    let (shard, number) = stream.put("k", "{\"id\":20}");
    let arrival = stream.records(&shard).last().unwrap().approximate_arrival_timestamp.unwrap();
    // Times come as fractions of seconds, rounded down to milliseconds: what comes next has to be later.
    let since = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(arrival.to_millis().unwrap() as u64 + 2);
    until(|| std::time::SystemTime::now() > since);
    let config = |start| KinesisConfig { start, ..config(&stream) };
    let latest = Run::start(&config(Start::Latest), Mode::Stream, &Progress::new()).unwrap();
    let noted = latest.progress.clone();
    assert_eq!(noted.len(), 2, "what was decided is noted, also of shards that gave nothing");
    drop(latest);
    stream.put_ids(21..40);
    let mut run = Run::start(&config(Start::Latest), Mode::Stream, &noted).unwrap();
    run.until(|run| run.read.len() == 19).unwrap();
    assert_eq!(sorted(run.read), numbers(21..40));

    let time = humantime::format_rfc3339_millis(since).to_string();
    let (read, _) = batch(&config(Start::Timestamp(time)), &Progress::new()).unwrap();
    assert_eq!(sorted(read), numbers(21..40));

    let (read, _) = batch(&config(Start::SequenceNumbers([(shard.clone(), number)].into())), &Progress::new()).unwrap();
    let of_others =
        (0..40).filter(|id| !stream.records(&shard).iter().any(|record| record.data.as_ref() == format!("{{\"id\":{id}}}").as_bytes()));
    let expected: BTreeSet<u64> = (20..40).chain(of_others).collect();
    assert_eq!(sorted(read), expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn shards_that_the_first_checkpoint_did_not_know_begin_where_it_was_decided() {
    let stream = Stream::new(2);
    stream.put_ids(0..40);
    until(|| std::time::SystemTime::now() > newest(&stream));
    let config = KinesisConfig { start: Start::Latest, ..config(&stream) };
    let mut noted = Run::start(&config, Mode::Stream, &Progress::new()).unwrap().progress.clone();
    stream.put_ids(40..80);
    noted.pop_last();
    let (read, _) = batch(&config, &noted).unwrap();
    assert_eq!(sorted(read), numbers(40..80));
}

#[test]
fn splits_and_merges_are_followed_in_full_flow_and_across_restarts() {
    for consumer in [Consumer::Polling, Consumer::FanOut(FanOut { name: "mill".into() })] {
        let stream = Stream::new(2);
        let config = KinesisConfig { consumer, ..config(&stream) };
        println!("{:?}", config.consumer);
        let mut all: Vec<String> = Vec::new();
        let mut progress = Progress::new();
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| {
                for round in 0..6 {
                    stream.put_ids(round * 400..round * 400 + 400);
                    let open = stream.open_shards();
                    match round {
                        0 => stream.split(&open[0]),
                        1 => stream.merge(&open[1], &open[2]),
                        2 => stream.split(&open[open.len() - 1]),
                        3 => stream.merge(&open[0], &open[1]),
                        _ => {}
                    }
                }
            });
            // A restart from what was noted, again and again.
            for target in [300, 900, 1500, 2400] {
                let mut run = Run::start(&config, Mode::Stream, &progress).unwrap();
                let before = all.len();
                run.until(|run| before + run.read.len() >= target).unwrap();
                all.append(&mut run.read);
                progress = run.progress;
            }
            producer.join().unwrap();
        });
        assert!(stream.shards().len() >= 8, "{:?}", stream.shards());
        check_order(&all);
        assert_eq!(sorted(all), numbers(0..2400));
        let (nothing, _) = batch(&config, &progress).unwrap();
        assert_eq!(nothing, Vec::<String>::new());
        // A batch over the whole family.
        let (read, _) = batch(&KinesisConfig { consumer: Consumer::Polling, ..config }, &Progress::new()).unwrap();
        check_order(&read);
        assert_eq!(sorted(read), numbers(0..2400));
    }
}

#[test]
fn an_aggregate_that_went_to_another_shard_after_a_split_is_left_out() {
    let stream = Stream::new(1);
    stream.split(&stream.shards()[0]);
    let both: [(&str, Option<u128>, &[u8]); 2] = [("a", Some(1), b"{\"id\":1}"), ("b", Some(MIDDLE + 9), b"{\"id\":2}")];
    // What a producer sends that does not know of the split, and what it sends when it is told.
    stream.put_at(1, pack(&both));
    stream.put_at(1, pack(&both[..1]));
    stream.put_at(MIDDLE + 9, pack(&both[1..]));
    let read = |aggregates| batch(&KinesisConfig { aggregates, ..config(&stream) }, &Progress::new()).unwrap();
    let (unpacked, progress) = read(Aggregates::Unpack);
    assert_eq!(sorted(unpacked), [1, 2]);
    assert_eq!(batch(&config(&stream), &progress).unwrap().0, Vec::<String>::new());
    assert_eq!(sorted(read(Aggregates::UnpackAll).0), [1, 1, 2, 2]);
    assert_eq!(read(Aggregates::Keep).0, ["invalid-utf8"; 3]);
}

#[test]
fn columns_know_where_a_record_comes_from() {
    let stream = Stream::new(1);
    let (_, number) = stream.put("key \u{fc}", b"not \xff JSON".to_vec());
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let columns = schema(&[
        ("_source.stream", DataType::Utf8, false),
        ("_source.shard", DataType::Utf8, false),
        ("_source.sequence_number", DataType::Utf8, false),
        ("_source.partition_key", DataType::Utf8, false),
        ("_source.arrival", utc, true),
        ("value", DataType::Binary, true),
    ]);
    let config = KinesisConfig { format: KinesisFormat::Raw, ..config(&stream) };
    let mut source = source(&config, &columns, Mode::Batch);
    let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
    let (records, _) = read_all(&source, source.opener().open(&split).unwrap().as_mut(), 10);
    let name = &stream.name;
    let expected = format!(
        "{{\"_source.stream\":\"{name}\",\"_source.shard\":\"shardId-000000000000\",\"_source.sequence_number\":\"{number}\",\"_source.partition_key\":\"key \u{fc}\",\"_source.arrival\":\"20"
    );
    assert!(records[0].2.starts_with(&expected), "{records:?}");
    let unknown = KinesisSource::new("pins", config, schema(&[("_source.offset", DataType::Int64, true)]), Mode::Batch);
    assert!(unknown.err().unwrap().to_string().contains("Kinesis has no column _source.offset"));
}

#[test]
fn what_is_too_long_is_rejected_and_lag_is_reported() {
    let stream = Stream::new(1);
    stream.put("k", format!("{{\"id\":1,\"text\":\"{}\"}}", "x".repeat(2000)));
    stream.put("k", "{\"id\":2}");
    let small = KinesisConfig { max_record: Some(bytesize::ByteSize(1024)), ..config(&stream) };
    assert_eq!(batch(&small, &Progress::new()).unwrap().0, ["2", "too-long"]);
    let run = Run::start(&config(&stream), Mode::Stream, &Progress::new()).unwrap();
    assert!(run.source.behind().is_some());
    drop(run);
}

#[test]
fn positions_within_aggregates_and_rejects_name_the_record() {
    let stream = Stream::new(1);
    let (_, number) = stream.put("k", pack(&[("a", None, b"{\"id\":1}"), ("b", None, b"{"), ("c", None, b"{\"id\":3}")]));
    let mut source = source(&config(&stream), &ids(), Mode::Batch);
    let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
    let mut reader = source.opener().open(&split).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    while all.len() < 2 {
        assert!(Instant::now() < deadline);
        if let Read::Batch(batch) = reader.read(1).unwrap() {
            all.extend(seen(&batch));
        }
    }
    let place = format!("{}/shardId-000000000000/{number}", stream.name);
    assert_eq!((all[0].0.as_str(), all[0].1, all[1].0.as_str(), all[1].1), (place.as_str(), 0, place.as_str(), 1));
    assert_eq!(reader.position()["at"], serde_json::json!({ "within": [number, 1] }));
}
