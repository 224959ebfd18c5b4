//! The Kinesis server of the tests, asked in its own protocol: the tests need no client library for four requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kafka_broker::variable;

/// Every wait for the server ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server's address.
pub fn kinesis_address() -> String {
    variable("WASMILL_TEST_KINESIS")
}

/// A stream, removed at the end of its test.
pub struct KinesisStream {
    pub name: String,
}

impl KinesisStream {
    pub fn new(shards: u32) -> Self {
        Self::named(&format!("e-{}", uuid::Uuid::new_v4().simple()), shards)
    }

    pub fn named(name: &str, shards: u32) -> Self {
        let stream = Self { name: name.to_owned() };
        // The server makes few streams at a time.
        until(|| ask("CreateStream", &json!({ "StreamName": name, "ShardCount": shards })).is_ok());
        stream.until_ready();
        stream
    }

    /// For a stream that somebody else has made.
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    fn until_ready(&self) {
        until(|| {
            let answer = ask("DescribeStreamSummary", &json!({ "StreamName": self.name }));
            answer.is_ok_and(|answer| answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
        });
    }

    /// Puts records, each with its partition key. Those that are refused, as while shards are split and merged, are put again.
    pub fn put(&self, records: &[(String, String)]) {
        for chunk in records.chunks(400) {
            let mut left: Vec<&(String, String)> = chunk.iter().collect();
            let deadline = Instant::now() + PATIENCE;
            while !left.is_empty() {
                assert!(Instant::now() < deadline, "{} records are not taken", left.len());
                let entries = left.iter().map(|(key, data)| json!({ "PartitionKey": key, "Data": base64(data.as_bytes()) }));
                let body = json!({ "StreamName": self.name, "Records": entries.collect::<Vec<_>>() });
                let Ok(answer) = ask("PutRecords", &body) else {
                    std::thread::park_timeout(Duration::from_millis(20));
                    continue;
                };
                let results = answer["Records"].as_array().unwrap();
                left =
                    left.into_iter().zip(results).filter(|(_, result)| !result["ErrorCode"].is_null()).map(|(record, _)| record).collect();
            }
        }
    }

    /// The shards that take records, in the order of their hash keys: name, first and last hash key.
    pub fn open_shards(&self) -> Vec<(String, u128, u128)> {
        let answer = ask("ListShards", &json!({ "StreamName": self.name })).unwrap();
        let shards = answer["Shards"].as_array().unwrap().iter();
        let open = shards.filter(|shard| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null());
        let number = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
        let range = |shard: &Value| {
            let range = &shard["HashKeyRange"];
            (shard["ShardId"].as_str().unwrap().to_owned(), number(&range["StartingHashKey"]), number(&range["EndingHashKey"]))
        };
        let mut open: Vec<_> = open.map(range).collect();
        open.sort_by_key(|(_, first, _)| *first);
        open
    }

    /// Splits a shard in the middle of its hash keys.
    pub fn split(&self, (shard, first, last): &(String, u128, u128)) {
        let middle = first + (last - first) / 2 + 1;
        let body = json!({ "StreamName": self.name, "ShardToSplit": shard, "NewStartingHashKey": middle.to_string() });
        ask("SplitShard", &body).unwrap();
        self.until_ready();
    }

    /// Merges two neighbours.
    pub fn merge(&self, one: &str, other: &str) {
        ask("MergeShards", &json!({ "StreamName": self.name, "ShardToMerge": one, "AdjacentShardToMerge": other })).unwrap();
        self.until_ready();
    }

    /// The data of all records, shard by shard.
    pub fn datas(&self) -> Vec<Vec<String>> {
        let answer = ask("ListShards", &json!({ "StreamName": self.name })).unwrap();
        let shards = answer["Shards"].as_array().unwrap().iter();
        shards.map(|shard| self.data_of(shard["ShardId"].as_str().unwrap())).collect()
    }

    fn data_of(&self, shard: &str) -> Vec<String> {
        let body = json!({ "StreamName": self.name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = ask("GetShardIterator", &body).unwrap()["ShardIterator"].clone();
        let mut all = Vec::new();
        while !iterator.is_null() {
            let answer = ask("GetRecords", &json!({ "ShardIterator": iterator })).unwrap();
            let records = answer["Records"].as_array().unwrap();
            all.extend(records.iter().map(|record| String::from_utf8(unbase64(record["Data"].as_str().unwrap())).unwrap()));
            let ended = records.is_empty() && answer["MillisBehindLatest"] == 0;
            iterator = if ended { Value::Null } else { answer["NextShardIterator"].clone() };
        }
        all
    }
}

impl Drop for KinesisStream {
    fn drop(&mut self) {
        let _ = ask("DeleteStream", &json!({ "StreamName": self.name, "EnforceConsumerDeletion": true }));
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// One request. The server checks no signatures.
fn ask(operation: &str, body: &Value) -> Result<Value, String> {
    let address = kinesis_address();
    let host = address.strip_prefix("http://").unwrap();
    let body = body.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: Kinesis_20131202.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, \
         SignedHeaders=host, Signature=0\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut server = TcpStream::connect(host).map_err(|error| error.to_string())?;
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    server.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
    server.write_all(body.as_bytes()).map_err(|error| error.to_string())?;
    server.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    match head.contains(" 200 ") {
        true if body.trim().is_empty() => Ok(Value::Null),
        true => serde_json::from_str(body).map_err(|error| format!("{error}: {answer}")),
        false => Err(answer),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let digits = |three: &[u8]| {
        let number = (0..3).fold(0_usize, |number, at| number << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        (0..4).map(move |at| if at > three.len() { '=' } else { DIGITS[number >> (18 - 6 * at) & 63] as char }).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let (mut bytes, mut number, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|digit| *digit != b'=') {
        number = number << 6 | DIGITS.iter().position(|known| *known == digit).unwrap() as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((number >> bits) as u8);
            number &= (1 << bits) - 1;
        }
    }
    bytes
}
