//! What a check asks of connectors for a preview: of sources all of it, of sinks nothing.

use arrow_schema::SchemaRef;
use wasmill_connect::Survey;
use wasmill_connect::registry::{SinkConnector, SourceConnector};
use wasmill_engine::{Mode, Result};

use super::{BuiltConnectors, Connectors, SourceColumns, SourceSchema};

/// The connectors of Wasmill, of which no sink is contacted.
pub struct WithoutSinks;

impl Connectors for WithoutSinks {
    fn source_schema(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<SourceSchema> {
        BuiltConnectors.source_schema(name, source, columns, mode)
    }

    fn survey(&self, source: &dyn SourceConnector) -> Result<Option<Survey>> {
        BuiltConnectors.survey(source)
    }

    fn check_sink(&self, _sink: &dyn SinkConnector, _schema: &SchemaRef) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
