//! The source `kafka` against a real broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;
mod kafka_broker;
mod kafka_source {
    mod security;
}

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use contract::{Seen, check_source, read_all, seen};
use kafka_broker::{PATIENCE, Producer, address, create, delete, grow, remove_before, topic, unique, until};
use wasmill_engine::{Discovery, Mode, Progress, Read, Result, Source, Split, SplitState};
use wasmill_kafka::{Isolation, KafkaConfig, KafkaConnection, KafkaFormat, KafkaSource, LostOffsets, Start, Tombstones};

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null)).collect::<Vec<_>>()))
}

fn ids() -> SchemaRef {
    schema(&[("id", DataType::Int64, true)])
}

fn config(topic: &str) -> KafkaConfig {
    KafkaConfig { follow: Some("100ms".into()), clients: Some(2), ..KafkaConfig::of_topic(address(), topic) }
}

fn source(config: &KafkaConfig, schema: &SchemaRef, mode: Mode) -> KafkaSource {
    KafkaSource::new("pins", &unique("group"), config.clone(), Arc::clone(schema), mode).unwrap()
}

/// Everything that a batch reads after some progress, by split, and the progress after it.
fn batch(config: &KafkaConfig, schema: &SchemaRef, before: &Progress) -> Result<(BTreeMap<String, Vec<Seen>>, Progress)> {
    let mut source = source(config, schema, Mode::Batch);
    let mut progress = before.clone();
    let mut all = BTreeMap::new();
    for split in source.discover(before)?.splits {
        let mut reader = source.opener().open(&split)?;
        let (records, _) = read_all(&source, reader.as_mut(), 1000);
        progress.insert(split.id.clone(), SplitState { position: reader.position(), done: true });
        all.insert(split.id.to_string(), records);
    }
    source.committed(&progress);
    Ok((all, progress))
}

/// What a batch from the start reads of a topic with one partition.
fn records(config: &KafkaConfig, schema: &SchemaRef) -> Vec<String> {
    let (all, _) = batch(config, schema, &Progress::new()).unwrap();
    all.into_values().flatten().map(|(.., record)| record).collect()
}

fn id(number: u64) -> Vec<u8> {
    format!("{{\"id\":{number}}}").into_bytes()
}

fn send(topic: &str, partition: i32, numbers: std::ops::Range<u64>) {
    let producer = Producer::new(&[]);
    numbers.for_each(|number| producer.send(topic, partition, &id(number)));
    producer.flush();
}

/// The `id` of each row and the code of each reject.
fn names(records: Vec<String>) -> Vec<String> {
    let name = |record: String| match record.strip_prefix("{\"id\":") {
        Some(id) => id.split('}').next().unwrap().to_owned(),
        None => record.split(' ').next().unwrap().to_owned(),
    };
    records.into_iter().map(name).collect()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn the_contract_holds_with_every_compression() {
    let columns = schema(&[
        ("_source.partition", DataType::Int32, false),
        ("id", DataType::Int64, true),
        ("text", DataType::Utf8, true),
        ("_source.offset", DataType::Int64, false),
    ]);
    let mut read: Vec<Vec<Seen>> = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic(2);
        let producer = Producer::new(&[("compression.codec", codec)]);
        for number in 0..60 {
            let value = match number % 10 {
                5 => b"{\"id\": 5, \"text\": \"bad \xff byte\"}".to_vec(),
                7 => b"{\"id\": \"seven\"}".to_vec(),
                8 => Vec::new(),
                _ => format!("{{\"id\": {number}, \"text\": \"\u{fc}\u{1f600} {number}\", \"else\": [{number}]}}").into_bytes(),
            };
            producer.send(&topic, number % 2, &value);
        }
        producer.flush();
        let config = KafkaConfig { clients: Some(1), ..config(&topic) };
        // The suite starts hundreds of clients: once is enough, for compression is librdkafka's.
        let all = match codec {
            "zstd" => check_source(|| Box::new(source(&config, &columns, Mode::Batch))),
            _ => batch(&config, &columns, &Progress::new()).unwrap().0,
        };
        assert_eq!(all.keys().cloned().collect::<Vec<_>>(), [format!("{topic}/0"), format!("{topic}/1")]);
        let records: Vec<Seen> = all.into_values().flatten().map(|(place, at, record)| (place.replace(&topic, "t"), at, record)).collect();
        assert_eq!((records.len(), records[0].1, records[29].1), (60, 0, 29));
        read.push(records);
    }
    assert!(read.iter().all(|records| *records == read[0]), "compression changes nothing");
    assert!(read[0][1].2.starts_with("{\"_source.partition\":0,\"id\":2,"), "{:?}", read[0][1]);
    let rejects = |code: &str| read[0].iter().filter(|(.., record)| record.starts_with(code)).count();
    assert_eq!((rejects("invalid-utf8"), rejects("bad-value"), rejects("malformed-json")), (6, 6, 6));
}

