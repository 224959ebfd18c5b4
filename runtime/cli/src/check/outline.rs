//! What a command needs that displays or repairs a state: the pipeline's name, the place of its
//! state and, where they are touched, its sinks.
//!
//! Sources, stages and plugins are not checked, nor the files that they refer to, so such a command
//! works while they are broken.

use std::path::PathBuf;
use std::sync::Arc;

use wasmill_connect::registry::SinkConnector;

use super::Request;
use super::draft::{complete_connectors, draft_sinks};
use super::load::load_as_written;
use super::secrets::{Secrets, hide_secrets};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Redactor, SourceFiles, Value, World, interpolate};
use crate::plan::DEAD_LETTERS;
use crate::spec::{is_pipeline_name, json_schema};

/// A sink by its name.
pub struct NamedConnector {
    /// Its name in the pipeline.
    pub name: Arc<str>,
    /// Its connector with its configuration.
    pub connector: Arc<dyn SinkConnector>,
}

/// A pipeline as far as its state is concerned.
pub struct Outline {
    /// Its name.
    pub name: String,
    /// The folder or the address of the checkpoints; those of this pipeline lie below it under its name.
    pub state: PathBuf,
    /// The names of its sources.
    pub sources: Vec<String>,
    /// As it was written.
    tree: Node,
}

impl Outline {
    /// Reads a pipeline file; what is wrong with these parts of it is reported.
    pub fn read(
        request: &Request<'_>,
        world: &dyn World,
        (files, redactor): (&mut SourceFiles, &Redactor),
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut tree = load_as_written(request.path, request.sets, files, diagnostics)?;
        for key in ["name", "state"] {
            part(&mut tree, key).into_iter().for_each(|node| interpolate(node, world, redactor, diagnostics));
        }
        let name = tree.entry("name").and_then(|entry| Some((entry.node.text()?.to_owned(), entry.node.span)));
        let Some((name, _)) = name.as_ref().filter(|(name, _)| is_pipeline_name(name)) else {
            let diagnostic = Diagnostic::error("name", "the pipeline has no name that could be one: its state is found by it");
            diagnostics.push(name.iter().fold(diagnostic, |diagnostic, (_, span)| diagnostic.at(*span)));
            return None;
        };
        let written = tree.get("state").and_then(|state| state.get("path").unwrap_or(state).text()).map(PathBuf::from);
        let state = request.state.clone().or(written).unwrap_or_else(|| PathBuf::from(super::DEFAULT_STATE));
        let sources = tree.get("sources").and_then(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.clone()).collect();
        Some(Self { name: name.clone(), state, sources, tree })
    }

    /// The names of the sinks, dead letters among them.
    pub fn sink_names(&self) -> Vec<&str> {
        let sinks = self.tree.get("sinks").and_then(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str());
        sinks.chain(self.tree.entry(DEAD_LETTERS).map(|_| DEAD_LETTERS)).collect()
    }

    /// The sinks but for some, dead letters among them. `None`: some have mistakes, which are reported.
    pub fn sinks(
        &self,
        left_out: &[String],
        world: &dyn World,
        (files, redactor): (&mut SourceFiles, &Redactor),
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<NamedConnector>> {
        let mut tree = self.tree.clone();
        if let Value::Map(entries) = &mut tree.value {
            entries.retain(|entry| {
                ["sinks", "connections"].contains(&entry.key.as_str()) || (entry.key == DEAD_LETTERS && !left_out.contains(&entry.key))
            });
        }
        if let Some(Value::Map(entries)) = part(&mut tree, "sinks").map(|sinks| &mut sinks.value) {
            entries.retain(|entry| !left_out.contains(&entry.key));
        }
        interpolate(&mut tree, world, redactor, diagnostics);
        hide_secrets(&mut tree, files, redactor);
        super::connections::resolve(&mut tree, diagnostics);
        let schema = json_schema();
        complete_connectors(&mut tree, &schema);
        let (sinks, dead_letters) = draft_sinks(&tree, &schema, diagnostics);
        let nodes = sinks.iter().map(|sink| sink.node).chain(dead_letters.iter().map(|sink| sink.node));
        let mut secrets = Secrets { files, redactor, diagnostics };
        nodes.for_each(|node| secrets.connector(node));
        let sinks = sinks
            .iter()
            .map(|sink| Some(NamedConnector { name: Arc::from(sink.name), connector: Arc::clone(&sink.spec.as_ref()?.connector) }));
        let dead_letters = dead_letters
            .iter()
            .map(|sink| Some(NamedConnector { name: Arc::from(DEAD_LETTERS), connector: Arc::clone(&sink.spec.as_ref()?.connector) }));
        sinks.chain(dead_letters).collect()
    }
}

fn part<'t>(tree: &'t mut Node, key: &str) -> Option<&'t mut Node> {
    let Value::Map(entries) = &mut tree.value else { return None };
    entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
}
