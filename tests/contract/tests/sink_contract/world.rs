//! A place to write to, one for each sink under test, and what the checks need to know of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;
use wasmill_delta::{DeltaConfig, DeltaSink, WriteMode};
use wasmill_engine::{Committed, LocalDepot, Sink, Token, WriterContext};
use wasmill_files::{FilesSink, FilesSinkConfig};
use wasmill_formats::Compression;
use wasmill_formats::SinkFormat;
use wasmill_kafka::{KafkaSink, KafkaSinkConfig};
use wasmill_kinesis::{KinesisSink, KinesisSinkConfig};
use wasmill_postgres::{PostgresConfig, PostgresSink, PostgresWrite};
use wasmill_s3::sink::{S3Sink, S3SinkConfig};

use super::super::{kafka_broker, kinesis_server, postgres};
use super::readers;
use crate::store::{self, Prefix, Store};
use crate::uploads;

/// Where a sink under test writes.
pub struct World {
    /// The sink's kind and configuration.
    pub name: &'static str,
    folder: TempDir,
    /// Where a sink in a bucket writes.
    bucket: Option<Prefix>,
    kind: Kind,
}

enum Kind {
    Delta { partition_by: Vec<String>, key: Vec<String> },
    DeltaOnS3 { partition_by: Vec<String>, key: Vec<String> },
    Files(SinkFormat, Compression, Vec<String>),
    Kafka { topic: String, commits: String },
    Kinesis(kinesis_server::Stream),
    Postgres { write: PostgresWrite, table: postgres::Table },
    S3(SinkFormat, Compression, Vec<String>),
}

/// One of each.
pub fn worlds() -> Vec<World> {
    let world_on = |store, name, kind| {
        let bucket = matches!(kind, Kind::DeltaOnS3 { .. } | Kind::S3(..)).then(|| Prefix::of(store));
        World { name, kind, folder: tempfile::tempdir().unwrap(), bucket }
    };
    let world = |name, kind| world_on(Store::SeaweedFs, name, kind);
    let (kind, n) = (|| vec!["kind".to_owned()], || vec!["n".to_owned()]);
    let all = vec![
        world("delta", Kind::Delta { partition_by: Vec::new(), key: Vec::new() }),
        world("delta, partitioned", Kind::Delta { partition_by: kind(), key: Vec::new() }),
        world("delta, upsert", Kind::Delta { partition_by: Vec::new(), key: n() }),
        world("delta, upsert, partitioned", Kind::Delta { partition_by: kind(), key: n() }),
        world("delta on S3", Kind::DeltaOnS3 { partition_by: Vec::new(), key: Vec::new() }),
        world("delta on S3, partitioned", Kind::DeltaOnS3 { partition_by: kind(), key: Vec::new() }),
        world("delta on S3, upsert, partitioned", Kind::DeltaOnS3 { partition_by: kind(), key: n() }),
        world("files, jsonl", Kind::Files(SinkFormat::Jsonl, Compression::None, Vec::new())),
        world("files, csv in gzip", Kind::Files(SinkFormat::Csv, Compression::Gzip, Vec::new())),
        world("files, parquet", Kind::Files(SinkFormat::Parquet, Compression::None, Vec::new())),
        world("files, parquet, partitioned", Kind::Files(SinkFormat::Parquet, Compression::None, vec!["kind".to_owned()])),
        world("kafka", Kind::Kafka { topic: kafka_broker::topic(2), commits: kafka_broker::unique("commits") }),
        world("kinesis", Kind::Kinesis(kinesis_server::Stream::new(1))),
        world("postgres, append", Kind::Postgres { write: PostgresWrite::Append, table: postgres::Table::new() }),
        world("postgres, upsert", Kind::Postgres { write: PostgresWrite::Upsert, table: postgres::Table::new() }),
        world("s3, jsonl", Kind::S3(SinkFormat::Jsonl, Compression::None, Vec::new())),
        world("s3, csv in gzip", Kind::S3(SinkFormat::Csv, Compression::Gzip, Vec::new())),
        world("s3, parquet, partitioned", Kind::S3(SinkFormat::Parquet, Compression::None, vec!["kind".to_owned()])),
        world_on(Store::MinIo, "delta on MinIO, partitioned", Kind::DeltaOnS3 { partition_by: kind(), key: Vec::new() }),
        world_on(Store::MinIo, "s3 on MinIO, jsonl", Kind::S3(SinkFormat::Jsonl, Compression::None, Vec::new())),
        world_on(
            Store::MinIo,
            "s3 on MinIO, parquet, partitioned",
            Kind::S3(SinkFormat::Parquet, Compression::None, vec!["kind".to_owned()]),
        ),
    ];
    // `WASMILL_SINKS=kafka` checks those alone whose names begin so.
    let wanted = std::env::var("WASMILL_SINKS").unwrap_or_default();
    let chosen: Vec<World> = all.into_iter().filter(|world: &World| world.name.starts_with(&wanted)).collect();
    assert!(!chosen.is_empty(), "no sink is called {wanted}");
    chosen
}

