//! A loaded plugin: its description, and the way to a transform or an aggregate.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use jsonschema::Validator;
use serde_json::Value;
use wasmill_boundary::text::printable;

use crate::aggregate::Aggregate;
use crate::cancel::Canceller;
use crate::contract::Refusal;
use crate::description::{self, Description};
use crate::error::{ConfigError, HostError};
use crate::limits::{FaultBudget, Limits, OnFault};
use crate::needs::{self, InputPlan, Needs};
use crate::sandbox::{Sandbox, SandboxMaker, Work};
use crate::transform::Transform;
use crate::worker::Rules;

/// The longest message of a refusal.
const MAX_REFUSAL_BYTES: usize = 4096;

/// A compiled plugin. Cloning is cheap; it holds machine code and no running instance.
#[derive(Clone)]
pub struct Plugin {
    parts: Arc<PluginParts>,
}

pub(crate) struct PluginParts {
    pub maker: SandboxMaker,
    pub description: Description,
    pub validator: Option<Validator>,
    pub digest: String,
    pub size_bytes: u64,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Plugin {
    pub(crate) fn new(parts: PluginParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// What it reports about itself.
    pub fn description(&self) -> &Description {
        &self.parts.description
    }

    /// The SHA-256 of its `.wasm`, in lower-case hexadecimal.
    pub fn digest(&self) -> &str {
        &self.parts.digest
    }

    /// The size of its `.wasm`, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.parts.size_bytes
    }

    /// The interfaces that it imports.
    pub fn imports(&self) -> &[String] {
        &self.parts.imports
    }

    /// The interfaces that it exports.
    pub fn exports(&self) -> &[String] {
        &self.parts.exports
    }

    /// Whether it transforms rows: it exports the interface `transform`.
    pub fn transforms(&self) -> bool {
        self.parts.maker.transform.is_some()
    }

    /// Whether it brings rows into groups: it exports the interface `aggregate`.
    pub fn aggregates(&self) -> bool {
        self.parts.maker.aggregate.is_some()
    }

    /// All mistakes in a configuration, by the plugin's own JSON Schema. If there are none, the
    /// plugin may still refuse it for other reasons.
    pub fn validate_config(&self, config: &Value) -> Vec<ConfigError> {
        description::config_errors(self.parts.validator.as_ref(), config)
    }

    /// Begins to open the plugin with a configuration.
    pub fn open<'a>(&'a self, config: &'a Value) -> Opening<'a> {
        Opening { plugin: self, config, limits: Limits::default(), on_fault: OnFault::default(), faults: FaultBudget::default() }
    }

    fn name(&self) -> &str {
        &self.parts.description.name
    }
}

/// How a plugin is opened: its configuration, and what it may use. Made by [`Plugin::open`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened until `needs`, `transform` or their counterparts for aggregates are called"]
pub struct Opening<'a> {
    plugin: &'a Plugin,
    config: &'a Value,
    limits: Limits,
    on_fault: OnFault,
    faults: FaultBudget,
}

