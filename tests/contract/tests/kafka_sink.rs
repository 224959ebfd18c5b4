//! The sink `kafka` against a real broker: what its records are, what it rejects, who is fenced, and what is left after answers and brokers are lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kafka_broker;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use base64::Engine as _;
use kafka_broker::{
    Broker, Producer, Proxy, Seen, address, committed, configuration, create, create_at, create_with, delete, grow, read_at, topic, unique,
    until, variable,
};
use serde_json::{Value, json};
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, LocalDepot, RowReject, Sink, Token, WriterContext};
use wasmill_kafka::{KafkaCompression, KafkaConnection, KafkaFormat, KafkaSink, KafkaSinkConfig, Mechanism, Sasl, Security, Tls};

fn token(previous: u64, epoch: u64) -> Token {
    Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(1), epoch, previous }
}

/// A process of the pipeline.
struct Mill {
    folder: Arc<tempfile::TempDir>,
    sink: KafkaSink,
}

impl Mill {
    fn new(config: &KafkaSinkConfig, records: &RecordBatch) -> Self {
        Self::again(config, records, Arc::new(tempfile::tempdir().unwrap()))
    }

    /// Another process on the same state.
    fn again(config: &KafkaSinkConfig, records: &RecordBatch, folder: Arc<tempfile::TempDir>) -> Self {
        let sink = KafkaSink::new(config, &records.schema(), Arc::new(LocalDepot::new(folder.path()))).unwrap();
        Self { folder, sink }
    }

    fn prepare(&self, token: &Token, records: &RecordBatch) -> (Value, Vec<RowReject>) {
        let context = WriterContext {
            pipeline: token.pipeline.clone(),
            sink: token.sink.clone(),
            incarnation: token.incarnation,
            epoch: token.epoch,
            lane: 0,
            schema: records.schema(),
        };
        let mut writer = self.sink.writer(context).unwrap();
        let rejects = writer.write(records).unwrap();
        (self.sink.prepare(token, vec![writer.prepare().unwrap()]).unwrap(), rejects)
    }

    /// Writes and commits the first epoch.
    fn write(&self, records: &RecordBatch) -> Vec<RowReject> {
        let (prepared, rejects) = self.prepare(&token(0, 1), records);
        assert_eq!(self.sink.commit(&token(0, 1), &prepared).unwrap(), CommitOutcome::Done);
        rejects
    }
}

fn config(topic: &str) -> KafkaSinkConfig {
    KafkaSinkConfig {
        retry: wasmill_connect::Retry::of("60s"),
        commits_topic: unique("commits"),
        ..KafkaSinkConfig::of_topic(address(), topic)
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn numbers(numbers: std::ops::Range<i64>) -> RecordBatch {
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(numbers)))])
}

