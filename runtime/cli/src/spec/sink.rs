//! Sinks and dead letters in the pipeline file.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use wasmill_connect::registry::{DeadLetters, SinkConnector, SinkEntry, Usage};

use super::Inputs;
use super::entry::{Choice, SpecEntry, connector_of, with_connectors};
use crate::document::{Node, ReadError, read, read_erased};
use crate::registry::connectors;

/// Where records go. Exactly one connector.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// `from`.
    pub from: Inputs,
    /// Its connector.
    pub connector: Arc<dyn SinkConnector>,
    /// The connector's name.
    pub connector_name: &'static str,
}

/// Where records go. Exactly one connector.
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fields {
    /// `from: clean_pins`
    ///
    /// Its input: a source, a stage, a port of a stage (`stage.port`), or a list of them; all with
    /// the same columns.
    from: Inputs,
}

/// Where rejects go. Exactly one connector.
#[derive(Debug, Clone)]
pub struct DeadLettersSpec {
    /// Its connector.
    pub connector: Arc<dyn SinkConnector>,
    /// The connector's name.
    pub connector_name: &'static str,
}

/// Where rejects go. Exactly one connector.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NoFields {}

/// The connectors that can be sinks.
fn sinks() -> impl Iterator<Item = (&'static str, &'static SinkEntry)> {
    connectors().iter().filter_map(|connector| Some((connector.name, connector.sink.as_ref()?)))
}

/// Those of them that take dead letters, with their documentation for that use.
fn sinks_of_dead_letters() -> impl Iterator<Item = (&'static str, &'static SinkEntry, Usage)> {
    sinks().filter_map(|(name, sink)| match sink.dead_letters {
        DeadLetters::Taken(usage) => Some((name, sink, usage)),
        DeadLetters::Refused(_) => None,
    })
}

impl SpecEntry for SinkSpec {
    const NAME: &'static str = "SinkSpec";

    fn read(node: &Node) -> Result<Self, ReadError> {
        let (connector_name, entry, connector) = connector_of(node, sinks())?;
        let Fields { from } = read(node)?;
        Ok(Self { from, connector: read_erased(connector, entry.read)?, connector_name })
    }
}

impl SpecEntry for DeadLettersSpec {
    const NAME: &'static str = "DeadLettersSpec";

    fn read(node: &Node) -> Result<Self, ReadError> {
        let choices = sinks_of_dead_letters().map(|(name, sink, _)| (name, sink));
        let (connector_name, entry, connector) = connector_of(node, choices)?;
        Ok(Self { connector: read_erased(connector, entry.read)?, connector_name })
    }
}

impl JsonSchema for SinkSpec {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = sinks().map(|(name, sink)| Choice { name, usage: sink.usage, schema: sink.schema });
        with_connectors(Fields::json_schema(generator), choices, generator)
    }
}

impl JsonSchema for DeadLettersSpec {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = sinks_of_dead_letters().map(|(name, sink, usage)| Choice { name, usage, schema: sink.schema });
        with_connectors(NoFields::json_schema(generator), choices, generator)
    }
}
