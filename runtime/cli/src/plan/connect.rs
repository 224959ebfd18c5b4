//! Makes the sources and sinks that a checked pipeline names, and names them for people.

use std::sync::Arc;

use arrow_schema::Schema;
use wasmill_connectors::console::ConsoleSink;
use wasmill_connectors::delta::{DeltaSink, DeltaSource};
use wasmill_connectors::emulator::EmulatorSource;
use wasmill_connectors::files::sink::FilesSink;
use wasmill_connectors::files::source::FilesSource;
use wasmill_connectors::kafka::{KafkaSink, KafkaSource};
use wasmill_connectors::kinesis::{KinesisSink, KinesisSource};
use wasmill_connectors::postgres::{PostgresSink, PostgresSource};
use wasmill_connectors::s3::sink::S3Sink;
use wasmill_connectors::s3::source::S3Source;
use wasmill_engine::{Depot, Mode, Result, Sink, Source};

use crate::check::CheckedSource;
use crate::spec::{SinkKind, SourceKind};

/// The source of a checked pipeline.
pub fn source(checked: &CheckedSource, pipeline: &str, mode: Mode) -> Result<Box<dyn Source>> {
    let (name, schema) = (&checked.name, Arc::clone(&checked.schema));
    Ok(match &checked.kind {
        SourceKind::Files(config) => {
            Box::new(FilesSource::new(name, config.clone(), schema, mode)?.with_late_columns(checked.late_columns, mode))
        }
        SourceKind::S3(config) => Box::new(S3Source::with_late_columns(name, config.clone(), schema, (mode, checked.late_columns))?),
        SourceKind::Emulator(config) => Box::new(EmulatorSource::new(name, config, schema, mode)?),
        SourceKind::Postgres(config) => Box::new(PostgresSource::new(name, config.as_ref().clone(), schema, mode)?),
        SourceKind::Delta(config) => Box::new(DeltaSource::new(name, config.clone(), schema, mode)?),
        SourceKind::Kafka(config) => Box::new(KafkaSource::new(name, pipeline, config.clone(), schema, mode)?),
        SourceKind::Kinesis(config) => Box::new(KinesisSource::new(name, config.as_ref().clone(), schema, mode)?),
    })
}

/// A sink for these columns. What has to wait for its commit in files does so in the depot of the pipeline's state.
pub fn sink(kind: &SinkKind, schema: &Schema, depot: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
    Ok(match kind {
        SinkKind::Delta(config) => Arc::new(DeltaSink::new(config.clone(), schema)?),
        SinkKind::Files(config) => Arc::new(FilesSink::new(config.clone(), schema)?),
        SinkKind::Postgres(config) => Arc::new(PostgresSink::new(config, schema, Arc::clone(depot))?),
        SinkKind::Kafka(config) => Arc::new(KafkaSink::new(config, schema, Arc::clone(depot))?),
        SinkKind::S3(config) => Arc::new(S3Sink::new(config.clone(), schema)?),
        SinkKind::Kinesis(config) => Arc::new(KinesisSink::new(config.as_ref().clone(), schema, Arc::clone(depot))?),
        SinkKind::Console(config) => Arc::new(ConsoleSink::stdout(config, schema)?),
    })
}

/// A sink for a command that only moves its token and commits what was prepared. `None`: it has no token and nothing that could wait.
pub fn sink_without_columns(kind: &SinkKind, depot: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
    Ok(Some(match kind {
        SinkKind::Delta(config) => Arc::new(DeltaSink::without_columns(config.clone())?),
        SinkKind::Files(config) => Arc::new(FilesSink::without_columns(config.clone())?),
        SinkKind::Postgres(config) => Arc::new(PostgresSink::without_columns(config, Arc::clone(depot))?),
        SinkKind::Kafka(config) => Arc::new(KafkaSink::without_columns(config, Arc::clone(depot))?),
        SinkKind::S3(config) => Arc::new(S3Sink::without_columns(config.clone())?),
        SinkKind::Kinesis(config) => Arc::new(KinesisSink::without_columns(config.as_ref().clone(), Arc::clone(depot))?),
        SinkKind::Console(_) => return Ok(None),
    }))
}

/// `files data/*.jsonl`: what kind of source it is, and of what.
pub fn source_in_words(kind: &SourceKind) -> String {
    match kind {
        SourceKind::Files(config) => format!("files {}", config.path.all().join(", ")),
        SourceKind::S3(config) => format!("s3 {}", config.uri.all().join(", ")),
        SourceKind::Emulator(config) => format!("emulator of the table {}", config.table.name()),
        SourceKind::Kinesis(config) => format!("kinesis {}", config.stream),
        SourceKind::Postgres(config) => format!("postgres {}", config.shown()),
        SourceKind::Delta(config) => format!("delta {}", config.uri),
        SourceKind::Kafka(config) => format!("kafka {} of {}", config.topics_in_words(), config.brokers),
    }
}

/// `delta out/pin_table`: what kind of sink it is, and where.
pub fn sink_in_words(kind: &SinkKind) -> String {
    match kind {
        SinkKind::Delta(config) => format!("delta {}", config.uri),
        SinkKind::Files(config) => format!("files {}", config.path),
        SinkKind::Postgres(config) => format!("postgres {}", config.table),
        SinkKind::Kafka(config) => format!("kafka {} of {}", config.topic, config.brokers),
        SinkKind::S3(config) => format!("s3 {}", config.uri),
        SinkKind::Kinesis(config) => format!("kinesis {} (at least once)", config.stream),
        SinkKind::Console(_) => "console".to_owned(),
    }
}