fn seen_numbers(records: &[Seen]) -> Vec<i64> {
    let mut all: Vec<i64> = records.iter().map(|record| record.json()["n"].as_i64().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn rows_become_records_with_keys_partitions_headers_times_and_tombstones() {
    let topic = topic(4);
    let records = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(7), None, Some(9)])) as ArrayRef),
        ("title", Arc::new(StringArray::from(vec![Some("a \"b\"\n"), Some("c"), None]))),
        ("_source.partition", Arc::new(Int32Array::from(vec![Some(3), Some(0), Some(2)]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None, Some(1_700_000_000_999_999)]))),
        ("gone", Arc::new(BooleanArray::from(vec![Some(false), None, Some(true)]))),
    ]);
    for compression in
        [KafkaCompression::None, KafkaCompression::Gzip, KafkaCompression::Snappy, KafkaCompression::Lz4, KafkaCompression::Zstd]
    {
        let config = KafkaSinkConfig {
            key: Some("id".into()),
            partition: Some("_source.partition".into()),
            timestamp: Some("at".into()),
            tombstone: Some("gone".into()),
            headers: [("name".to_owned(), "title".to_owned()), ("number".to_owned(), "id".to_owned())].into(),
            compression,
            ..config(&topic)
        };
        assert_eq!(Mill::new(&config, &records).write(&records), []);
    }
    let read = committed(&topic);
    assert_eq!(read.len(), 15);
    let of = |partition: i32| read.iter().find(|record| record.partition == partition).unwrap();
    assert_eq!(of(3).key.as_deref(), Some(b"7".as_slice()));
    assert_eq!(of(3).json(), json!({"id": 7, "title": "a \"b\"\n", "at": "2023-11-14T22:13:20.123456"}));
    assert_eq!(of(3).headers, [("name".to_owned(), b"a \"b\"\n".to_vec()), ("number".to_owned(), b"7".to_vec())]);
    assert_eq!(of(3).time, Some(1_700_000_000_123));
    assert_eq!(
        (of(0).key.as_deref(), of(0).headers.len(), of(0).json()["id"].is_null()),
        (None, 1, true),
        "a null is no key, and no header"
    );
    assert!(of(0).time.unwrap() > 1_750_000_000_000, "a row without a time gets the time of its commit");
    assert_eq!((of(2).key.as_deref(), of(2).value.as_deref()), (Some(b"9".as_slice()), None), "a tombstone");
}

#[test]
fn a_date_of_64_bits_is_a_time() {
    let topic = topic(1);
    let records = batch(vec![("d", Arc::new(Date64Array::from(vec![Some(1_700_000_000_123), None])) as ArrayRef)]);
    let config = KafkaSinkConfig { timestamp: Some("d".into()), ..config(&topic) };
    assert_eq!(Mill::new(&config, &records).write(&records), []);
    let read = committed(&topic);
    assert_eq!(read.iter().map(Seen::json).collect::<Vec<_>>(), [json!({"d": "2023-11-14T22:13:20.123"}), json!({"d": null})]);
    assert_eq!(read[0].time, Some(1_700_000_000_123));
}

#[test]
fn keys_go_where_the_clients_of_java_send_them() {
    // The hashes are those of Kafka's own tests (clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java).
    let hashes = [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ];
    let topic = topic(7);
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(hashes.iter().map(|(key, _)| key)));
    let records = batch(vec![("k", keys)]);
    Mill::new(&KafkaSinkConfig { key: Some("k".into()), ..config(&topic) }, &records).write(&records);
    let read = committed(&topic);
    assert_eq!(read.len(), hashes.len());
    for record in read {
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        let (_, hash) = hashes.iter().find(|(known, _)| *known == key).unwrap();
        assert_eq!(record.partition, (hash & 0x7fff_ffff) % 7, "{key}");
    }
}

#[test]
fn raw_values_pass_as_they_are() {
    let topic = topic(1);
    let values: Vec<Option<&[u8]>> = vec![Some(b"{\"half"), Some(b"\xff\xfe\n\0"), Some(b""), None];
    let keys: Vec<Option<&[u8]>> = vec![Some(b"\xff"), Some(b""), None, Some(b"k")];
    let records = batch(vec![
        ("value", Arc::new(BinaryArray::from(values.clone())) as ArrayRef),
        ("_source.key", Arc::new(BinaryArray::from(keys.clone()))),
    ]);
    let config = KafkaSinkConfig { format: KafkaFormat::Raw, key: Some("_source.key".into()), ..config(&topic) };
    assert_eq!(Mill::new(&config, &records).write(&records), []);
    let read = committed(&topic);
    assert_eq!(read.iter().map(|record| record.value.as_deref()).collect::<Vec<_>>(), values);
    assert_eq!(read.iter().map(|record| record.key.as_deref()).collect::<Vec<_>>(), keys);
}

