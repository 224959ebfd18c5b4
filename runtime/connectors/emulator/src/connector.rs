//! The registration of the connector `emulator`.

use arrow_schema::{DataType, Field};
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{Connector, SourceColumns, SourceConnector, SourceRequest, Usage};
use wasmill_engine::{Result, Source};

use crate::{EmulatorConfig, EmulatorSource, PARTITION_COLUMN, POSITION_COLUMN};

/// The generated rows of a Pinterest data pipeline.
pub const CONNECTOR: Connector = Connector::new("emulator")
    .with_source::<EmulatorConfig>(Usage {
        example: "emulator: { table: pin, rows: 1000 }",
        summary: "Generates the rows of a Pinterest table, with their dirt.",
    })
    .with_codes(crate::codes::CODES);

impl SourceConnector for EmulatorConfig {
    fn describe(&self) -> String {
        format!("emulator of the table {}", self.table.name())
    }

    fn columns(&self, _: &SourceColumns) -> Result<Option<Inferred>> {
        Ok(Some(self.table.schema().into()))
    }

    fn reserved_columns(&self) -> Vec<Field> {
        vec![Field::new(PARTITION_COLUMN, DataType::Utf8, true), Field::new(POSITION_COLUMN, DataType::Int64, true)]
    }

    fn endless(&self) -> Option<&'static str> {
        self.rows.is_none().then_some("rows")
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(EmulatorSource::new(request.name, self, request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        vec![Finding::Good("generates its rows itself".to_owned())]
    }
}