/// The columns of the rows under test.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("kind", DataType::Utf8, true)]))
}

/// Rows with these numbers, all of one kind.
pub fn rows(numbers: &[i64]) -> RecordBatch {
    let kinds = StringArray::from(vec![Some("a b/c"); numbers.len()]);
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers.to_vec())), Arc::new(kinds)]).unwrap()
}

/// Rows with these numbers, each of its own kind.
pub fn rows_of_kinds<'a>(rows: impl IntoIterator<Item = (i64, &'a str)>) -> RecordBatch {
    let (numbers, kinds): (Vec<i64>, Vec<Option<&str>>) = rows.into_iter().map(|(number, kind)| (number, Some(kind))).unzip();
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers)), Arc::new(StringArray::from(kinds))]).unwrap()
}

/// The configuration of a Delta sink, which upserts where there is a key.
fn delta(partition_by: &[String], key: &[String], config: DeltaConfig) -> DeltaConfig {
    let write = if key.is_empty() { WriteMode::Append } else { WriteMode::Upsert };
    DeltaConfig { write, key: key.to_vec(), partition_by: partition_by.to_vec(), checkpoint_every: 3, ..config }
}

/// A token of pipeline `p` and sink `s`.
pub fn token(previous: u64, epoch: u64) -> Token {
    Token {
        pipeline: "p".into(),
        sink: "s".into(),
        incarnation: Uuid::from_u128(0xf000_0000_0000_0000_8000_0000_0000_0001),
        epoch,
        previous,
    }
}

impl World {
    fn place(&self) -> PathBuf {
        self.folder.path().join("out/place")
    }

    fn bucket(&self) -> &Prefix {
        self.bucket.as_ref().unwrap()
    }

    /// A process that opens the sink anew.
    pub fn process(&self) -> Box<dyn Sink> {
        let place = self.place().to_str().unwrap().to_owned();
        match &self.kind {
            Kind::Delta { partition_by, key } => {
                let config = delta(partition_by, key, DeltaConfig::new(place));
                Box::new(DeltaSink::new(config, &schema()).unwrap())
            }
            Kind::DeltaOnS3 { partition_by, key } => {
                let (uri, connection) = (self.bucket().uri("place"), Some(store::config_of(self.bucket().store)));
                let config = delta(partition_by, key, DeltaConfig { connection, ..DeltaConfig::new(uri) });
                Box::new(DeltaSink::new(config, &schema()).unwrap())
            }
            Kind::Files(format, compression, partition_by) => {
                let (compression, partition_by) = (*compression, partition_by.clone());
                let config = FilesSinkConfig { compression, partition_by, ..FilesSinkConfig::new(place, *format) };
                Box::new(FilesSink::new(config, &schema()).unwrap())
            }
            Kind::Kafka { topic, commits } => {
                let config = KafkaSinkConfig {
                    key: Some("n".to_owned()),
                    commits_topic: commits.clone(),
                    ..KafkaSinkConfig::of_topic(kafka_broker::address(), topic)
                };
                Box::new(KafkaSink::new(&config, &schema(), Arc::new(LocalDepot::new(place))).unwrap())
            }
            Kind::Kinesis(stream) => {
                let config = KinesisSinkConfig {
                    partition_key: Some("kind".to_owned()),
                    ..KinesisSinkConfig::of_stream(&stream.name, kinesis_server::connection())
                };
                Box::new(KinesisSink::new(config, &schema(), Arc::new(LocalDepot::new(place))).unwrap())
            }
            Kind::Postgres { write, table } => {
                let key = if *write == PostgresWrite::Upsert { vec!["n".to_owned()] } else { Vec::new() };
                let config = PostgresConfig { write: *write, key, ..PostgresConfig::new(postgres::url(), table.name()) };
                Box::new(PostgresSink::new(&config, &schema(), Arc::new(LocalDepot::new(place))).unwrap())
            }
            Kind::S3(format, compression, partition_by) => {
                let (uri, compression, partition_by) = (self.bucket().uri("place"), *compression, partition_by.clone());
                let config =
                    S3SinkConfig { compression, partition_by, ..S3SinkConfig::new(uri, store::config_of(self.bucket().store), *format) };
                Box::new(S3Sink::new(config, &schema()).unwrap())
            }
        }
    }

    /// The epoch that the sink remembers is this one, where it remembers any.
    pub fn assert_epoch(&self, epoch: u64) {
        let sink = self.process();
        let found = sink.committed("p", "s").unwrap();
        let expected = Committed { incarnation: token(0, 1).incarnation, epoch };
        assert_eq!(found, sink.remembers().then_some(expected), "{}", self.name);
    }

    /// Whether files that wait for their commit lie where the rows will be, under names that tell whose they are.
    pub fn stages_files(&self) -> bool {
        !matches!(self.kind, Kind::Kafka { .. } | Kind::Kinesis(_) | Kind::Postgres { .. })
    }

    /// Whether it has folders for the values of `kind`.
    pub fn is_partitioned(&self) -> bool {
        match &self.kind {
            Kind::Delta { partition_by, .. }
            | Kind::DeltaOnS3 { partition_by, .. }
            | Kind::Files(_, _, partition_by)
            | Kind::S3(_, _, partition_by) => !partition_by.is_empty(),
            _ => false,
        }
    }

