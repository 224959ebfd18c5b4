//! What the check asks of connectors. A trait, so that it can be tested without files and tables.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connect::registry::{SinkConnector, SourceConnector, SourceRequest};
use wasmill_connect::{LateColumns, Survey};
use wasmill_engine::{Class, Mode, Result};

use super::SourceColumns;

/// Looks at the places that a pipeline names, without changing anything.
pub trait Connectors {
    /// The columns that a source gives when it is asked for these. Where the source knows that it lacks some of them, what it has.
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef>;

    /// Which columns a source has, as far as a quick look tells; `None` where it does not.
    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>>;

    /// How these columns differ from those of a table that is already there.
    fn check_sink(&self, sink: &dyn SinkConnector, schema: &SchemaRef) -> Result<Vec<String>>;
}

/// The connectors of Wasmill.
pub struct BuiltConnectors;

impl Connectors for BuiltConnectors {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef> {
        let schema = resolve(columns, source.columns(columns)?);
        // An endless source in a batch has been reported, with better words.
        if source.endless().is_none() || mode == Mode::Stream {
            let (late_columns, left_out) = (LateColumns::Ignore, &[]);
            source.build(SourceRequest { pipeline: name, name, schema: Arc::clone(&schema), mode, late_columns, left_out })?;
        }
        Ok(schema)
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
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SchemaRef> {
        match BuiltConnectors.source_schema(name, source, columns, mode) {
            Err(error) if error.class() == Class::Environment => Ok(resolve(columns, None)),
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
