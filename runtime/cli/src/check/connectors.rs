//! What the check asks of connectors. A trait, so that it can be tested without files and tables.

use arrow_schema::SchemaRef;

use super::SourceColumns;
use crate::spec::{SinkKind, SourceKind};

/// Looks at the places that a pipeline names, without changing anything.
pub trait Connectors {
    /// The columns that a source gives when it is asked for these.
    fn source_schema(&self, name: &str, kind: &SourceKind, columns: &SourceColumns) -> wasmill_engine::Result<SchemaRef>;

    /// Whether a sink can take these columns: a table that is already there may have others.
    fn check_sink(&self, name: &str, kind: &SinkKind, schema: &SchemaRef) -> wasmill_engine::Result<()>;
}

/// The connectors of Wasmill.
pub struct BuiltConnectors;

impl Connectors for BuiltConnectors {
    fn source_schema(&self, _: &str, _: &SourceKind, columns: &SourceColumns) -> wasmill_engine::Result<SchemaRef> {
        match columns {
            SourceColumns::Declared(schema) | SourceColumns::Needed(schema) | SourceColumns::Sampled { needed: schema } => Ok(schema.clone()),
        }
    }

    fn check_sink(&self, _: &str, _: &SinkKind, _: &SchemaRef) -> wasmill_engine::Result<()> {
        Ok(())
    }
}
