//! From a checked pipeline to a plan that the engine runs.

mod examine;
#[cfg(feature = "console")]
mod preview;
mod show;
mod stages;
mod state;

use std::path::Path;
use std::sync::Arc;

use arrow_schema::Schema;
use wasmill_connect::registry::{SinkConnector, SourceRequest};
use wasmill_engine::{Mode, Plan, Result, Sink, SinkNode, Source, SourceNode, StageNode, StageWork, StateStore, dead_letter_schema};

pub use examine::{Examined, examine};
#[cfg(feature = "console")]
pub use preview::preview;
pub use show::show;
pub use stages::{held_in_words, watermark_in_words};
pub use state::{HeldState, held_state, open_state, open_state_read_only, state_of};

use crate::check::{Checked, CheckedSource, CheckedStage, Transform};
use crate::plugins::OpenedWork;

/// The name of the dead letters where a sink has a name: in tokens and tables. No sink of a pipeline may have it.
pub const DEAD_LETTERS: &str = "dead_letters";

/// How many source records a preview reads by default.
pub const PREVIEW_RECORDS: u64 = 20;

/// Only the connector `console` displays rows.
///
/// # Errors
/// Always: configuration.
#[cfg(not(feature = "console"))]
pub fn preview(_: Checked, _: u64) -> Result<Plan> {
    Err(wasmill_engine::Error::configuration("this wasmill was built without the connector `console`, which displays rows")
        .code(crate::commands::codes::ARGUMENT))
}

/// The default number of lanes: one per core.
pub fn default_lanes() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Builds the sources and sinks of a checked pipeline and wires them. Opens files and tables, but
/// reads and writes nothing. Sinks keep pending commits next to the checkpoints of `state`.
///
/// # Errors
/// A connector that can't be built.
pub fn build(checked: &Checked, state: &dyn StateStore) -> Result<Plan> {
    let depot = state.depot();
    build_with(checked, depot.folder(), &|_, connector, schema| connector.build(schema, &depot))
}

/// Builds the sink of this name from its connector for these columns.
type BuildSink<'a> = dyn Fn(&str, &dyn SinkConnector, &Schema) -> Result<Arc<dyn Sink>> + 'a;

/// The same, with sinks that are built in another way. `state` is the folder of the pipeline's state, if it has one on this machine.
fn build_with(checked: &Checked, state: Option<&Path>, build_sink: &BuildSink<'_>) -> Result<Plan> {
    let sources = checked.sources.iter().map(|source| {
        let built =
            source_of(source, &checked.name, checked.source_mode(), state).map_err(|error| error.at(format!("source {}", source.name)))?;
        Ok(SourceNode { name: source.name.clone(), source: built, max_reject_share: source.max_reject_share })
    });
    let stages = checked.stages.iter().map(|stage| StageNode {
        name: stage.name.clone(),
        work: work_of(stage),
        plugin: match &stage.transform {
            Transform::Plugin(plugin) => Some(format!("{}@sha256:{}", plugin.name(), plugin.digest()).into()),
            Transform::BuiltIn(_) => None,
        },
        max_reject_share: stage.max_reject_share,
    });
    let sinks = checked.sinks.iter().map(|sink| {
        let built = build_sink(&sink.name, &*sink.connector, &sink.schema).map_err(|error| error.at(format!("sink {}", sink.name)))?;
        Ok(SinkNode { name: sink.name.clone(), sink: built, inputs: sink.inputs.clone(), schema: sink.schema.clone() })
    });
    let dead_letters = checked.dead_letters.as_ref().map(|connector| {
        let built = build_sink(DEAD_LETTERS, &**connector, &dead_letter_schema()).map_err(|error| error.at("dead letters"))?;
        Ok(SinkNode { name: DEAD_LETTERS.into(), sink: built, inputs: Vec::new(), schema: dead_letter_schema() })
    });
    Ok(Plan {
        name: checked.name.clone(),
        mode: checked.mode,
        drains: checked.drains,
        lanes: checked.lanes.unwrap_or_else(default_lanes),
        batch_rows: checked.batch_rows,
        row_as_json: wasmill_formats::json::row_to_json,
        epoch: checked.epoch,
        limit: checked.limit,
        is_rehearsal: false,
        sources: sources.collect::<Result<_>>()?,
        stages: stages.collect(),
        sinks: sinks.collect::<Result<_>>()?,
        dead_letters: dead_letters.transpose()?,
    })
}

fn work_of(stage: &CheckedStage) -> StageWork {
    let sides = || stage.sides.iter().map(|side| side.inputs.clone());
    match stage.opened.work() {
        OpenedWork::Rows(stage) => StageWork::Rows { stage, inputs: sides().flatten().collect() },
        OpenedWork::Keyed(stage) => StageWork::Keyed { stage, sides: sides().collect() },
    }
}

fn source_of(checked: &CheckedSource, pipeline: &str, mode: Mode, state: Option<&Path>) -> Result<Box<dyn Source>> {
    let (name, schema) = (&*checked.name, Arc::clone(&checked.schema));
    checked.connector.build(SourceRequest { pipeline, name, schema, mode, sampling: checked.sampling.clone(), state })
}
