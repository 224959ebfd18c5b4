//! Whether a tree has the shape of a JSON Schema: keys, types, bounds. Reports every violation.
//!
//! The spec types generate the schema, so this supports only what schemars writes.

use serde_json::Value as Json;

use super::connector_keys::{stage_left_out, unknown_connector};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest};
use crate::document::{Entry, Kind, Node, Span, Value};
use crate::spec::{ColumnType, Period, PluginReference, Share, Size};

/// Walks trees against parts of one schema.
pub struct Shape<'a> {
    root: &'a Json,
    diagnostics: &'a mut Diagnostics,
}

/// The position of a node, as messages need it.
#[derive(Clone, Copy)]
pub struct Spot<'a> {
    /// The path of keys, `sources.pins.files`; empty at the top.
    pub path: &'a str,
    /// Where to point when something is missing: the key that the node belongs to.
    pub key: Span,
}

impl<'a> Shape<'a> {
    /// `root` holds the definitions that references lead to.
    pub fn new(root: &'a Json, diagnostics: &'a mut Diagnostics) -> Self {
        Self { root, diagnostics }
    }

    /// Walks a node. True if nothing is wrong with it.
    pub fn check(&mut self, node: &Node, schema: &'a Json, spot: Spot<'_>) -> bool {
        let before = self.diagnostics.iter().count();
        self.node(node, schema, spot);
        self.diagnostics.iter().count() == before
    }

    /// As [`check`](Self::check), for a map of which some keys are checked elsewhere.
    pub fn check_map_except(&mut self, node: &Node, schema: &'a Json, except: &[&str], spot: Spot<'_>) -> bool {
        let before = self.diagnostics.iter().count();
        self.map(node, self.resolve(schema), except, spot);
        self.diagnostics.iter().count() == before
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let mut schema = schema;
        for _ in 0..32 {
            let Some(pointer) = schema.get("$ref").and_then(Json::as_str).and_then(|link| link.strip_prefix('#')) else { break };
            let Some(target) = self.root.pointer(pointer) else { break };
            schema = target;
        }
        schema
    }

    /// The schemas of which one has to hold.
    fn alternatives(&self, schema: &'a Json) -> Vec<&'a Json> {
        let schema = self.resolve(schema);
        match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
            Some(list) => list.iter().flat_map(|schema| self.alternatives(schema)).collect(),
            None => vec![schema],
        }
    }

    fn node(&mut self, node: &Node, schema: &'a Json, spot: Spot<'_>) {
        if node.scalar().is_some_and(|scalar| scalar.unknown) {
            return;
        }
        let alternatives = self.alternatives(schema);
        if let Some(texts) = constants(&alternatives) {
            return self.one_of(node, &texts, spot);
        }
        let fitting = alternatives.iter().find(|schema| types(schema).iter().any(|name| fits(node, name)));
        match fitting.or(alternatives.first().filter(|schema| types(schema).is_empty())) {
            None => self.wrong_type(node, &alternatives, spot),
            Some(schema) => match &node.value {
                Value::Map(_) => self.map(node, schema, &[], spot),
                Value::List(items) => self.list(node, items, schema, spot),
                Value::Scalar(_) => self.scalar(node, schema, spot),
            },
        }
    }

