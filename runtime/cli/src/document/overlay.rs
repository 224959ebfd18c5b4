//! Lays `--set a.b.c=value` over a tree.

use super::{Entry, Kind, Node, Place, SourceFiles, Span, Value, parse};
use crate::diagnostics::{Diagnostic, Diagnostics};

/// One `--set` argument, parsed.
#[derive(Debug, Clone)]
pub struct Override {
    path: Vec<(String, Span)>,
    /// None takes the value away.
    node: Option<Node>,
}

impl Override {
    /// Reads an argument. The value is YAML: `5` is a number, `[a, b]` a list, nothing takes the value away.
    pub fn parse(argument: &str, files: &mut SourceFiles, diagnostics: &mut Diagnostics) -> Option<Self> {
        let file = files.add("--set", argument);
        let Some((path, value)) = argument.split_once('=') else {
            let span = part_of(file, argument, 0, argument.len());
            diagnostics.push(
                Diagnostic::error("set", "no `=` in a --set argument").at(span).help("write --set sources.pins.files.path=data/*.jsonl"),
            );
            return None;
        };
        let mut parts = Vec::new();
        let mut offset = 0;
        for part in path.split('.') {
            let span = part_of(file, argument, offset, part.len());
            if part.trim().is_empty() {
                diagnostics.push(Diagnostic::error("set", "an empty name in the path of a --set argument").at(span));
                return None;
            }
            parts.push((part.trim().to_owned(), span));
            offset += part.len() + 1;
        }
        let value_span = part_of(file, argument, path.len() + 1, value.len());
        // Blanks in place of the path keep the columns of the value correct.
        let blank: String = argument[..path.len() + 1].chars().map(|_| ' ').collect();
        let scratch = files.add("--set", &(blank + value));
        let node = match value.trim() {
            "" => None,
            _ => {
                let mut found = Diagnostics::default();
                let node = parse(files, scratch, &mut found);
                // Findings point into the blanked copy: the argument itself has the same columns, on one line.
                for mut diagnostic in found.take_all() {
                    let end = value_span.end;
                    diagnostic.span = diagnostic
                        .span
                        .map(|span| if span.start.line > 1 { Span { file, start: end, end } } else { Span { file, ..span } });
                    diagnostic.related.iter_mut().for_each(|(span, _)| span.file = file);
                    diagnostics.push(diagnostic);
                }
                let mut node = node?;
                move_to(&mut node, file);
                Some(node)
            }
        };
        Some(Self { path: parts, node })
    }
}

/// Replaces values, or adds them, maps on the way included.
pub fn overlay(root: &mut Node, overrides: Vec<Override>, diagnostics: &mut Diagnostics) {
    for Override { path, node } in overrides {
        if let Err(diagnostic) = set(root, &path, node) {
            diagnostics.push(diagnostic);
        }
    }
}

fn set(root: &mut Node, path: &[(String, Span)], node: Option<Node>) -> Result<(), Diagnostic> {
    let Some(((key, span), rest)) = path.split_first() else {
        if let Some(node) = node {
            *root = node;
        }
        return Ok(());
    };
    if let (None, [], Value::Map(entries)) = (&node, rest, &mut root.value) {
        entries.retain(|entry| entry.key != *key);
        return Ok(());
    }
    if matches!(&root.value, Value::Scalar(scalar) if scalar.kind() == Kind::Null) {
        *root = Node::empty_map(*span);
    }
    let parent = root.span;
    match &mut root.value {
        Value::Scalar(scalar) => {
            let message = format!("cannot set `{key}` in {}", scalar.describe());
            Err(Diagnostic::error("set", message).at(*span).related(parent, "this is not a map"))
        }
        Value::List(items) => {
            let length = items.len();
            let index = key.parse::<usize>().ok().filter(|&index| index <= length);
            let Some(index) = index else {
                let message = format!("`{key}` is not a place in a list of {length}");
                return Err(Diagnostic::error("set", message).at(*span).allowed(format!("0 to {length} (which adds one)")));
            };
            if index == length {
                items.push(Node::empty_map(*span));
            }
            items.get_mut(index).map_or(Ok(()), |item| set(item, rest, node))
        }
        Value::Map(entries) => {
            let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                entries.push(Entry { key: key.clone(), key_span: *span, node: Node::empty_map(*span) });
                entries.len() - 1
            });
            entries.get_mut(index).map_or(Ok(()), |entry| set(&mut entry.node, rest, node))
        }
    }
}

fn move_to(node: &mut Node, file: super::FileId) {
    node.span.file = file;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| move_to(item, file)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.key_span.file = file;
            move_to(&mut entry.node, file);
        }),
    }
}

fn part_of(file: super::FileId, text: &str, offset: usize, length: usize) -> Span {
    let column = text[..offset].chars().count() + 1;
    let end = column + text[offset..offset + length].chars().count().max(1);
    Span { file, start: Place { line: 1, column }, end: Place { line: 1, column: end } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(yaml: &str, arguments: &[&str]) -> (serde_json::Value, Vec<String>) {
        let mut files = SourceFiles::default();
        let file = files.add("f", yaml);
        let mut diagnostics = Diagnostics::default();
        let mut node = parse(&files, file, &mut diagnostics).unwrap();
        let overrides = arguments.iter().filter_map(|argument| Override::parse(argument, &mut files, &mut diagnostics)).collect();
        overlay(&mut node, overrides, &mut diagnostics);
        (node.to_json(), diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect())
    }

    #[test]
    fn replaces_adds_and_removes() {
        let (json, messages) = laid("a: {b: 1, c: [x]}", &["a.b=2", "a.d.e={f: g}", "a.c.1=y", "h=\"5\"", "i.j=", "i.k=1"]);
        assert_eq!(json, serde_json::json!({"a": {"b": 2, "c": ["x", "y"], "d": {"e": {"f": "g"}}}, "h": "5", "i": {"k": 1}}));
        let (json, messages_of_removal) = laid("a: {b: {c: 1}, d: 2}", &["a.b=", "a.e=3"]);
        assert_eq!((json, messages_of_removal.len()), (serde_json::json!({"a": {"d": 2, "e": 3}}), 0));
        assert!(messages.is_empty());
    }

    #[test]
    fn says_what_can_not_be_set() {
        let (_, messages) = laid("a: 1", &["a.b=2", "a", "a..b=1"]);
        assert_eq!(messages.len(), 3);
    }
}
