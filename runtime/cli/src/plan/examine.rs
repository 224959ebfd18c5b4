//! Examines every place of a checked pipeline, each through its connector.

use std::sync::Arc;

use wasmill_connect::examine::Finding;
use wasmill_connect::registry::SinkConnector;

use super::stages::examine_stages;
use super::state::{examine_state, state_of};
use crate::check::Checked;

/// A place, and the findings on it.
pub struct Examined {
    /// `source pins`.
    pub role: String,
    /// `kafka pin of b1:9092`.
    pub place: String,
    /// The findings, in the order of examination.
    pub findings: Vec<Finding>,
}

/// Examines the sources, the sinks, the dead letters and the state of a pipeline, and what the state
/// holds of keyed stages, one after the other. Changes nothing.
pub fn examine(checked: &Checked) -> impl Iterator<Item = Examined> + '_ {
    let sources = checked.sources.iter().map(|source| Examined {
        role: format!("source {}", source.name),
        place: source.connector.describe(),
        findings: source.connector.examine(),
    });
    let sink = |role: String, sink: &Arc<dyn SinkConnector>| Examined { role, place: sink.describe(), findings: sink.examine() };
    let sinks = checked.sinks.iter().map(move |one| sink(format!("sink {}", one.name), &one.connector));
    let dead_letters = checked.dead_letters.iter().map(move |one| sink("dead letters".to_owned(), one));
    let state = std::iter::once_with(|| {
        let state = state_of(&checked.state, &checked.name);
        let findings = examine_state(&checked.state, &state);
        let is_bad = findings.iter().any(|finding| matches!(finding, Finding::Bad(_)));
        let state = Examined { role: "state".to_owned(), place: state.display().to_string(), findings };
        // A state that can't be reached or written is not read, either.
        let stages = if is_bad { Vec::new() } else { examine_stages(checked) };
        std::iter::once(state).chain(stages)
    })
    .flatten();
    sources.chain(sinks).chain(dead_letters).chain(state)
}
