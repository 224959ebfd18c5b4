//! The tree as typed entries: each is read by itself, so that a broken one does not hide the mistakes of the others.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::Request;
use super::shape::{Shape, Spot, join};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Span, Value, read};
use crate::spec::{DeadLettersSpec, EpochSpec, Mode, SinkSpec, SourceSpec, SpecEntry, StageSpec, StateSpec};

/// Something that the file declares.
pub struct Declared<'t, T> {
    /// Its name.
    pub name: &'t str,
    /// Where its name was written.
    pub name_span: Span,
    /// What was written.
    pub node: &'t Node,
    /// Its content; `None` if it is broken, which was reported.
    pub spec: Option<T>,
}

/// The content of the file, as far as it can be understood.
pub struct Draft<'t> {
    /// The pipeline's name and where it was written.
    pub name: Option<(&'t str, Span)>,
    /// Where to point when something is missing in the pipeline as a whole.
    pub top: Span,
    /// Whether it ends with its input.
    pub mode: Mode,
    /// Whether a stream is to end with its input, too.
    pub drains: bool,
    /// In the order of the file.
    pub sources: Vec<Declared<'t, SourceSpec>>,
    /// In the order of the file.
    pub stages: Vec<Declared<'t, StageSpec>>,
    /// In the order of the file.
    pub sinks: Vec<Declared<'t, SinkSpec>>,
    /// Where rejects go.
    pub dead_letters: Option<Declared<'t, DeadLettersSpec>>,
    /// When an epoch ends.
    pub epoch: EpochSpec,
    /// How many lanes.
    pub lanes: Option<u16>,
    /// The most rows of a call.
    pub batch_rows: u32,
    /// Where the checkpoints lie, and how much of the state in memory.
    pub state: StateSpec,
}

impl Draft<'_> {
    /// Whether it ends with its input: a batch, or a stream that is drained.
    pub fn ends(&self) -> bool {
        self.mode == Mode::Batch || self.drains
    }

    /// The mode of its sources: they have an end where it ends.
    pub fn source_mode(&self) -> wasmill_engine::Mode {
        if self.ends() { wasmill_engine::Mode::Batch } else { wasmill_engine::Mode::Stream }
    }
}

/// The keys of a stage that mean nothing without a plugin.
const PLUGIN_KEYS: [&str; 4] = ["config", "limits", "on_fault", "max_faults"];

/// The built-in stages that reject no row.
const NEVER_REJECT: [&str; 2] = ["rename", "drop"];

const SECTIONS: [&str; 3] = ["sources", "stages", "sinks"];

/// Accepts `console:` for `console: {}`.
pub fn complete_connectors(tree: &mut Node, schema: &Json) {
    let Value::Map(sections) = &mut tree.value else { return };
    for section in sections {
        let of_entry = |kind: &str, node: &mut Node| fill_connectors(node, &connectors(schema, kind));
        match (section.key.as_str(), &mut section.node.value) {
            ("dead_letters", _) => of_entry("DeadLettersSpec", &mut section.node),
            ("sources", Value::Map(entries)) => entries.iter_mut().for_each(|entry| of_entry("SourceSpec", &mut entry.node)),
            ("sinks", Value::Map(entries)) => entries.iter_mut().for_each(|entry| of_entry("SinkSpec", &mut entry.node)),
            _ => {}
        }
    }
}

fn fill_connectors(node: &mut Node, connectors: &[&str]) {
    let Value::Map(entries) = &mut node.value else { return };
    for entry in entries.iter_mut().filter(|entry| connectors.contains(&entry.key.as_str()) && entry.node.is_null()) {
        entry.node = Node::empty_map(entry.key_span);
    }
}

/// The names of the connectors that a source, a sink or dead letters may have.
pub fn connectors<'a>(schema: &'a Json, kind: &str) -> Vec<&'a str> {
    marked(schema, kind, "x-connector")
}

/// The names of the properties with a mark.
fn marked<'a>(schema: &'a Json, kind: &str, mark: &str) -> Vec<&'a str> {
    let properties = schema.pointer(&format!("/$defs/{kind}/properties")).and_then(Json::as_object);
    let of = |(name, property): (&'a String, &'a Json)| property.get(mark).map(|_| name.as_str());
    properties.into_iter().flatten().filter_map(of).collect()
}