#[test]
fn a_batch_reads_what_was_there_and_the_next_one_what_came_since() {
    let topic = topic(2);
    send(&topic, 0, 0..100);
    let (config, columns) = (config(&topic), ids());
    let mut first = source(&config, &columns, Mode::Batch);
    let splits = first.discover(&Progress::new()).unwrap().splits;
    // What comes after the look is not of this batch.
    send(&topic, 0, 100..150);
    let (read, _) = read_all(&first, first.opener().open(&splits[0]).unwrap().as_mut(), 30);
    assert_eq!(read.len(), 100);
    let (all, progress) = batch(&config, &columns, &Progress::new()).unwrap();
    assert_eq!(all[&format!("{topic}/0")].len(), 150);
    assert!(all[&format!("{topic}/1")].is_empty());
    assert!(batch(&config, &columns, &progress).unwrap().0.is_empty(), "nothing new, no split");
    send(&topic, 1, 150..160);
    let (all, _) = batch(&config, &columns, &progress).unwrap();
    assert_eq!(all.into_iter().map(|(id, records)| (id, records.len())).collect::<Vec<_>>(), [(format!("{topic}/1"), 10)]);
}

#[test]
fn only_committed_transactions_are_read_and_their_markers_are_stepped_over() {
    let topic = topic(1);
    let producer = Producer::transactional();
    let transaction = |numbers: std::ops::Range<u64>| {
        producer.begin();
        numbers.for_each(|number| producer.send(&topic, 0, &id(number)));
        producer.flush();
    };
    transaction(0..10);
    producer.commit();
    transaction(10..20);
    producer.abort();
    transaction(20..30);
    producer.commit();
    transaction(30..40);
    producer.abort();
    // The batch must end behind the last marker, with nothing but aborted records and markers before its end.
    let (config, columns) = (config(&topic), ids());
    let (all, progress) = batch(&config, &columns, &Progress::new()).unwrap();
    let read = names(all.into_values().flatten().map(|(.., record)| record).collect());
    assert_eq!(read, [numbers(0..10), numbers(20..30)].concat());
    assert_eq!(progress.values().next().unwrap().position["offset"], 44, "40 records and 4 markers");
    // An open transaction is not read, nor what lies behind it.
    transaction(40..50);
    send(&topic, 0, 50..60);
    assert!(batch(&config, &columns, &progress).unwrap().0.is_empty());
    let dirty = KafkaConfig { isolation: Isolation::ReadUncommitted, ..config.clone() };
    assert_eq!(names(records(&dirty, &columns)), numbers(0..60));
    producer.commit();
    let (all, _) = batch(&config, &columns, &progress).unwrap();
    assert_eq!(names(all.into_values().flatten().map(|(.., record)| record).collect()), numbers(40..60));
}

#[test]
fn a_record_of_8_megabytes_is_read_and_one_beyond_the_limit_is_rejected() {
    let topic = topic(1);
    let producer = Producer::new(&[]);
    let large = format!("{{\"text\":\"{}\",\"id\":1}}", "x".repeat(8 << 20)).into_bytes();
    producer.send(&topic, 0, &id(0));
    producer.send(&topic, 0, &large);
    producer.send(&topic, 0, &id(2));
    producer.flush();
    assert_eq!(names(records(&config(&topic), &ids())), ["0", "1", "2"]);
    let small = KafkaConfig { max_record: Some(bytesize::ByteSize::mib(1)), ..config(&topic) };
    let read = records(&small, &ids());
    assert_eq!(read[1].len(), "too-long None <- ".len() + (64 << 10));
    assert_eq!(names(read), ["0", "too-long", "2"]);
}

