//! Queries each stage's plugin: whether it exists, accepts its configuration, and which columns it
//! needs.

use std::sync::Arc;

use serde_json::Value as Json;
use wasmill_engine::Class;

use super::built_in::BuiltIn;
use super::draft::{Declared, Draft};
use super::secrets::Secrets;
use super::shape::{Shape, Spot};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::{Node, Redactor, SourceFiles, Span, read};
use crate::plugins::{Needs, PluginCatalog, PluginInfo, PluginProblem, StageBounds};
use crate::spec::{LimitsSpec, OnFault, PluginReference, StageSpec};

/// How many faults an epoch may have by default.
const MAX_FAULTS: u32 = 100;

/// The effect of a stage, as far as it is known before its columns are.
pub enum Asked {
    /// It is a plugin.
    Plugin(AskedPlugin),
    /// It is built in.
    BuiltIn(BuiltIn),
    /// It is built in and broken, which was reported: nothing is known of it, and nothing that others ask for depends on it.
    Broken,
}

/// Where the file uses a plugin: a stage, or one of the computations of an aggregate.
#[derive(Clone, Copy)]
pub struct PluginUse<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    /// Where that name was written.
    pub name_span: Span,
    /// The map with `plugin`, `config` and `limits`.
    pub node: &'a Node,
    /// Where its input was named.
    pub input_span: Span,
    /// What it may use, if that could be read.
    pub bounds: Option<&'a StageBounds>,
    /// What it is used for.
    pub role: Role,
}

/// What a plugin is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It transforms rows.
    Transform,
    /// It computes a result from the rows of a key.
    Aggregate,
}

impl<'a> PluginUse<'a> {
    /// That of a stage.
    pub fn of_stage(stage: &Declared<'a, StageSpec>) -> Self {
        let input_span = stage.node.get("from").map_or(stage.name_span, |node| node.span);
        Self { name: stage.name, name_span: stage.name_span, node: stage.node, input_span, bounds: None, role: Role::Transform }
    }

    fn plugin(&self) -> Option<&'a Node> {
        self.node.get("plugin")
    }
}

/// A plugin that responded.
pub struct AskedPlugin {
    /// The plugin.
    pub plugin: Arc<dyn PluginInfo>,
    /// Its configuration.
    pub config: Json,
    /// What it may use.
    pub bounds: StageBounds,
    /// What it needs.
    pub needs: Needs,
}

/// Queries all of them; `None` for those that could not be queried or refused, which was reported.
pub fn ask(
    draft: &Draft<'_>,
    catalog: &dyn PluginCatalog,
    files: &mut SourceFiles,
    redactor: &Redactor,
    diagnostics: &mut Diagnostics,
) -> Vec<Option<Asked>> {
    let mut asking = Asking { catalog, files, redactor, diagnostics };
    let ask_one = |stage: &Declared<'_, StageSpec>| match BuiltIn::of(stage, &mut asking) {
        Some(built_in) => Some(built_in.map_or(Asked::Broken, Asked::BuiltIn)),
        None => {
            let bounds = stage.spec.as_ref().map(|spec| StageBounds::new(&spec.limits, spec.on_fault, spec.max_faults));
            asking.plugin(PluginUse { bounds: bounds.as_ref(), ..PluginUse::of_stage(stage) }).map(Asked::Plugin)
        }
    };
    draft.stages.iter().map(ask_one).collect()
}

/// What is needed to query plugins.
pub struct Asking<'a> {
    /// Finds them.
    pub catalog: &'a dyn PluginCatalog,
    /// The texts of the pipeline.
    pub files: &'a mut SourceFiles,
    /// Hides secrets of their configurations.
    pub redactor: &'a Redactor,
    /// Takes what is wrong.
    pub diagnostics: &'a mut Diagnostics,
}

impl Asking<'_> {
    /// Queries a plugin; `None` after it was reported that it could not be queried, or refused.
    pub fn plugin(&mut self, used: PluginUse<'_>) -> Option<AskedPlugin> {
        // A stage that is broken elsewhere can still name its plugin.
        let plugin_node = used.plugin().filter(|node| !node.has_unknown());
        let reference: Option<PluginReference> = plugin_node.and_then(|node| node.text()?.parse().ok());
        let config_node = used.node.get("config");
        let found = reference
            .as_ref()
            .and_then(|reference| self.catalog.find(reference).map_err(|problem| self.diagnostics.push(describe(used, &problem))).ok());
        let mut secrets = Secrets { files: self.files, redactor: self.redactor, diagnostics: self.diagnostics };
        if let Some(config) = config_node {
            secrets.config(config, found.as_ref().and_then(|plugin| plugin.config_schema()));
        }
        let plugin = found?;
        if config_node.is_some_and(|node| node.has_unknown() || node.entries().is_none()) {
            return None;
        }
        let key = used.node.entry("config").map_or(plugin_node.map_or(used.name_span, |node| node.span), |entry| entry.key_span);
        let config = config_node.map_or_else(|| Json::Object(serde_json::Map::new()), Node::to_json);
        if !config_fits(&*plugin, &config, config_node, key, self.diagnostics) {
            return None;
        }
        let bounds = used.bounds.cloned().unwrap_or_else(|| {
            let limits = used.node.get("limits").and_then(|node| read::<LimitsSpec>(node).ok()).unwrap_or_default();
            StageBounds::new(&limits, OnFault::Reject, None)
        });
        let needs = match used.role {
            Role::Transform => plugin.prepare(&config, &bounds),
            Role::Aggregate => plugin.prepare_aggregate(&config, &bounds),
        };
        match needs {
            Ok(needs) => Some(AskedPlugin { plugin, config, bounds, needs }),
            Err(problem) => {
                self.diagnostics.push(describe_at(used, &problem, config_node));
                None
            }
        }
    }
}