#[test]
fn what_the_brokers_would_refuse_is_rejected_row_by_row() {
    let small = unique("small");
    create_with(&small, 2, &[("max.message.bytes", "2000"), ("cleanup.policy", "compact"), ("message.timestamp.after.max.ms", "3600000")]);
    // Bytes that no compression makes smaller.
    let noise: Vec<u8> = (0..2000_u32).map(|index| (index.wrapping_mul(2_654_435_761).wrapping_add(index * index) >> 13) as u8).collect();
    let fits = 2000 - 97 - 1;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let records = batch(vec![
        ("value", Arc::new(BinaryArray::from(vec![&noise[..fits], &noise[..fits + 1], b"a", b"b", b"c", b"d"])) as ArrayRef),
        ("k", Arc::new(StringArray::from(vec![Some("1"), Some("2"), None, Some("4"), Some("5"), Some("6")]))),
        ("p", Arc::new(Int64Array::from(vec![None, None, None, Some(2), Some(-1), Some(1)]))),
        ("t", Arc::new(Int64Array::from(vec![None, None, None, None, None, Some(now + 7_200_000)]))),
    ]);
    let config = KafkaSinkConfig {
        format: KafkaFormat::Raw,
        key: Some("k".into()),
        partition: Some("p".into()),
        timestamp: Some("t".into()),
        ..config(&small)
    };
    let rejects = Mill::new(&config, &records).write(&records);
    let codes: Vec<_> = rejects.iter().map(|reject| (reject.row, reject.code.as_str(), reject.column.as_deref())).collect();
    let expected = [
        (1, "too-long", None),
        (2, "null-value", Some("k")),
        (3, "out-of-range", Some("p")),
        (4, "out-of-range", Some("p")),
        (5, "out-of-range", Some("t")),
    ];
    assert_eq!(codes, expected, "{rejects:?}");
    assert!(rejects[0].message.contains("2001 bytes") && rejects[0].message.contains("max.message.bytes"), "{rejects:?}");
    let read = committed(&small);
    assert_eq!((read.len(), read[0].value.as_deref()), (1, Some(&noise[..fits])), "the largest record that is taken is really taken");
    let without_key = KafkaSinkConfig { key: None, partition: None, timestamp: None, ..config };
    let mill = KafkaSink::new(
        &KafkaSinkConfig { format: KafkaFormat::Json, ..without_key },
        &numbers(0..1).schema(),
        Arc::new(LocalDepot::new("")),
    )
    .unwrap();
    assert!(mill.committed("p", "s").unwrap_err().message().contains("need keys"));
}

#[test]
fn rows_for_partitions_that_were_added_meanwhile_are_taken() {
    let topic = topic(2);
    let config = KafkaSinkConfig { partition: Some("p".into()), ..config(&topic) };
    let rows = |partitions: Vec<i64>| {
        let numbers = Int64Array::from_iter_values(0..partitions.len() as i64);
        batch(vec![("n", Arc::new(numbers) as ArrayRef), ("p", Arc::new(Int64Array::from(partitions)))])
    };
    let mill = Mill::new(&config, &rows(vec![0]));
    let rejects: Vec<u32> = mill.write(&rows(vec![0, 1, 2, -1])).iter().map(|reject| reject.row).collect();
    assert_eq!(rejects, [2, 3]);
    // Neither the sink nor its producer, which is up, starts anew.
    grow(&topic, 5);
    let (prepared, rejects) = mill.prepare(&token(1, 2), &rows(vec![4, 2, 5, 1 << 40, 3]));
    assert_eq!(rejects.iter().map(|reject| reject.row).collect::<Vec<_>>(), [2, 3]);
    assert!(rejects[0].message.contains("it has 5"), "{}", rejects[0].message);
    assert_eq!(mill.sink.commit(&token(1, 2), &prepared).unwrap(), CommitOutcome::Done);
    let partitions: Vec<i32> = committed(&topic).iter().map(|record| record.partition).collect();
    assert_eq!(partitions, [0, 1, 2, 3, 4]);
}

