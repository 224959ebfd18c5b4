//! The registration of the connector `kafka`.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use wasmill_connect::Inferred;
use wasmill_connect::examine::Finding;
use wasmill_connect::record_columns::{OFFSET_COLUMN, PARTITION_COLUMN, TOPIC_COLUMN};
use wasmill_connect::registry::{
    Connector, DeadLetters, Delivery, Server, SinkConnector, SourceColumns, SourceConnector, SourceRequest, Usage, columns_of_records,
    no_depot,
};
use wasmill_engine::{Depot, Result, Sink, Source};

use crate::source::{HEADERS_COLUMN, KEY_COLUMN, TIMESTAMP_COLUMN};
use crate::{KafkaConfig, KafkaSink, KafkaSinkConfig, KafkaSource, examine_sink, examine_source};

/// Topics of Apache Kafka.
pub const CONNECTOR: Connector = Connector::new("kafka")
    .with_source::<KafkaConfig>(Usage {
        example: r#"kafka: { connection: { brokers: "b1:9092" }, topics: [pin] }"#,
        summary: "Reads topics of Apache Kafka: JSON, or values as they are.",
    })
    .with_sink::<KafkaSinkConfig>(
        Usage {
            example: r#"kafka: { connection: { brokers: "b1:9092" }, topic: clean_pins, key: ind }"#,
            summary: "Writes records into a topic of Apache Kafka.",
        },
        Delivery::ExactlyOnce,
        DeadLetters::Taken(Usage {
            example: r#"kafka: { connection: { brokers: "b1:9092" }, topic: dead_letters }"#,
            summary: "Writes records into a topic of Apache Kafka.",
        }),
    )
    .with_codes(crate::codes::CODES);

impl SourceConnector for KafkaConfig {
    fn describe(&self) -> String {
        format!("kafka {} of {}", self.topics_in_words(), self.connection.brokers)
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn knows_columns(&self) -> bool {
        true
    }

    fn columns(&self, wanted: &SourceColumns) -> Result<Option<Inferred>> {
        columns_of_records(KafkaSource::known_schema(self), wanted, "kafka")
    }

    fn reserved_columns(&self) -> Vec<Field> {
        let header = vec![Field::new("key", DataType::Utf8, true), Field::new("value", DataType::Binary, true)];
        let headers = DataType::List(Arc::new(Field::new_list_field(DataType::Struct(header.into()), true)));
        let columns = [
            (TOPIC_COLUMN, DataType::Utf8),
            (PARTITION_COLUMN, DataType::Int32),
            (OFFSET_COLUMN, DataType::Int64),
            (TIMESTAMP_COLUMN, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            (KEY_COLUMN, DataType::Binary),
            (HEADERS_COLUMN, headers),
        ];
        columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect()
    }

    fn place_columns(&self) -> Vec<Field> {
        let places = [(TOPIC_COLUMN, DataType::Utf8), (PARTITION_COLUMN, DataType::Int32), (OFFSET_COLUMN, DataType::Int64)];
        places.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect()
    }

    fn build(&self, request: SourceRequest<'_>) -> Result<Box<dyn Source>> {
        Ok(Box::new(KafkaSource::new(request.name, request.pipeline, self.clone(), request.schema, request.mode)?))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_source(self)
    }
}

impl SinkConnector for KafkaSinkConfig {
    fn describe(&self) -> String {
        format!("kafka {} of {}", self.topic, self.connection.brokers)
    }

    fn server(&self) -> Option<Server> {
        Some(self.connection.server())
    }

    fn differences(&self, schema: &SchemaRef) -> Result<Vec<String>> {
        KafkaSink::new(self, schema, no_depot()).map(|_| Vec::new())
    }

    fn build(&self, schema: &Schema, depot: &Arc<dyn Depot>) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(KafkaSink::new(self, schema, Arc::clone(depot))?))
    }

    fn build_without_columns(&self, depot: &Arc<dyn Depot>) -> Result<Option<Arc<dyn Sink>>> {
        Ok(Some(Arc::new(KafkaSink::without_columns(self, Arc::clone(depot))?)))
    }

    fn examine(&self) -> Vec<Finding> {
        examine_sink(self)
    }
}
