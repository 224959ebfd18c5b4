//! A loaded plugin: its description, and the way to a transform.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use jsonschema::Validator;
use serde_json::Value;
use wasmill_boundary::text::printable;

use crate::contract::Refusal;
use crate::description::{self, Description};
use crate::error::{ConfigError, HostError};
use crate::limits::{FaultPolicy, Limits};
use crate::needs::{self, InputPlan, Needs};
use crate::sandbox::{Sandbox, SandboxMaker};
use crate::transform::Transform;

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

    /// All mistakes in a configuration, by the plugin's own JSON Schema. If there are none, the
    /// plugin may still refuse it for other reasons.
    pub fn validate_config(&self, config: &Value) -> Vec<ConfigError> {
        description::config_errors(self.parts.validator.as_ref(), config)
    }

    /// Queries which input columns the plugin needs under a configuration. Runs in an instance of
    /// its own.
    ///
    /// # Errors
    /// [`HostError::Refusal`] if the configuration breaks its schema or the plugin refuses it, [`HostError::Fault`] if the plugin fails.
    pub fn prepare(&self, config: &Value, limits: &Limits) -> Result<Needs, HostError> {
        let mut sandbox = self.parts.maker.start(limits).map_err(|fault| fault.of(self.name()))?;
        self.prepare_in(&mut sandbox, config)
    }

    /// Fixes the configuration and the input schema, and opens the plugin once to learn its ports.
    ///
    /// # Errors
    /// [`HostError::Refusal`] if the configuration or the input is refused, by the plugin or because a needed column is missing or of
    /// another type; [`HostError::Fault`] if the plugin fails.
    pub fn transform(&self, config: &Value, input: SchemaRef, limits: &Limits, policy: FaultPolicy) -> Result<Transform, HostError> {
        let mut sandbox = self.parts.maker.start(limits).map_err(|fault| fault.of(self.name()))?;
        let needs = self.prepare_in(&mut sandbox, config)?;
        let encoding = self.parts.description.encoding;
        let plan = InputPlan::new(self.name(), &needs, input, encoding)?;
        let config = config.to_string();
        let ports = crate::opening::open(&mut sandbox, &config, &plan, encoding).map_err(|error| error.of(self.name()))?;
        Ok(Transform::new(self.parts.maker.clone(), config, plan, ports, encoding, limits.clone(), policy))
    }

    fn prepare_in(&self, sandbox: &mut Sandbox, config: &Value) -> Result<Needs, HostError> {
        if let Some(error) = self.validate_config(config).into_iter().next() {
            return Err(HostError::Refusal {
                plugin: self.name().to_owned(),
                message: error.message,
                config_path: Some(error.path),
                column: None,
            });
        }
        let answer = sandbox.prepare(&config.to_string()).map_err(|fault| fault.of(self.name()))?;
        let needs = answer.map_err(|raw| refusal(self.name(), raw))?;
        needs::check(&needs, self.parts.description.encoding).map_err(|fault| fault.of(self.name()))
    }

    fn name(&self) -> &str {
        &self.parts.description.name
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
