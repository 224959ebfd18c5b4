//! Sinks that write a source's records by their places in it: what they ask of the source, and what may not stand between.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use wasmill_connectors::kafka::source::{OFFSET_COLUMN, PARTITION_COLUMN, TOPIC_COLUMN};

use super::draft::{Declared, Draft};
use super::wiring::{Edge, Producer, Wiring};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::spec::connectors::wants_places;
use crate::spec::{SinkSpec, SourceKind};

/// Adds the columns that tell a record's place, if a sink that reads from this source wants them and they are not there.
pub fn with_places(schema: &SchemaRef, source: usize, draft: &Draft<'_>, wiring: &Wiring) -> SchemaRef {
    let reads = |edges: &[Edge]| edges.iter().any(|edge| edge.producer == Producer::Source(source));
    let is_kafka = matches!(draft.sources[source].spec.as_ref().and_then(|spec| spec.kind()), Some(SourceKind::Kafka(_)));
    let wanted = is_kafka && draft.sinks.iter().zip(&wiring.sink_inputs).any(|(sink, edges)| reads(edges) && wants(sink));
    if !wanted {
        return Arc::clone(schema);
    }
    let places = [(TOPIC_COLUMN, DataType::Utf8), (PARTITION_COLUMN, DataType::Int32), (OFFSET_COLUMN, DataType::Int64)];
    let missing = places.into_iter().filter(|(name, _)| schema.field_with_name(name).is_err());
    let missing = missing.map(|(name, kind)| Arc::new(Field::new(name, kind, false)));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(missing).collect::<Vec<_>>()))
}

/// Reports inputs of such a sink that are not one source of Kafka. True if there are none.
pub fn check_inputs(sink: &Declared<'_, SinkSpec>, edges: &[Edge], draft: &Draft<'_>, diagnostics: &mut Diagnostics) -> bool {
    if !wants(sink) {
        return true;
    }
    let is_kafka = |edge: &Edge| match edge.producer {
        Producer::Source(source) => {
            matches!(draft.sources[source].spec.as_ref().and_then(|spec| spec.kind()), Some(SourceKind::Kafka(_)) | None)
        }
        Producer::Stage(_) => false,
    };
    let wrong = match edges {
        [edge] if is_kafka(edge) => return true,
        [edge] => edge,
        edges => match edges.iter().find(|edge| !is_kafka(edge)).or(edges.get(1)) {
            Some(edge) => edge,
            None => return true,
        },
    };
    let message = format!("`{}` writes `layout: connect`, which takes one source of Kafka and nothing between", sink.name);
    diagnostics.push(Diagnostic::error("places", message).at(wrong.span).help(
        "objects are called by the offsets of their records, which a stage could leave out or repeat; `layout: hive` takes anything",
    ));
    false
}

fn wants(sink: &Declared<'_, SinkSpec>) -> bool {
    sink.spec.as_ref().and_then(|spec| spec.kind()).is_some_and(|kind| wants_places(&kind))
}
