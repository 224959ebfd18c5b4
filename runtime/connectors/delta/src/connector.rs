//! The registration of the connector `delta`.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, Server, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, Writes, examine_columns,
};
use wasmill_connect::{Inferred, Survey};
use wasmill_engine::{Depot, Result, Sink, Source};
use wasmill_objects::{S3Config, S3Uri};

use crate::{
    DeltaConfig, DeltaSink, DeltaSource, DeltaSourceConfig, SchemaEvolution, WriteMode, check_schema, examine as examine_table,
    infer_schema,
};

/// Delta tables.
pub const CONNECTOR: Connector = Connector::new("delta")
    .with_source::<DeltaSourceConfig>(Usage {
        example: "delta: { uri: out/pin_table }",
        summary: "Reads a Delta table: one version whole, and then what later versions add.",
    })
    .with_sink::<DeltaConfig>(
        Usage { example: "delta: { uri: out/pin_table, write: append }", summary: "Writes a Delta table." },
        Delivery::ExactlyOnce,
        DeadLetters::Taken(Usage { example: "delta: { uri: out/dead_letters }", summary: "Writes a Delta table." }),
    )
    .with_only_value(crate::only_value::only_value)
    .with_codes(crate::codes::CODES);

impl SourceConnector for DeltaSourceConfig {
    fn describe(&self) -> String {
        format!("delta {}", self.uri)
    }

    fn server(&self) -> Option<Server> {
        server(&self.uri, self.connection.as_ref())
    }

    fn columns(&self, _: &SourceColumns) -> Result<Option<Inferred>> {
        Ok(Some(infer_schema(self)?.into()))
    }

    fn reserved_columns(&self) -> Vec<Field> {
        wasmill_reading::reserved_columns()
    }

    fn survey(&self) -> Result<Option<Survey>> {
        let columns = infer_schema(self)?.fields().iter().map(|field| field.name().clone()).collect();
        Ok(Some(Survey { columns, is_complete: true, ..Survey::default() }))
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(DeltaSource::new(request.name, self.clone(), request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_columns(&self.uri, infer_schema(self))
    }
}

impl SinkConnector for DeltaConfig {
    fn describe(&self) -> String {
        format!("delta {}", self.uri)
    }

    fn server(&self) -> Option<Server> {
        server(&self.uri, self.connection.as_ref())
    }

    fn place(&self) -> Option<&str> {
        Some(&self.uri)
    }

    fn writes(&self) -> Writes {
        match self.write {
            WriteMode::Append | WriteMode::Upsert => Writes::Append,
            WriteMode::Overwrite => Writes::Overwrite,
        }
    }

    fn replaces_by(&self) -> Option<&[String]> {
        (self.write == WriteMode::Upsert).then_some(self.key.as_slice())
    }

    fn reads_back(&self) -> Option<Arc<dyn SourceConnector>> {
        let Self { uri, connection, retry, .. } = self;
        Some(Arc::new(DeltaSourceConfig {
            uri: uri.clone(),
            connection: connection.clone(),
            retry: retry.clone(),
            ..DeltaSourceConfig::default()
        }))
    }

    fn adds_columns(&self) -> bool {
        self.schema_evolution == SchemaEvolution::AddColumns
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        let differences = check_schema(self, schema)?;
        DeltaSink::new(self.clone(), schema)?;
        Ok(differences.iter().map(ToString::to_string).collect())
    }

    fn remedy(&self) -> &'static str {
        "write into another table, let this one grow new columns (schema_evolution: add_columns), or replace it (write: overwrite)"
    }

    fn build(&self, schema: &Schema, _: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(DeltaSink::new(self.clone(), schema)?))
    }

    fn build_without_columns(&self, _: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(DeltaSink::without_columns(self.clone())?)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_table(self)
    }
}

/// The store of a table in a bucket.
fn server(uri: &str, connection: Option<&S3Config>) -> Option<Server> {
    S3Uri::is_one(uri).then(|| connection.cloned().unwrap_or_default().server())
}
