//! Where the posts of the matrix come from.

use std::ops::Range;

use crate::kafka_broker::{self, Producer};
use crate::support::{KinesisStream, Pins, Store, Workshop};

/// A source, and whoever fills it.
pub trait Origin {
    /// As the matrix calls it.
    const NAME: &'static str;
    /// Posts before each start: enough that every point is passed.
    const POSTS: u64 = 4_000;

    /// A place of its own, still empty.
    fn new() -> Self;

    /// The source in YAML, on one line.
    fn source(&self) -> String;

    /// More posts arrive. Whatever a reader can take for complete is complete.
    fn add(&mut self, workshop: &Workshop, posts: Range<u64>);
}

/// JSON lines in a folder.
pub struct Files;

impl Origin for Files {
    const NAME: &'static str = "files";

    fn new() -> Self {
        Self
    }

    fn source(&self) -> String {
        r#"files: { path: "data/*.jsonl", follow: 100ms }"#.to_owned()
    }

    fn add(&mut self, workshop: &Workshop, posts: Range<u64>) {
        let path = workshop.path(&format!("data/pins-{:08}.jsonl", posts.start));
        let incoming = workshop.write("incoming", &Pins(posts).lines());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(incoming, path).unwrap();
    }
}

const PARTITIONS: u64 = 4;

/// Records of a topic.
pub struct Topic {
    name: String,
    producer: Producer,
}

impl Origin for Topic {
    const NAME: &'static str = "kafka";

    fn new() -> Self {
        let producer = Producer::new(&[("compression.codec", "lz4"), ("enable.idempotence", "true")]);
        Self { name: kafka_broker::topic(PARTITIONS as i32), producer }
    }

    fn source(&self) -> String {
        // An address that a test may replace by a proxy's.
        let brokers = "${env:WASMILL_TEST_KAFKA}";
        format!(r#"kafka: {{ brokers: "{brokers}", topics: [{name}], group: "{name}", follow: 500ms }}"#, name = self.name)
    }

    fn add(&mut self, _: &Workshop, posts: Range<u64>) {
        let lines = Pins(posts.clone()).lines();
        for (number, line) in posts.zip(lines.lines()) {
            // Twenty to a partition, so that each has its share of bad ones.
            self.producer.send(&self.name, (number / 20 % PARTITIONS) as i32, line.as_bytes());
        }
        self.producer.flush();
    }
}

/// JSON lines in a bucket.
pub struct Objects(Store);

impl Origin for Objects {
    const NAME: &'static str = "s3";

    fn new() -> Self {
        Self(Store::new())
    }

    fn source(&self) -> String {
        let (prefix, options) = (&self.0.prefix, Store::options());
        format!(r#"s3: {{ uri: "{prefix}/in/*.jsonl", follow: 100ms, connection: {options} }}"#)
    }

    fn add(&mut self, workshop: &Workshop, posts: Range<u64>) {
        let name = format!("in/pins-{:08}.jsonl", posts.start);
        let incoming = workshop.write("incoming", &Pins(posts).lines());
        self.0.put(&[(incoming, name)]);
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

    fn add(&mut self, _: &Workshop, posts: Range<u64>) {
        let lines = Pins(posts.clone()).lines();
        let records: Vec<_> = posts.zip(lines.lines()).map(|(number, line)| (format!("key-{number}"), line.to_owned())).collect();
        self.0.put(&records);
    }
}