#[test]
fn a_topic_that_is_missing_is_reported_and_the_topic_of_tokens_is_made_safe() {
    let missing = config(&unique("missing"));
    let error = KafkaSink::new(&missing, &numbers(0..1).schema(), Arc::new(LocalDepot::new(""))).unwrap().committed("p", "s").unwrap_err();
    assert!(error.message().contains("does not exist") && error.hint_text().unwrap().contains("wasmill topics create"), "{error:?}");
    let config = config(&topic(1));
    Mill::new(&config, &numbers(0..1)).write(&numbers(0..1));
    assert_eq!(configuration(&config.commits_topic, "cleanup.policy").as_deref(), Some("compact"));
    let forgetful = KafkaSinkConfig { commits_topic: topic(1), ..config };
    let error =
        KafkaSink::new(&forgetful, &numbers(0..1).schema(), Arc::new(LocalDepot::new(""))).unwrap().committed("p", "s").unwrap_err();
    assert!(error.message().contains("cleanup.policy=delete"), "{error:?}");
}

#[test]
fn readers_see_whole_epochs() {
    let topic = topic(1);
    let mill = Mill::new(&config(&topic), &numbers(0..1));
    let (name, stop) = (topic.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let flag = Arc::clone(&stop);
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while !flag.load(std::sync::atomic::Ordering::Relaxed) {
            seen.push(committed(&name).len());
        }
        seen
    });
    for epoch in 1..=4 {
        let rows = numbers((epoch - 1) * 20_000..epoch * 20_000);
        let token = token(epoch as u64 - 1, epoch as u64);
        let (prepared, _) = mill.prepare(&token, &rows);
        assert_eq!(mill.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let seen = reader.join().unwrap();
    assert!(seen.iter().all(|rows| rows % 20_000 == 0), "{seen:?}");
    assert!(seen_numbers(&committed(&topic)).into_iter().eq(0..80_000));
}

#[test]
fn a_producer_of_the_same_name_that_hangs_is_fenced_with_its_rows() {
    let config = config(&topic(1));
    let mill = Mill::new(&config, &numbers(0..1));
    mill.write(&numbers(0..10));
    // As a process that was stopped in the middle of its commit.
    let name = format!("wasmill-p.s/{}", config.topic);
    let zombie = Producer::new(&[("transactional.id", &name), ("transaction.timeout.ms", "600000")]);
    zombie.init();
    zombie.begin();
    zombie.send(&config.topic, 0, b"{\"n\":-1}");
    zombie.flush();
    assert_eq!(read_at(&address(), &config.topic, "read_uncommitted").len(), 11);
    let (prepared, _) = mill.prepare(&token(1, 2), &numbers(10..20));
    assert_eq!(mill.sink.commit(&token(1, 2), &prepared).unwrap(), CommitOutcome::Done, "what the zombie fenced comes up again");
    assert!(zombie.try_commit().is_err(), "the zombie can't commit any more");
    assert!(seen_numbers(&committed(&config.topic)).into_iter().eq(0..20));
}

#[test]
fn open_transactions_of_others_hold_up_a_token_only_where_they_leave_it_unclear() {
    let config = KafkaSinkConfig { retry: wasmill_connect::Retry::of("30s"), ..config(&topic(1)) };
    let impatient = KafkaSinkConfig { retry: wasmill_connect::Retry::of("4s"), ..config.clone() };
    let commit = |mill: &Mill, epoch: u64| {
        let first = epoch as i64 * 10;
        let (prepared, _) = mill.prepare(&token(epoch - 1, epoch), &numbers(first - 10..first));
        mill.sink.commit(&token(epoch - 1, epoch), &prepared)
    };
    let hold_up = |pipeline: &str, sink: &str| {
        let key = format!("{pipeline}.{sink}/{}", config.topic);
        let zombie = Producer::new(&[("transactional.id", &format!("wasmill-{key}")), ("transaction.timeout.ms", "600000")]);
        zombie.init();
        zombie.begin();
        zombie.send_all_of(&config.commits_topic, 0, Some(key.as_bytes()), Some(b"{}"), &[], None);
        zombie.flush();
        zombie
    };
    let standing = |config: &KafkaSinkConfig| {
        let sink = KafkaSink::new(config, &numbers(0..1).schema(), Arc::new(LocalDepot::new(""))).unwrap();
        sink.committed("p", "s").map(|committed| committed.map(|committed| committed.epoch))
    };
    let mill = Mill::new(&config, &numbers(0..1));
    let folder = Arc::clone(&mill.folder);
    assert_eq!(commit(&mill, 1).unwrap(), CommitOutcome::Done);

    // Nothing of ours lies behind it.
    let ours = hold_up("p", "other");
    assert_eq!(standing(&impatient).unwrap(), Some(1));
    // Now something does: who only looks has to wait, who commits ends it, for it is of this pipeline.
    assert_eq!(commit(&mill, 2).unwrap(), CommitOutcome::Done);
    assert!(standing(&impatient).unwrap_err().message().contains("holds up the topic"));
    drop(mill);
    assert_eq!(commit(&Mill::again(&config, &numbers(0..1), Arc::clone(&folder)), 3).unwrap(), CommitOutcome::Done);
    assert!(ours.try_commit().is_err(), "it was ended");

    // Of another pipeline: it is waited for.
    let foreign = hold_up("another", "s");
    assert_eq!(commit(&Mill::again(&impatient, &numbers(0..1), Arc::clone(&folder)), 4).unwrap(), CommitOutcome::Done);
    let late = Mill::again(&impatient, &numbers(0..1), folder);
    let error = commit(&late, 5).unwrap_err();
    assert!(error.message().contains("holds up the topic") && error.hint_text().unwrap().contains("nothing is lost"), "{error:?}");
    foreign.abort();
    assert_eq!(commit(&late, 5).unwrap(), CommitOutcome::Done);
    assert!(seen_numbers(&committed(&config.topic)).into_iter().eq(0..50));

    // Our own, of a process that ended in the middle of its commit: who looks sees what was committed before.
    drop(late);
    let _dead = hold_up("p", "s");
    assert_eq!(standing(&impatient).unwrap(), Some(5));
}

#[test]
fn a_topic_that_is_deleted_stops_the_commit_which_resumes_when_it_is_made_again() {
    let config =
        KafkaSinkConfig { retry: wasmill_connect::Retry::of("100s"), transaction_timeout: Some("10s".into()), ..config(&topic(2)) };
    let mill = Mill::new(&config, &numbers(0..1));
    mill.write(&numbers(0..10));
    let (prepared, _) = mill.prepare(&token(1, 2), &numbers(10..20));
    delete(&config.topic);
    let error = mill.sink.commit(&token(1, 2), &prepared).unwrap_err();
    assert!(error.hint_text().unwrap().contains("was the topic deleted?"), "{error:?}");
    create(&config.topic, 2);
    assert_eq!(mill.sink.commit(&token(1, 2), &prepared).unwrap(), CommitOutcome::Done);
    assert!(seen_numbers(&committed(&config.topic)).into_iter().eq(10..20));
}

#[test]
fn a_sink_shows_a_token_where_the_brokers_want_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!("{{\"sub\":\"mill\",\"iat\":{now},\"exp\":{}}}", now + 3600);
    std::fs::write(&file, format!("{}.{}.", encode("{\"alg\":\"none\"}".to_owned()), encode(claims))).unwrap();
    let token_file = Some(file.to_str().unwrap().to_owned());
    let sasl = Sasl { mechanism: Mechanism::Oauthbearer, username: None, password: None, token_file };
    let tls = Tls { ca: Some(format!("{}/ca.pem", variable("WASMILL_TEST_KAFKA_TLS"))), ..Tls::default() };
    let topic = topic(1);
    let config = KafkaSinkConfig {
        connection: KafkaConnection {
            brokers: variable("WASMILL_TEST_KAFKA_SASL_SSL"),
            security: Some(Security { tls: Some(tls), sasl: Some(sasl), ..Security::default() }),
        },
        ..config(&topic)
    };
    Mill::new(&config, &numbers(0..1)).write(&numbers(0..10));
    assert!(seen_numbers(&committed(&topic)).into_iter().eq(0..10));
}

