//! The registration of the connector `nexmark`.

use std::sync::Arc;

use arrow_schema::{Field, SchemaRef};
use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, SourceColumns, SourceConnector, SourceRequest, Usage};
use wasmill_engine::{Error, Result, Source};

use super::columns::Table;
use super::events::{Events, PER_SECOND, SEED, Stream};
use super::source::NexmarkSource;

/// The events of an auction house.
pub const CONNECTOR: Connector = Connector::new("nexmark").with_source::<NexmarkConfig>(Usage {
    example: "nexmark: { table: bid, events: 1000 }",
    summary: "Generates the persons, auctions or bids of Nexmark.",
});

/// Generates the events of one kind. Event `n` under a seed is the same event in every run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NexmarkConfig {
    /// `table: bid`
    ///
    /// Which events: `person`, `auction` or `bid`.
    pub table: Table,
    /// `events: 1000000`
    ///
    /// How many events of all kinds there are. Of 50 events one is a person, 3 are auctions, 46 are bids.
    pub events: u64,
    /// `seed: 1`
    ///
    /// Another seed gives other events. Sources that are to be joined need the same one.
    #[serde(default = "seed")]
    pub seed: u64,
    /// `per_second: 10000`
    ///
    /// Events per second of event time.
    #[serde(default = "per_second")]
    pub per_second: u64,
}

fn seed() -> u64 {
    SEED
}

fn per_second() -> u64 {
    PER_SECOND
}

impl SourceConnector for NexmarkConfig {
    fn describe(&self) -> String {
        format!("nexmark {} of {} events", self.table, self.events)
    }

    fn columns(&self, _: &SourceColumns) -> Result<Option<Inferred>> {
        Ok(Some(self.table.schema().into()))
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        if self.per_second == 0 {
            return Err(Error::configuration("`per_second` is 0: no event would ever come").key(["per_second"]));
        }
        check_columns(self.table, &request.schema)?;
        let stream = Stream { seed: self.seed, per_second: self.per_second };
        Ok(Box::new(NexmarkSource::new(request.name, self.table, Events::new(stream), self.events, request.schema, request.mode)))
    }

    fn examine(&self) -> Vec<Finding> {
        vec![Finding::good("generates its events itself")]
    }
}

/// Checks that a table has these columns, in these types.
fn check_columns(table: Table, requested: &SchemaRef) -> Result<()> {
    let schema = table.schema();
    let is_there = |field: &&Arc<Field>| schema.field_with_name(field.name()).is_ok_and(|column| column.data_type() == field.data_type());
    match requested.fields().iter().find(|field| !is_there(field)) {
        Some(other) => {
            Err(Error::configuration(format!("nexmark has no column `{}` of type {} in `{table}`", other.name(), other.data_type())))
        }
        None => Ok(()),
    }
}
