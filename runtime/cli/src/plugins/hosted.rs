//! Plugins that the host runs: found in folders, loaded once, queried by the check, run by the
//! engine as stages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parking_lot::Mutex;
use serde_json::Value;
use wasmill_engine::{Class, Error, PortOutput, Result, RowReject, Stage, StageInstance, StageOutput};
use wasmill_host::{CompileWith, FaultBudget, Host, HostError, Instance, Limits, Opening, Plugin, Transform};

use super::aggregated::OpenedPlugin;
use super::{
    ConfigProblem, Needs, OpenRequest, OpenedAggregate, OpenedStage, OpenedWork, PluginCatalog, PluginFolders, PluginInfo, PluginProblem,
    PortShape, StageBounds,
};
use crate::spec::{OnFault, PluginReference};

/// The hidden command that compiles a plugin in a process of its own.
pub const COMPILE_COMMAND: &str = "compile-plugin";

/// Loads the plugins of a pipeline from folders.
pub struct HostedPlugins {
    folders: PluginFolders,
    host: Host,
    loaded: Mutex<HashMap<PathBuf, Arc<Hosted>>>,
}

impl HostedPlugins {
    /// A catalogue of these folders, with compiled plugins kept in the user's cache.
    ///
    /// # Errors
    /// The host can't be set up on this machine.
    pub fn new(folders: PluginFolders) -> Result<Self> {
        let mut builder = Host::builder();
        if let Some(cache) = cache_folder() {
            builder = builder.cache_dir(cache);
        }
        if let Ok(program) = std::env::current_exe() {
            builder = builder.compile_with(CompileWith::Child { program, args: vec![COMPILE_COMMAND.into()] });
        }
        let host = builder.build().map_err(|error| of_host(&error))?;
        Ok(Self { folders, host, loaded: Mutex::default() })
    }

    /// The plugin that a reference names.
    ///
    /// # Errors
    /// It is not there, not a plugin, or not the one that was pinned.
    pub fn load(&self, reference: &PluginReference) -> Result<Arc<Hosted>, PluginProblem> {
        let path = self.folders.find(reference).map_err(PluginProblem::NotFound)?;
        let mut loaded = self.loaded.lock();
        let hosted = match loaded.get(&path) {
            Some(hosted) => Arc::clone(hosted),
            None => {
                let plugin = match &reference.digest {
                    Some(pinned) => self.host.load_pinned(&path, pinned),
                    None => self.host.load(&path),
                };
                let plugin = plugin.map_err(|error| problem(error, &path))?;
                let hosted = Arc::new(Hosted { plugin, path: path.clone() });
                loaded.insert(path.clone(), Arc::clone(&hosted));
                hosted
            }
        };
        match &reference.digest {
            Some(pinned) if pinned != hosted.plugin.digest() => {
                Err(PluginProblem::Digest { path, found: hosted.plugin.digest().to_owned() })
            }
            _ => Ok(hosted),
        }
    }
}

/// `$WASMILL_CACHE`, else the user's cache folder as the XDG base directory specification has it.
fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    variable("WASMILL_CACHE").or_else(|| Some(user()?.join("wasmill"))).map(|folder| folder.join("plugins"))
}

impl PluginCatalog for HostedPlugins {
    fn find(&self, reference: &PluginReference) -> Result<Arc<dyn PluginInfo>, PluginProblem> {
        Ok(self.load(reference)?)
    }
}

/// A plugin that was loaded from a file.
pub struct Hosted {
    plugin: Plugin,
    path: PathBuf,
}

impl Hosted {
    /// The host's plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

impl PluginInfo for Hosted {
    fn name(&self) -> &str {
        &self.plugin.description().name
    }

