//! Keys that were meant to be connectors or built-in stages: of another binary, of another section, or of none.

use serde_json::Value as Json;
use wasmill_connect::registry::DeadLetters;

use crate::diagnostics::{Diagnostic, nearest, shorten};
use crate::document::{Entry, Value};
use crate::registry::{connectors, is_left_out};

/// The built-in stages in SQL, which are a feature.
const SQL_STAGES: [&str; 2] = ["select", "filter"];

/// What is wrong with a key that a stage does not know, if it is a built-in stage that this binary lacks.
pub fn stage_left_out(entry: &Entry, schema: &Json) -> Option<Diagnostic> {
    let properties = schema.get("properties").and_then(Json::as_object)?;
    let there: Vec<&str> =
        properties.iter().filter(|(_, property)| property.get("x-transform").is_some()).map(|(name, _)| name.as_str()).collect();
    let key = entry.key.as_str();
    if there.is_empty() || there.contains(&key) || !SQL_STAGES.contains(&key) {
        return None;
    }
    let message = format!("the stage `{key}` is not built into this wasmill");
    let help = "use a wasmill that was built with the feature `sql`; a build with default features has it";
    Some(Diagnostic::error("stage-left-out", message).at(entry.key_span).allowed(there.join(", ")).help(help))
}

/// What is wrong with a key that an entry of sources, sinks or dead letters does not know, if it was meant to be a connector.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{Node, SourceFiles, parse};

    /// The finding for the one key of a stage, in a binary whose stages have these keys.
    fn found(text: &str, keys: &[&str]) -> Option<Diagnostic> {
        let mut files = SourceFiles::default();
        let file = files.add("p.yaml", text);
        let node: Node = parse(&files, file, &mut crate::diagnostics::Diagnostics::default()).unwrap();
        let properties: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!({ "x-transform": true }))).collect();
        stage_left_out(&node.entries().unwrap()[0], &json!({ "properties": properties }))
    }

    #[test]
    fn a_stage_that_is_not_built_in_names_its_feature() {
        let left_out = found("filter: age >= 18", &["plugin", "rename", "drop"]).unwrap();
        assert_eq!((left_out.code, left_out.message.as_str()), ("stage-left-out", "the stage `filter` is not built into this wasmill"));
        assert_eq!(left_out.allowed.as_deref(), Some("plugin, rename, drop"));
        assert!(left_out.help[0].contains("the feature `sql`"), "{:?}", left_out.help);
        assert!(found("select: { a: b }", &["plugin"]).is_some());
        assert!(found("filter: age >= 18", &["plugin", "filter"]).is_none(), "it is there");
        assert!(found("filtr: age >= 18", &["plugin"]).is_none(), "another mistake");
        assert!(found("filter: age >= 18", &[]).is_none(), "no stage");
    }
}
