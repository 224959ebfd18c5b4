//! The queries of the check and the plan to plugins. A trait, so that both can be tested without
//! one.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use serde_json::Value;
use wasmill_engine::{KeyedStage, Stage};
use wasmill_host::Crossing;

use super::NotFound;
use crate::spec::{LimitsSpec, OnFault, PluginReference};

/// Finds plugins.
pub trait PluginCatalog {
    /// The plugin that a stage names. The same reference returns the same plugin, loaded once.
    fn find(&self, reference: &PluginReference) -> Result<Arc<dyn PluginInfo>, PluginProblem>;
}

/// A plugin that was loaded.
pub trait PluginInfo: Send + Sync {
    /// What it calls itself.
    fn name(&self) -> &str;
    /// The SHA-256 of its `.wasm`, in lower-case hex.
    fn digest(&self) -> &str;
    /// Where it was found.
    fn path(&self) -> &std::path::Path;
    /// The JSON Schema of its configuration.
    fn config_schema(&self) -> Option<&Value>;
    /// What is wrong with a configuration by that schema.
    fn validate_config(&self, config: &Value) -> Vec<ConfigProblem>;
    /// The columns that it needs under a configuration.
    fn prepare(&self, config: &Value, bounds: &StageBounds) -> Result<Needs, PluginProblem>;
    /// Fixes configuration and input of a stage.
    fn open(&self, request: &OpenRequest<'_>) -> Result<Arc<dyn OpenedStage>, PluginProblem>;
    /// The columns that it needs as an aggregate.
    fn prepare_aggregate(&self, config: &Value, bounds: &StageBounds) -> Result<Needs, PluginProblem>;
    /// Fixes configuration and input of an aggregate.
    fn open_aggregate(&self, request: &OpenRequest<'_>) -> Result<Arc<dyn OpenedAggregate>, PluginProblem>;
}

/// A plugin with its configuration and its input, or a built-in stage with its input: its output is
/// known.
pub trait OpenedStage: Send + Sync {
    /// Its outputs; at least one.
    fn ports(&self) -> &[PortShape];
    /// The columns of the input whose values cross into the sandbox, by index. None of a built-in stage.
    fn crossing(&self) -> &[usize];
    /// The columns of the input of which only nulls and some texts cross.
    fn peeked(&self) -> &[usize];
    /// As the engine runs it.
    fn work(&self) -> OpenedWork;
}

/// What the engine runs for a stage.
#[derive(Clone)]
pub enum OpenedWork {
    /// Batches go through it one by one.
    Rows(Arc<dyn Stage>),
    /// Rows of one key come together in it.
    Keyed(Arc<dyn KeyedStage>),
}

/// A plugin that aggregates, with its configuration and its input: its tables are known.
pub trait OpenedAggregate: Send + Sync {
    /// The columns of the input whose values cross into the sandbox, by index.
    fn crossing(&self) -> &[usize];
    /// The columns of the input of which only nulls and some texts cross.
    fn peeked(&self) -> &[usize];
    /// What belongs into the fingerprint of a stage's state, besides the schemas.
    fn identity(&self) -> AggregateIdentity;
    /// As a keyed stage runs it.
    fn aggregate(&self) -> Arc<dyn wasmill_keyed::Aggregate>;
}

/// Which aggregate it is whose state is stored: the same in every process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateIdentity {
    /// The plugin's name, without its version.
    pub plugin: String,
    /// The version of what the state means.
    pub state_version: u32,
    /// The SHA-256 of the configuration, in lower-case hex: a configuration may hold secrets.
    pub config: String,
}

/// The resources of a stage, and what happens when it exceeds them.
#[derive(Debug, Clone, PartialEq)]
pub struct StageBounds {
    /// The limits of a call.
    pub limits: LimitsSpec,
    /// What happens to a guilty record.
    pub on_fault: OnFault,
    /// How many guilty records an instance may meet within 100,000 rows or a minute.
    pub max_faults: u32,
}

/// How to open a plugin.
pub struct OpenRequest<'a> {
    /// Its configuration.
    pub config: &'a Value,
    /// The columns that it gets.
    pub input: SchemaRef,
    /// What it may use.
    pub bounds: &'a StageBounds,
}

/// The columns that a plugin needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// The columns. One that is not nullable must not hold nulls.
    pub columns: SchemaRef,
    /// For each of them, how much of it crosses into the sandbox.
    pub crosses: Vec<Crossing>,
}

/// A named output.
#[derive(Debug, Clone, PartialEq)]
pub struct PortShape {
    /// Its name.
    pub name: Arc<str>,
    /// Its columns.
    pub schema: SchemaRef,
}

/// A mistake in a plugin's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where, as a JSON Pointer.
    pub pointer: String,
    /// What.
    pub message: String,
}

/// Why a plugin can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PluginProblem {
    /// No folder has it.
    #[error("there is no plugin `{}`", .0.name)]
    NotFound(NotFound),
    /// It is not the one that was pinned.
    #[error("{} has another digest than the one that is pinned", path.display())]
    Digest {
        /// Where it was found.
        path: PathBuf,
        /// Its digest.
        found: String,
    },
    /// It is not a plugin, or one that this version can't run.
    #[error("{} is not a plugin: {message}", path.display())]
    NotAPlugin {
        /// Where it was found.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// It works and refuses.
    #[error("{message}")]
    Refused {
        /// Its message.
        message: String,
        /// The part of the configuration to blame, as a JSON Pointer.
        config_path: Option<String>,
        /// The column of the input to blame.
        column: Option<String>,
    },
    /// It crashed, exceeded a limit or returned invalid output.
    #[error("{message}")]
    Fault {
        /// What happened.
        message: String,
        /// What it had logged, the last lines.
        log: Vec<String>,
    },
    /// The world outside failed.
    #[error("{0}")]
    Environment(String),
    /// Wasmill itself is wrong.
    #[error("{0}")]
    Bug(String),
}
