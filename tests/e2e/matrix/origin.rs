//! Where the posts of the matrix come from.

mod posted;
mod table;

pub use posted::Posted;
pub use table::Table;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kafka_broker::{self, Producer};
use crate::support::{Arrival, KinesisStream, Store, Workshop, is_dead_line};

/// A source, and what fills it.
pub trait Origin {
    /// As the matrix calls it.
    const NAME: &'static str;
    /// Posts before each start: enough that every point is passed.
    const POSTS: u64 = 4_000;
    /// The points at which it can be cut off itself.
    const POINTS: &'static [&'static str] = &[];
    /// Whether posts arrive only while a stream runs.
    const LISTENS: bool = false;

    /// A place of its own, still empty.
    fn new() -> Self;

    /// The source in YAML, on one line.
    fn source(&self) -> String;

    /// More posts arrive. Whatever a reader can take for complete is complete.
    fn add(&mut self, workshop: &Workshop, posts: &Arrival);

    /// What is wrong with the place that the dead letter of a post names.
    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String>;

    /// Whether a dead letter is that of the post with this number.
    fn is_dead_letter(number: u64, row: &Value) -> bool {
        is_dead_line(number, row)
    }

    /// Whether all posts have arrived at the stream that runs.
    fn is_settled(&self) -> bool {
        true
    }

    /// What lies at its place and is not known.
    fn left_over(&self, _: &Workshop) -> Vec<String> {
        Vec::new()
    }
}

/// Where each post lies at first: in which file, object or partition, and at which byte or offset.
#[derive(Default)]
struct Places(BTreeMap<u64, (String, u64)>);

impl Places {
    /// A file of posts.
    fn add(&mut self, file: &str, posts: &Arrival, lines: &str) {
        let starts = std::iter::once(0).chain(lines.match_indices('\n').map(|(at, _)| at as u64 + 1));
        posts.new.clone().zip(starts).for_each(|(number, start)| self.put(number, file, start));
    }

    fn put(&mut self, number: u64, file: &str, start: u64) {
        self.0.entry(number).or_insert_with(|| (file.to_owned(), start));
    }

    fn wrong(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        let (file, start) = &self.0[&number];
        (file != partition || *start != position).then(|| format!("it lies in {file} at {start}"))
    }
}

/// JSON lines in a folder.
#[derive(Default)]
pub struct Files(Places);

impl Origin for Files {
    const NAME: &'static str = "files";

    fn new() -> Self {
        Self::default()
    }

    fn source(&self) -> String {
        r#"files: { path: "data/*.jsonl", follow: 100ms }"#.to_owned()
    }

    fn add(&mut self, workshop: &Workshop, posts: &Arrival) {
        let name = format!("data/pins-{:08}.jsonl", posts.new.start);
        let lines = posts.lines();
        let (incoming, path) = (workshop.write("incoming", &lines), workshop.path(&name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(incoming, path).unwrap();
        self.0.add(&name, posts, &lines);
    }

    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        self.0.wrong(number, partition, position)
    }
}

const PARTITIONS: usize = 4;

/// Records of a topic.
pub struct Topic {
    name: String,
    producer: Producer,
    places: Places,
    /// How many records each partition has.
    sent: [u64; PARTITIONS],
}

impl Origin for Topic {
    const NAME: &'static str = "kafka";

    fn new() -> Self {
        let producer = Producer::new(&[("compression.codec", "lz4"), ("enable.idempotence", "true")]);
        Self { name: kafka_broker::topic(PARTITIONS as i32), producer, places: Places::default(), sent: [0; PARTITIONS] }
    }

    fn source(&self) -> String {
        // An address that a test may replace by a proxy's.
        let brokers = "${env:WASMILL_TEST_KAFKA}";
        format!(
            r#"kafka: {{ connection: {{ brokers: "{brokers}" }}, topics: [{name}], group: "{name}", follow: 500ms }}"#,
            name = self.name
        )
    }

    fn add(&mut self, _: &Workshop, posts: &Arrival) {
        for (number, line) in posts.numbers().zip(posts.lines().lines()) {
            // Twenty to a partition, so that each has its share of bad ones.
            let partition = (number / 20) as usize % PARTITIONS;
            self.producer.send(&self.name, partition as i32, line.as_bytes());
            self.places.put(number, &format!("{}/{partition}", self.name), self.sent[partition]);
            self.sent[partition] += 1;
        }
        self.producer.flush();
    }

    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        self.places.wrong(number, partition, position)
    }
}

/// JSON lines in a bucket.
pub struct Objects(Store, Places);

impl Origin for Objects {
    const NAME: &'static str = "s3";

    fn new() -> Self {
        Self(Store::new(), Places::default())
    }

    fn source(&self) -> String {
        let (prefix, options) = (&self.0.prefix, Store::options());
        format!(r#"s3: {{ uri: "{prefix}/in/*.jsonl", follow: 100ms, connection: {options} }}"#)
    }

    fn add(&mut self, workshop: &Workshop, posts: &Arrival) {
        let name = format!("in/pins-{:08}.jsonl", posts.new.start);
        let lines = posts.lines();
        self.1.add(&format!("{}/{name}", self.0.prefix), posts, &lines);
        self.0.put(&[(workshop.write("incoming", &lines), name)]);
    }

    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        self.1.wrong(number, partition, position)
    }
}

/// Records of a stream of Kinesis.
pub struct Stream(KinesisStream);

impl Origin for Stream {
    const NAME: &'static str = "kinesis";
    /// The server of the tests goes through all that it holds with every call: fifty times 4,000 posts would take it an hour.
    const POSTS: u64 = 600;

    fn new() -> Self {
        Self(KinesisStream::new(2))
    }

    fn source(&self) -> String {
        let endpoint = "${env:WASMILL_TEST_KINESIS}";
        let connection = format!(
            r#"{{ endpoint: "{endpoint}", region: us-east-1, access_key_id: test, secret_access_key: "${{env:AWS_SECRET_ACCESS_KEY}}" }}"#
        );
        format!("kinesis: {{ stream: {}, connection: {connection}, poll: 200ms, follow: 300ms }}", self.0.name)
    }

    fn add(&mut self, _: &Workshop, posts: &Arrival) {
        let lines = posts.lines();
        let records: Vec<_> = posts.numbers().zip(lines.lines()).map(|(number, line)| (format!("key-{number}"), line.to_owned())).collect();
        self.0.put(&records);
    }

    /// The server chooses sequence numbers; a record of ours has one part.
    fn wrong_place(&self, _: u64, partition: &str, position: u64) -> Option<String> {
        let shard = partition.strip_prefix(&format!("{}/shardId-", self.0.name));
        let number = shard.and_then(|rest| rest.split_once('/')).map_or("", |(_, number)| number);
        let is_number = number.len() > 50 && number.bytes().all(|byte| byte.is_ascii_digit());
        (!is_number || position != 0).then(|| "it lies in a shard, under a sequence number, in part 0".to_owned())
    }
}
