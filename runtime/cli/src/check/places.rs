//! Sinks that write a source's records by their places in it: the columns that they request from
//! the source, and which nodes may not come between.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use super::draft::{Declared, Draft};
use super::wiring::{Edge, Producer, Wiring};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::spec::SinkSpec;

/// Adds the columns that hold a record's place, if a sink that reads from this source needs them
/// and they are missing.
pub fn with_places(schema: &SchemaRef, source: usize, draft: &Draft<'_>, wiring: &Wiring) -> SchemaRef {
    let reads = |edges: &[Edge]| edges.iter().any(|edge| edge.producer == Producer::Source(source));
    let places = places_of(source, draft).unwrap_or_default();
    let wanted = !places.is_empty() && draft.sinks.iter().zip(&wiring.sink_inputs).any(|(sink, edges)| reads(edges) && wants(sink));
    if !wanted {
        return Arc::clone(schema);
    }
    let missing = places.into_iter().filter(|place| schema.field_with_name(place.name()).is_err()).map(Arc::new);
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(missing).collect::<Vec<_>>()))
}

/// Reports inputs of such a sink that are not one source of Kafka. Returns true if there are none.
pub fn check_inputs(sink: &Declared<'_, SinkSpec>, edges: &[Edge], draft: &Draft<'_>, diagnostics: &mut Diagnostics) -> bool {
    if !wants(sink) {
        return true;
    }
    let has_places = |edge: &Edge| match edge.producer {
        // Nothing is known about a broken source that was reported.
        Producer::Source(source) => places_of(source, draft).is_none_or(|places| !places.is_empty()),
        Producer::Stage(_) => false,
    };
    let wrong = match edges {
        [edge] if has_places(edge) => return true,
        [edge] => edge,
        edges => match edges.iter().find(|edge| !has_places(edge)).or(edges.get(1)) {
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
    sink.spec.as_ref().is_some_and(|spec| spec.connector.wants_places())
}

/// The columns that hold the places of a source's records; `None` if the source is broken.
fn places_of(source: usize, draft: &Draft<'_>) -> Option<Vec<Field>> {
    draft.sources[source].spec.as_ref().map(|spec| spec.connector.place_columns())
}
