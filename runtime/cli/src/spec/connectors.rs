//! The configuration of each connector, as the connectors define it, and what the check asks of all of them alike.

use super::SinkKind;

pub use wasmill_connectors::console::ConsoleConfig as ConsoleSink;
pub use wasmill_connectors::delta::{DeltaConfig as DeltaSink, DeltaSourceConfig as DeltaSource, WriteMode};
pub use wasmill_connectors::emulator::EmulatorConfig as EmulatorSource;
pub use wasmill_connectors::files::sink::FilesSinkConfig as FilesSink;
pub use wasmill_connectors::files::source::FilesConfig as FilesSource;
pub use wasmill_connectors::kafka::{KafkaConfig as KafkaSource, KafkaSinkConfig as KafkaSink};
pub use wasmill_connectors::kinesis::{KinesisConfig as KinesisSource, KinesisSinkConfig as KinesisSink};
pub use wasmill_connectors::postgres::{PostgresConfig as PostgresSink, PostgresSourceConfig as PostgresSource};
pub use wasmill_connectors::s3::sink::{S3Layout, S3SinkConfig as S3Sink};
pub use wasmill_connectors::s3::source::S3SourceConfig as S3Source;

/// Whether an emulator never ends.
pub fn is_endless(emulator: &EmulatorSource) -> bool {
    emulator.rows.is_none()
}

/// Whether a sink replaces what is there; `None` where that means nothing.
pub fn is_overwrite(kind: &SinkKind) -> Option<bool> {
    match kind {
        SinkKind::Delta(delta) => Some(delta.write == WriteMode::Overwrite),
        SinkKind::Files(_) | SinkKind::S3(_) | SinkKind::Postgres(_) | SinkKind::Kafka(_) | SinkKind::Kinesis(_) => Some(false),
        SinkKind::Console(_) => None,
    }
}

/// Whether a sink writes a source's records one by one, by their places in it: nothing may stand between.
pub fn wants_places(kind: &SinkKind) -> bool {
    matches!(kind, SinkKind::S3(s3) if s3.layout == S3Layout::Connect)
}

/// Where a sink writes; `None` where two may write.
pub fn place(kind: &SinkKind) -> Option<&str> {
    match kind {
        SinkKind::Delta(delta) => Some(&delta.uri),
        SinkKind::Files(files) => Some(&files.path),
        SinkKind::S3(s3) => Some(&s3.uri),
        // Several sinks may share a table or a topic: each has a token of its own in it.
        SinkKind::Postgres(_) | SinkKind::Kafka(_) | SinkKind::Kinesis(_) | SinkKind::Console(_) => None,
    }
}
