//! Combinations that are not allowed: modes of writing, endless sources in batches, two sinks in
//! one place, bounds of times and sizes.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use wasmill_connect::registry::{SinkConnector, Writes};

use super::draft::{Declared, Draft};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Span, read};
use crate::spec::{Mode, Period, Size};

/// Reports all of it.
pub fn check(draft: &Draft<'_>, tree: &Node, diagnostics: &mut Diagnostics) {
    if !tree.get("mode").is_some_and(Node::has_unknown) {
        drain(draft, tree, diagnostics);
        writes(draft, diagnostics);
        endless(draft, tree, diagnostics);
    }
    places(draft, diagnostics);
    bounds(draft, tree, diagnostics);
    if draft.sources.is_empty() && tree.entry("sources").is_some_and(|entry| entry.node.entries().is_some()) {
        diagnostics.push(Diagnostic::error("empty", "a pipeline without sources").at(draft.top));
    }
    if draft.sinks.is_empty() && tree.entry("sinks").is_some_and(|entry| entry.node.entries().is_some()) {
        diagnostics.push(Diagnostic::error("empty", "a pipeline without sinks").at(draft.top));
    }
    if draft.dead_letters.is_none() {
        let message = "no `dead_letters`: the first record that is rejected stops the pipeline";
        let help = "for example: dead_letters: { files: { path: out/dead_letters, format: jsonl } }";
        diagnostics.push(Diagnostic::warning("no-dead-letters", message).at(draft.top).help(help));
    }
}

struct Writer<'t> {
    name: &'t str,
    connector: Arc<dyn SinkConnector>,
    span: Span,
}

fn writers<'t>(draft: &Draft<'t>) -> Vec<Writer<'t>> {
    let sinks = draft.sinks.iter().filter_map(|sink| {
        let spec = sink.spec.as_ref()?;
        writer(sink, &spec.connector, spec.connector_name)
    });
    let dead_letters = draft.dead_letters.iter().filter_map(|sink| {
        let spec = sink.spec.as_ref()?;
        writer(sink, &spec.connector, spec.connector_name)
    });
    sinks.chain(dead_letters).collect()
}

fn writer<'t, T>(sink: &Declared<'t, T>, connector: &Arc<dyn SinkConnector>, name: &str) -> Option<Writer<'t>> {
    let entry = sink.node.entry(name)?;
    let span = entry.node.get("write").map_or(entry.key_span, |write| write.span);
    Some(Writer { name: sink.name, connector: Arc::clone(connector), span })
}

/// Only a stream can be drained: a batch that was meant to be one would give other epochs than expected.
fn drain(draft: &Draft<'_>, tree: &Node, diagnostics: &mut Diagnostics) {
    if draft.drains && draft.mode == Mode::Batch {
        let message = "--drain ends a stream, and this pipeline runs as a batch, which always ends with its input";
        let span = tree.entry("mode").map_or(draft.top, |mode| mode.node.span);
        diagnostics
            .push(Diagnostic::error("drained-batch", message).at(span).help("leave --drain out, or run it as a stream: --mode stream"));
    }
}

/// A run that overwrites commits once, at its end; one that appends commits every epoch. They can't share a run, and a stream that is not
/// drained never ends.
fn writes(draft: &Draft<'_>, diagnostics: &mut Diagnostics) {
    let writers = writers(draft);
    let overwriting: Vec<&Writer<'_>> = writers.iter().filter(|writer| writer.connector.writes() == Writes::Overwrite).collect();
    if !draft.ends() {
        for writer in &overwriting {
            let message = format!("`{}` overwrites, which a stream can't: it never comes to the end at which it would", writer.name);
            let diagnostic = Diagnostic::error("overwrite-in-stream", message).at(writer.span);
            diagnostics.push(diagnostic.help("write: append, or mode: batch, or let the stream end: --drain"));
        }
        return;
    }
    let (dead_letters, sinks): (Vec<&Writer<'_>>, Vec<&Writer<'_>>) =
        overwriting.into_iter().partition(|writer| writer.name == "dead_letters");
    if let Some(first) = sinks.first() {
        for writer in writers.iter().filter(|writer| writer.connector.writes() == Writes::Append && writer.name != "dead_letters") {
            let message =
                format!("`{}` appends and `{}` overwrites: a run that overwrites reads everything again", writer.name, first.name);
            let help = "let all sinks append, or all overwrite, or split the pipeline";
            diagnostics
                .push(Diagnostic::error("append-beside-overwrite", message).at(writer.span).related(first.span, "overwrites").help(help));
        }
    } else if let Some(writer) = dead_letters.first() {
        let message = "`dead_letters` overwrites while the sinks append: rejects of earlier runs would be lost";
        diagnostics.push(Diagnostic::error("append-beside-overwrite", message).at(writer.span).help("write: append"));
    }
}

