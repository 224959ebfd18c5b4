//! The contents of a pipeline file as types: the one source of truth for the check, the JSON Schema
//! and the reference page.

mod column_type;
mod entry;
mod keyed;
mod pipeline;
mod plugin_reference;
mod quantities;
mod sink;
mod source;
mod stage;

pub(crate) use column_type::{ALLOWED as COLUMN_TYPES, Written};
pub use column_type::{Column, ColumnType, Columns};
pub use entry::SpecEntry;
pub use keyed::{
    AggregatePlugin, AggregateSpec, Computation, Computations, DedupSpec, EmitSpec, How, JoinKey, JoinKeys, JoinSpec, JoinTime, JoinTimes,
    Keep, Late, SlidingSpec, WindowSpec,
};
pub(crate) use pipeline::default_batch_rows;
pub use pipeline::{EpochSpec, Mode, PipelineSpec, StateSpec, is_name, is_pipeline_name};
pub use plugin_reference::PluginReference;
pub use quantities::{Period, Share, Size};
pub use sink::{DeadLettersSpec, SinkSpec};
pub use source::SourceSpec;
#[cfg(feature = "sql")]
pub use stage::Expressions;
pub use stage::{Inputs, LimitsSpec, OnFault, StageSpec};

/// The JSON Schema of the pipeline file.
pub fn json_schema() -> serde_json::Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PipelineSpec>();
    schema.to_value()
}

/// The same for editors, which see a file before references to connections are replaced.
pub fn json_schema_for_editors() -> serde_json::Value {
    let mut schema = json_schema();
    let definitions = schema.get_mut("$defs").and_then(serde_json::Value::as_object_mut);
    for definition in definitions.into_iter().flat_map(|definitions| definitions.values_mut()) {
        let Some(serde_json::Value::Object(connection)) = definition.pointer_mut("/properties/connection") else { continue };
        let description = connection.remove("description");
        let whole = serde_json::Value::Object(std::mem::take(connection));
        connection.extend(description.map(|description| ("description".to_owned(), description)));
        connection.insert("anyOf".to_owned(), serde_json::json!([whole, { "type": "string" }]));
    }
    schema
}