/// Reads the tree; what does not fit is reported.
pub fn draft<'t>(tree: &'t Node, schema: &Json, request: &Request<'_>, diagnostics: &mut Diagnostics) -> Option<Draft<'t>> {
    let top = tree.entries().and_then(|entries| entries.first()).map_or(tree.span, |entry| entry.key_span);
    let spot = Spot { path: "", key: top };
    let except = [SECTIONS[0], SECTIONS[1], SECTIONS[2], "dead_letters", "epoch"];
    Shape::new(schema, diagnostics).check_map_except(tree, schema, &except, spot);
    tree.entries()?;
    let mut reader = Reader { schema, diagnostics };
    let dead_letters = reader.dead_letters(tree);
    let epoch = tree.entry("epoch").and_then(|entry| reader.entry::<EpochSpec>("epoch", entry.key_span, &entry.node));
    Some(Draft {
        name: tree.entry("name").filter(|entry| !entry.node.has_unknown()).and_then(|entry| Some((entry.node.text()?, entry.node.span))),
        top,
        mode: request.mode.or_else(|| scalar(tree, "mode")).unwrap_or_default(),
        drains: request.drain,
        sources: reader.section(tree, "sources"),
        stages: reader.section(tree, "stages"),
        sinks: reader.section(tree, "sinks"),
        dead_letters,
        epoch: epoch.unwrap_or_default(),
        lanes: scalar(tree, "lanes"),
        batch_rows: scalar(tree, "batch_rows").unwrap_or_else(crate::spec::default_batch_rows),
        state: scalar(tree, "state").unwrap_or_default(),
    })
}

/// A value of the top level, if it can be read; its mistakes were reported with the shape.
fn scalar<T: DeserializeOwned>(tree: &Node, key: &str) -> Option<T> {
    read(tree.get(key)?).ok()
}

/// The sinks and the dead letters alone; what does not fit is reported.
pub fn draft_sinks<'t>(
    tree: &'t Node,
    schema: &Json,
    diagnostics: &mut Diagnostics,
) -> (Vec<Declared<'t, SinkSpec>>, Option<Declared<'t, DeadLettersSpec>>) {
    let mut reader = Reader { schema, diagnostics };
    let sinks = reader.section(tree, "sinks");
    (sinks, reader.dead_letters(tree))
}

struct Reader<'a, 'd> {
    schema: &'a Json,
    diagnostics: &'d mut Diagnostics,
}