    fn digest(&self) -> &str {
        self.plugin.digest()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn config_schema(&self) -> Option<&Value> {
        self.plugin.description().config_schema.as_ref()
    }

    fn validate_config(&self, config: &Value) -> Vec<ConfigProblem> {
        let errors = self.plugin.validate_config(config);
        errors.into_iter().map(|error| ConfigProblem { pointer: error.path, message: error.message }).collect()
    }

    fn prepare(&self, config: &Value, bounds: &StageBounds) -> Result<Needs, PluginProblem> {
        let needs = bounded(self.plugin.open(config), bounds).needs().map_err(|error| problem(error, &self.path))?;
        Ok(Needs { columns: needs.schema, crosses: needs.crosses })
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Arc<dyn OpenedStage>, PluginProblem> {
        let opened = bounded(self.plugin.open(request.config), request.bounds).transform(request.input.clone());
        let transform = opened.map_err(|error| problem(error, &self.path))?;
        let shape = |port: &wasmill_host::Port| PortShape { name: port.name.as_str().into(), schema: port.schema.clone() };
        let ports = transform.ports().iter().map(shape).collect();
        Ok(Arc::new(Opened { transform, ports }))
    }

    fn prepare_aggregate(&self, config: &Value, bounds: &StageBounds) -> Result<Needs, PluginProblem> {
        let needs = bounded(self.plugin.open(config), bounds).aggregate_needs().map_err(|error| problem(error, &self.path))?;
        Ok(Needs { columns: needs.schema, crosses: needs.crosses })
    }

    fn open_aggregate(&self, request: &OpenRequest<'_>) -> Result<Arc<dyn OpenedAggregate>, PluginProblem> {
        let opened = bounded(self.plugin.open(request.config), request.bounds).aggregate(request.input.clone());
        Ok(Arc::new(OpenedPlugin(opened.map_err(|error| problem(error, &self.path))?)))
    }
}

/// What a pipeline lets a plugin use.
fn bounded<'a>(opening: Opening<'a>, bounds: &StageBounds) -> Opening<'a> {
    let mut limits = Limits::default();
    if let Some(period) = bounds.limits.call {
        limits = limits.with_call(period.0);
    }
    if let Some(size) = bounds.limits.memory {
        limits = limits.with_memory_bytes(size.0);
    }
    let on_fault = match bounds.on_fault {
        OnFault::Reject => wasmill_host::OnFault::Reject,
        OnFault::Stop => wasmill_host::OnFault::Stop,
    };
    opening.limits(limits).on_fault(on_fault).fault_budget(FaultBudget::new(bounds.max_faults))
}

struct Opened {
    transform: Transform,
    ports: Vec<PortShape>,
}

impl OpenedStage for Opened {
    fn ports(&self) -> &[PortShape] {
        &self.ports
    }

    fn crossing(&self) -> &[usize] {
        self.transform.crossing()
    }

    fn peeked(&self) -> &[usize] {
        self.transform.peeked()
    }

    fn work(&self) -> OpenedWork {
        OpenedWork::Rows(Arc::new(PluginStage(self.transform.clone())))
    }
}

/// A plugin as the engine sees it.
struct PluginStage(Transform);

impl Stage for PluginStage {
    fn ports(&self) -> Vec<(Arc<str>, SchemaRef)> {
        self.0.ports().iter().map(|port| (port.name.as_str().into(), port.schema.clone())).collect()
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn StageInstance>> {
        Ok(Box::new(PluginInstance(self.0.instance().map_err(|error| of_host(&error))?)))
    }
}

struct PluginInstance(Instance);

impl StageInstance for PluginInstance {
    fn process(&mut self, records: &RecordBatch) -> Result<StageOutput> {
        let processed = self.0.process(records).map_err(|error| of_host(&error))?;
        let output = |output: wasmill_host::PortOutput| PortOutput { port: output.port, records: output.records, origins: output.origins };
        let reject = |reject: wasmill_host::RowReject| RowReject {
            row: reject.row,
            code: reject.code,
            column: reject.column,
            message: reject.message,
        };
        Ok(StageOutput {
            outputs: processed.outputs.into_iter().map(output).collect(),
            rejects: processed.rejects.into_iter().map(reject).collect(),
        })
    }
}

/// The host's error as the check reports it.
fn problem(error: HostError, path: &Path) -> PluginProblem {
    match error {
        HostError::NotAPlugin { message, .. } => PluginProblem::NotAPlugin { path: path.to_path_buf(), message },
        HostError::OtherDigest { found, .. } => PluginProblem::Digest { path: path.to_path_buf(), found },
        HostError::Refusal { message, config_path, column, .. } => PluginProblem::Refused { message, config_path, column },
        HostError::Fault { ref log, .. } => PluginProblem::Fault { message: error.to_string(), log: log.clone() },
        HostError::Bug { message } => PluginProblem::Bug(message),
        other => PluginProblem::Environment(other.to_string()),
    }
}

/// The host's error as the engine carries it.
pub fn of_host(error: &HostError) -> Error {
    let class = match error {
        HostError::NotAPlugin { .. } | HostError::OtherDigest { .. } => Class::Configuration,
        HostError::Refusal { .. } => Class::PluginRefusal,
        HostError::Fault { .. } => Class::PluginFault,
        HostError::Bug { .. } => Class::Bug,
        _ => Class::Environment,
    };
    let reported = Error::new(class, error.to_string());
    let reported = error.code().into_iter().fold(reported, Error::code);
    match error {
        HostError::Fault { log, .. } if !log.is_empty() => {
            let tail = log[log.len().saturating_sub(10)..].join("\n    ");
            reported.hint(format!("the plugin's log ends with:\n    {tail}"))
        }
        _ => reported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_digest_is_compared_before_the_file_is_taken_for_a_plugin() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("evil.wasm"), "whatever is in here must not be looked at").unwrap();
        let catalog = HostedPlugins::new(PluginFolders::new(vec![folder.path().to_owned()])).unwrap();
        let pinned: PluginReference = format!("evil@sha256:{}", "0".repeat(64)).parse().unwrap();
        let Err(PluginProblem::Digest { found, .. }) = catalog.load(&pinned) else { panic!("the digest was not compared first") };
        let right: PluginReference = format!("evil@sha256:{found}").parse().unwrap();
        assert!(matches!(catalog.load(&right), Err(PluginProblem::NotAPlugin { .. })));
    }
}
