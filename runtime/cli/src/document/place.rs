//! Where something was written: files (or arguments), and spans in them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A text that spans point into, by its index in [`SourceFiles`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A place between two characters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// Before its first character.
    pub start: Place,
    /// After its last character.
    pub end: Place,
}

impl Span {
    /// A part of a span that lies on one line: `length` characters, `offset` characters after its start.
    #[must_use]
    pub fn part(self, offset: usize, length: usize) -> Self {
        if self.start.line != self.end.line {
            return self;
        }
        let column = (self.start.column + offset).min(self.end.column);
        let end = (column + length).min(self.end.column);
        Self { start: Place { column, ..self.start }, end: Place { column: end, ..self.end }, ..self }
    }
}

/// The texts that spans point into.
#[derive(Debug, Clone, Default)]
pub struct SourceFiles {
    files: Vec<SourceFile>,
}

#[derive(Debug, Clone)]
struct SourceFile {
    name: String,
    text: Arc<str>,
    /// Columns that must not be shown, by line.
    masked: BTreeMap<usize, Vec<(usize, usize)>>,
}

impl SourceFiles {
    /// Adds a text; `name` is its name in messages.
    pub fn add(&mut self, name: impl Into<String>, text: &str) -> FileId {
        self.files.push(SourceFile { name: name.into(), text: text.into(), masked: BTreeMap::new() });
        FileId(self.files.len() - 1)
    }

    /// The name of a text in messages.
    pub fn name(&self, file: FileId) -> &str {
        self.files.get(file.0).map_or("", |file| &file.name)
    }

    /// The text itself, unmasked.
    pub fn text(&self, file: FileId) -> Arc<str> {
        self.files.get(file.0).map_or_else(|| Arc::from(""), |file| Arc::clone(&file.text))
    }

    /// Hides the content of a span from every excerpt: a secret in plain text must not be copied to
    /// a log.
    pub fn mask(&mut self, span: Span) {
        let Some(file) = self.files.get_mut(span.file.0) else { return };
        for line in span.start.line..=span.end.line {
            let from = if line == span.start.line { span.start.column } else { 1 };
            let to = if line == span.end.line { span.end.column } else { usize::MAX };
            file.masked.entry(line).or_default().push((from, to));
        }
    }

    /// A line, counted from 1, made safe to display: one character per column, control characters
    /// and masked parts replaced.
    pub fn line(&self, file: FileId, line: usize) -> String {
        let Some(file) = self.files.get(file.0) else { return String::new() };
        let Some(text) = line.checked_sub(1).and_then(|index| file.text.lines().nth(index)) else { return String::new() };
        let masked = file.masked.get(&line).map_or(&[][..], Vec::as_slice);
        let hidden = |column: usize| masked.iter().any(|&(from, to)| from <= column && column < to);
        let shown = |(index, char): (usize, char)| match char {
            _ if hidden(index + 1) => '*',
            '\t' => ' ',
            char if char.is_control() => '\u{fffd}',
            char => char,
        };
        text.chars().enumerate().map(shown).collect()
    }
}
