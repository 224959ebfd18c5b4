//! What the check asks of connectors. A trait, so that it can be tested without files and tables.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_connect::registry::{SinkConnector, SourceConnector, SourceRequest};
use wasmill_connect::{Sampling, Survey};
use wasmill_engine::{Class, Mode, Result};

use super::SourceColumns;
use super::source_columns::{SourceSchema, resolve};

/// Looks at the places that a pipeline names, without changing anything.
pub trait Connectors {
    /// The columns that a source gives when it is asked for these. Where the source knows that it lacks some that stages need, what it has.
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema>;

    /// Which columns a source has, as far as a quick look tells; `None` where it does not.
    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>>;

    /// How these columns differ from those of a table that is already there.
    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>>;
}

/// The connectors of Wasmill.
pub struct BuiltConnectors;

impl Connectors for BuiltConnectors {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        let reserved = source.reserved_columns();
        let known = if columns.needs_look(&reserved) { source.columns(columns)? } else { None };
        let found = resolve(columns, &reserved, known);
        // An endless source in a batch has been reported, with better words.
        if source.endless().is_none() || mode == Mode::Stream {
            let sampling = Sampling::default();
            source.build(SourceRequest { pipeline: name, name, schema: Arc::clone(&found.schema), mode, sampling })?;
        }
        Ok(found)
    }

    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>> {
        source.survey()
    }

    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>> {
        sink.differences(schema)
    }
}

/// The same, but a place that can't be reached is no mistake: its columns are taken as the pipeline needs them.
pub struct ForgivingConnectors;

impl Connectors for ForgivingConnectors {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        match BuiltConnectors.source_schema(name, source, columns, mode) {
            Err(error) if error.class() == Class::Environment => {
                Ok(SourceSchema { untyped: Vec::new(), ..resolve(columns, &source.reserved_columns(), None) })
            }
            other => other,
        }
    }

    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>> {
        BuiltConnectors.survey(source)
    }

    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>> {
        match BuiltConnectors.check_sink(sink, schema) {
            Err(error) if error.class() == Class::Environment => Ok(Vec::new()),
            other => other,
        }
    }
}
