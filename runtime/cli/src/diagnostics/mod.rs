//! What is wrong with a pipeline, where, and what to do about it.

mod codes;
mod human;
mod json;
mod suggest;

pub use codes::all as codes;
pub use human::{Style, render};
pub use json::to_json;
pub use suggest::nearest;
use wasmill_engine::Class;

use crate::document::Span;

/// The code of notes about what was not checked, whose messages begin with [`NOT_CHECKED_WORDS`].
const NOT_CHECKED: &str = "not-checked";
const NOT_CHECKED_WORDS: &str = "not checked: ";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The pipeline can't run.
    Error,
    /// It can, but hardly as it was meant.
    Warning,
    /// It can; this is only good to know.
    Note,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The kind of finding, in kebab case, for programs.
    pub code: &'static str,
    /// Who has to act: it decides the exit status.
    pub class: Class,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// Other relevant places, each with the reason.
    pub related: Vec<(Span, String)>,
    /// The valid values.
    pub allowed: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error of class configuration.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            code,
            class: Class::Configuration,
            message: message.into(),
            span: None,
            related: Vec::new(),
            allowed: None,
            suggestion: None,
            help: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, message) }
    }

    /// Additional information. Only `wasmill check` prints it.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::error(code, message) }
    }

    /// Something that was not checked, in words that follow a colon.
    pub fn not_checked(what: impl std::fmt::Display) -> Self {
        Diagnostic::note("not-checked", format!("{NOT_CHECKED_WORDS}{what}"))
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Sets the class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Adds another relevant place.
    #[must_use]
    pub fn related(mut self, span: Span, why: impl Into<String>) -> Self {
        self.related.push((span, why.into()));
        self
    }

    /// Sets the valid values.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Sets the suggested value.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    /// Sets what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// Findings, in the order of their creation.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// All of them, in the order of their creation.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }

    /// All of them, to be taken over.
    pub fn take_all(self) -> impl Iterator<Item = Diagnostic> {
        self.found.into_iter()
    }

    /// Leaves out what is less bad.
    pub fn keep(&mut self, level: Level) {
        self.found.retain(|diagnostic| diagnostic.level <= level);
    }

    /// How many there are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.found.iter().filter(|diagnostic| diagnostic.level == level).count()
    }

    /// What was not checked.
    pub fn not_checked(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter().filter(|diagnostic| diagnostic.code == NOT_CHECKED)
    }

    /// Whether the pipeline can't run.
    pub fn has_errors(&self) -> bool {
        self.count(Level::Error) > 0
    }

    /// The class of all findings: configuration before everything else, because the rest may follow
    /// from it.
    pub fn class(&self) -> Option<Class> {
        let errors = self.found.iter().filter(|diagnostic| diagnostic.level == Level::Error);
        errors.map(|diagnostic| diagnostic.class).min_by_key(|&class| crate::exit::status(class))
    }

    /// In the order of the text, without repetitions.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|diagnostic| (diagnostic.span.map(|span| (span.file, span.start)), diagnostic.level));
        self.found.dedup_by(|a, b| a.span == b.span && a.code == b.code && a.message == b.message);
    }
}

/// Foreign text in one line of a message: control characters escaped, and no longer than `max` characters.
pub fn shorten(text: &str, max: usize) -> String {
    let escape = |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    let mut short: String = text.chars().take(max).map(escape).collect();
    if text.chars().nth(max).is_some() {
        short.push('…');
    }
    short
}
