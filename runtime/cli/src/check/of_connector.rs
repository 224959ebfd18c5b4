//! A connector's error as a finding, at the key that it blames.

use super::draft::Declared;
use crate::diagnostics::{Diagnostic, shorten};
use crate::document::Span;

/// The finding.
pub fn of_connector<T>(declared: &Declared<'_, T>, connector: &str, error: &wasmill_engine::Error) -> Diagnostic {
    let otherwise = Diagnostic::error("connector", about(declared.name, error));
    finding(otherwise, error, span_of_key(declared, connector, error.key_path()))
}

/// An error as a finding: `otherwise`, with the code of the error where it has one, its class and its hint.
pub fn finding(otherwise: Diagnostic, error: &wasmill_engine::Error, span: Span) -> Diagnostic {
    let code = error.kind().map_or(otherwise.code, |code| code.name);
    let diagnostic = Diagnostic { code, ..otherwise }.class(error.class()).at(span);
    error.hint_text().into_iter().fold(diagnostic, |diagnostic, hint| diagnostic.help(hint))
}

/// The span of a key in a connector's configuration. A missing one has a default: its parent is
/// blamed.
pub fn span_of_key<T, K: AsRef<str>>(declared: &Declared<'_, T>, connector: &str, path: &[K]) -> Span {
    let entry = declared.node.entry(connector);
    let mut span = entry.map_or(declared.name_span, |entry| entry.key_span);
    let mut node = entry.map(|entry| &entry.node);
    for key in path {
        let Some(entry) = node.and_then(|node| node.entry(key.as_ref())) else { break };
        span = entry.key_span;
        node = Some(&entry.node);
    }
    span
}

/// What an error of the node `name` says.
pub fn about(name: &str, error: &wasmill_engine::Error) -> String {
    format!("`{name}`: {}", in_words(error))
}

/// What an error says that names its own place.
pub fn in_words(error: &wasmill_engine::Error) -> String {
    shorten(&error.to_string(), 1000)
}
