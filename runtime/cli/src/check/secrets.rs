//! Secrets: what is hidden from output, and what was written in plain text, where it would be copied with the file.

use std::ops::Range;

use serde_json::Value as Json;

use super::addresses::{is_only_loopback, names_address, passwords};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Redactor, Scalar, SourceFiles, Span, Value};

/// Endings of keys that hold secrets.
const SECRET_KEYS: [&str; 11] =
    ["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "access_key", "secret_key", "private_key", "credentials"];

/// Sections whose keys are names that users choose.
const SECTIONS: [&str; 6] = ["connections", "sources", "stages", "sinks", "jobs", "routes"];

/// Keys whose values name columns and other nodes, which may be called like secrets.
const NAMES: [&str; 4] = ["schema", "from", "rename", "select"];

/// Hides the values of secret keys, and the passwords of addresses, from excerpts and messages.
pub fn hide_secrets(tree: &mut Node, files: &mut SourceFiles, redactor: &Redactor) {
    let mut hiding = Hiding { files, redactor };
    let Value::Map(sections) = &mut tree.value else { return };
    for section in sections {
        match &mut section.node.value {
            // The names of nodes do not describe their content.
            Value::Map(nodes) if SECTIONS.contains(&section.key.as_str()) => {
                nodes.iter_mut().for_each(|entry| hiding.node(&mut entry.node, false, ""));
            }
            _ => hiding.node(&mut section.node, false, &section.key),
        }
    }
}

struct Hiding<'a> {
    files: &'a mut SourceFiles,
    redactor: &'a Redactor,
}

impl Hiding<'_> {
    fn node(&mut self, node: &mut Node, is_secret: bool, key: &str) {
        let span = node.span;
        match &mut node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let is_names = NAMES.contains(&entry.key.as_str());
                    if !is_names {
                        self.node(&mut entry.node, is_secret || names_secret(&entry.key), &entry.key);
                    }
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item, is_secret, key)),
            Value::Scalar(scalar) if is_secret => self.whole(scalar, span),
            Value::Scalar(scalar) => self.address(scalar, span, names_address(key)),
        }
    }

    fn whole(&mut self, scalar: &mut Scalar, span: Span) {
        if scalar.text.is_empty() || scalar.unknown {
            return;
        }
        // `max_token: 5` is a number: removed from every text, it would be missing there.
        if scalar.is_text() {
            self.redactor.add(&scalar.text);
        }
        scalar.secret = true;
        if is_written(scalar, 0..scalar.text.len()) {
            self.files.mask(span);
        }
    }

    fn address(&mut self, scalar: &mut Scalar, span: Span, is_address: bool) {
        for range in passwords(&scalar.text, is_address) {
            let is_written = is_written(scalar, range.clone());
            // Where what the file refers to is unknown, the text is the reference.
            if scalar.unknown && !is_written {
                continue;
            }
            self.redactor.add(&scalar.text[range]);
            scalar.secret = true;
            if is_written {
                self.files.mask(span);
            }
        }
    }
}

/// Finds secrets that were written in plain text, and reports them.
pub struct Secrets<'a> {
    /// Where excerpts come from.
    pub files: &'a mut SourceFiles,
    /// What is never shown.
    pub redactor: &'a Redactor,
    /// What was found.
    pub diagnostics: &'a mut Diagnostics,
}

/// What becomes of a secret in plain text.
#[derive(Clone, Copy)]
enum Verdict {
    /// It is an error.
    Refused,
    /// The connection does not leave this machine: it is a warning.
    Loopback,
    /// Only its name suggests a secret: it is a warning.
    LooksLikeIt,
}

