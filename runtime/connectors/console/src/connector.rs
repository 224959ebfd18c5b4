//! The registration of the connector `console`.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, DeadLetters, Delivery, SinkConnector, Usage, Writes};
use wasmill_engine::{Depot, Result, Sink};

use crate::{ConsoleConfig, ConsoleSink};

/// The console.
pub const CONNECTOR: Connector = Connector::new("console")
    .with_sink::<ConsoleConfig>(
        Usage {
            example: "console: {}",
            summary: "Prints rows as a table. It can't take back what it printed: after a crash rows may be printed twice.",
        },
        Delivery::AtLeastOnce,
        DeadLetters::Taken(Usage { example: "console: {}", summary: "Prints rejects as a table." }),
    )
    .with_codes(crate::codes::CODES);

impl SinkConnector for ConsoleConfig {
    fn describe(&self) -> String {
        "console".to_owned()
    }

    fn writes(&self) -> Writes {
        Writes::Show
    }

    fn differences(&self, _: &SchemaRef) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn build(&self, schema: &Schema, _: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(ConsoleSink::stdout(self, schema)?))
    }

    fn build_without_columns(&self, _: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(None)
    }

    fn examine(&self) -> Vec<Finding> {
        vec![Finding::Good("standard output".to_owned())]
    }
}
