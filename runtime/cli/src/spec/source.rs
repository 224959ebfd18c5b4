//! A source in the pipeline file.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use wasmill_connect::registry::SourceConnector;

use super::entry::{Choice, SpecEntry, connector_of, with_connectors};
use super::{Columns, Share};
use crate::document::{Node, ReadError, read, read_erased};
use crate::registry::connectors;

/// Where records come from. Exactly one connector.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Its connector.
    pub connector: Arc<dyn SourceConnector>,
    /// The connector's name.
    pub connector_name: &'static str,
    /// `schema`.
    pub schema: Option<Columns>,
    /// `max_reject_share`.
    pub max_reject_share: Option<Share>,
}

/// Where records come from. Exactly one connector.
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fields {
    /// `schema: { index: int64, title: text, timestamp: "timestamp(us, UTC)" }`
    ///
    /// The columns to decode and their types. Default: what the stages need; where a sink reads straight from the source, what a sample
    /// of its records shows.
    ///
    /// A value converts if nothing of it is lost; otherwise its record is rejected: [conversions](conversions.md) has the table. Numbers
    /// are times only with an `epoch` (`timestamp(us, UTC, epoch: ms)`), digits of a second that do not fit are cut only with `cut`
    /// (`timestamp(us, UTC, cut)`), and a column of type `json` keeps any value as its JSON text.
    schema: Option<Columns>,
    /// `max_reject_share: 10%`
    ///
    /// The share of records that may fail to decode before the pipeline stops. Default: 10%.
    ///
    /// Judged from 100 records on, and at the end of a batch whatever its size.
    max_reject_share: Option<Share>,
}

impl SpecEntry for SourceSpec {
    const NAME: &'static str = "SourceSpec";

    fn read(node: &Node) -> Result<Self, ReadError> {
        let choices = connectors().iter().filter_map(|connector| Some((connector.name, connector.source.as_ref()?)));
        let (connector_name, entry, connector) = connector_of(node, choices)?;
        let Fields { schema, max_reject_share } = read(node)?;
        let connector = read_erased(connector, entry.read)?;
        Ok(Self { connector, connector_name, schema, max_reject_share })
    }
}

impl JsonSchema for SourceSpec {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = connectors().iter().filter_map(|connector| {
            let source = connector.source.as_ref()?;
            Some(Choice { name: connector.name, usage: source.usage, schema: source.schema })
        });
        with_connectors(Fields::json_schema(generator), choices, generator)
    }
}