impl Secrets<'_> {
    /// Checks the keys and values of a source or sink.
    pub fn connector(&mut self, node: &Node) {
        for entry in node.entries().unwrap_or_default().iter().filter(|entry| !NAMES.contains(&entry.key.as_str())) {
            let verdict = if is_only_loopback(&entry.node) { Verdict::Loopback } else { Verdict::Refused };
            self.entry(&entry.key, entry.key_span, &entry.node, verdict);
        }
    }

    fn entry(&mut self, key: &str, key_span: Span, node: &Node, verdict: Verdict) {
        if names_secret(key) && is_literal(node) {
            return self.found(node, key_span, key, verdict);
        }
        match &node.value {
            Value::Scalar(_) => self.address(node, names_address(key), verdict),
            Value::List(items) => items.iter().for_each(|item| self.entry(key, key_span, item, verdict)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.entry(&entry.key, entry.key_span, &entry.node, verdict)),
        }
    }

    /// Checks a plugin's configuration: a value that its schema marks as secret (`writeOnly`) must
    /// not be literal; one that only looks like a secret should not be.
    pub fn config(&mut self, node: &Node, schema: Option<&Json>) {
        match &node.value {
            Value::Scalar(_) => self.address(node, false, Verdict::Refused),
            Value::List(items) => {
                let inner = schema.and_then(|schema| property(schema, schema, &["items"]));
                let inner = inner.map(|inner| with_root(inner, schema));
                items.iter().for_each(|item| self.config(item, inner.as_ref()));
            }
            Value::Map(entries) => {
                for entry in entries {
                    let inner = schema.and_then(|root| property(root, root, &["properties", &entry.key]));
                    let declared = inner.is_some_and(|inner| inner.get("writeOnly") == Some(&Json::Bool(true)));
                    if declared {
                        self.hide(&entry.node);
                    }
                    if (declared && has_written(&entry.node)) || (names_secret(&entry.key) && is_literal(&entry.node)) {
                        let verdict = if declared { Verdict::Refused } else { Verdict::LooksLikeIt };
                        self.found(&entry.node, entry.key_span, &entry.key, verdict);
                    } else if !declared {
                        let inner = inner.map(|inner| with_root(inner, schema));
                        self.config(&entry.node, inner.as_ref());
                    }
                }
            }
        }
    }

    fn found(&mut self, node: &Node, key_span: Span, key: &str, verdict: Verdict) {
        self.hide(node);
        let key = crate::diagnostics::shorten(key, 60);
        let variable = key.to_uppercase().replace(['-', '.'], "_");
        let help = format!("write {key}: ${{secret:{variable}}}, which is an environment variable, or ${{file:path}}");
        let message = match verdict {
            Verdict::LooksLikeIt => format!("`{key}` looks like a secret written in plain text"),
            Verdict::Refused | Verdict::Loopback => format!("`{key}` is a secret written in plain text"),
        };
        self.push(verdict, message, key_span, help);
    }

    fn push(&mut self, verdict: Verdict, message: String, span: Span, help: String) {
        let diagnostic = match verdict {
            Verdict::Refused => Diagnostic::error("plain-secret", message),
            Verdict::Loopback => Diagnostic::warning("plain-secret", message)
                .help("it is accepted because the server is on this machine; elsewhere it is an error"),
            Verdict::LooksLikeIt => Diagnostic::warning("plain-secret", message),
        };
        self.diagnostics.push(diagnostic.at(span).help(help));
    }

    /// `scheme://user:password@host`, or `password=…` where the key holds an address.
    fn address(&mut self, node: &Node, is_address: bool, verdict: Verdict) {
        let Some(scalar) = node.scalar() else { return };
        let mut written = passwords(&scalar.text, is_address).into_iter().filter(|range| is_written(scalar, range.clone()));
        if written.next().is_some() {
            let help = "take the password from the environment: ${secret:PASSWORD} in its place".to_owned();
            self.push(verdict, "an address with its password written in plain text".to_owned(), node.span, help);
        }
    }

    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|entry| self.hide(&entry.node)),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Scalar(scalar) if scalar.text.is_empty() || scalar.unknown => {}
            Value::Scalar(scalar) => {
                self.redactor.add(&scalar.text);
                if is_written(scalar, 0..scalar.text.len()) {
                    self.files.mask(node.span);
                }
            }
        }
    }
}

/// Whether a key is called like one that holds a secret.
pub fn names_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace(['-', '.'], "_");
    SECRET_KEYS
        .iter()
        .any(|ending| key.strip_suffix(ending).is_some_and(|start| start.is_empty() || start.ends_with('_') || !ending.contains('_')))
}

/// Whether a part of a text was written in the file, and is not from outside of it.
fn is_written(scalar: &Scalar, part: Range<usize>) -> bool {
    let from_outside = |outside: &Range<usize>| outside.start < part.end && part.start < outside.end;
    !part.is_empty() && !scalar.outside.iter().any(from_outside)
}

/// Whether some of it was written.
fn has_written(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries.iter().any(|entry| has_written(&entry.node)),
        Value::List(items) => items.iter().any(has_written),
        Value::Scalar(scalar) => is_written(scalar, 0..scalar.text.len()) && !node.is_null(),
    }
}

/// Whether it is a written text: `max_token: 5` is a number, and no secret.
fn is_literal(node: &Node) -> bool {
    node.scalar().is_some_and(Scalar::is_text) && has_written(node)
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
