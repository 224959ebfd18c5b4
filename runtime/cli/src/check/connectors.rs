//! What the check asks of connectors. A trait, so that it can be tested without files and tables.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connectors::delta::{self, DeltaSink, DeltaSource, DeltaSourceConfig, check_schema};
use wasmill_connectors::emulator::EmulatorSource;
use wasmill_connectors::files::source::{FilesConfig, FilesSource, Survey, infer_schema, survey};
use wasmill_connectors::kafka::{KafkaSink, KafkaSource};
use wasmill_connectors::kinesis::{KinesisSink, KinesisSource};
use wasmill_connectors::postgres::{self, PostgresSource, PostgresSourceConfig};
use wasmill_connectors::s3::sink::S3Sink;
use wasmill_connectors::s3::source::{self as s3, S3Source};
use wasmill_engine::{Class, Depot, Error, LocalDepot, Mode, Result};
use wasmill_formats::Format;

use super::SourceColumns;
use crate::spec::connectors::is_endless;
use crate::spec::{SinkKind, SourceKind};

/// Looks at the places that a pipeline names, without changing anything.
pub trait Connectors {
    /// The columns that a source gives when it is asked for these. Where the source knows that it lacks some of them, what it has.
    fn source_schema(&self, name: &str, kind: &SourceKind, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef>;

    /// Which columns a source has, as far as a quick look tells; `None` where it does not.
    fn survey(&self, kind: &SourceKind) -> Result<Option<Survey>>;

    /// How these columns differ from those of a table that is already there.
    fn check_sink(&self, kind: &SinkKind, schema: &SchemaRef) -> Result<Vec<String>>;
}

/// The connectors of Wasmill.
pub struct BuiltConnectors;

impl Connectors for BuiltConnectors {
    fn source_schema(&self, name: &str, kind: &SourceKind, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef> {
        let known = match kind {
            SourceKind::Files(config) => columns_of_files(config, columns)?,
            SourceKind::S3(config) => columns_of_objects(config, columns)?,
            SourceKind::Emulator(config) => Some(config.table.schema()),
            SourceKind::Kafka(config) => columns_of_stream(KafkaSource::known_schema(config), columns, "kafka")?,
            SourceKind::Kinesis(config) => columns_of_stream(KinesisSource::known_schema(config), columns, "kinesis")?,
            SourceKind::Delta(config) => columns_of_table(config, columns)?,
            SourceKind::Postgres(config) => columns_of_query(config, columns)?,
        };
        let schema = resolve(columns, known);
        match kind {
            SourceKind::Files(config) => drop(FilesSource::new(name, config.clone(), Arc::clone(&schema), mode)?),
            SourceKind::S3(config) => drop(S3Source::new(name, config.clone(), Arc::clone(&schema), mode)?),
            // An endless emulator in a batch has been reported, with better words.
            SourceKind::Emulator(config) if is_endless(config) && mode == Mode::Batch => {}
            SourceKind::Emulator(config) => drop(EmulatorSource::new(name, config, Arc::clone(&schema), mode)?),
            SourceKind::Delta(config) => drop(DeltaSource::new(name, config.clone(), Arc::clone(&schema), mode)?),
            SourceKind::Postgres(config) => drop(PostgresSource::new(name, config.as_ref().clone(), Arc::clone(&schema), mode)?),
            SourceKind::Kafka(config) => drop(KafkaSource::new(name, name, config.clone(), Arc::clone(&schema), mode)?),
            SourceKind::Kinesis(config) => drop(KinesisSource::new(name, config.as_ref().clone(), Arc::clone(&schema), mode)?),
        }
        Ok(schema)
    }

    fn survey(&self, kind: &SourceKind) -> Result<Option<Survey>> {
        match kind {
            SourceKind::Files(config) => survey(config),
            // Of others a look would tell less than it costs: a bucket may be far away.
            SourceKind::S3(config) if config.is_certain() => s3::survey(config),
            SourceKind::Delta(config) => {
                let columns = delta::infer_schema(config)?.fields().iter().map(|field| field.name().clone()).collect();
                Ok(Some(Survey { columns, is_complete: true, ..Survey::default() }))
            }
            _ => Ok(None),
        }
    }

    fn check_sink(&self, kind: &SinkKind, schema: &SchemaRef) -> Result<Vec<String>> {
        match kind {
            SinkKind::Delta(config) => {
                let differences = check_schema(config, schema)?;
                DeltaSink::new(config.clone(), schema)?;
                Ok(differences.iter().map(ToString::to_string).collect())
            }
            SinkKind::Postgres(config) => postgres::check_schema(config, schema),
            SinkKind::Kafka(config) => KafkaSink::new(config, schema, nowhere()).map(|_| Vec::new()),
            SinkKind::S3(config) => S3Sink::new(config.clone(), schema).map(|_| Vec::new()),
            SinkKind::Kinesis(config) => KinesisSink::new(config.as_ref().clone(), schema, nowhere()).map(|_| Vec::new()),
            SinkKind::Files(_) | SinkKind::Console(_) => Ok(Vec::new()),
        }
    }
}

/// A depot for sinks that are built only to be checked, and never write.
fn nowhere() -> Arc<dyn Depot> {
    Arc::new(LocalDepot::new(""))
}

/// The same, but a place that can't be reached is no mistake: its columns are taken as the pipeline needs them.
pub struct ForgivingConnectors;

impl Connectors for ForgivingConnectors {
    fn source_schema(&self, name: &str, kind: &SourceKind, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef> {
        match BuiltConnectors.source_schema(name, kind, columns, mode) {
            Err(error) if error.class() == Class::Environment => Ok(resolve(columns, None)),
            other => other,
        }
    }

    fn survey(&self, kind: &SourceKind) -> Result<Option<Survey>> {
        BuiltConnectors.survey(kind)
    }

    fn check_sink(&self, kind: &SinkKind, schema: &SchemaRef) -> Result<Vec<String>> {
        match BuiltConnectors.check_sink(kind, schema) {
            Err(error) if error.class() == Class::Environment => Ok(Vec::new()),
            other => other,
        }
    }
}

/// The columns that files have, where that is certain (Parquet and CSV say it) or where it has to be found out because nobody else
/// says it.
fn columns_of_files(config: &FilesConfig, columns: &SourceColumns) -> Result<Option<SchemaRef>> {
    match columns {
        SourceColumns::Declared(_) => Ok(None),
        SourceColumns::Sampled { .. } => infer_schema(config).map(Some),
        SourceColumns::Needed(_) => {
            let format = |path: &String| config.format_of(Path::new(path)).ok();
            let formats: Vec<Option<Format>> = config.path.all().iter().map(format).collect();
            let certain = formats.iter().all(|format| matches!(format, Some(Format::Parquet | Format::Csv)));
            match infer_schema(config) {
                _ if !certain => Ok(None),
                Ok(schema) => Ok(Some(schema)),
                // No files yet: nothing to compare with.
                Err(error) if error.class() == Class::Configuration => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}

/// The columns of records of Kafka and Kinesis are certain for raw values; a check reads no topic and no stream to find others.
fn columns_of_stream(known: Option<SchemaRef>, columns: &SourceColumns, connector: &str) -> Result<Option<SchemaRef>> {
    match (known, columns) {
        (None, SourceColumns::Sampled { .. }) => {
            Err(Error::configuration("a sink takes all columns of these records, and nothing says which they have")
                .hint(format!("list them: `schema: {{ index: int64, title: text }}`, beside `{connector}`")))
        }
        (known, _) => Ok(known),
    }
}

/// A table says which columns it has.
fn columns_of_table(config: &DeltaSourceConfig, columns: &SourceColumns) -> Result<Option<SchemaRef>> {
    match columns {
        SourceColumns::Declared(_) => Ok(None),
        SourceColumns::Sampled { .. } | SourceColumns::Needed(_) => delta::infer_schema(config).map(Some),
    }
}

/// A server says which columns a query has.
fn columns_of_query(config: &PostgresSourceConfig, columns: &SourceColumns) -> Result<Option<SchemaRef>> {
    match columns {
        SourceColumns::Declared(_) => Ok(None),
        SourceColumns::Sampled { .. } | SourceColumns::Needed(_) => postgres::infer_schema(config).map(Some),
    }
}

/// The same of objects.
fn columns_of_objects(config: &s3::S3SourceConfig, columns: &SourceColumns) -> Result<Option<SchemaRef>> {
    match columns {
        SourceColumns::Sampled { .. } => s3::infer_schema(config).map(Some),
        SourceColumns::Needed(_) if config.is_certain() => match s3::infer_schema(config) {
            Ok(schema) => Ok(Some(schema)),
            // No objects yet: nothing to compare with.
            Err(error) if error.class() == Class::Configuration => Ok(None),
            Err(error) => Err(error),
        },
        SourceColumns::Declared(_) | SourceColumns::Needed(_) => Ok(None),
    }
}

/// What comes out when a source that has the `known` columns is asked for `columns`.
fn resolve(columns: &SourceColumns, known: Option<SchemaRef>) -> SchemaRef {
    match (columns, known) {
        (SourceColumns::Declared(schema), _) => Arc::clone(schema),
        (SourceColumns::Needed(needed) | SourceColumns::Sampled { needed }, None) => Arc::clone(needed),
        (SourceColumns::Needed(needed), Some(known))
            if needed.fields().iter().all(|field| known.field_with_name(field.name()).is_ok() || is_reserved(field)) =>
        {
            Arc::clone(needed)
        }
        (SourceColumns::Needed(needed), Some(known)) => typed(&known, needed),
        (SourceColumns::Sampled { needed }, Some(known)) => {
            let schema = typed(&known, needed);
            let missing = needed.fields().iter().filter(|field| known.field_with_name(field.name()).is_err());
            Arc::new(Schema::new(schema.fields().iter().chain(missing).cloned().collect::<Vec<_>>()))
        }
    }
}

/// Columns that a source adds of its own when it is asked for them.
fn is_reserved(field: &Field) -> bool {
    field.name().starts_with("_source.")
}

/// The known columns, with the types that are needed.
fn typed(known: &Schema, needed: &Schema) -> SchemaRef {
    let of = |field: &Arc<Field>| needed.field_with_name(field.name()).map_or_else(|_| field.as_ref().clone(), Clone::clone);
    Arc::new(Schema::new(known.fields().iter().map(of).collect::<Vec<_>>()))
}
