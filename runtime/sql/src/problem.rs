//! What is wrong with the text of an expression, and where in it.

use std::ops::Range;

/// The kind of a problem, which is its code in the findings of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is no SQL expression.
    Syntax,
    /// It names a column that is not there.
    Column,
    /// A function does not exist, is not offered, or does not take these arguments.
    Function,
    /// A part of it is SQL, but nothing that one row can be computed by.
    Unsupported,
    /// The types of its parts do not go together, or its own is none that a column may have.
    Type,
}

/// A problem of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProblem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, in one line.
    pub message: String,
    /// The characters of the text that are to blame; empty where that is the whole text.
    pub span: Range<usize>,
    /// What to do, one line per entry.
    pub help: Vec<String>,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

impl SqlProblem {
    pub(crate) fn new(kind: ProblemKind, message: impl Into<String>, span: Range<usize>) -> Self {
        Self { kind, message: message.into(), span, help: Vec::new(), suggestion: None }
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    #[must_use]
    pub(crate) fn suggest(mut self, suggestion: Option<&str>) -> Self {
        self.suggestion = suggestion.map(str::to_owned);
        self
    }
}

/// Foreign text in one line of a message: control characters escaped, and no longer than `max` characters.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    let escape = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    let mut short: String = text.chars().take(max).map(escape).collect();
    if text.chars().nth(max).is_some() {
        short.push('…');
    }
    short
}