/// A broker behind a proxy, and a sink that reaches it there.
fn behind_a_proxy() -> (Broker, Proxy, KafkaSinkConfig) {
    let mut proxy = None;
    let broker = Broker::behind(|own| proxy.insert(Proxy::before_kafka(own)).address());
    create_at(&broker.address(), "rows", 2);
    let config = KafkaSinkConfig { retry: wasmill_connect::Retry::of("60s"), ..KafkaSinkConfig::of_topic(broker.address(), "rows") };
    (broker, proxy.unwrap(), config)
}

#[test]
fn a_commit_whose_answer_is_lost_counts_once() {
    let (broker, proxy, config) = behind_a_proxy();
    let mill = Mill::new(&config, &numbers(0..1));
    // Asked again, and answered.
    for epoch in 1..=3 {
        proxy.lose_ends_of_transactions(epoch as usize, false);
        let token = token(epoch - 1, epoch);
        let (prepared, _) = mill.prepare(&token, &numbers(epoch as i64 * 100..epoch as i64 * 100 + 100));
        assert_eq!(mill.sink.commit(&token, &prepared).unwrap(), CommitOutcome::Done);
    }
    assert_eq!(proxy.lost(), 6, "the proxy lost what it should");
    // Never answered: the process gives up, and the next one finds the commit done.
    let impatient = KafkaSinkConfig { retry: wasmill_connect::Retry::of("3s"), ..config.clone() };
    let given_up = Mill::again(&impatient, &numbers(0..1), Arc::clone(&mill.folder));
    drop(mill);
    let (prepared, _) = given_up.prepare(&token(3, 4), &numbers(400..500));
    assert_eq!(given_up.sink.committed("p", "s").unwrap(), Some(Committed { incarnation: Uuid::from_u128(1), epoch: 3 }));
    proxy.lose_ends_of_transactions(1, true);
    let error = given_up.sink.commit(&token(3, 4), &prepared).unwrap_err();
    assert!(error.hint_text().unwrap().contains("nothing is lost"), "{error:?}");
    assert_eq!(proxy.lost(), 7);
    proxy.refuse(false);
    let next = Mill::again(&config, &numbers(0..1), Arc::clone(&given_up.folder));
    assert_eq!(next.sink.commit(&token(3, 4), &prepared).unwrap(), CommitOutcome::Already);
    assert!(seen_numbers(&read_at(&broker.address(), "rows", "read_committed")).into_iter().eq(100..500));
}

