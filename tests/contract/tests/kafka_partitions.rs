//! A topic with hundreds of partitions, on a real broker: what is fetched ahead of their readers is bounded, whatever their number, and no record is lost or
//! comes twice. A process of its own, whose memory is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kafka_broker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, Field, Schema};
use kafka_broker::{PATIENCE, Producer, address, topic, unique, until};
use wasmill_engine::{Mode, Progress, Read, Source, Split, SplitReader};
use wasmill_kafka::{KafkaConfig, KafkaSource};

const PARTITIONS: i32 = 600;
/// Of each partition.
const RECORDS: u64 = 30;
/// Of each record, which does not compress.
const RECORD_BYTES: usize = 8 << 10;
/// What may be fetched before anybody reads, and what a client needs for so many partitions. All records together have 147 MB.
const MOST_BYTES: usize = 80 << 20;

fn fill(topic: &str) {
    // Little may wait in the producer: its memory is this process's.
    let producer = Producer::new(&[("queue.buffering.max.kbytes", "8192"), ("enable.idempotence", "true")]);
    for number in 0..RECORDS {
        for partition in 0..PARTITIONS {
            let padding: String = std::iter::repeat_with(|| uuid::Uuid::new_v4().simple().to_string()).take(RECORD_BYTES / 32).collect();
            let id = number + RECORDS * partition as u64;
            producer.send(topic, partition, format!("{{\"id\":{id},\"padding\":\"{padding}\"}}").as_bytes());
        }
    }
    producer.flush();
}

/// The memory of this process in bytes, once it has come to rest.
fn resident() -> usize {
    let now = || {
        let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size()
    };
    let (mut most, mut since) = (now(), Instant::now());
    until(|| {
        if now() > most + (256 << 10) {
            (most, since) = (now(), Instant::now());
        }
        since.elapsed() > Duration::from_secs(3)
    });
    most
}

fn read(reader: &mut dyn SplitReader, into: &mut Vec<i64>) -> bool {
    match reader.read(1000).unwrap() {
        Read::Batch(batch) => {
            into.extend(batch.batch.records.column(0).as_primitive::<Int64Type>().values());
            true
        }
        Read::End => panic!("a stream has no end"),
        _ => false,
    }
}

#[test]
fn what_is_fetched_ahead_does_not_grow_with_partitions() {
    let topic = topic(PARTITIONS);
    fill(&topic);
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let config = KafkaConfig { clients: Some(2), ..KafkaConfig::of_topic(address(), &topic) };
    let mut source = KafkaSource::new("pins", &unique("group"), config, schema, Mode::Stream).unwrap();
    let splits = source.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), PARTITIONS as usize);
    let (opener, before) = (source.opener(), resident());
    let mut readers: Vec<_> = splits.into_iter().map(|split| (Some(opener.open(&split).unwrap()), split, Vec::new())).collect();
    let grown = resident().saturating_sub(before);
    println!("{} MB for {PARTITIONS} partitions", grown >> 20);
    assert!(grown < MOST_BYTES, "{} MB were fetched before anybody asked", grown >> 20);

    // In turns, as a lane does. Every seventh partition changes its reader on the way.
    let (deadline, mut reopened) = (Instant::now() + 2 * PATIENCE, 0);
    while readers.iter().any(|(.., read)| read.len() < RECORDS as usize) {
        assert!(Instant::now() < deadline, "{} records came", readers.iter().map(|(.., read)| read.len()).sum::<usize>());
        for (number, (reader, split, seen)) in readers.iter_mut().enumerate() {
            let open = reader.as_mut().unwrap();
            if read(open.as_mut(), seen) && number % 7 == 0 {
                *split = Split { id: Arc::clone(&split.id), position: open.position() };
                // The partition has one reader at a time.
                drop(reader.take());
                *reader = Some(opener.open(split).unwrap());
                reopened += 1;
            }
        }
    }
    assert!(reopened > 0);
    let mut seen: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (_, split, read) in readers {
        let partition: i64 = split.id.rsplit('/').next().unwrap().parse().unwrap();
        seen.insert(partition, read);
    }
    for (partition, read) in seen {
        let first = partition * RECORDS as i64;
        assert_eq!(read, (first..first + RECORDS as i64).collect::<Vec<_>>(), "partition {partition}: each once and in order");
    }
}
