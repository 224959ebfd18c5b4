//! The registration of the connector `s3`.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, Server, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, columns_of_sample,
};
use wasmill_connect::{Inferred, Survey};
use wasmill_engine::{Depot, Result, Sink, Source};
use wasmill_objects::{Use, examine as examine_bucket};
use wasmill_reading::Paths;

use crate::sink::{S3Layout, S3Sink, S3SinkConfig};
use crate::source::{self, S3Source, S3SourceConfig};

/// Objects of a bucket.
pub const CONNECTOR: Connector = Connector::new("s3")
    .with_source::<S3SourceConfig>(Usage {
        example: r#"s3: { uri: "s3://lake/pins/" }"#,
        summary: "Reads objects of a bucket: JSON lines, JSON, CSV or Parquet, plain or compressed.",
    })
    .with_sink::<S3SinkConfig>(
        Usage {
            example: r#"s3: { uri: "s3://lake/clean/pins", format: parquet }"#,
            summary: "Writes objects of a bucket: JSON lines, CSV or Parquet.",
        },
        Delivery::ExactlyOnce,
        DeadLetters::Taken(Usage {
            example: r#"s3: { uri: "s3://lake/dead_letters", format: jsonl }"#,
            summary: "Writes objects of a bucket: JSON lines, CSV or Parquet.",
        }),
    )
    .with_codes(crate::codes::CODES);

impl SourceConnector for S3SourceConfig {
    fn describe(&self) -> String {
        format!("s3 {}", self.uri.all().join(", "))
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>> {
        columns_of_sample(wanted, self.is_certain(), || source::infer(self))
    }

    fn reserved_columns(&self) -> Vec<Field> {
        wasmill_reading::reserved_columns()
    }

    fn survey(&self) -> Result<Option<Survey>> {
        // Of others, reading would cost more than it would show: a bucket may be far away.
        if self.is_certain() { source::survey(self) } else { Ok(None) }
    }

    fn is_sampled(&self) -> bool {
        true
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        let how = (request.mode, request.sampling);
        Ok(Box::new(S3Source::with_sampling(request.name, self.clone(), request.schema, how)?))
    }

    fn examine(&self) -> Vec<Finding> {
        source::examine(self)
    }
}

impl SinkConnector for S3SinkConfig {
    fn describe(&self) -> String {
        format!("s3 {}", self.uri)
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn place(&self) -> Option<&str> {
        Some(&self.uri)
    }

    fn reads_back(&self) -> Option<Arc<dyn SourceConnector>> {
        Some(Arc::new(S3SourceConfig {
            uri: Paths::One(format!("{}/", self.uri.trim_end_matches('/'))),
            connection: self.connection.clone(),
            retry: self.retry.clone(),
            format: Some(self.format.format()),
            compression: Some(self.compression),
            allow_empty: true,
            ..S3SourceConfig::default()
        }))
    }

    fn wants_places(&self) -> bool {
        self.layout == S3Layout::Connect
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        S3Sink::new(self.clone(), schema).map(|_| Vec::new())
    }

    fn build(&self, schema: &Schema, _: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(S3Sink::new(self.clone(), schema)?))
    }

    fn build_without_columns(&self, _: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(S3Sink::without_columns(self.clone())?)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_bucket(&self.uri, &self.connection, Use::Write)
    }
}