impl Opening<'_> {
    /// The bounds on each instance and call. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What happens to a record that the plugin fails on. Default: it is rejected.
    pub fn on_fault(mut self, on_fault: OnFault) -> Self {
        self.on_fault = on_fault;
        self
    }

    /// How many faults each instance may have. Default: [`FaultBudget::default`].
    pub fn fault_budget(mut self, faults: FaultBudget) -> Self {
        self.faults = faults;
        self
    }

    /// Asks which input columns the plugin needs as a transform. Runs in an instance of its own.
    ///
    /// # Errors
    /// [`HostError::Refusal`] if the configuration breaks its schema, the plugin refuses it, or it does not transform; [`HostError::Fault`]
    /// if the plugin fails.
    pub fn needs(self) -> Result<Needs, HostError> {
        self.prepare(Work::Transform).map(|(needs, _)| needs)
    }

    /// Asks which input columns the plugin needs as an aggregate. Runs in an instance of its own.
    ///
    /// # Errors
    /// As [`needs`](Self::needs), where it does not aggregate.
    pub fn aggregate_needs(self) -> Result<Needs, HostError> {
        self.prepare(Work::Aggregate).map(|(needs, _)| needs)
    }

    /// Fixes the input schema, and opens the plugin once to learn its ports.
    ///
    /// # Errors
    /// [`HostError::Refusal`] if the plugin does not transform, if it refuses the configuration or the input, or if a needed column
    /// is missing or of another type. [`HostError::Fault`] if the plugin fails.
    pub fn transform(self, input: SchemaRef) -> Result<Transform, HostError> {
        let (needs, mut sandbox) = self.prepare(Work::Transform)?;
        let parts = &self.plugin.parts;
        let encoding = parts.description.encoding;
        let plan = InputPlan::new(self.plugin.name(), &needs, input, encoding)?;
        let config = self.config.to_string();
        let opened = crate::opening::transform(&mut sandbox, &config, &plan, encoding);
        let ports = opened.map_err(|trouble| trouble.of(self.plugin.name()))?;
        Ok(Transform::new(parts.maker.clone(), config, plan, ports, encoding, self.rules()))
    }

    /// Fixes the input schema, and opens the plugin once to learn its state and its output.
    ///
    /// # Errors
    /// As [`transform`](Self::transform), where it does not aggregate.
    pub fn aggregate(self, input: SchemaRef) -> Result<Aggregate, HostError> {
        let (needs, mut sandbox) = self.prepare(Work::Aggregate)?;
        let parts = &self.plugin.parts;
        let encoding = parts.description.encoding;
        let plan = InputPlan::new(self.plugin.name(), &needs, input, encoding)?;
        let opened = crate::opening::aggregate(&mut sandbox, &self.config.to_string(), &plan, encoding);
        let shape = opened.map_err(|trouble| trouble.of(self.plugin.name()))?;
        Ok(Aggregate::new(parts.maker.clone(), self.config, plan, shape, encoding, self.rules()))
    }

    fn rules(&self) -> Rules {
        Rules { limits: self.limits.clone(), on_fault: self.on_fault, faults: self.faults }
    }

    /// The needs for some work, and the sandbox that was asked for them.
    fn prepare(&self, work: Work) -> Result<(Needs, Sandbox), HostError> {
        let (does, instead, stage) = match work {
            Work::Transform => (self.plugin.transforms(), "aggregates rows and does not transform them", "an aggregating stage"),
            Work::Aggregate => (self.plugin.aggregates(), "transforms rows and does not aggregate them", "a stage with `plugin`"),
        };
        if !does {
            let message = format!("the plugin {instead}: use it in {stage}");
            return Err(HostError::Refusal { plugin: self.plugin.name().to_owned(), message, config_path: None, column: None });
        }
        let mut sandbox = self.start()?;
        let needs = self.prepare_in(&mut sandbox, work)?;
        Ok((needs, sandbox))
    }

    fn start(&self) -> Result<Sandbox, HostError> {
        let maker = &self.plugin.parts.maker;
        maker.start(&self.limits, &Canceller::default()).map_err(|fault| fault.of(self.plugin.name()))
    }

    fn prepare_in(&self, sandbox: &mut Sandbox, work: Work) -> Result<Needs, HostError> {
        let name = self.plugin.name();
        if let Some(error) = self.plugin.validate_config(self.config).into_iter().next() {
            return Err(HostError::Refusal {
                plugin: name.to_owned(),
                message: error.message,
                config_path: Some(error.path),
                column: None,
            });
        }
        let answer = sandbox.prepare(work, &self.config.to_string()).map_err(|fault| fault.of(name))?;
        let needs = answer.map_err(|raw| refusal(name, raw))?;
        needs::check(&needs, self.plugin.parts.description.encoding).map_err(|fault| fault.of(name))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name()).field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// A plugin's refusal, safe to display.
pub(crate) fn refusal(plugin: &str, raw: Refusal) -> HostError {
    let short = |text: String| printable(&text, 256);
    HostError::Refusal {
        plugin: plugin.to_owned(),
        message: printable(&raw.message, MAX_REFUSAL_BYTES),
        config_path: raw.config_path.map(short),
        column: raw.column.map(short),
    }
}