impl Reader<'_, '_> {
    fn dead_letters<'t>(&mut self, tree: &'t Node) -> Option<Declared<'t, DeadLettersSpec>> {
        let entry = tree.entry("dead_letters")?;
        let spec = self.entry("dead_letters", entry.key_span, &entry.node);
        Some(Declared { name: "dead_letters", name_span: entry.key_span, node: &entry.node, spec })
    }

    fn section<'t, T: SpecEntry>(&mut self, tree: &'t Node, section: &'t str) -> Vec<Declared<'t, T>> {
        let Some(entry) = tree.entry(section) else { return Vec::new() };
        let Some(entries) = entry.node.entries() else {
            let message = format!("`{section}` has to be a map of names, found {}", entry.node.describe());
            self.diagnostics.push(Diagnostic::error("wrong-type", message).at(entry.node.span));
            return Vec::new();
        };
        let declared = entries.iter().map(|entry| {
            let path = join(section, &entry.key);
            let spec = self.entry(&path, entry.key_span, &entry.node);
            Declared { name: &entry.key, name_span: entry.key_span, node: &entry.node, spec }
        });
        declared.collect()
    }

    fn entry<T: SpecEntry>(&mut self, path: &str, key: Span, node: &Node) -> Option<T> {
        let kind = T::NAME;
        let schema = self.schema.pointer(&format!("/$defs/{kind}"))?;
        let shaped = Shape::new(self.schema, self.diagnostics).check(node, schema, Spot { path, key });
        let connected = self.one_connector(kind, path, key, node);
        let transforms = kind != "StageSpec" || self.one_transform(path, key, node);
        if !shaped || !connected || !transforms || node.has_broken() {
            return None;
        }
        if node.has_unknown() {
            return self.unset(kind, node);
        }
        T::read(node)
            .map_err(|error| self.diagnostics.push(Diagnostic::error("wrong-value", error.message).at(error.span.unwrap_or(key))))
            .ok()
    }

    /// An entry with unset values: they keep their written form, which only fits texts of a
    /// connector.
    fn unset<T: SpecEntry>(&self, kind: &str, node: &Node) -> Option<T> {
        let connectors = connectors(self.schema, kind);
        let others = node.entries()?.iter().filter(|entry| !connectors.contains(&entry.key.as_str()));
        let mut others = others.map(|entry| &entry.node);
        if others.any(Node::has_unknown) { None } else { T::read(node).ok() }
    }

    /// A stage does one thing, and only plugins have what configures them.
    fn one_transform(&mut self, path: &str, key: Span, node: &Node) -> bool {
        let allowed = marked(self.schema, "StageSpec", "x-transform");
        let Some(entries) = node.entries() else { return true };
        let is_wired = self.inputs_fit(path, key, node);
        let given: Vec<_> = entries.iter().filter(|entry| allowed.contains(&entry.key.as_str()) && !entry.node.is_null()).collect();
        let Some((first, rest)) = given.split_first() else {
            // An unknown key was probably meant to be it: that is reported already.
            let properties = self.schema.pointer("/$defs/StageSpec/properties");
            if entries.iter().any(|entry| properties.is_some_and(|known| known.get(&entry.key).is_none())) {
                return false;
            }
            let message = format!("`{path}` has nothing to do");
            let diagnostic = Diagnostic::error("no-transform", message).at(key).allowed(format!("one of {}", allowed.join(", ")));
            self.diagnostics.push(diagnostic.help("for example: plugin: clean-pin"));
            return false;
        };
        for extra in rest {
            let message = format!("`{path}` has `{}` and `{}`: a stage does one thing", first.key, extra.key);
            let diagnostic = Diagnostic::error("two-transforms", message).at(extra.key_span).related(first.key_span, "the first one");
            self.diagnostics.push(diagnostic.help("write a stage for each, one reading `from` the other"));
        }
        let is_built_in = given.iter().all(|entry| entry.key != "plugin");
        let is_idle = |key: &str| PLUGIN_KEYS.contains(&key) || (key == "max_reject_share" && NEVER_REJECT.contains(&first.key.as_str()));
        let idle = entries.iter().filter(|entry| is_built_in && is_idle(&entry.key));
        let mut fits = rest.is_empty() && is_wired;
        for entry in idle {
            let message = match entry.key.as_str() {
                "max_reject_share" => format!("`{}` rejects no row", first.key),
                key => format!("`{key}` configures plugins, and `{}` is built in", first.key),
            };
            self.diagnostics.push(Diagnostic::error("unknown-key", message).at(entry.key_span).help("remove it"));
            fits = false;
        }
        fits
    }

    /// A join names its inputs itself; every other stage has `from`.
    fn inputs_fit(&mut self, path: &str, key: Span, node: &Node) -> bool {
        match (node.entry("join").is_some(), node.entry("from")) {
            (true, Some(from)) => {
                let message = format!("`{path}` is a join, whose inputs are `left` and `right`");
                self.diagnostics.push(Diagnostic::error("unknown-key", message).at(from.key_span).help("remove `from`"));
                false
            }
            (false, None) => {
                let diagnostic = Diagnostic::error("missing-key", format!("`from` is missing in `{path}`")).at(key);
                self.diagnostics.push(diagnostic.help("for example: from: pins"));
                false
            }
            _ => true,
        }
    }

    fn one_connector(&mut self, kind: &str, path: &str, key: Span, node: &Node) -> bool {
        let allowed = connectors(self.schema, kind);
        let Some(entries) = node.entries().filter(|_| !allowed.is_empty()) else { return true };
        let given: Vec<_> = entries.iter().filter(|entry| allowed.contains(&entry.key.as_str())).collect();
        match given.as_slice() {
            [_] => true,
            [] => {
                // An unknown key was probably meant to be the connector: that is reported already.
                let properties = self.schema.pointer(&format!("/$defs/{kind}/properties"));
                let known = |key: &str| properties.is_some_and(|properties| properties.get(key).is_some());
                if entries.iter().all(|entry| known(&entry.key)) {
                    let message = format!("`{path}` has no connector");
                    self.diagnostics
                        .push(Diagnostic::error("no-connector", message).at(key).allowed(format!("one of {}", allowed.join(", "))));
                }
                false
            }
            [first, rest @ ..] => {
                for extra in rest {
                    let message = format!("`{path}` has two connectors: `{}` and `{}`", first.key, extra.key);
                    self.diagnostics
                        .push(Diagnostic::error("two-connectors", message).at(extra.key_span).related(first.key_span, "the first one"));
                }
                false
            }
        }
    }
}