fn endless(draft: &Draft<'_>, tree: &Node, diagnostics: &mut Diagnostics) {
    if !draft.ends() {
        return;
    }
    let what = if draft.mode == Mode::Batch { "a batch ends" } else { "a drained stream ends" };
    let otherwise = if draft.mode == Mode::Batch { "run as a stream (mode: stream)" } else { "leave --drain out" };
    for source in &draft.sources {
        if let Some(spec) = &source.spec
            && let Some(bound) = spec.connector.endless()
        {
            let span = source.node.entry(spec.connector_name).map_or(source.name_span, |entry| entry.key_span);
            let mut diagnostic = Diagnostic::error("endless-batch", format!("`{}` is endless, and {what} with its input", source.name))
                .at(span)
                .help(format!("bound it with `{bound}`, or {otherwise}"));
            if let Some(mode) = tree.entry("mode") {
                diagnostic = diagnostic.related(mode.node.span, "the mode");
            }
            diagnostics.push(diagnostic);
        }
    }
}

/// Two sinks must not write into one place: their commits would fence each other.
fn places(draft: &Draft<'_>, diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<String, Writer<'_>> = HashMap::new();
    for writer in writers(draft) {
        let Some(place) = writer.connector.place() else { continue };
        let key = place.trim_end_matches('/').trim_start_matches("./").to_owned();
        if let Some(first) = seen.get(&key) {
            let message = format!("`{}` and `{}` write to the same place", first.name, writer.name);
            diagnostics.push(Diagnostic::error("same-place", message).at(writer.span).related(first.span, "also writes there"));
        } else {
            seen.insert(key, writer);
        }
    }
}

/// Times and sizes that the schema can't bound. Read one by one, so that a mistake next to them
/// does not hide them.
fn bounds(draft: &Draft<'_>, tree: &Node, diagnostics: &mut Diagnostics) {
    let epoch = tree.get("epoch");
    let mut out_of_range = |node: &Node, allowed: &str| {
        let message = format!("{} is out of range", node.describe());
        diagnostics.push(Diagnostic::error("out-of-range", message).at(node.span).allowed(allowed));
    };
    let period = |node: &&Node, range: RangeInclusive<Duration>| read::<Period>(node).is_ok_and(|Period(time)| !range.contains(&time));
    let every = epoch.and_then(|epoch| epoch.get("every"));
    if let Some(node) = every.filter(|node| period(node, Duration::from_millis(100)..=Duration::from_secs(86_400))) {
        out_of_range(node, "100ms to 1day");
    }
    let memory = tree.get("state").and_then(|state| state.get("memory"));
    if let Some(node) = memory.filter(|node| read::<Size>(node).is_ok_and(|Size(bytes)| !(16 << 20..=1 << 40).contains(&bytes))) {
        out_of_range(node, "16MiB to 1TiB");
    }
    for limits in draft.stages.iter().filter_map(|stage| stage.node.get("limits")) {
        if let Some(node) = limits.get("call").filter(|node| period(node, Duration::from_millis(10)..=Duration::from_secs(600))) {
            out_of_range(node, "10ms to 10m");
        }
        let size = |node: &&Node| read::<Size>(node).is_ok_and(|Size(bytes)| !(1 << 20..=4 << 30).contains(&bytes));
        if let Some(node) = limits.get("memory").filter(size) {
            out_of_range(node, "1MiB to 4GiB");
        }
    }
}