#[test]
fn a_broker_that_is_killed_while_an_epoch_commits_has_it_once() {
    let mut broker = Broker::start();
    create_at(&broker.address(), "rows", 2);
    let config = KafkaSinkConfig { retry: wasmill_connect::Retry::of("120s"), ..KafkaSinkConfig::of_topic(broker.address(), "rows") };
    let mill = Mill::new(&config, &numbers(0..1));
    for epoch in 1..=3_u64 {
        let token = token(epoch - 1, epoch);
        let first = epoch as i64 * 50_000;
        let (prepared, _) = mill.prepare(&token, &numbers(first..first + 50_000));
        std::thread::scope(|scope| {
            let commit = scope.spawn(|| mill.sink.commit(&token, &prepared).unwrap());
            // Some of its records are there, or it is done already.
            if epoch > 1 {
                std::thread::park_timeout(Duration::from_millis(epoch * 40));
            }
            broker.kill();
            broker.start_again();
            assert_eq!(commit.join().unwrap(), CommitOutcome::Done);
        });
        until(|| read_at(&broker.address(), "rows", "read_committed").len() as u64 >= epoch * 50_000);
    }
    assert!(seen_numbers(&read_at(&broker.address(), "rows", "read_committed")).into_iter().eq(50_000..200_000));
}
