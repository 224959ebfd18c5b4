//! The registration of the connector `http`.

use arrow_schema::Field;
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, SourceColumns, SourceConnector, SourceRequest, Usage, columns_of_records};
use wasmill_engine::{Result, Source};

use crate::columns::{known_schema, reserved_columns};
use crate::{HttpConfig, HttpSource};

/// Records that are posted by HTTP.
pub const CONNECTOR: Connector = Connector::new("http")
    .with_source::<HttpConfig>(Usage {
        example: r#"http: { server: { listen: "127.0.0.1:8080" } }"#,
        summary: "Takes records that are posted: documents, and requests of Kafka's REST proxy and of Kinesis.",
    })
    .with_codes(crate::codes::CODES);

impl SourceConnector for HttpConfig {
    fn describe(&self) -> String {
        format!("http {}", self.server.url().unwrap_or_else(|_| self.server.listen.clone()))
    }

    fn knows_columns(&self) -> bool {
        true
    }

    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>> {
        columns_of_records(known_schema(self.format), wanted, "http")
    }

    fn reserved_columns(&self) -> Vec<Field> {
        reserved_columns()
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        let SourceRequest { pipeline, name, schema, mode, state, .. } = request;
        Ok(Box::new(HttpSource::new(pipeline, name, self, schema, mode, state)?))
    }

    fn examine(&self) -> Vec<Finding> {
        vec![match self.server.url() {
            Err(error) => Finding::Bad(error),
            Ok(url) => match self.server.is_free() {
                Ok(()) => Finding::good(format!("{url} is free to listen at")),
                Err(error) => {
                    Finding::doubt(error.to_string(), "is this pipeline running? Otherwise stop the process that has the address")
                }
            },
        }]
    }
}
