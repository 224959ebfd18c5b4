//! A source in the pipeline file.

use schemars::JsonSchema;
use serde::Deserialize;

use super::connectors::{DeltaSource, EmulatorSource, FilesSource, KafkaSource, KinesisSource, PostgresSource, S3Source};
use super::{Columns, Share};

/// Where records come from. Exactly one connector.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// `files: { path: "data/pin/*.jsonl" }`
    ///
    /// Reads files: JSON lines, JSON arrays, CSV or Parquet, plain or compressed.
    #[schemars(extend("x-connector" = true))]
    pub files: Option<FilesSource>,
    /// `s3: { uri: "s3://lake/pins/" }`
    ///
    /// Reads objects of a bucket: JSON lines, JSON, CSV or Parquet, plain or compressed.
    #[schemars(extend("x-connector" = true))]
    pub s3: Option<S3Source>,
    /// `emulator: { table: pin, rows: 1000 }`
    ///
    /// Makes the rows of a Pinterest table, with their dirt.
    #[schemars(extend("x-connector" = true))]
    pub emulator: Option<EmulatorSource>,
    /// `kafka: { brokers: "b1:9092", topics: [pin] }`
    ///
    /// Reads topics of Apache Kafka: JSON, or values as they are.
    #[schemars(extend("x-connector" = true))]
    pub kafka: Option<KafkaSource>,
    /// `kinesis: { stream: streaming-1-pin }`
    ///
    /// Reads a stream of Amazon Kinesis: JSON, or records as they are.
    #[schemars(extend("x-connector" = true))]
    pub kinesis: Option<KinesisSource>,
    /// `delta: { uri: out/pin_table }`
    ///
    /// Reads a Delta table: one version whole, and then what later versions add.
    #[schemars(extend("x-connector" = true))]
    pub delta: Option<DeltaSource>,
    /// `postgres: { url: "${env:PG_URL}", table: public.pin_table }`
    ///
    /// Reads a table or a query of a PostgreSQL server, in batch.
    #[schemars(extend("x-connector" = true))]
    pub postgres: Option<PostgresSource>,
    /// `schema: { index: int64, title: text, timestamp: "timestamp(us, UTC)" }`
    ///
    /// The columns to decode and their types. Default: what the stages need; where a sink reads straight from the source, what a sample
    /// of its records shows.
    ///
    /// A value converts if nothing of it is lost; otherwise its record is rejected: [conversions](conversions.md) has the table. Numbers
    /// are times only with an `epoch` (`timestamp(us, UTC, epoch: ms)`), digits of a second that do not fit are cut only with `cut`
    /// (`timestamp(us, UTC, cut)`), and a column of type `json` keeps any value as its JSON text.
    pub schema: Option<Columns>,
    /// `max_reject_share: 10%`
    ///
    /// The share of records that may fail to decode before the pipeline stops. Default: 10%.
    ///
    /// Judged from 100 records on, and at the end of a batch whatever its size.
    pub max_reject_share: Option<Share>,
}

/// The connector of a source.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// Files.
    Files(FilesSource),
    /// Objects of a bucket.
    S3(S3Source),
    /// The emulator.
    Emulator(EmulatorSource),
    /// Kafka.
    Kafka(KafkaSource),
    /// Kinesis.
    Kinesis(Box<KinesisSource>),
    /// A Delta table.
    Delta(DeltaSource),
    /// A table or a query of a PostgreSQL server.
    Postgres(Box<PostgresSource>),
}

impl SourceSpec {
    /// Its connector, if it has exactly one.
    pub fn kind(&self) -> Option<SourceKind> {
        let files = self.files.clone().map(SourceKind::Files);
        let emulator = self.emulator.clone().map(SourceKind::Emulator);
        let kafka = self.kafka.clone().map(SourceKind::Kafka);
        let s3 = self.s3.clone().map(SourceKind::S3);
        let kinesis = self.kinesis.clone().map(|kinesis| SourceKind::Kinesis(Box::new(kinesis)));
        let delta = self.delta.clone().map(SourceKind::Delta);
        let postgres = self.postgres.clone().map(|postgres| SourceKind::Postgres(Box::new(postgres)));
        let mut given = [files, s3, emulator, kafka, kinesis, delta, postgres].into_iter().flatten();
        given.next().filter(|_| given.next().is_none())
    }
}
