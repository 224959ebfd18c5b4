//! The registration of the connector `mysql`.

use arrow_schema::Field;
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, Server, SourceColumns, SourceConnector, SourceRequest, Usage, examine_columns};
use wasmill_engine::{Result, Source};

use crate::connection::server;
use crate::{MysqlSource, MysqlSourceConfig, infer_schema};

/// Tables and queries of MySQL and MariaDB.
pub const CONNECTOR: Connector = Connector::new("mysql")
    .with_source::<MysqlSourceConfig>(Usage {
        example: r#"mysql: { connection: { url: "${env:MYSQL_URL}" }, table: pinterest_data }"#,
        summary: "Reads a table or a query of MySQL or MariaDB, in batch; with a cursor also what is added, as a stream.",
    })
    .with_codes(crate::codes::CODES);

impl SourceConnector for MysqlSourceConfig {
    fn describe(&self) -> String {
        format!("mysql {}", self.shown())
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
        Ok(Box::new(MysqlSource::new(request.name, self.clone(), request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_columns(self.shown(), infer_schema(self))
    }
}
