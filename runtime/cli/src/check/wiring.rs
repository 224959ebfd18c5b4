//! How the nodes of a pipeline are connected: names, inputs, cycles, and nodes without readers.

use std::collections::HashMap;

use super::draft::Draft;
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::{Node, Span};
use crate::spec::{is_name, is_pipeline_name};

/// A node that others can read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Producer {
    /// A source, by its index in the draft.
    Source(usize),
    /// A stage, by its index in the draft.
    Stage(usize),
}

/// One name in a `from`.
#[derive(Debug, Clone)]
pub struct Edge {
    /// What it names.
    pub producer: Producer,
    /// The requested port.
    pub port: Option<String>,
    /// The side of the reader: a join has two, others one.
    pub side: usize,
    /// Where it was written.
    pub span: Span,
}

/// How the nodes hang together.
#[derive(Debug, Default)]
pub struct Wiring {
    /// For each stage of the draft, what it reads.
    pub stage_inputs: Vec<Vec<Edge>>,
    /// For each sink of the draft, what it takes.
    pub sink_inputs: Vec<Vec<Edge>>,
    /// The stages in an order in which inputs come first; those of cycles are left out.
    pub order: Vec<usize>,
}

/// Finds out, and reports what is wrong.
pub fn wire(draft: &Draft<'_>, diagnostics: &mut Diagnostics) -> Wiring {
    names(draft, diagnostics);
    let producers = producers(draft);
    let mut resolve = |node: &Node| {
        let sides = inputs_of(node).into_iter().enumerate();
        sides.flat_map(|(side, from)| edges(from, side, &producers, draft, diagnostics)).collect()
    };
    let stage_inputs: Vec<Vec<Edge>> = draft.stages.iter().map(|stage| resolve(stage.node)).collect();
    let sink_inputs: Vec<Vec<Edge>> = draft.sinks.iter().map(|sink| resolve(sink.node)).collect();
    let order = order(draft, &stage_inputs, diagnostics);
    let wiring = Wiring { stage_inputs, sink_inputs, order };
    unread(draft, &wiring, diagnostics);
    wiring
}

fn names(draft: &Draft<'_>, diagnostics: &mut Diagnostics) {
    if let Some((name, span)) = draft.name.filter(|(name, _)| !name.is_empty() && !is_pipeline_name(name)) {
        let message = format!("`{}` can't be the name of a pipeline", shorten(name, 80));
        diagnostics.push(
            Diagnostic::error("name", message)
                .at(span)
                .allowed("lower-case letters, digits, `-` and `_`, at most 64, a letter or digit first"),
        );
    }
    let sources = draft.sources.iter().map(|source| ("source", source.name, source.name_span));
    let stages = draft.stages.iter().map(|stage| ("stage", stage.name, stage.name_span));
    let sinks = draft.sinks.iter().map(|sink| ("sink", sink.name, sink.name_span));
    for (kind, name, span) in sources.clone().chain(stages.clone()).chain(sinks) {
        if !is_name(name) {
            let message = format!("`{}` can't be the name of a {kind}", shorten(name, 80));
            let mended: String = name.to_lowercase().chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
            let allowed = "lower-case letters, digits and `_`, at most 64, a letter first";
            diagnostics
                .push(Diagnostic::error("name", message).at(span).allowed(allowed).suggest(Some(mended).filter(|name| is_name(name))));
        } else if name == "dead_letters" {
            let message = format!("`dead_letters` is reserved and can't be the name of a {kind}");
            diagnostics.push(Diagnostic::error("name", message).at(span));
        }
    }
    let mut seen: HashMap<&str, Span> = sources.map(|(_, name, span)| (name, span)).collect();
    for (_, name, span) in stages {
        if let Some(first) = seen.insert(name, span) {
            let message = format!("`{name}` is both a source and a stage");
            diagnostics.push(
                Diagnostic::error("name", message)
                    .at(span)
                    .related(first, "the source")
                    .help("`from` would not know which: give one of them another name"),
            );
        }
    }
}

fn producers<'t>(draft: &Draft<'t>) -> HashMap<&'t str, Producer> {
    let sources = draft.sources.iter().enumerate().map(|(index, source)| (source.name, Producer::Source(index)));
    let stages = draft.stages.iter().enumerate().map(|(index, stage)| (stage.name, Producer::Stage(index)));
    stages.chain(sources).collect()
}

/// Where a node names what it reads, by side.
fn inputs_of(node: &Node) -> Vec<&Node> {
    match node.get("join") {
        Some(join) => ["left", "right"].iter().filter_map(|side| join.get(side)).collect(),
        None => node.get("from").into_iter().collect(),
    }
}

fn edges(from: &Node, side: usize, producers: &HashMap<&str, Producer>, draft: &Draft<'_>, diagnostics: &mut Diagnostics) -> Vec<Edge> {
    let names = from.items().map_or_else(|| vec![from], |items| items.iter().collect());
    let mut edges: Vec<Edge> = Vec::new();
    for item in names {
        let Some(text) = item.text().filter(|text| !text.is_empty()) else { continue };
        if item.has_unknown() {
            continue;
        }
        let (name, port) = text.split_once('.').map_or((text, None), |(name, port)| (name, Some(port.to_owned())));
        let Some(&producer) = producers.get(name) else {
            diagnostics.push(unknown(name, item.span, producers, draft));
            continue;
        };
        if let (Producer::Source(_), Some(port)) = (producer, &port) {
            let message = format!("`{name}` is a source, which has no ports: `{}`", shorten(port, 40));
            diagnostics.push(Diagnostic::error("port", message).at(item.span).suggest(Some(name)));
            continue;
        }
        if let Some(first) = edges.iter().find(|edge| edge.producer == producer && edge.port == port) {
            let message = format!("`{}` is listed twice", shorten(text, 60));
            diagnostics.push(Diagnostic::error("input-twice", message).at(item.span).related(first.span, "first listed here"));
            continue;
        }
        edges.push(Edge { producer, port, side, span: item.span });
    }
    edges
}

