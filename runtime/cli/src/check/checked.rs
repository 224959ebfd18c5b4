//! A pipeline that was checked: everything resolved, nothing started. The plan is built from it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_connect::Sampling;
use wasmill_connect::registry::{SinkConnector, SourceColumns, SourceConnector};
use wasmill_engine::{EpochPolicy, Input, Mode};

use super::built_in::BuiltIn;
use crate::document::Redactor;
use crate::plugins::{OpenedStage, PluginInfo};

/// A checked pipeline.
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Whether it ends with its input.
    pub mode: Mode,
    /// Whether a stream ends with its input, too.
    pub drains: bool,
    /// How many lanes are configured; `None`: one per core.
    pub lanes: Option<usize>,
    /// The most rows of a call.
    pub batch_rows: usize,
    /// When epochs end.
    pub epoch: EpochPolicy,
    /// After how many source records the run ends; `None`: it reads all.
    pub limit: Option<u64>,
    /// The folder of the checkpoints, by the command line, the file or default; the pipeline's own folder lies in it.
    pub state: PathBuf,
    /// In the order of the file.
    pub sources: Vec<CheckedSource>,
    /// In an order in which inputs come first.
    pub stages: Vec<CheckedStage>,
    /// In the order of the file.
    pub sinks: Vec<CheckedSink>,
    /// Where rejects go.
    pub dead_letters: Option<Arc<dyn SinkConnector>>,
    /// What must not be shown.
    pub redactor: Redactor,
}

impl Checked {
    /// The mode of its sources: they have an end where it ends.
    pub fn source_mode(&self) -> Mode {
        if self.drains { Mode::Batch } else { self.mode }
    }
}

/// A source whose columns are known.
pub struct CheckedSource {
    /// Its name.
    pub name: Arc<str>,
    /// Its connector.
    pub connector: Arc<dyn SourceConnector>,
    /// What was requested from it.
    pub columns: SourceColumns,
    /// The columns that it returns.
    pub schema: SchemaRef,
    /// The result of a sample of these, and what to do about columns that occur and are not among
    /// them.
    pub sampling: Sampling,
    /// The share of its records that may be rejected, 0 to 1.
    pub max_reject_share: f64,
}

/// A stage whose columns are known.
pub struct CheckedStage {
    /// Its name.
    pub name: Arc<str>,
    /// What it reads: a join has two sides, other stages one.
    pub sides: Vec<CheckedSide>,
    /// What it does.
    pub transform: Transform,
    /// The plugin or built-in stage, opened on these columns.
    pub opened: Arc<dyn OpenedStage>,
    /// The share of its rows that it may reject, 0 to 1.
    pub max_reject_share: f64,
}

/// What one side of a stage reads.
pub struct CheckedSide {
    /// From where; all of one schema.
    pub inputs: Vec<Input>,
    /// The columns that it gets.
    pub schema: SchemaRef,
}

/// What a stage does.
pub enum Transform {
    /// Calls a plugin, which was called for the check and agreed.
    Plugin(Arc<dyn PluginInfo>),
    /// Needs no plugin.
    BuiltIn(BuiltIn),
}

/// A sink whose columns are known.
pub struct CheckedSink {
    /// Its name.
    pub name: Arc<str>,
    /// Its connector.
    pub connector: Arc<dyn SinkConnector>,
    /// What it takes; all of one schema.
    pub inputs: Vec<Input>,
    /// The columns that it gets.
    pub schema: SchemaRef,
}
