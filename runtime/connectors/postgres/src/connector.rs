//! The registration of the connector `postgres`.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, Server, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, examine_columns,
};
use wasmill_engine::{Depot, Result, Sink, Source};

use crate::connection::server;
use crate::{
    PostgresConfig, PostgresSink, PostgresSource, PostgresSourceConfig, PostgresWrite, check_schema, examine as examine_table, infer_schema,
};

/// Tables and queries of PostgreSQL.
pub const CONNECTOR: Connector = Connector::new("postgres")
    .with_source::<PostgresSourceConfig>(Usage {
        example: r#"postgres: { connection: { url: "${env:PG_URL}" }, table: public.pin_table }"#,
        summary: "Reads a table or a query of a PostgreSQL server, in batch.",
    })
    .with_sink::<PostgresConfig>(
        Usage {
            example: r#"postgres: { connection: { url: "${env:PG_URL}" }, table: public.pin_table }"#,
            summary: "Writes into a table of a PostgreSQL server.",
        },
        Delivery::ExactlyOnce,
        DeadLetters::Taken(Usage {
            example: r#"postgres: { connection: { url: "${env:PG_URL}" }, table: public.dead_letters }"#,
            summary: "Writes into a table of a PostgreSQL server.",
        }),
    )
    .with_codes(crate::codes::CODES);

impl SourceConnector for PostgresSourceConfig {
    fn describe(&self) -> String {
        format!("postgres {}", self.shown())
    }

    fn server(&self) -> Option<Server> {
        Some(server(&self.connection))
    }

    fn columns(&self, _: &SourceColumns) -> Result<Option<Inferred>> {
        Ok(Some(infer_schema(self)?.into()))
    }

    fn reserved_columns(&self) -> Vec<Field> {
        wasmill_reading::reserved_columns()
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(PostgresSource::new(request.name, self.clone(), request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_columns(self.shown(), infer_schema(self))
    }
}

impl SinkConnector for PostgresConfig {
    fn describe(&self) -> String {
        format!("postgres {}", self.table)
    }

    fn server(&self) -> Option<Server> {
        Some(server(&self.connection))
    }

    fn replaces_by(&self) -> Option<&[String]> {
        (self.write == PostgresWrite::Upsert).then_some(self.key.as_slice())
    }

    fn reads_back(&self) -> Option<Arc<dyn SourceConnector>> {
        Some(Arc::new(PostgresSourceConfig {
            connection: self.connection.clone(),
            table: Some(self.table.clone()),
            query: None,
            order_by: Vec::new(),
            retry: self.retry.clone(),
        }))
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        check_schema(self, schema)
    }

    fn build(&self, schema: &Schema, depot: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(PostgresSink::new(self, schema, Arc::clone(depot))?))
    }

    fn build_without_columns(&self, depot: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(PostgresSink::without_columns(self, Arc::clone(depot))?)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_table(self)
    }
}