#[test]
fn everything_that_a_record_has_can_be_a_column() {
    let topic = topic(1);
    let producer = Producer::new(&[]);
    let headers: [(&str, Option<&[u8]>); 3] = [("a", Some(b"1")), ("a", Some(b"2")), ("none", None)];
    producer.send_all_of(&topic, 0, Some(b"k1"), Some(&id(1)), &headers, Some(1_700_000_000_123));
    producer.send_all_of(&topic, 0, None, Some(&id(2)), &[], Some(1_700_000_000_456));
    producer.send_all_of(&topic, 0, Some(b"\xff"), Some(&id(3)), &[], None);
    producer.send_all_of(&topic, 0, Some(b"k4"), None, &[], None);
    producer.flush();
    let entry = Field::new(
        "item",
        DataType::Struct(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)].into()),
        true,
    );
    let columns = schema(&[
        ("_source.topic", DataType::Utf8, false),
        ("_source.timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
        ("_source.key", DataType::Utf8, true),
        ("_source.headers", DataType::List(Arc::new(entry)), true),
        ("id", DataType::Int64, true),
    ]);
    let read = records(&config(&topic), &columns);
    let first = format!(
        "{{\"_source.topic\":\"{topic}\",\"_source.timestamp\":\"2023-11-14T22:13:20.123Z\",\"_source.key\":\"k1\",\
         \"_source.headers\":[{{\"key\":\"a\",\"value\":\"MQ==\"}},{{\"key\":\"a\",\"value\":\"Mg==\"}},{{\"key\":\"none\",\"value\":null}}],\"id\":1}}"
    );
    assert_eq!(read[0].split(" <- ").next().unwrap(), first);
    assert!(read[1].contains("\"_source.key\":null,\"_source.headers\":[],\"id\":2"), "{}", read[1]);
    assert!(read[2].starts_with("invalid-utf8 Some(\"_source.key\")"), "{}", read[2]);
    assert!(read[3].starts_with("tombstone"), "{}", read[3]);
    let key = schema(&[("_source.key", DataType::Binary, true), ("id", DataType::Int64, true)]);
    let rows = KafkaConfig { tombstones: Tombstones::Row, ..config(&topic) };
    assert!(records(&rows, &key)[3].starts_with("{\"_source.key\":\"azQ=\",\"id\":null}"));
    let skip = KafkaConfig { tombstones: Tombstones::Skip, ..config(&topic) };
    assert_eq!(records(&skip, &key).len(), 3);
    let raw = KafkaConfig { format: KafkaFormat::Raw, tombstones: Tombstones::Row, ..config(&topic) };
    let read = records(&raw, &schema(&[("value", DataType::Utf8, true)]));
    assert!(read[0].starts_with("{\"value\":\"{\\\"id\\\":1}\"}") && read[3].starts_with("{\"value\":null}"), "{read:?}");
}

