//! Keys that were meant to be connectors: of another binary, of another section, or of none.

use serde_json::Value as Json;
use wasmill_connect::registry::DeadLetters;

use crate::diagnostics::{Diagnostic, nearest, shorten};
use crate::document::{Entry, Value};
use crate::registry::{connectors, is_left_out};

/// What is wrong with an unknown key of an entry of sources, sinks or dead letters, if a connector
/// was meant.
pub fn unknown_connector(entry: &Entry, schema: &Json, path: &str) -> Option<Diagnostic> {
    let properties = schema.get("properties").and_then(Json::as_object)?;
    let there: Vec<&str> =
        properties.iter().filter(|(_, property)| property.get("x-connector").is_some()).map(|(name, _)| name.as_str()).collect();
    if there.is_empty() {
        return None;
    }
    let key = entry.key.as_str();
    if is_left_out(key) {
        let message = format!("the connector `{key}` is not built into this wasmill");
        let help = format!("use a wasmill that was built with the feature `{key}`; a build with default features has all connectors");
        return Some(Diagnostic::error("connector-left-out", message).at(entry.key_span).allowed(there.join(", ")).help(help));
    }
    if let Some(connector) = connectors().iter().find(|connector| connector.name == key) {
        let (section, _) = path.split_once('.').unwrap_or((path, ""));
        let refused = connector.sink.as_ref().and_then(|sink| match sink.dead_letters {
            DeadLetters::Refused(why) if section == "dead_letters" => Some(why),
            _ => None,
        });
        let message = match section {
            "sources" => format!("`{key}` is not a source: records can't be read from it"),
            "dead_letters" => format!("dead letters can't go to `{key}`"),
            _ => format!("`{key}` is not a sink: rows can't be written to it"),
        };
        let diagnostic = Diagnostic::error("connector-misplaced", message).at(entry.key_span).allowed(there.join(", "));
        return Some(refused.into_iter().fold(diagnostic, Diagnostic::help));
    }
    // A misspelt key is reported as such.
    let is_configuration = matches!(entry.node.value, Value::Map(_));
    if !is_configuration || nearest(key, properties.keys().map(String::as_str)).is_some() {
        return None;
    }
    let message = format!("there is no connector `{}`", shorten(key, 60));
    Some(Diagnostic::error("unknown-connector", message).at(entry.key_span).allowed(there.join(", ")))
}
