//! Findings for people, in the shape that compilers have made familiar.

use std::fmt::Write;

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

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

/// The longest stretch of a line that is shown.
const WIDTH: usize = 140;

/// Writes all findings, one after another.
pub fn render(diagnostics: &Diagnostics, files: &SourceFiles, redactor: &Redactor, style: Style) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        Report { files, redactor, style, out: &mut out }.diagnostic(diagnostic);
        out.push('\n');
    }
    out
}

struct Report<'a> {
    files: &'a SourceFiles,
    redactor: &'a Redactor,
    style: Style,
    out: &'a mut String,
}

impl Report<'_> {
    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let (word, colour) = match diagnostic.level {
            Level::Error => ("error", RED),
            Level::Warning => ("warning", YELLOW),
            Level::Note => ("note", BLUE),
        };
        let head = self.style.paint(colour, &format!("{word}[{}]", diagnostic.code));
        let message = self.style.paint(BOLD, &format!(": {}", self.clean(&diagnostic.message)));
        self.line(&format!("{head}{message}"));
        let spans = diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span));
        let margin = spans.map(|span| span.start.line.to_string().len()).max().unwrap_or(1);
        if let Some(span) = diagnostic.span {
            self.excerpt("-->", span, margin, colour, "");
        }
        for (span, why) in &diagnostic.related {
            let why = self.clean(why);
            self.excerpt(":::", *span, margin, BLUE, &why);
        }
        if let Some(allowed) = &diagnostic.allowed {
            self.note(margin, "allowed", allowed);
        }
        if let Some(suggestion) = &diagnostic.suggestion {
            self.note(margin, "help", &format!("did you mean `{suggestion}`?"));
        }
        for help in &diagnostic.help {
            self.note(margin, "help", help);
        }
    }

    fn excerpt(&mut self, arrow: &str, span: Span, margin: usize, colour: &str, why: &str) {
        let style = self.style;
        let blue = |text: &str| style.paint(BLUE, text);
        let pad = " ".repeat(margin);
        let place = format!("{}:{}:{}", self.files.name(span.file), span.start.line, span.start.column);
        self.line(&format!("{pad}{} {place}", blue(arrow)));
        let line = self.files.line(span.file, span.start.line);
        if line.trim().is_empty() && why.is_empty() {
            return;
        }
        let length = line.chars().count();
        let end = if span.end.line == span.start.line { span.end.column } else { length + 1 };
        let end = end.max(span.start.column + 1);
        let skip = if end > WIDTH { span.start.column.saturating_sub(WIDTH / 4) } else { 0 };
        // One for one, so that the marks below stay in their place.
        let visible = |character: char| if is_harmful(character) { char::REPLACEMENT_CHARACTER } else { character };
        let mut shown: String = line.chars().skip(skip).take(WIDTH).map(visible).collect();
        if skip + WIDTH < length {
            shown.push('…');
        }
        let start = span.start.column - 1 - skip.min(span.start.column - 1);
        let marks = (end - span.start.column).min(WIDTH.saturating_sub(start)).max(1);
        let lead = if skip > 0 { "…" } else { "" };
        let indent = " ".repeat(start + lead.chars().count());
        let marks = style.paint(colour, "^".repeat(marks).as_str());
        let why = if why.is_empty() { String::new() } else { format!(" {why}") };
        let bar = blue("|");
        self.line(&format!("{pad} {bar}"));
        self.line(&format!("{} {bar} {lead}{shown}", blue(&format!("{:>margin$}", span.start.line))));
        self.line(&format!("{pad} {bar} {indent}{marks}{why}"));
    }

    fn note(&mut self, margin: usize, title: &str, text: &str) {
        let text = self.clean(text);
        let pad = " ".repeat(margin + 1);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let title_bold = self.style.paint(BOLD, title);
        self.line(&format!("{pad}{} {title_bold}: {first}", self.style.paint(BLUE, "=")));
        let indent = " ".repeat(margin + title.len() + 5);
        lines.for_each(|line| self.line(&format!("{indent}{line}")));
    }

    /// A text without secrets and without what steers a terminal.
    fn clean(&self, text: &str) -> String {
        harmless(&self.redactor.clean(text)).into_owned()
    }

    fn line(&mut self, text: &str) {
        // Writing to a String can't fail.
        let _ = writeln!(self.out, "{}", text.trim_end());
    }
}
