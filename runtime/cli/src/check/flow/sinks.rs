//! What sinks get, and whether they take it.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_connect::registry::{SinkConnector, Writes};

use super::super::CheckedSink;
use super::super::draft::Declared;
use super::super::of_connector::of_connector;
use super::super::places::check_inputs;
use super::super::unasked::{Unasked, skipped};
use super::super::wiring::Edge;
use super::Run;
use crate::diagnostics::{Diagnostic, shorten};
use crate::spec::{Mode, SinkSpec};

impl Run<'_, '_> {
    pub(super) fn sink(&mut self, index: usize) -> Option<CheckedSink> {
        let sink = &self.draft.sinks[index];
        let (edges, unasked) = (&self.wiring.sink_inputs[index], self.unreached.sinks[index].clone());
        if !check_inputs(sink, edges, self.draft, self.diagnostics) {
            return None;
        }
        let is_skipped = Self::reads(edges, &self.skipped);
        let inputs = if is_skipped { None } else { self.inputs(sink.name, edges) };
        let Some(spec) = sink.spec.as_ref() else {
            if unasked == Some(Unasked::Unset) {
                self.diagnostics.push(skipped("sink", sink.name, sink.name_span, "values of it are not set"));
            }
            return None;
        };
        let connector = Arc::clone(&spec.connector);
        let is_open = Self::reads(edges, &self.open);
        if is_skipped || is_open {
            self.sink_of_unknown_columns(sink, spec, unasked.as_ref(), is_skipped)?;
        }
        let (inputs, schema) = inputs?;
        if !self.takes_updates(sink, &*connector, edges) {
            return None;
        }
        self.results_per_run(sink, &*connector, edges);
        let what = format!("sink `{}`", sink.name);
        let fits = is_open || self.fits(sink, &what, (&*connector, spec.connector_name), (&schema, unasked));
        fits.then(|| CheckedSink { name: sink.name.into(), connector, inputs, schema })
    }

    /// Warns of a run that adds results to those of earlier runs.
    fn results_per_run(&mut self, sink: &Declared<'_, SinkSpec>, connector: &dyn SinkConnector, edges: &[Edge]) {
        if self.draft.ends() && connector.writes() == Writes::Append && Self::reads(edges, &self.per_run) {
            let message = match connector.replaces_by() {
                None => format!("`{}` adds the results of each run to those of earlier runs", sink.name),
                Some(_) => format!("`{}` replaces results of earlier runs by those of each run", sink.name),
            };
            let diagnostic = Diagnostic::warning("results-per-run", message).at(sink.name_span);
            let why = match self.draft.mode {
                Mode::Batch => "a batch reads what is new, and its aggregates and joins are about these rows alone",
                Mode::Stream => "what waits for the end of a drained stream is about the rows since the end before it",
            };
            self.diagnostics.push(diagnostic.help(why).help("`write: overwrite` computes over all rows in every run"));
        }
    }

    /// Checks of a sink that need no columns; `None` after a reported error. `is_skipped`: nothing
    /// is known about its columns.
    fn sink_of_unknown_columns(
        &mut self,
        sink: &Declared<'_, SinkSpec>,
        spec: &SinkSpec,
        unasked: Option<&Unasked>,
        is_skipped: bool,
    ) -> Option<()> {
        if let Some(Err(error)) = unasked.map(|unasked| unasked.check_sink(&*spec.connector, None)) {
            self.diagnostics.push(of_connector(sink, spec.connector_name, &error));
            return None;
        }
        let why = if is_skipped { "its input columns are not known" } else { "it may get more columns than `schema` names" };
        let note = skipped("sink", sink.name, sink.name_span, why);
        self.diagnostics.push(if is_skipped { note } else { note.help("`columns` of the source picks those that are read") });
        Some(())
    }

    /// Whether a sink, described by `what`, takes these columns. A refusal is reported, and a
    /// server that is not contacted is noted.
    pub(super) fn fits<T>(
        &mut self,
        sink: &Declared<'_, T>,
        what: &str,
        (connector, name): (&dyn SinkConnector, &str),
        (schema, unasked): (&SchemaRef, Option<Unasked>),
    ) -> bool {
        let differences = match &unasked {
            None => self.connectors.check_sink(connector, schema),
            Some(unasked) => unasked.check_sink(connector, Some(schema.as_ref())).map(|()| Vec::new()),
        };
        let differences = match differences {
            Ok(differences) => differences,
            Err(error) => {
                self.diagnostics.push(of_connector(sink, name, &error));
                return false;
            }
        };
        let note = unasked.and_then(|unasked| unasked.note(sink, name, &format!("what {what} writes fits what is there")));
        note.into_iter().for_each(|note| self.diagnostics.push(note));
        let place = sink.node.get(name).and_then(|node| node.get("uri").or_else(|| node.get("table")));
        let span = place.map_or(sink.name_span, |node| node.span);
        if !differences.is_empty() {
            let message = format!("`{}` does not fit the table that is there", sink.name);
            let lines: Vec<String> = differences.iter().map(|difference| shorten(difference, 300)).collect();
            let diagnostic = Diagnostic::error("table-differs", message).at(span).help(lines.join("\n"));
            self.diagnostics.push(diagnostic.help(connector.remedy()));
        }
        differences.is_empty()
    }
}