impl StageBounds {
    /// Those that the file sets, and defaults.
    pub fn new(limits: &LimitsSpec, on_fault: OnFault, max_faults: Option<u32>) -> Self {
        Self { limits: limits.clone(), on_fault, max_faults: max_faults.unwrap_or(MAX_FAULTS) }
    }
}

/// By the plugin's own schema. The schema's verdict counts; the walk over the tree only finds
/// better messages and more places for it.
fn config_fits(plugin: &dyn PluginInfo, config: &Json, node: Option<&Node>, key: Span, diagnostics: &mut Diagnostics) -> bool {
    let problems = plugin.validate_config(config);
    if problems.is_empty() {
        return true;
    }
    let empty = Node::empty_map(key);
    let node = node.unwrap_or(&empty);
    if let Some(schema) = plugin.config_schema() {
        let mut found = Diagnostics::default();
        if !Shape::new(schema, &mut found).check(node, schema, Spot { path: "config", key }) {
            found.iter().for_each(|diagnostic| diagnostics.push(Diagnostic { code: "plugin-config", ..diagnostic.clone() }));
            return false;
        }
    }
    for problem in problems {
        let span = if problem.pointer.is_empty() { key } else { node.locate(&problem.pointer) };
        let message = format!("the plugin `{}` does not take this configuration: {}", plugin.name(), shorten(&problem.message, 300));
        diagnostics.push(Diagnostic::error("plugin-config", message).at(span));
    }
    false
}

/// The message on a plugin that can't be used.
fn describe(used: PluginUse<'_>, problem: &PluginProblem) -> Diagnostic {
    describe_at(used, problem, None)
}

/// The same, at the part of the configuration that is to blame.
pub fn describe_at(used: PluginUse<'_>, problem: &PluginProblem, config: Option<&Node>) -> Diagnostic {
    let plugin = used.plugin().unwrap_or(used.node);
    let refers = |message: &str| format!("the plugin of `{}` {message}", used.name);
    match problem {
        PluginProblem::NotFound(missing) => {
            let near = nearest(&missing.name, missing.available.iter().map(String::as_str));
            let diagnostic = Diagnostic::error("plugin-not-found", problem.to_string()).at(plugin.span).suggest(near);
            let diagnostic = if missing.available.is_empty() { diagnostic } else { diagnostic.allowed(missing.available.join(", ")) };
            missing.help().into_iter().fold(diagnostic, Diagnostic::help)
        }
        PluginProblem::Digest { found, .. } => {
            let diagnostic = Diagnostic::error("plugin-digest", problem.to_string()).at(plugin.span);
            diagnostic.help(format!("it has sha256:{found}")).help("if that is the intended plugin, pin this digest")
        }
        PluginProblem::NotAPlugin { .. } => Diagnostic::error("not-a-plugin", problem.to_string()).at(plugin.span),
        PluginProblem::Refused { message, config_path, column } => {
            let place = config_path.as_deref().filter(|path| !path.is_empty()).zip(config);
            let span = place.map_or(plugin.span, |(path, config)| config.locate(path));
            let message = refers(&format!("refuses{}: {}", if place.is_some() { " this" } else { "" }, shorten(message, 1000)));
            let diagnostic = Diagnostic::error("plugin-refusal", message).at(span).class(Class::PluginRefusal);
            column.iter().fold(diagnostic, |diagnostic, column| diagnostic.help(format!("column `{}`", shorten(column, 80))))
        }
        PluginProblem::Fault { message, log } => {
            let message = refers(&format!("failed: {}", shorten(message, 1000)));
            let diagnostic = Diagnostic::error("plugin-fault", message).at(plugin.span).class(Class::PluginFault);
            if log.is_empty() { diagnostic } else { diagnostic.help(format!("its log:\n{}", log.join("\n"))) }
        }
        PluginProblem::Environment(message) => {
            let message = refers(&format!("can't be loaded: {message}"));
            Diagnostic::error("plugin-environment", message).at(plugin.span).class(Class::Environment)
        }
        PluginProblem::Bug(message) => {
            Diagnostic::error("bug", refers(&format!("can't be used: {message}"))).at(plugin.span).class(Class::Bug)
        }
    }
}