    /// Whether it writes into a bucket.
    pub fn is_in_a_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// What a writer of pipeline `p` and sink `s` is for.
    pub fn context(&self, epoch: u64, lane: usize) -> WriterContext {
        let Token { pipeline, sink, incarnation, .. } = token(0, epoch);
        WriterContext { pipeline, sink, incarnation, epoch, lane, schema: schema() }
    }

    /// Writes and prepares an epoch; each slice is the rows of a lane.
    pub fn prepare(&self, sink: &dyn Sink, token: &Token, lanes: &[&[i64]]) -> Value {
        let parts = lanes.iter().enumerate().map(|(lane, numbers)| {
            let context = WriterContext {
                pipeline: token.pipeline.clone(),
                sink: token.sink.clone(),
                incarnation: token.incarnation,
                ..self.context(token.epoch, lane)
            };
            let mut writer = sink.writer(context).unwrap();
            for number in *numbers {
                assert_eq!(writer.write(&rows(&[*number])).unwrap(), []);
            }
            writer.prepare().unwrap()
        });
        let parts = parts.collect();
        sink.prepare(token, parts).unwrap()
    }

    /// The numbers that a reader sees, in order.
    pub fn visible(&self) -> Vec<i64> {
        let mut numbers = match &self.kind {
            Kind::Delta { .. } => readers::delta_numbers(&self.place()),
            Kind::DeltaOnS3 { .. } => uploads::delta_numbers(self.bucket(), "place"),
            Kind::Files(..) => readers::file_numbers(&self.place()),
            Kind::Kafka { topic, .. } => {
                let records = kafka_broker::committed(topic);
                records.iter().map(|record| record.json()["n"].as_i64().unwrap()).collect()
            }
            Kind::Kinesis(stream) => {
                let records = stream.shards().into_iter().flat_map(|shard| stream.records(&shard.shard_id));
                let row = |record: aws_sdk_kinesis::types::Record| serde_json::from_slice::<Value>(record.data.as_ref()).unwrap();
                records.map(|record| row(record)["n"].as_i64().unwrap()).collect()
            }
            Kind::Postgres { table, .. } => table.numbers(),
            Kind::S3(..) => uploads::object_numbers(self.bucket(), "place"),
        };
        numbers.sort_unstable();
        numbers
    }

    fn hidden(&self) -> PathBuf {
        match &self.kind {
            Kind::Delta { .. } | Kind::DeltaOnS3 { .. } => self.place().join("_wasmill"),
            Kind::Files(..) | Kind::S3(..) => self.place().join(".wasmill"),
            Kind::Kafka { .. } | Kind::Kinesis(_) | Kind::Postgres { .. } => self.place().join("spool"),
        }
    }

    fn staged_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let owners = std::fs::read_dir(self.hidden()).into_iter().flatten().map(|owner| owner.unwrap().path());
        for owner in owners.filter(|owner| owner.is_dir()) {
            files.extend(std::fs::read_dir(owner).unwrap().map(|file| file.unwrap().path()));
        }
        files
    }

    /// Whether what waits for a commit is not on this machine's disk.
    pub fn is_remote(&self) -> bool {
        self.bucket.is_some()
    }

    /// How many files that wait for a commit this process holds open.
    pub fn open_files(&self) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        let hidden = self.hidden().canonicalize().unwrap();
        open.filter(|path| path.starts_with(&hidden) && path.is_file()).count()
    }

    /// How many files wait for a commit.
    pub fn staged(&self) -> usize {
        match &self.bucket {
            Some(bucket) => uploads::pending(bucket).len(),
            None => self.staged_files().len(),
        }
    }

    /// Cuts off the end of a file that waits for its commit.
    pub fn cut_one_staged(&self) {
        let file = std::fs::File::options().write(true).open(&self.staged_files()[0]).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }

    /// Loses a file that waits for its commit.
    pub fn lose_one_staged(&self) {
        if let Some(bucket) = &self.bucket {
            return uploads::abort(bucket, &uploads::pending(bucket)[0]);
        }
        std::fs::remove_file(&self.staged_files()[0]).unwrap();
    }

    /// Moves the first files of a prepared commit to their place, as a process does that is killed right after.
    pub fn move_some(&self, prepared: &Value, count: usize) {
        if matches!(self.kind, Kind::Kafka { .. } | Kind::Kinesis(_) | Kind::Postgres { .. }) {
            // Nothing moves before the transaction that moves everything.
            return;
        }
        for file in prepared["files"].as_array().unwrap().iter().take(count) {
            let text = |key: &str| file[key].as_str().unwrap();
            if let Some(bucket) = &self.bucket {
                uploads::complete(bucket, &format!("place/{}", text("path")), &file["upload"]);
                continue;
            }
            let staged: &Path = &self.hidden().join("p.s").join(text("staged"));
            let path = self.place().join(text("path"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::rename(staged, path).unwrap();
        }
    }
}