#[test]
fn records_that_have_gone_stop_the_run_or_are_left_out_as_the_file_says() {
    let topic = topic(1);
    let producer = Producer::new(&[]);
    // Large ones, each by itself, and little room for what is fetched ahead.
    let send = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            producer.send(&topic, 0, format!("{{\"id\":{number},\"text\":\"{:40000}\"}}", "").as_bytes());
            producer.flush();
        }
    };
    let little = serde_json::json!({ "queued.max.messages.kbytes": 64, "max.partition.fetch.bytes": 65536 });
    let config = KafkaConfig { client: serde_json::from_value(little).unwrap(), ..config(&topic) };
    send(0..20);
    let columns = ids();
    let (_, progress) = batch(&config, &columns, &Progress::new()).unwrap();
    send(20..40);
    // A reader that is opened after the look has what was fetched by then, and meets the loss by itself.
    let mut late = source(&config, &columns, Mode::Batch);
    let splits = late.discover(&progress).unwrap().splits;
    remove_before(&topic, 0, 35);
    let mut reader = late.opener().open(&splits[0]).unwrap();
    let error = failure(|| reader.read(10).map(drop)).to_string();
    assert!(error.contains("the records from offset 2") && error.contains("to 34 were removed"), "{error}");
    let error = batch(&config, &columns, &progress).unwrap_err().to_string();
    assert!(error.contains("from offset 20 to 34 were removed") && error.contains(&format!("{topic}/0")), "{error}");
    let earliest = KafkaConfig { on_lost_offsets: LostOffsets::Earliest, ..config.clone() };
    let (all, _) = batch(&earliest, &columns, &progress).unwrap();
    assert_eq!(names(all.into_values().flatten().map(|(.., record)| record).collect()), numbers(35..40));
    send(40..60);
    let mut late = source(&earliest, &columns, Mode::Batch);
    let splits = late.discover(&progress).unwrap().splits;
    remove_before(&topic, 0, 55);
    let (all, _) = read_all(&late, late.opener().open(&splits[0]).unwrap().as_mut(), 10);
    let read = names(all.into_iter().map(|(.., record)| record).collect());
    let ahead = read.len() as u64 - 5;
    assert_eq!(read, [numbers(35..35 + ahead), numbers(55..60)].concat());
    assert!(ahead < 20, "{ahead} records were fetched ahead");
    let latest = KafkaConfig { on_lost_offsets: LostOffsets::Latest, ..config };
    assert!(batch(&latest, &columns, &progress).unwrap().0.values().all(Vec::is_empty));
}

/// Calls until there is an error.
fn failure<T>(mut call: impl FnMut() -> Result<T>) -> wasmill_engine::Error {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) => return error,
            Ok(_) => assert!(Instant::now() < deadline, "no error within {PATIENCE:?}"),
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_topic_that_was_made_again_stops_the_run() {
    let topic = topic(1);
    send(&topic, 0, 0..10);
    let (config, columns) = (config(&topic), ids());
    let (_, progress) = batch(&config, &columns, &Progress::new()).unwrap();
    let mut running = source(&config, &columns, Mode::Stream);
    running.discover(&progress).unwrap();
    delete(&topic);
    create(&topic, 1);
    send(&topic, 0, 0..30);
    let error = batch(&config, &columns, &progress).unwrap_err().to_string();
    assert!(error.contains("was deleted and created again"), "{error}");
    let error = failure(|| running.discover(&progress)).to_string();
    assert!(error.contains("deleted"), "{error}");
}

#[test]
fn a_topic_that_is_deleted_stops_a_stream() {
    let topic = topic(1);
    let mut running = source(&config(&topic), &ids(), Mode::Stream);
    running.discover(&Progress::new()).unwrap();
    delete(&topic);
    let error = failure(|| running.discover(&Progress::new())).to_string();
    assert!(error.contains(&format!("the topic {topic} was deleted while it was read")), "{error}");
}

/// Reads some splits of a stream until so many records have come.
fn stream(source: &KafkaSource, splits: &[Split], count: usize) -> Vec<String> {
    let mut readers: Vec<_> = splits.iter().map(|split| source.opener().open(split).unwrap()).collect();
    let mut records = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while records.len() < count {
        assert!(Instant::now() < deadline, "{} records of {count} came", records.len());
        for reader in &mut readers {
            match reader.read(1000).unwrap() {
                Read::Batch(batch) => records.extend(seen(&batch).into_iter().map(|(.., record)| record)),
                Read::Idle | Read::Skipping => {}
                Read::End => panic!("a stream does not end"),
            }
        }
    }
    let mut names = names(records);
    names.sort_by_key(|name| name.parse::<u64>().unwrap());
    names
}

/// Looks until there are splits.
fn look(source: &mut KafkaSource, count: usize) -> Vec<Split> {
    let mut splits = Vec::new();
    until(|| {
        let Discovery { splits: found, complete } = source.discover(&Progress::new()).unwrap();
        assert!(!complete);
        splits.extend(found);
        splits.len() >= count
    });
    splits
}

