//! The Kinesis server of the tests: streams of a test's own, producers, splits and merges.

#![allow(dead_code)]

pub mod proxy;

use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, Shard, ShardIteratorType, StreamStatus};
use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;
use tokio::runtime::Runtime;
use wasmill_kinesis::{KinesisConnection, Secret};

/// Every wait for the server ends.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A variable that the servers' starter sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs the real servers; run it with `tests/servers/servers.py run -- …` or `make test`")
    })
}

/// The server's address.
pub fn address() -> String {
    variable("WASMILL_TEST_KINESIS")
}

/// How to reach the server at an address.
pub fn connection_to(address: &str) -> KinesisConnection {
    KinesisConnection {
        endpoint: Some(address.to_owned()),
        region: Some("us-east-1".into()),
        access_key_id: Some("test".into()),
        secret_access_key: Some(Secret::new("test-secret")),
        ..KinesisConnection::default()
    }
}

pub fn connection() -> KinesisConnection {
    connection_to(&address())
}

/// A stream of the test's own, removed at its end.
pub struct Stream {
    pub name: String,
    client: Client,
    runtime: Runtime,
}

impl Stream {
    pub fn new(shards: i32) -> Self {
        Self::named(&format!("t-{}", uuid::Uuid::new_v4().simple()), shards)
    }

    pub fn named(name: &str, shards: i32) -> Self {
        // The client of the tests asks for nothing that the sources do; it shares their library only.
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test-secret", None, None, "tests"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(address())
            .build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stream = Self { name: name.to_owned(), client: Client::from_conf(config), runtime };
        stream.create(shards);
        stream
    }

    fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, request).await.expect("the server answers") })
    }

    /// Makes it, also again after it was removed.
    pub fn create(&self, shards: i32) {
        let deadline = Instant::now() + PATIENCE;
        // One of this name may still be going, and the server makes few at a time.
        while let Err(error) = self.wait(self.client.create_stream().stream_name(&self.name).shard_count(shards).send()) {
            assert!(Instant::now() < deadline, "{error:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        self.until_ready();
    }

    pub fn until_ready(&self) {
        until(|| {
            let answer = self.wait(self.client.describe_stream_summary().stream_name(&self.name).send());
            answer.is_ok_and(|answer| answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active)
        });
    }

    /// Removes it, and waits until it is gone.
    pub fn delete(&self) {
        self.wait(self.client.delete_stream().stream_name(&self.name).enforce_consumer_deletion(true).send()).unwrap();
        until(|| self.wait(self.client.describe_stream_summary().stream_name(&self.name).send()).is_err());
    }

    /// Puts one record; answers its shard and its sequence number.
    pub fn put(&self, key: &str, data: impl Into<Vec<u8>>) -> (String, String) {
        let request = self.client.put_record().stream_name(&self.name).partition_key(key).data(Blob::new(data));
        let answer = self.wait(request.send()).unwrap();
        (answer.shard_id, answer.sequence_number)
    }

    /// Puts one record where a hash key belongs.
    pub fn put_at(&self, hash_key: u128, data: impl Into<Vec<u8>>) -> (String, String) {
        let request = self.client.put_record().stream_name(&self.name).partition_key("k").explicit_hash_key(hash_key.to_string());
        let answer = self.wait(request.data(Blob::new(data)).send()).unwrap();
        (answer.shard_id, answer.sequence_number)
    }

    /// Puts `{"id":n}` for all numbers, with the number modulo 50 as the key.
    pub fn put_ids(&self, numbers: std::ops::Range<u64>) {
        for chunk in numbers.collect::<Vec<_>>().chunks(400) {
            let mut left: Vec<u64> = chunk.to_vec();
            let deadline = Instant::now() + PATIENCE;
            // While shards are split or merged, records are refused for a moment.
            while !left.is_empty() {
                assert!(Instant::now() < deadline, "{} records are not taken", left.len());
                let entry = |number: &u64| {
                    let data = Blob::new(format!("{{\"id\":{number}}}"));
                    PutRecordsRequestEntry::builder().partition_key(format!("k{}", number % 50)).data(data).build().unwrap()
                };
                let request = self.client.put_records().stream_name(&self.name).set_records(Some(left.iter().map(entry).collect()));
                let Ok(answer) = self.wait(request.send()) else {
                    std::thread::park_timeout(Duration::from_millis(20));
                    continue;
                };
                let failed = answer.records.iter().map(|record| record.error_code.is_some());
                left = left.iter().zip(failed).filter(|(_, failed)| *failed).map(|(number, _)| *number).collect();
            }
        }
    }

    /// The shards that take records, in the order of their hash keys: neighbours stand side by side.
    pub fn open_shards(&self) -> Vec<Shard> {
        let is_open = |shard: &Shard| shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none();
        let mut open: Vec<Shard> = self.shards().into_iter().filter(is_open).collect();
        open.sort_by_key(|shard| shard.hash_key_range.as_ref().unwrap().starting_hash_key.parse::<u128>().unwrap());
        open
    }

    pub fn shards(&self) -> Vec<Shard> {
        self.wait(self.client.list_shards().stream_name(&self.name).send()).unwrap().shards.unwrap()
    }

    /// Splits a shard in the middle of its hash keys.
    pub fn split(&self, shard: &Shard) {
        let range = shard.hash_key_range.as_ref().unwrap();
        let (first, last): (u128, u128) = (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap());
        let middle = first + (last - first) / 2 + 1;
        let request = self.client.split_shard().stream_name(&self.name).shard_to_split(&shard.shard_id);
        self.wait(request.new_starting_hash_key(middle.to_string()).send()).unwrap();
        self.until_ready();
    }

    /// Merges two neighbours.
    pub fn merge(&self, one: &Shard, other: &Shard) {
        let request = self.client.merge_shards().stream_name(&self.name).shard_to_merge(&one.shard_id);
        self.wait(request.adjacent_shard_to_merge(&other.shard_id).send()).unwrap();
        self.until_ready();
    }

    /// What a shard holds.
    pub fn records(&self, shard: &str) -> Vec<Record> {
        let request = self.client.get_shard_iterator().stream_name(&self.name).shard_id(shard);
        let mut iterator = self.wait(request.shard_iterator_type(ShardIteratorType::TrimHorizon).send()).unwrap().shard_iterator;
        let mut all = Vec::new();
        while let Some(at) = iterator {
            let answer = self.wait(self.client.get_records().shard_iterator(at).send()).unwrap();
            let ended = answer.millis_behind_latest == Some(0) && answer.records.is_empty();
            all.extend(answer.records);
            iterator = answer.next_shard_iterator.filter(|_| !ended);
        }
        all
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let request = self.client.delete_stream().stream_name(&self.name).enforce_consumer_deletion(true).send();
        let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, request).await });
    }
}

/// Waits until something is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<PackedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PackedRecord {
    #[prost(uint64, required, tag = "1")]
    key: u64,
    #[prost(uint64, optional, tag = "2")]
    hash_key: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    data: Bytes,
}

/// Packs records as the Kinesis Producer Library does: partition key, explicit hash key, data.
pub fn pack(records: &[(&str, Option<u128>, &[u8])]) -> Vec<u8> {
    let mut packed = Packed::default();
    for (key, hash_key, data) in records {
        packed.keys.push((*key).to_owned());
        let hash_key = hash_key.map(|hash_key| {
            packed.hash_keys.push(hash_key.to_string());
            packed.hash_keys.len() as u64 - 1
        });
        packed.records.push(PackedRecord { key: packed.keys.len() as u64 - 1, hash_key, data: Bytes::copy_from_slice(data) });
    }
    let message = packed.encode_to_vec();
    [&[0xF3, 0x89, 0x9A, 0xC2][..], &message, &Md5::digest(&message)].concat()
}