    fn map(&mut self, node: &Node, schema: &'a Json, except: &[&str], spot: Spot<'_>) {
        let Some(entries) = node.entries() else { return self.wrong_type(node, &[schema], spot) };
        let properties = schema.get("properties").and_then(Json::as_object);
        for entry in entries {
            let path = join(spot.path, &entry.key);
            let inner = Spot { path: &path, key: entry.key_span };
            match properties.and_then(|known| known.get(&entry.key)) {
                Some(_) if except.contains(&entry.key.as_str()) || entry.node.is_null() => {}
                Some(property) => self.node(&entry.node, property, inner),
                None => match schema.get("additionalProperties") {
                    Some(Json::Bool(false)) => self.unknown_key(entry, schema, spot),
                    Some(rest) => self.node(&entry.node, rest, inner),
                    None => {}
                },
            }
        }
        for key in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            let property = properties.and_then(|known| known.get(key));
            match node.entry(key) {
                None => {
                    let diagnostic = Diagnostic::error("missing-key", format!("`{key}` is missing{}", inside(spot.path))).at(spot.key);
                    let example = property.and_then(example).map(|example| format!("for example: {example}"));
                    self.diagnostics.push(example.into_iter().fold(diagnostic, Diagnostic::help));
                }
                // A required key must have a value, even where the schema does not demand it.
                Some(entry) if entry.node.text() == Some("") && property.is_some_and(|property| property.get("minLength").is_none()) => {
                    let message = format!("`{}` is empty", join(spot.path, key));
                    self.diagnostics.push(Diagnostic::error("empty", message).at(entry.node.span));
                }
                Some(_) => {}
            }
        }
        let least = schema.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
        if (entries.len() as u64) < least {
            self.diagnostics.push(Diagnostic::error("empty", format!("`{}` has no entries", spot.path)).at(spot.key));
        }
    }

    fn unknown_key(&mut self, entry: &Entry, schema: &'a Json, spot: Spot<'_>) {
        let (key, span) = (entry.key.as_str(), entry.key_span);
        if let Some(diagnostic) = unknown_connector(entry, schema, spot.path).or_else(|| stage_left_out(entry, schema)) {
            return self.diagnostics.push(diagnostic);
        }
        let properties = schema.get("properties").and_then(Json::as_object);
        let known: Vec<&str> = properties.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
        let mut diagnostic = Diagnostic::error("unknown-key", format!("unknown key `{}`{}", shown(key), inside(spot.path)))
            .at(span)
            .allowed(known.join(", "));
        let near = nearest(key, known.iter().copied());
        if key.contains(':') {
            diagnostic = diagnostic.help("YAML wants a blank after the colon");
        } else if near.is_none() {
            // A key that is correct one level deeper: `path` next to `files` instead of inside of
            // it.
            let homes = properties.into_iter().flatten().filter(|(_, property)| {
                let inner = self.alternatives(property);
                inner.iter().any(|schema| schema.get("properties").is_some_and(|known| known.get(key).is_some()))
            });
            let homes: Vec<String> = homes.map(|(name, _)| format!("`{name}`")).collect();
            if !homes.is_empty() {
                diagnostic = diagnostic.help(format!("`{key}` belongs inside of {}", homes.join(" or ")));
            }
        }
        self.diagnostics.push(diagnostic.suggest(near));
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Json, spot: Spot<'_>) {
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.diagnostics.push(Diagnostic::error("empty", format!("`{}` is an empty list", spot.path)).at(node.span));
        }
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{}[{index}]", spot.path);
                self.node(item, item_schema, Spot { path: &path, key: item.span });
            }
        }
    }

    fn scalar(&mut self, node: &Node, schema: &'a Json, spot: Spot<'_>) {
        let Some(scalar) = node.scalar() else { return };
        let problem = match schema.get("format").and_then(Json::as_str) {
            Some("period") => scalar.text.parse::<Period>().err(),
            Some("size") => scalar.text.parse::<Size>().err(),
            Some("share") => scalar.text.parse::<Share>().err(),
            Some("column-type") => scalar.text.parse::<ColumnType>().err(),
            Some("plugin") => scalar.text.parse::<PluginReference>().err(),
            _ => None,
        };
        if let Some(problem) = problem {
            let problem = if scalar.secret { "the secret value does not fit here".into() } else { problem };
            let mut diagnostic = Diagnostic::error("wrong-value", problem).at(node.span);
            if schema.get("format").and_then(Json::as_str) == Some("column-type") {
                diagnostic = diagnostic.allowed(crate::spec::COLUMN_TYPES);
            }
            return self.diagnostics.push(diagnostic);
        }
        let length = scalar.text.chars().count() as u64;
        if schema.get("minLength").and_then(Json::as_u64).is_some_and(|least| length < least) {
            self.diagnostics.push(Diagnostic::error("empty", format!("`{}` is empty", spot.path)).at(node.span));
        }
        if let Some(most) = schema.get("maxLength").and_then(Json::as_u64).filter(|&most| length > most) {
            let message = format!("`{}` is longer than {most} character{}", spot.path, if most == 1 { "" } else { "s" });
            self.diagnostics.push(Diagnostic::error("too-long", message).at(node.span));
        }
        let number = match scalar.kind() {
            Kind::Integer(value) => value as f64,
            Kind::Float(value) => value,
            _ => return,
        };
        let least = schema.get("minimum").and_then(Json::as_f64);
        let most = schema.get("maximum").and_then(Json::as_f64);
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => format!("{least} or more"),
                (None, most) => format!("at most {}", most.unwrap_or(f64::MAX)),
            };
            let message = format!("`{}` is out of range: {}", spot.path, scalar.describe());
            self.diagnostics.push(Diagnostic::error("out-of-range", message).at(node.span).allowed(range));
        }
    }

    fn one_of(&mut self, node: &Node, texts: &[&str], spot: Spot<'_>) {
        let found = node.text();
        if found.is_some_and(|text| texts.contains(&text)) {
            return;
        }
        let secret = node.scalar().is_some_and(|scalar| scalar.secret);
        let near = found.filter(|_| !secret).and_then(|text| nearest(text, texts.iter().copied()));
        let message = format!("`{}` can't be {}", spot.path, node.describe());
        self.diagnostics.push(Diagnostic::error("wrong-value", message).at(node.span).allowed(texts.join(", ")).suggest(near));
    }

    fn wrong_type(&mut self, node: &Node, alternatives: &[&'a Json], spot: Spot<'_>) {
        let mut names: Vec<&str> =
            alternatives.iter().flat_map(|schema| types(schema)).filter(|name| *name != "null").map(people).collect();
        names.dedup();
        let wanted = names.join(" or ");
        let place = if spot.path.is_empty() { "a pipeline".into() } else { format!("`{}`", spot.path) };
        let message = format!("{place} must be {wanted}, found {}", node.describe());
        let mut diagnostic = Diagnostic::error("wrong-type", message).at(if node.is_null() { spot.key } else { node.span });
        if let Some(scalar) = node.scalar().filter(|scalar| !scalar.secret && !scalar.interpolated) {
            let texts = ["yes", "no", "on", "off"];
            if names == ["text"] && !node.is_null() {
                diagnostic = diagnostic.help(format!("put it in quotes: \"{}\"", shown(&scalar.text)));
            } else if names.contains(&"true or false") && texts.contains(&scalar.text.to_lowercase().as_str()) {
                diagnostic = diagnostic.help("YAML 1.2 writes `true` and `false`");
            } else if !scalar.plain && matches!(kind_unquoted(&scalar.text), Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_)) {
                diagnostic = diagnostic.help(format!("write it without quotes: {}", shown(&scalar.text)));
            }
        }
        if let Some(example) = alternatives.iter().find_map(|schema| schema.get("properties")?.as_object()?.values().find_map(example)) {
            diagnostic = diagnostic.help(format!("for example: {example}"));
        }
        self.diagnostics.push(diagnostic);
    }
}