#[test]
fn a_stream_finds_new_topics_and_partitions_and_reads_them_from_their_start() {
    let prefix = unique("p");
    let (one, two) = (format!("{prefix}.one"), format!("{prefix}.two"));
    create(&one, 1);
    send(&one, 0, 0..10);
    let by_pattern = KafkaConfig { topics: Vec::new(), pattern: Some(format!("^{prefix}[.]")), start: Start::Latest, ..config(&one) };
    let mut source = source(&by_pattern, &ids(), Mode::Stream);
    let first = look(&mut source, 1);
    assert_eq!(first[0].position["offset"], 10);
    grow(&one, 2);
    create(&two, 1);
    send(&one, 1, 10..20);
    send(&two, 0, 20..30);
    let new = look(&mut source, 2);
    let mut found: Vec<String> = new.iter().map(|split| split.id.to_string()).collect();
    found.sort();
    assert_eq!(found, [format!("{one}/1"), format!("{two}/0")]);
    let reader = source.opener().open(&first[0]).unwrap();
    assert!(reader.begins_here(), "the end of a topic is another one in the next run");
    drop(reader);
    send(&one, 0, 30..40);
    let all = [first, new].concat();
    assert_eq!(stream(&source, &all, 30), numbers(10..40));
    assert!(source.rows_behind().is_none(), "no reader is open");
}

#[test]
fn a_start_is_chosen_by_time_by_offset_or_at_the_end() {
    let topic = topic(2);
    let producer = Producer::new(&[]);
    for number in 0..20 {
        let time = 1_700_000_000_000 + number as i64 * 1000;
        producer.send_all_of(&topic, 0, None, Some(&id(number)), &[], Some(time));
    }
    producer.flush();
    let read = |start: Start| names(records(&KafkaConfig { start, ..config(&topic) }, &ids()));
    // 1,700,000,010.5 s
    assert_eq!(read(Start::Timestamp("2023-11-14T22:13:30.5Z".into())), numbers(11..20));
    assert_eq!(read(Start::Timestamp("2030-01-01T00:00:00Z".into())), numbers(0..0));
    assert_eq!(read(Start::Offsets([(format!("{topic}/0"), 15)].into())), numbers(15..20));
    assert_eq!(read(Start::Latest), numbers(0..0));
    let beyond = KafkaConfig { start: Start::Offsets([(format!("{topic}/0"), 21)].into()), ..config(&topic) };
    let error = batch(&beyond, &ids(), &Progress::new()).unwrap_err().to_string();
    assert!(error.contains("has the offset 21, and the partition has those from 0 to 20"), "{error}");
    let one = KafkaConfig { partitions: Some(vec![1]), ..config(&topic) };
    assert_eq!(batch(&one, &ids(), &Progress::new()).unwrap().0.into_keys().collect::<Vec<_>>(), [format!("{topic}/1")]);
    let none = KafkaConfig { partitions: Some(vec![2]), ..config(&topic) };
    assert!(batch(&none, &ids(), &Progress::new()).unwrap_err().to_string().contains("has no partition 2"));
}

#[test]
fn the_groups_offsets_follow_what_was_committed() {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let topic = topic(1);
    send(&topic, 0, 0..25);
    let config = KafkaConfig { group: Some(unique("lag")), ..config(&topic) };
    batch(&config, &ids(), &Progress::new()).unwrap();
    let consumer: BaseConsumer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", address()).set("group.id", config.group.as_ref().unwrap()).create().unwrap();
    let committed = || {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(&topic, 0);
        consumer.committed_offsets(list, PATIENCE).unwrap().elements()[0].offset()
    };
    until(|| committed() == rdkafka::Offset::Offset(25));
}

#[test]
fn what_is_not_there_is_said_clearly() {
    let missing = config(&unique("missing"));
    let error = batch(&missing, &ids(), &Progress::new()).unwrap_err();
    assert!(error.to_string().contains("does not exist") && error.hint_text().is_some(), "{error}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = KafkaConfig {
        retry: wasmill_connect::Retry::of("1s"),
        connection: KafkaConnection::of_brokers(format!("127.0.0.1:{port}")),
        ..missing
    };
    let error = batch(&nobody, &ids(), &Progress::new()).unwrap_err().to_string();
    assert!(error.contains(&format!("no Kafka broker of 127.0.0.1:{port} responded within 1 s")) && error.contains("refused"), "{error}");
}