fn unknown(name: &str, span: Span, producers: &HashMap<&str, Producer>, draft: &Draft<'_>) -> Diagnostic {
    let known: Vec<&str> = draft.sources.iter().map(|source| source.name).chain(draft.stages.iter().map(|stage| stage.name)).collect();
    let diagnostic = Diagnostic::error("unknown-input", format!("there is no source or stage `{}`", shorten(name, 60))).at(span);
    if draft.sinks.iter().any(|sink| sink.name == name) {
        return diagnostic.help(format!("`{name}` is a sink: nothing can be read from it"));
    }
    let diagnostic = if known.is_empty() { diagnostic } else { diagnostic.allowed(known.join(", ")) };
    diagnostic.suggest(nearest(name, producers.keys().copied().collect::<std::collections::BTreeSet<_>>()))
}

/// Sorts the stages; what is left over goes in circles.
fn order(draft: &Draft<'_>, inputs: &[Vec<Edge>], diagnostics: &mut Diagnostics) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut placed = vec![false; inputs.len()];
    let ready = |stage: usize, placed: &[bool]| {
        inputs[stage].iter().all(|edge| match edge.producer {
            Producer::Source(_) => true,
            Producer::Stage(other) => placed[other],
        })
    };
    while let Some(stage) = (0..inputs.len()).find(|&stage| !placed[stage] && ready(stage, &placed)) {
        placed[stage] = true;
        order.push(stage);
    }
    let mut reported = placed;
    while let Some(start) = reported.iter().position(|&reported| !reported) {
        let cycle = walk_back(start, inputs, &reported);
        cycle.iter().for_each(|&stage| reported[stage] = true);
        if let Some(diagnostic) = describe_cycle(draft, inputs, &cycle) {
            diagnostics.push(diagnostic);
        }
    }
    order
}

/// From a stage that waits forever, back along unplaced inputs until a stage is reached again: the
/// cycle, in the order of the flow. Empty if the stage only waits for a cycle that was already
/// reported.
fn walk_back(start: usize, inputs: &[Vec<Edge>], reported: &[bool]) -> Vec<usize> {
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let next = inputs[last].iter().find_map(|edge| match edge.producer {
            Producer::Stage(stage) if !reported[stage] => Some(stage),
            _ => None,
        });
        let Some(next) = next else { return path };
        if let Some(position) = path.iter().position(|&stage| stage == next) {
            let mut cycle = path.split_off(position);
            cycle.reverse();
            return cycle;
        }
        path.push(next);
    }
}

fn describe_cycle(draft: &Draft<'_>, inputs: &[Vec<Edge>], cycle: &[usize]) -> Option<Diagnostic> {
    let (&first, &last) = (cycle.first()?, cycle.last()?);
    // Not a cycle, only stages that wait for one.
    let closing = inputs[first].iter().find(|edge| edge.producer == Producer::Stage(last))?;
    let names: Vec<&str> = cycle.iter().chain([&first]).map(|&stage| draft.stages[stage].name).collect();
    let message = if cycle.len() == 1 {
        format!("the stage `{}` reads from itself", names[0])
    } else {
        format!("stages read from each other in a cycle: {}", names.join(" -> "))
    };
    Some(Diagnostic::error("cycle", message).at(closing.span))
}

/// Every source and stage has to be read by something, and a pipeline has to have both ends.
fn unread(draft: &Draft<'_>, wiring: &Wiring, diagnostics: &mut Diagnostics) {
    let mut readers = draft.stages.iter().map(|stage| stage.node).chain(draft.sinks.iter().map(|sink| sink.node));
    if readers.any(|node| inputs_of(node).into_iter().any(Node::has_unknown)) {
        return;
    }
    // A name that is misspelt by a letter elsewhere is not unused: the misspelling is reported.
    let meant: Vec<&str> = diagnostics
        .iter()
        .filter(|found| found.code == "unknown-input" || found.code == "port")
        .filter_map(|found| found.suggestion.as_deref())
        .collect();
    let meant: Vec<String> = meant.into_iter().map(str::to_owned).collect();
    let read: Vec<Producer> = wiring.stage_inputs.iter().chain(&wiring.sink_inputs).flatten().map(|edge| edge.producer).collect();
    let sources =
        draft.sources.iter().enumerate().map(|(index, source)| ("source", Producer::Source(index), source.name, source.name_span));
    let stages = draft.stages.iter().enumerate().map(|(index, stage)| ("stage", Producer::Stage(index), stage.name, stage.name_span));
    for (kind, _, name, span) in
        sources.chain(stages).filter(|(_, producer, name, _)| !read.contains(producer) && !meant.iter().any(|meant| meant == name))
    {
        let message = format!("nothing reads from the {kind} `{}`", shorten(name, 60));
        diagnostics.push(
            Diagnostic::error("unused", message).at(span).help(format!("name it in the `from` of a stage or sink, or remove the {kind}")),
        );
    }
}
