//! What the check leaves open: servers that are not contacted, values that are not set, and
//! whatever depends on unknown columns.

use std::collections::HashMap;

use wasmill_connect::registry::{Server, SinkConnector, SourceConnector, no_depot};
use wasmill_engine::{Class, Error, Mode, Result};

use super::connectors::{Reach, build};
use super::draft::{Declared, Draft};
use super::of_connector::span_of_key;
use super::source_columns::{SourceSchema, resolve};
use super::{Connectors, Extent, SourceColumns};
use crate::diagnostics::{Diagnostic, Diagnostics, shorten};
use crate::document::{Node, Span};

/// Why the server of a source or a sink is not contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unasked {
    /// Values of it are not set.
    Unset,
    /// The check contacts no server: the server's description.
    Offline(String),
    /// The server can't be reached, which was reported: its name in words.
    Unreachable(String),
}

/// Why each server is not contacted; `None` for those that are.
pub struct Unreached {
    /// The sources, in the order of the file.
    pub sources: Vec<Option<Unasked>>,
    /// The sinks, in the order of the file.
    pub sinks: Vec<Option<Unasked>>,
    /// The dead letters.
    pub dead_letters: Option<Unasked>,
}

/// Determines which servers are contacted, and reports those that can't be reached.
pub fn reach(draft: &Draft<'_>, connectors: &dyn Connectors, diagnostics: &mut Diagnostics) -> Unreached {
    let sources = draft.sources.iter().map(|source| Place::new(source, |spec| (spec.connector_name, spec.connector.server())));
    let sinks = draft.sinks.iter().map(|sink| Place::new(sink, |spec| (spec.connector_name, spec.connector.server())));
    let dead_letters = draft.dead_letters.iter().map(|sink| Place::new(sink, |spec| (spec.connector_name, spec.connector.server())));
    let groups: [Vec<Place>; 3] = [sources.collect(), sinks.collect(), dead_letters.collect()];
    // An address that is not set leads nowhere.
    let servers: Vec<&Server> = groups.iter().flatten().filter(|place| !place.is_unset).filter_map(|place| place.server.as_ref()).collect();
    let reached = connectors.reach(&servers);
    let [sources, sinks, mut dead_letters] =
        groups.map(|places| places.iter().map(|place| place.unasked(&reached, diagnostics)).collect::<Vec<_>>());
    Unreached { sources, sinks, dead_letters: dead_letters.pop().flatten() }
}

/// Where a source or a sink names its server.
struct Place {
    is_unset: bool,
    span: Span,
    server: Option<Server>,
}

impl Place {
    fn new<T>(declared: &Declared<'_, T>, connector: impl FnOnce(&T) -> (&'static str, Option<Server>)) -> Self {
        let (name, server) = declared.spec.as_ref().map(connector).unwrap_or_default();
        Self { is_unset: is_unset(declared.node), span: span_of_key(declared, name, &["connection"]), server }
    }

    /// Why the server is not contacted; an unreachable server is reported.
    fn unasked(&self, reached: &HashMap<String, Reach>, diagnostics: &mut Diagnostics) -> Option<Unasked> {
        if self.is_unset {
            return Some(Unasked::Unset);
        }
        let name = self.server.as_ref()?.words();
        match reached.get(name)? {
            Reach::Asked => None,
            Reach::Offline => Some(Unasked::Offline(name.to_owned())),
            Reach::Unreachable(why) => {
                let message = format!("cannot reach {}: {}", shorten(name, 200), shorten(why, 300));
                let diagnostic = Diagnostic::error("unreachable", message).class(Class::Environment).at(self.span);
                diagnostics.push(diagnostic.help("start it or correct `connection`; `--offline` checks the rest"));
                Some(Unasked::Unreachable(name.to_owned()))
            }
        }
    }
}

/// Whether nothing but values that are not set keeps a part of the file from being read.
pub fn is_unset(node: &Node) -> bool {
    node.has_unknown() && !node.has_broken()
}

/// The columns of a source that is not contacted.
pub enum Known {
    /// These, and no others.
    All(SourceSchema),
    /// These, and possibly others.
    Some(SourceSchema),
    /// Unknown.
    Nothing,
}

impl Unasked {
    /// The columns that the file and the stages declare for a source.
    ///
    /// # Errors
    /// Those of its configuration.
    pub fn columns(&self, name: &str, source: &dyn SourceConnector, columns: &SourceColumns, mode: Mode) -> Result<Known> {
        let reserved = source.reserved_columns();
        let knows = source.knows_columns();
        let known = if knows && columns.needs_discovery(&reserved) { source.columns(columns)? } else { None };
        let found = resolve(columns, &reserved, known);
        let is_whole = knows || columns.extent != Extent::All;
        if !knows && (!found.untyped.is_empty() || (!is_whole && columns.declared.fields().is_empty())) {
            return Ok(Known::Nothing);
        }
        if *self != Self::Unset && found.untyped.is_empty() {
            tolerate(build(name, source, &found, mode))?;
        }
        Ok(if is_whole { Known::All(found) } else { Known::Some(found) })
    }

    /// Errors in the configuration of a sink, as far as they show offline. `schema`: its columns,
    /// if they are known.
    ///
    /// # Errors
    /// Those of its configuration.
    pub fn check_sink(&self, sink: &dyn SinkConnector, schema: Option<&arrow_schema::Schema>) -> Result<()> {
        tolerate(match (self, schema) {
            (Self::Unset, _) => Ok(()),
            (_, Some(schema)) => sink.build(schema, &no_depot()).map(drop),
            (_, None) => sink.build_without_columns(&no_depot()).map(drop),
        })
    }

    /// What is left open of a node, `what` in words; of a server that can't be reached, that was reported.
    pub fn note<T>(&self, declared: &Declared<'_, T>, connector: &str, what: &str) -> Option<Diagnostic> {
        let message = match self {
            Self::Unset => format!("whether {what}: values of it are not set"),
            Self::Offline(server) => format!("whether {what}, which only {} can tell", shorten(server, 200)),
            Self::Unreachable(_) => return None,
        };
        Some(Diagnostic::not_checked(message).at(span_of_key(declared, connector, &["connection"])))
    }

    /// That the columns of a source are unknown.
    pub fn unknown_columns<T>(&self, declared: &Declared<'_, T>, connector: &str) -> Diagnostic {
        let name = declared.name;
        let message = match self {
            Self::Unset => format!("the columns of source `{name}`, of which values are not set"),
            Self::Offline(server) | Self::Unreachable(server) => {
                format!("the columns of source `{name}`, which only {} can tell", shorten(server, 200))
            }
        };
        let diagnostic = Diagnostic::not_checked(message).at(span_of_key(declared, connector, &["connection"]));
        diagnostic.help("write `schema` to check what follows")
    }
}

/// Files of credentials may be missing where no server is contacted.
fn tolerate(outcome: Result<()>) -> Result<()> {
    outcome.or_else(|error: Error| if error.class() == Class::Environment { Ok(()) } else { Err(error) })
}

/// That a node is not checked: `source`, `stage` or `sink`, its name, where, and why.
pub fn skipped(kind: &str, name: &str, span: Span, why: &str) -> Diagnostic {
    Diagnostic::not_checked(format_args!("{kind} `{name}`: {why}")).at(span)
}
