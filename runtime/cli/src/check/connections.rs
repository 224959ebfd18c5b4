//! Connections by name: `connection: lake` is a reference to `connections: { lake: … }`.

use std::collections::BTreeSet;

use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::{Entry, Node, Value};

const SECTION: &str = "connections";
const KEY: &str = "connection";

/// Replaces references by the named connections, and reports unknown names. Returns the names in
/// use.
pub fn resolve(tree: &mut Node, diagnostics: &mut Diagnostics) -> BTreeSet<String> {
    let named: Vec<Entry> = tree.get(SECTION).and_then(Node::entries).map(<[Entry]>::to_vec).unwrap_or_default();
    let mut used = BTreeSet::new();
    let Value::Map(sections) = &mut tree.value else { return used };
    for section in sections {
        match (section.key.as_str(), &mut section.node.value) {
            ("sources" | "sinks", Value::Map(entries)) => {
                entries.iter_mut().for_each(|entry| in_entry(&mut entry.node, &named, &mut used, diagnostics));
            }
            ("dead_letters", _) => in_entry(&mut section.node, &named, &mut used, diagnostics),
            _ => {}
        }
    }
    used
}

/// Reports connections that are not used.
pub fn report_unused(tree: &Node, used: &BTreeSet<String>, diagnostics: &mut Diagnostics) {
    let named = tree.get(SECTION).and_then(Node::entries).unwrap_or_default();
    for connection in named.iter().filter(|connection| !used.contains(&connection.key)) {
        let message = format!("nothing uses the connection `{}`", shorten(&connection.key, 60));
        let help = format!("a connector names it: `connection: {}`", shorten(&connection.key, 60));
        diagnostics.push(Diagnostic::warning("unused-connection", message).at(connection.key_span).help(help));
    }
}

/// Resolves the connectors of a source, a sink or dead letters.
fn in_entry(entry: &mut Node, named: &[Entry], used: &mut BTreeSet<String>, diagnostics: &mut Diagnostics) {
    let Value::Map(connectors) = &mut entry.value else { return };
    for connector in connectors {
        let Value::Map(keys) = &mut connector.node.value else { continue };
        for key in keys.iter_mut().filter(|key| key.key == KEY) {
            if key.node.scalar().is_some_and(|scalar| scalar.unknown) {
                // It may be any of them.
                used.extend(named.iter().map(|connection| connection.key.clone()));
                continue;
            }
            let Some(name) = key.node.text().filter(|_| !key.node.is_null()).map(str::to_owned) else { continue };
            match named.iter().find(|connection| connection.key == name) {
                Some(connection) => key.node = connection.node.clone(),
                None => {
                    let names: Vec<&str> = named.iter().map(|connection| connection.key.as_str()).collect();
                    let message = format!("there is no connection `{}`", shorten(&name, 60));
                    let diagnostic = Diagnostic::error("unknown-connection", message).at(key.node.span);
                    let diagnostic = match names.is_empty() {
                        true => diagnostic.help("write it out, or give it a name: `connections: { lake: { region: eu-central-1 } }`"),
                        false => diagnostic.allowed(names.join(", ")).suggest(nearest(&name, names.iter().copied())),
                    };
                    diagnostics.push(diagnostic);
                    // Its kind is unknown: it has no other keys.
                    if let Value::Scalar(scalar) = &mut key.node.value {
                        scalar.unknown = true;
                    }
                }
            }
            used.insert(name);
        }
    }
}
