//! YAML text to a tree, with bounds, and with every mistake that does not end the parse reported.

use std::cell::OnceCell;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Entry, FileId, Node, Place, Scalar, SourceFiles, Span, Value};
use crate::diagnostics::{Diagnostic, Diagnostics};

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most nodes, aliases expanded: a few lines of aliases can expand to more nodes than memory
/// holds.
const MAX_NODES: usize = 100_000;

/// Reads the one document of a text. `None` means that there is no tree; the error was reported.
pub fn parse(files: &SourceFiles, file: FileId, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = files.text(file);
    let mut builder = Builder { file, open: Vec::new(), done: None, documents: 0, anchors: HashMap::new(), nodes: 0, diagnostics };
    let (mut parser, lines) = (Parser::new_from_str(&text), Lines::of(&text));
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, span_of(file, &lines, span)),
            Err(error) => {
                let place = place(*error.marker());
                let span = Span { file, start: place, end: Place { column: place.column + 1, ..place } };
                let diagnostic = Diagnostic::error("yaml", format!("not YAML: {}", error.info())).at(span);
                let line = files.line(file, place.line);
                let unquoted = line.contains('{') && line.contains("${") && !line.contains("\"${");
                Err(if unquoted { diagnostic.help("inside of `{ … }` and `[ … ]`, put `${…}` into quotes") } else { diagnostic })
            }
        };
        if let Err(diagnostic) = step {
            builder.diagnostics.push(diagnostic);
            return None;
        }
    }
    builder.done
}

struct Builder<'a> {
    file: FileId,
    open: Vec<Open>,
    done: Option<Node>,
    documents: usize,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    diagnostics: &'a mut Diagnostics,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    start: Span,
    nodes_before: usize,
    value: OpenValue,
}

enum OpenValue {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Span)>, merges: Vec<Node> },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::error("yaml", "a second document begins here").at(span).help("write one pipeline per file"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = plain(style, tag.as_deref(), span)?;
                let before = self.nodes;
                let scalar = Scalar::new(text, plain);
                self.add(Node { span, value: Value::Scalar(scalar) }, anchor, before)?;
            }
            Event::SequenceStart(anchor, tag) => self.begin(span, anchor, tag.as_deref(), OpenValue::List(Vec::new()))?,
            Event::MappingStart(anchor, tag) => {
                let value = OpenValue::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.begin(span, anchor, tag.as_deref(), value)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Diagnostic::error("yaml", "this alias is inside of its own anchor").at(span));
                };
                let before = self.nodes;
                self.nodes += nodes.saturating_sub(1);
                self.add(node, 0, before)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, start: Span, anchor: usize, tag: Option<&Tag>, value: OpenValue) -> Result<(), Diagnostic> {
        let fits = match value {
            OpenValue::List(_) => "seq",
            OpenValue::Map { .. } => "map",
        };
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == fits)) {
            return Err(unknown_tag(tag, start));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Diagnostic::error("too-large", format!("nested more than {MAX_DEPTH} levels deep")).at(start));
        }
        self.open.push(Open { anchor, start, nodes_before: self.nodes, value });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, last) = match open.value {
            OpenValue::List(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::List(items), last)
            }
            OpenValue::Map { entries, merges, .. } => {
                let last = entries.last().map(|entry| entry.node.span.end.max(entry.key_span.end));
                (Value::Map(merged(entries, merges)?), last)
            }
        };
        // A block collection ends where the next node begins; a flow collection ends at its
        // bracket.
        let flow = end.start != end.end;
        let end = if flow { end.end } else { last.unwrap_or(open.start.end) };
        let span = Span { file: self.file, start: open.start.start, end: end.max(open.start.start) };
        self.add(Node { span, value }, open.anchor, open.nodes_before)
    }

    /// Adds a finished node to its parent. `before` is how many nodes there were before it began.
    fn add(&mut self, node: Node, anchor: usize, before: usize) -> Result<(), Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::error("too-large", format!("more than {MAX_NODES} values")).at(node.span));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        match self.open.last_mut().map(|open| &mut open.value) {
            None => self.done = Some(node),
            Some(OpenValue::List(items)) => items.push(node),
            Some(OpenValue::Map { entries, key, merges }) => match key.take() {
                None => *key = Some(key_of(node)?),
                Some((name, _)) if name == "<<" => merges.push(node),
                Some((name, key_span)) => match entries.iter().find(|entry| entry.key == name) {
                    Some(first) => self.diagnostics.push(
                        Diagnostic::error("duplicate-key", format!("`{name}` is given twice"))
                            .at(key_span)
                            .related(first.key_span, "first given here"),
                    ),
                    None => entries.push(Entry { key: name, key_span, node }),
                },
            },
        }
        Ok(())
    }
}

/// Adds the entries of `<<: *anchor` that the map itself does not have.
fn merged(mut entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, Diagnostic> {
    let mut queue: std::collections::VecDeque<Node> = merges.into();
    while let Some(node) = queue.pop_front() {
        match node.value {
            Value::List(items) => items.into_iter().rev().for_each(|item| queue.push_front(item)),
            Value::Map(more) => {
                for entry in more {
                    if !entries.iter().any(|known| known.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Value::Scalar(_) => return Err(Diagnostic::error("yaml", "`<<` takes a map, or a list of maps").at(node.span)),
        }
    }
    Ok(entries)
}

fn key_of(node: Node) -> Result<(String, Span), Diagnostic> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar.text, node.span)),
        _ => Err(Diagnostic::error("yaml", "a key has to be text").at(node.span)),
    }
}

/// Whether a scalar's text decides what it means.
fn plain(style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<bool, Diagnostic> {
    match tag {
        None => Ok(style == ScalarStyle::Plain),
        Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
            "str" => Ok(false),
            "int" | "float" | "bool" | "null" => Ok(true),
            _ => Err(unknown_tag(tag, span)),
        },
        Some(tag) => Err(unknown_tag(tag, span)),
    }
}

fn unknown_tag(tag: &Tag, span: Span) -> Diagnostic {
    let message = format!("the tag `{tag}` has no meaning in a pipeline");
    Diagnostic::error("yaml", message).at(span).allowed("no tag, !!str, !!int, !!float, !!bool, !!null, !!seq, !!map")
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The lines of a text, each with the bytes at which its characters begin. Found once: every event
/// needs a place.
struct Lines<'a>(Vec<(&'a str, OnceCell<Vec<usize>>)>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.lines().map(|line| (line, OnceCell::new())).collect())
    }

    /// The column behind the last character before `column` that is not blank, both from 1.
    fn trimmed(&self, line: usize, column: usize) -> usize {
        let Some((line, starts)) = self.0.get(line - 1) else { return 1 };
        let starts = starts.get_or_init(|| line.char_indices().map(|(at, _)| at).collect());
        let count = (column - 1).min(starts.len());
        let before = starts.get(count).map_or(*line, |end| &line[..*end]);
        let blanks = before[before.trim_end().len()..].chars().count();
        count - blanks + 1
    }
}

/// A span without the blanks and line ends that the parser counts to a scalar's end.
fn span_of(file: FileId, lines: &Lines<'_>, span: saphyr_parser::Span) -> Span {
    let (start, mut end) = (place(span.start), place(span.end));
    if end.line > start.line && end.column == 1 {
        end = Place { line: end.line - 1, column: usize::MAX };
    }
    if end > start {
        end.column = lines.trimmed(end.line, end.column);
    }
    Span { file, start, end: end.max(start) }
}
