//! Secrets that were written in plain text, where they would be copied with the file.

use serde_json::Value as Json;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Redactor, SourceFiles, Span, Value};

/// Endings of keys that hold secrets.
const SECRET_KEYS: [&str; 11] =
    ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "access_key", "secret_key", "private_key", "credentials"];

/// Finds secrets, hides them from excerpts and messages, and reports them.
pub struct Secrets<'a> {
    /// Where excerpts come from.
    pub files: &'a mut SourceFiles,
    /// What is never shown.
    pub redactor: &'a Redactor,
    /// What was found.
    pub diagnostics: &'a mut Diagnostics,
}

impl Secrets<'_> {
    /// Looks at the keys and values of a connector's configuration.
    pub fn connector(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar(_) => self.uri(node),
            Value::List(items) => items.iter().for_each(|item| self.connector(item)),
            Value::Map(entries) => {
                for entry in entries {
                    if names_secret(&entry.key) && is_literal(&entry.node) {
                        self.found(&entry.node, entry.key_span, &entry.key, false);
                    } else {
                        self.connector(&entry.node);
                    }
                }
            }
        }
    }

    /// Looks at a plugin's configuration: what its schema calls secret (`writeOnly`) must not be literal; what only looks like it
    /// should not be.
    pub fn config(&mut self, node: &Node, schema: Option<&Json>) {
        match &node.value {
            Value::Scalar(_) => self.uri(node),
            Value::List(items) => {
                let inner = schema.and_then(|schema| property(schema, schema, &["items"]));
                let inner = inner.map(|inner| with_root(inner, schema));
                items.iter().for_each(|item| self.config(item, inner.as_ref()));
            }
            Value::Map(entries) => {
                for entry in entries {
                    let inner = schema.and_then(|root| property(root, root, &["properties", &entry.key]));
                    let declared = inner.is_some_and(|inner| inner.get("writeOnly") == Some(&Json::Bool(true)));
                    if (declared && is_written(&entry.node)) || (names_secret(&entry.key) && is_literal(&entry.node)) {
                        self.found(&entry.node, entry.key_span, &entry.key, !declared);
                    } else {
                        let inner = inner.map(|inner| with_root(inner, schema));
                        self.config(&entry.node, inner.as_ref());
                    }
                }
            }
        }
    }

    fn found(&mut self, node: &Node, key_span: Span, key: &str, only_looks_like_it: bool) {
        self.hide(node);
        let key = crate::diagnostics::shorten(key, 60);
        let variable = key.to_uppercase().replace('-', "_");
        let help = format!("write {key}: ${{env:{variable}}}, or ${{file:path}}");
        let diagnostic = if only_looks_like_it {
            Diagnostic::warning("plain-secret", format!("`{key}` looks like a secret written in plain text"))
        } else {
            Diagnostic::error("plain-secret", format!("`{key}` is a secret written in plain text"))
        };
        self.diagnostics.push(diagnostic.at(key_span).help(help));
    }

    /// `scheme://user:password@host`.
    fn uri(&mut self, node: &Node) {
        let Some(scalar) = node.scalar().filter(|scalar| !scalar.secret) else { return };
        let Some((_, rest)) = scalar.text.split_once("://") else { return };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        let Some(password) = password.filter(|password| !password.is_empty()) else { return };
        self.redactor.add(password);
        self.files.mask(node.span);
        let help = "take it from the environment: ${env:PASSWORD} in its place";
        self.diagnostics
            .push(Diagnostic::error("plain-secret", "an address with its password written in plain text").at(node.span).help(help));
    }

    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|entry| self.hide(&entry.node)),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Scalar(scalar) if !scalar.secret => {
                self.redactor.add(&scalar.text);
                self.files.mask(node.span);
            }
            Value::Scalar(_) => {}
        }
    }
}

fn names_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    SECRET_KEYS
        .iter()
        .any(|ending| key.strip_suffix(ending).is_some_and(|start| start.is_empty() || start.ends_with('_') || !ending.contains('_')))
}

/// Whether some of it was written and not interpolated.
fn is_written(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries.iter().any(|entry| is_written(&entry.node)),
        Value::List(items) => items.iter().any(is_written),
        Value::Scalar(scalar) => !scalar.secret && !scalar.text.is_empty() && !node.is_null(),
    }
}

/// Whether it is text that was written: `max_token: 5` is a number, and no secret.
fn is_literal(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.is_text()) && is_written(node)
}

/// The schema of a part, through references and alternatives.
fn property<'a>(root: &'a Json, schema: &'a Json, path: &[&str]) -> Option<&'a Json> {
    let resolve = |schema: &'a Json| {
        let link = schema.get("$ref").and_then(Json::as_str).and_then(|link| link.strip_prefix('#'));
        link.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
    };
    let schema = resolve(schema);
    let direct = path.iter().try_fold(schema, |schema, key| schema.get(key));
    let alternatives = ["anyOf", "oneOf", "allOf"].iter().filter_map(|name| schema.get(name)?.as_array()).flatten();
    direct.or_else(|| alternatives.filter_map(|schema| path.iter().try_fold(resolve(schema), |schema, key| schema.get(key))).next())
}

/// A part of a schema that can still resolve references into the whole.
fn with_root(part: &Json, root: Option<&Json>) -> Json {
    let mut part = part.clone();
    let definitions = root.and_then(|root| root.get("$defs"));
    if let (Some(part), Some(definitions)) = (part.as_object_mut(), definitions) {
        part.entry("$defs").or_insert_with(|| definitions.clone());
    }
    part
}
