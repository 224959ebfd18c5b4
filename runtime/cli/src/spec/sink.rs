//! Sinks and dead letters in the pipeline file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Inputs;
use super::connectors::{ConsoleSink, DeltaSink, FilesSink, KafkaSink, KinesisSink, PostgresSink, S3Sink};

/// Where records go. Exactly one connector.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// `from: clean_pins`
    ///
    /// What it takes: a source, a stage, a port of a stage (`stage.port`), or a list of them; all of the same columns.
    pub from: Inputs,
    /// `delta: { uri: out/pin_table, write: append }`
    ///
    /// Writes a Delta table.
    #[schemars(extend("x-connector" = true))]
    pub delta: Option<DeltaSink>,
    /// `files: { path: out/pins, format: parquet }`
    ///
    /// Writes files: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub files: Option<FilesSink>,
    /// `postgres: { url: "${env:PG_URL}", table: public.pin_table }`
    ///
    /// Writes into a table of a PostgreSQL server.
    #[schemars(extend("x-connector" = true))]
    pub postgres: Option<PostgresSink>,
    /// `kafka: { brokers: "b1:9092", topic: clean_pins, key: ind }`
    ///
    /// Writes records into a topic of Apache Kafka.
    #[schemars(extend("x-connector" = true))]
    pub kafka: Option<KafkaSink>,
    /// `s3: { uri: "s3://lake/clean/pins", format: parquet }`
    ///
    /// Writes objects of a bucket: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub s3: Option<S3Sink>,
    /// `kinesis: { stream: clean-pin, delivery: at_least_once }`
    ///
    /// Puts rows into a stream of Amazon Kinesis, at least once.
    #[schemars(extend("x-connector" = true))]
    pub kinesis: Option<KinesisSink>,
    /// `console: {}`
    ///
    /// Prints rows as a table. It can't take back what it printed: after a crash rows may be printed twice.
    #[schemars(extend("x-connector" = true))]
    pub console: Option<ConsoleSink>,
}

/// Where rejects go. Exactly one connector.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersSpec {
    /// `files: { path: out/dead_letters, format: jsonl }`
    ///
    /// Writes files: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub files: Option<FilesSink>,
    /// `delta: { uri: out/dead_letters }`
    ///
    /// Writes a Delta table.
    #[schemars(extend("x-connector" = true))]
    pub delta: Option<DeltaSink>,
    /// `postgres: { url: "${env:PG_URL}", table: public.dead_letters }`
    ///
    /// Writes into a table of a PostgreSQL server.
    #[schemars(extend("x-connector" = true))]
    pub postgres: Option<PostgresSink>,
    /// `kafka: { brokers: "b1:9092", topic: dead_letters }`
    ///
    /// Writes records into a topic of Apache Kafka.
    #[schemars(extend("x-connector" = true))]
    pub kafka: Option<KafkaSink>,
    /// `s3: { uri: "s3://lake/dead_letters", format: jsonl }`
    ///
    /// Writes objects of a bucket: JSON lines, CSV or Parquet.
    #[schemars(extend("x-connector" = true))]
    pub s3: Option<S3Sink>,
    /// `console: {}`
    ///
    /// Prints rejects as a table.
    #[schemars(extend("x-connector" = true))]
    pub console: Option<ConsoleSink>,
}

/// The connector of a sink.
#[derive(Debug, Clone)]
pub enum SinkKind {
    /// A Delta table.
    Delta(DeltaSink),
    /// Files.
    Files(FilesSink),
    /// A table of a PostgreSQL server.
    Postgres(Box<PostgresSink>),
    /// A topic of Kafka.
    Kafka(Box<KafkaSink>),
    /// Objects of a bucket.
    S3(S3Sink),
    /// A stream of Kinesis.
    Kinesis(Box<KinesisSink>),
    /// The console.
    Console(ConsoleSink),
}

impl SinkSpec {
    /// Its connector, if it has exactly one.
    pub fn kind(&self) -> Option<SinkKind> {
        only([
            self.delta.clone().map(SinkKind::Delta),
            self.files.clone().map(SinkKind::Files),
            self.postgres.clone().map(|postgres| SinkKind::Postgres(Box::new(postgres))),
            self.kafka.clone().map(|kafka| SinkKind::Kafka(Box::new(kafka))),
            self.s3.clone().map(SinkKind::S3),
            self.kinesis.clone().map(|kinesis| SinkKind::Kinesis(Box::new(kinesis))),
            self.console.clone().map(SinkKind::Console),
        ])
    }
}

impl DeadLettersSpec {
    /// Its connector, if it has exactly one.
    pub fn kind(&self) -> Option<SinkKind> {
        only([
            self.delta.clone().map(SinkKind::Delta),
            self.files.clone().map(SinkKind::Files),
            self.postgres.clone().map(|postgres| SinkKind::Postgres(Box::new(postgres))),
            self.kafka.clone().map(|kafka| SinkKind::Kafka(Box::new(kafka))),
            self.s3.clone().map(SinkKind::S3),
            self.console.clone().map(SinkKind::Console),
        ])
    }
}

fn only<const N: usize>(kinds: [Option<SinkKind>; N]) -> Option<SinkKind> {
    let mut kinds = kinds.into_iter().flatten();
    let first = kinds.next()?;
    kinds.next().is_none().then_some(first)
}
