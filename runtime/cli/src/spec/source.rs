//! A source in the pipeline file.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use wasmill_connect::registry::{SourceConnector, SourceEntry};

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
    /// `columns`.
    pub columns: Option<Vec<String>>,
    /// `max_reject_share`.
    pub max_reject_share: Option<Share>,
}

/// Where records come from. Exactly one connector.
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Fields {
    /// `schema: { index: int64, timestamp: "timestamp(us, UTC)" }`
    ///
    /// The types of single columns. All other columns are read as they are without it; `columns` picks some.
    ///
    /// Without `columns`, a source reads what the stages need, in the types that they need; what `select` and `filter` name has the type that
    /// the source gives it. Where a sink reads straight from the source, it
    /// reads all columns: those that a table, a query or the emulator has, and those that a sample of the records in files or objects shows.
    /// A column of `schema` that is not among them is read too; it is an error where all columns are known, and a warning where a sample lacks it.
    ///
    /// The columns of a Kafka or Kinesis record are only known when it is read. There `schema` and
    /// the needs of the stages name all columns that are read, and other keys are skipped; `format:
    /// raw` has one column, `value`. If there is no file or object yet, a run begins with the
    /// columns of `schema`, and adds others with the first record that has them.
    ///
    /// A value converts if nothing of it is lost; otherwise its record is rejected: [conversions](conversions.md) has the table. Numbers
    /// are times only with an `epoch` (`timestamp(us, UTC, epoch: ms)`). Digits of a second that do not fit are cut only with `cut`
    /// (`timestamp(us, UTC, cut)`). A column of type `json` keeps any value as its JSON text.
    schema: Option<Columns>,
    /// `columns: [index, title, _source.path]`
    ///
    /// The columns that are read, in this order, and no others. Default: those of `schema`.
    ///
    /// Their types are those of `schema`, those that stages need, or those that the source has. If `schema` or stages give a type to each of
    /// them, nothing is sampled. The columns that a source adds of its own (`_source.`) can be picked as well.
    #[schemars(length(min = 1))]
    columns: Option<Vec<String>>,
    /// `max_reject_share: 10%`
    ///
    /// The share of records that may fail to decode before the pipeline stops. Default: 10%.
    ///
    /// Judged from 100 records on, and at the end of a batch of any size.
    max_reject_share: Option<Share>,
}

/// The connectors that can be sources.
fn sources() -> impl Iterator<Item = (&'static str, &'static SourceEntry)> {
    connectors().iter().filter_map(|connector| Some((connector.name, connector.source.as_ref()?)))
}

impl SpecEntry for SourceSpec {
    const NAME: &'static str = "SourceSpec";

    fn read(node: &Node) -> Result<Self, ReadError> {
        let (connector_name, entry, connector) = connector_of(node, sources())?;
        let Fields { schema, columns, max_reject_share } = read(node)?;
        let connector = read_erased(connector, entry.read)?;
        Ok(Self { connector, connector_name, schema, columns, max_reject_share })
    }
}

impl JsonSchema for SourceSpec {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choices = sources().map(|(name, source)| Choice { name, usage: source.usage, schema: source.schema });
        with_connectors(Fields::json_schema(generator), choices, generator)
    }
}
