//! Where each character of a text in the file was written: quotes and escapes stand between.

use std::ops::Range;

use super::{FileId, Node, Place, SourceFiles, Span};

/// The places of the characters of a scalar.
#[derive(Debug, Clone)]
pub struct Characters {
    /// Of the whole.
    whole: Span,
    /// Before each character, and behind the last one; nothing where that is not known.
    places: Vec<Place>,
}

impl Characters {
    /// Those of a node. They are not known of what was filled in, nor of texts that go over several lines.
    pub fn of(node: &Node, files: &SourceFiles) -> Self {
        let span = node.span;
        let text = node.scalar().filter(|scalar| !scalar.interpolated).map(|scalar| scalar.text.as_str());
        let is_one_line = span.start.line == span.end.line;
        let columns = text.filter(|_| is_one_line).and_then(|text| columns(&written(files, span.file, span), text));
        let place = |column: usize| Place { line: span.start.line, column: span.start.column + column };
        Self { whole: span, places: columns.unwrap_or_default().into_iter().map(place).collect() }
    }

    /// The place of some characters of the text; that of the whole where they are none, or it is not known where they are.
    pub fn span(&self, characters: Range<usize>) -> Span {
        match (self.places.get(characters.start), self.places.get(characters.end)) {
            (Some(&start), Some(&end)) if !characters.is_empty() => Span { start, end, ..self.whole },
            _ => self.whole,
        }
    }
}

/// What stands in the file.
fn written(files: &SourceFiles, file: FileId, span: Span) -> Vec<char> {
    let text = files.text(file);
    let line = text.lines().nth(span.start.line.saturating_sub(1)).unwrap_or_default();
    line.chars().skip(span.start.column - 1).take(span.end.column.saturating_sub(span.start.column)).collect()
}

/// For each character of a text, and for its end, how many characters of what is written stand before it. `None` where what is written is
/// another text, or has escapes that stand for characters by number.
fn columns(written: &[char], text: &str) -> Option<Vec<usize>> {
    let quote = written.first().copied().filter(|first| ['"', '\''].contains(first));
    let (from, to) = match quote {
        Some(_) if written.len() >= 2 => (1, written.len() - 1),
        Some(_) => return None,
        None => (0, written.len()),
    };
    let mut columns = Vec::new();
    let mut at = from;
    for char in text.chars() {
        columns.push(at);
        at += match (quote, written.get(at)?) {
            (Some('"'), '\\') => {
                let escaped = *written.get(at + 1)?;
                let meant = match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                };
                (meant == char).then_some(2)?
            }
            (Some('\''), '\'') => (char == '\'').then_some(2)?,
            (_, found) => (*found == char).then_some(1)?,
        };
    }
    columns.push(at);
    (at == to).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(written: &str, text: &str) -> Option<Vec<usize>> {
        columns(&written.chars().collect::<Vec<_>>(), text)
    }

    #[test]
    fn characters_are_found_behind_quotes_and_escapes() {
        assert_eq!(found("a é", "a é"), Some(vec![0, 1, 2, 3]));
        assert_eq!(found("\"a\"", "a"), Some(vec![1, 2]));
        assert_eq!(found(r#""\"a\" b""#, "\"a\" b"), Some(vec![1, 3, 4, 6, 7, 8]));
        assert_eq!(found("'it''s'", "it's"), Some(vec![1, 2, 3, 5, 6]));
        assert_eq!(found(r#""\u0041b""#, "Ab"), None, "an escape by number");
        assert_eq!(found("other", "a"), None);
    }
}
