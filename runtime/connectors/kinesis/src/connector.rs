//! The registration of the connector `kinesis`.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, Server, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, columns_of_records,
    no_depot,
};
use wasmill_engine::{Depot, Result, Sink, Source};

use crate::source::{ARRIVAL_COLUMN, PARTITION_KEY_COLUMN, SEQUENCE_NUMBER_COLUMN, SHARD_COLUMN, STREAM_COLUMN, SUB_SEQUENCE_COLUMN};
use crate::{KinesisConfig, KinesisSink, KinesisSinkConfig, KinesisSource, examine_sink, examine_source};

/// Streams of Amazon Kinesis.
pub const CONNECTOR: Connector = Connector::new("kinesis")
    .with_source::<KinesisConfig>(Usage {
        example: "kinesis: { stream: streaming-1-pin }",
        summary: "Reads a stream of Amazon Kinesis: JSON, or records as they are.",
    })
    .with_sink::<KinesisSinkConfig>(
        Usage {
            example: "kinesis: { stream: clean-pin, delivery: at_least_once }",
            summary: "Puts rows into a stream of Amazon Kinesis, at least once.",
        },
        Delivery::AtLeastOnce,
        DeadLetters::Refused("a stream of Kinesis can hold a record twice, and a dead letter is one record that was rejected once"),
    )
    .with_codes(crate::codes::CODES);

impl SourceConnector for KinesisConfig {
    fn describe(&self) -> String {
        format!("kinesis {}", self.stream)
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn knows_columns(&self) -> bool {
        true
    }

    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>> {
        columns_of_records(KinesisSource::known_schema(self), wanted, "kinesis")
    }

    fn reserved_columns(&self) -> Vec<Field> {
        let columns = [
            (STREAM_COLUMN, DataType::Utf8),
            (SHARD_COLUMN, DataType::Utf8),
            (SEQUENCE_NUMBER_COLUMN, DataType::Utf8),
            (SUB_SEQUENCE_COLUMN, DataType::Int64),
            (ARRIVAL_COLUMN, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            (PARTITION_KEY_COLUMN, DataType::Utf8),
        ];
        columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect()
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(KinesisSource::new(request.name, self.clone(), request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_source(self)
    }
}

impl SinkConnector for KinesisSinkConfig {
    fn describe(&self) -> String {
        format!("kinesis {} (at least once)", self.stream)
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        KinesisSink::new(self.clone(), schema, no_depot()).map(|_| Vec::new())
    }

    fn build(&self, schema: &Schema, depot: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(KinesisSink::new(self.clone(), schema, Arc::clone(depot))?))
    }

    fn build_without_columns(&self, depot: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(KinesisSink::without_columns(self.clone(), Arc::clone(depot))?)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_sink(self)
    }
}
