//! What a pipeline file says, as types: the one source of truth for the check, the JSON Schema and the reference page.

mod column_type;
mod entry;
mod pipeline;
mod plugin_reference;
mod quantities;
mod sink;
mod source;
mod stage;

pub(crate) use column_type::{ALLOWED as COLUMN_TYPES, Written};
pub use column_type::{Column, ColumnType, Columns};
pub use entry::SpecEntry;
pub(crate) use pipeline::default_batch_rows;
pub use pipeline::{EpochSpec, Mode, PipelineSpec, is_name, is_pipeline_name};
pub use plugin_reference::PluginReference;
pub use quantities::{Period, Share, Size};
pub use sink::{DeadLettersSpec, SinkSpec};
pub use source::SourceSpec;
pub use stage::{Inputs, LimitsSpec, OnFault, StageSpec};

/// The JSON Schema of the pipeline file.
pub fn json_schema() -> serde_json::Value {
    let schema = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PipelineSpec>();
    schema.to_value()
}
