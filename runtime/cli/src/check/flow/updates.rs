//! Results that replace earlier ones: by which columns a later row replaces an earlier one, and who can take such rows.

use wasmill_connect::registry::{SinkConnector, Writes};

use super::super::built_in::BuiltIn;
use super::super::draft::Declared;
use super::super::stages::Asked;
use super::super::wiring::{Edge, Producer};
use super::Run;
use crate::diagnostics::{Diagnostic, shorten};
use crate::document::Span;
use crate::spec::SinkSpec;

/// Rows that replace earlier rows of the same key.
#[derive(Debug, Clone)]
pub struct Updates {
    /// The columns of the key, by their names here.
    pub key: Vec<String>,
    /// Why there are such rows, in words: "`popular` emits running results".
    pub why: String,
    /// Where that was written.
    pub span: Span,
}

impl Run<'_, '_> {
    /// The updates that a node reads, if it reads some.
    fn updates_of(&self, edges: &[Edge]) -> Option<&Updates> {
        edges.iter().find_map(|edge| self.updates.get(&edge.producer))
    }

    /// Follows updates through a stage; false after it was reported that the stage can't take them.
    pub(super) fn pass_updates(&mut self, index: usize, asked: &Asked) -> bool {
        let (stage, edges) = (&self.draft.stages[index], &self.wiring.stage_inputs[index]);
        let Some(updates) = self.updates_of(edges).cloned() else { return true };
        let edge = edges.first().map_or(stage.name_span, |edge| edge.span);
        let passing = match asked {
            Asked::BuiltIn(built_in) if built_in.passes_every_row() => Some(built_in),
            _ => None,
        };
        let problem = match passing {
            None => "could keep a row out that replaces an earlier one".to_owned(),
            Some(built_in) => {
                let forward = |name: &String| built_in.forward(name).map(str::to_owned).ok_or_else(|| name.clone());
                match updates.key.iter().map(forward).collect::<Result<Vec<String>, String>>() {
                    Ok(key) => {
                        self.updates.insert(Producer::Stage(index), Updates { key, ..updates });
                        return true;
                    }
                    Err(missing) => format!("does not pass `{}`, by which rows replace earlier ones", shorten(&missing, 80)),
                }
            }
        };
        let message = format!("{}, and `{}` {problem}", updates.why, stage.name);
        let diagnostic = Diagnostic::error("running-results", message).at(edge).related(updates.span, "emits results again");
        self.diagnostics.push(diagnostic.help("only `rename`, `drop` and `select` may stand between running results and their sink"));
        false
    }

    /// Notes that a stage emits results again.
    pub(super) fn begin_updates(&mut self, index: usize, asked: &Asked) {
        let Asked::BuiltIn(BuiltIn::Aggregate(aggregate)) = asked else { return };
        let stage = &self.draft.stages[index];
        if let Some((key, why)) = aggregate.updates(self.draft.mode) {
            let updates = Updates { key, why: format!("`{}` {why}", stage.name), span: stage.name_span };
            self.updates.insert(Producer::Stage(index), updates);
        }
    }

    /// Whether a sink can take the updates that it reads, if it reads some. What it can't was reported.
    pub(super) fn takes_updates(&mut self, sink: &Declared<'_, SinkSpec>, connector: &dyn SinkConnector, edges: &[Edge]) -> bool {
        let Some(updates) = self.updates_of(edges).cloned() else { return true };
        if connector.writes() == Writes::Show {
            return true;
        }
        let key = updates.key.iter().map(|name| shorten(name, 80)).collect::<Vec<_>>().join(", ");
        let problem = match connector.replaces_by() {
            None => format!("`{}` would keep the earlier ones, too", sink.name),
            Some(names) if is_same(names, &updates.key) => return true,
            Some(_) => format!("`{}` replaces rows by other columns", sink.name),
        };
        let diagnostic = Diagnostic::error("running-results", format!("{}, and {problem}", updates.why));
        let diagnostic = diagnostic.at(sink.name_span).related(updates.span, "emits results again");
        self.diagnostics.push(diagnostic.help(format!("write into a sink that replaces rows: write: upsert, key: [{key}]")));
        false
    }
}

fn is_same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}

impl BuiltIn {
    /// Whether every row passes that it gets, or is rejected.
    fn passes_every_row(&self) -> bool {
        match self {
            Self::Change(_) => true,
            #[cfg(feature = "sql")]
            Self::Select(_) => true,
            _ => false,
        }
    }
}