/// The literal config line at the start of a field's documentation.
fn example(property: &Json) -> Option<&str> {
    let first = property.get("description")?.as_str()?.lines().next()?;
    first.strip_prefix('`')?.strip_suffix('`')
}

/// The texts of an enumeration, if all alternatives are such.
fn constants<'a>(alternatives: &[&'a Json]) -> Option<Vec<&'a str>> {
    let mut texts = Vec::new();
    for schema in alternatives.iter().filter(|schema| types(schema) != ["null"]) {
        match (schema.get("const"), schema.get("enum").and_then(Json::as_array)) {
            (Some(value), _) => texts.push(value.as_str()?),
            (_, Some(values)) => texts.extend(values.iter().filter_map(Json::as_str)),
            _ => return None,
        }
    }
    (!texts.is_empty()).then_some(texts)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(node: &Node, name: &str) -> bool {
    match (&node.value, name) {
        (Value::Map(_), "object") | (Value::List(_), "array") => true,
        (Value::Scalar(scalar), name) => match name {
            "string" => scalar.is_text(),
            "null" => node.is_null(),
            "boolean" => matches!(scalar.kind(), Kind::Boolean(_)),
            "integer" => matches!(scalar.kind(), Kind::Integer(_)),
            "number" => matches!(scalar.kind(), Kind::Integer(_) | Kind::Float(_)),
            _ => false,
        },
        _ => false,
    }
}

fn people(name: &str) -> &str {
    match name {
        "object" => "a map",
        "array" => "a list",
        "string" => "text",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        other => other,
    }
}

fn kind_unquoted(text: &str) -> Kind {
    crate::document::Scalar::new(text, true).kind()
}

fn shown(text: &str) -> String {
    crate::diagnostics::shorten(text, 60)
}

fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in `{path}`") }
}

/// The path of a key in a map.
pub fn join(path: &str, key: &str) -> String {
    let key = shown(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
