//! A connector's error as a finding, at the key that it blames.

use super::draft::Declared;
use crate::diagnostics::{Diagnostic, shorten};
use crate::document::Span;

/// The finding.
pub fn of_connector<T>(declared: &Declared<'_, T>, connector: &str, error: &wasmill_engine::Error) -> Diagnostic {
    finding(declared.name, "connector", error, span_of_key(declared, connector, error.key_path()))
}

/// An error of a node of the pipeline as a finding. `otherwise`: its code, where the error has none.
pub fn finding(name: &str, otherwise: &'static str, error: &wasmill_engine::Error, span: Span) -> Diagnostic {
    finding_as(format!("`{name}`: {}", in_words(error)), otherwise, error, span)
}

/// An error that names its own place, as a finding. `otherwise`: its code, where the error has none.
pub fn finding_of_its_own(otherwise: &'static str, error: &wasmill_engine::Error, span: Span) -> Diagnostic {
    finding_as(in_words(error), otherwise, error, span)
}

fn in_words(error: &wasmill_engine::Error) -> String {
    shorten(&error.to_string(), 1000)
}

fn finding_as(message: String, otherwise: &'static str, error: &wasmill_engine::Error, span: Span) -> Diagnostic {
    let code = error.kind().map_or(otherwise, |code| code.name);
    let diagnostic = Diagnostic::error(code, message).class(error.class()).at(span);
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
