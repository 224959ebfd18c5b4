//! Findings for readers, in the familiar format of compilers.

use annotate_snippets::{AnnotationKind, Element, Group, Level as Severity, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Level};
use crate::document::{Redactor, SourceFiles, Span};
use crate::terminal::{harmless, is_harmful};

/// Whether colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With terminal colours.
    Coloured,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub fn of(stream: &impl std::io::IsTerminal) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stream.is_terminal() && !no_color { Self::Coloured } else { Self::Plain }
    }
}

/// An excerpt takes at most this many columns.
const WIDTH: usize = 140;

/// In a line that is longer than an excerpt, at most this many characters are marked: the renderer
/// never truncates the marked part.
const MARKED: usize = 100;

/// Writes all findings, one after another.
pub fn render(diagnostics: &Diagnostics, files: &SourceFiles, redactor: &Redactor, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let renderer = renderer.term_width(WIDTH);
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        let report = [Finding { files, redactor }.report(diagnostic)];
        for line in renderer.render(&report).lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

struct Finding<'a> {
    files: &'a SourceFiles,
    redactor: &'a Redactor,
}

impl<'a> Finding<'a> {
    fn report(&self, diagnostic: &Diagnostic) -> Group<'a> {
        let severity = match diagnostic.level {
            Level::Error => Severity::ERROR,
            Level::Warning => Severity::WARNING,
            Level::Note => Severity::NOTE,
        };
        let title = severity.primary_title(self.clean(&diagnostic.message)).id(diagnostic.code);
        let place = diagnostic.span.map(|span| self.place(span, AnnotationKind::Primary, None));
        let related = diagnostic.related.iter().map(|(span, why)| self.place(*span, AnnotationKind::Context, Some(self.clean(why))));
        let note = |severity: Severity<'a>, text: &str| Element::from(severity.message(self.clean(text)));
        let allowed = diagnostic.allowed.iter().map(|allowed| note(Severity::NOTE.with_name("allowed"), allowed));
        let suggestion = diagnostic.suggestion.iter().map(|near| note(Severity::HELP, &format!("did you mean `{near}`?")));
        let help = diagnostic.help.iter().map(|help| note(Severity::HELP, help));
        Group::with_title(title).elements(place.into_iter().chain(related).chain(allowed).chain(suggestion).chain(help))
    }

    /// A place with its line, where there is something to display. Of a span of many lines, the
    /// first one.
    fn place(&self, span: Span, kind: AnnotationKind, label: Option<String>) -> Element<'a> {
        let name = harmless(self.files.name(span.file));
        let line = self.files.line(span.file, span.start.line);
        if line.trim().is_empty() && label.is_none() {
            return Origin::path(name).line(span.start.line).char_column(span.start.column).into();
        }
        let length = line.chars().count();
        let start = (span.start.column - 1).min(length);
        let end = if span.end.line == span.start.line { span.end.column.saturating_sub(1) } else { length };
        let end = end.min(if length > WIDTH { start + MARKED } else { length }).clamp(start, length);
        let shown: Vec<char> = line.chars().enumerate().map(|(index, character)| visible(index, character, start, end)).collect();
        let bytes = |characters: &[char]| characters.iter().map(|character| character.len_utf8()).sum::<usize>();
        let annotation = kind.span(bytes(&shown[..start])..bytes(&shown[..end])).label(label);
        Snippet::source(shown.into_iter().collect::<String>()).path(name).line_start(span.start.line).annotation(annotation).into()
    }

    /// A text without secrets and without what steers a terminal.
    fn clean(&self, text: &str) -> String {
        harmless(&self.redactor.clean(text)).into_owned()
    }
}

/// The displayed characters of a line in which those from `start` to `end` are marked: one for one,
/// so that columns stay as they are.
///
/// The renderer cuts lines by columns. Characters without width take none, so what is out of reach of the mark is replaced before.
fn visible(index: usize, character: char, start: usize, end: usize) -> char {
    match character {
        _ if index + WIDTH < start || index > end + WIDTH => '…',
        character if is_harmful(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Place;

    /// The rendered finding on the characters of a line from one column up to another.
    fn rendered(line: &str, from: usize, to: usize) -> String {
        let mut files = SourceFiles::default();
        let file = files.add("pins.yaml", &format!("name: pins\n{line}\n"));
        let place = |column| Place { line: 2, column };
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(Diagnostic::error("yaml", "an odd \u{1b}[2J one").at(Span { file, start: place(from), end: place(to) }));
        render(&diagnostics, &files, &Redactor::default(), Style::Plain)
    }

    fn excerpt(rendered: &str) -> (&str, &str) {
        let mut lines = rendered.lines().skip_while(|line| !line.starts_with("2 |"));
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
    }

    #[test]
    fn marks_stand_under_wide_characters() {
        let rendered = rendered("日本: étage", 5, 10);
        assert_eq!(rendered, "error[yaml]: an odd \\u001b[2J one\n --> pins.yaml:2:5\n  |\n2 | 日本: étage\n  |       ^^^^^\n\n");
    }

    #[test]
    fn of_a_long_line_only_what_is_around_the_mark_is_shown() {
        for (from, to) in [(1, 2), (1, 100_000), (60_000, 60_004), (60_000, 99_000), (99_990, 100_001)] {
            for character in ['x', '日', '\u{301}', '\u{200b}', '\u{202e}'] {
                let rendered = rendered(&String::from(character).repeat(100_000), from, to);
                assert!(rendered.contains(&format!("pins.yaml:2:{from}\n")), "{rendered}");
                let longest = rendered.lines().map(|line| line.chars().count()).max().unwrap_or_default();
                assert!(longest < 4 * WIDTH, "{character:?} from {from} to {to}: {longest}");
            }
        }
        let line = format!("{}wrong{}", "a".repeat(500), "b".repeat(500));
        let rendered = rendered(&line, 501, 506);
        let (line, marks) = excerpt(&rendered);
        assert_eq!(line.find("wrong"), marks.find("^^^^^"), "{rendered}");
        assert!(line.starts_with("2 | ...a") && line.ends_with("b..."), "{rendered}");
    }

    #[test]
    fn nothing_of_a_line_steers_the_terminal() {
        let rendered = rendered("a: \u{1b}]0;x\u{7}\u{9b}2J\u{202e}b\u{2066}", 1, 2);
        assert_eq!(excerpt(&rendered).0, "2 | a: �]0;x��2J�b�");
    }

    #[test]
    fn a_mark_may_end_behind_its_line() {
        assert_eq!(excerpt(&rendered("abc", 2, 900)).1, "  |  ^^");
        assert_eq!(excerpt(&rendered("abc", 4, 4)).1, "  |    ^");
        assert_eq!(excerpt(&rendered("abc", 900, 901)).1, "  |    ^");
    }
}
