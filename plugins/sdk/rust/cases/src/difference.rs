//! Where an answer differs from what a case expects.

use serde::Serialize;

/// One difference: a row, a reject, a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where: `port out, row 2 (from input row 3)`.
    pub place: String,
    /// What was expected and what was found there, line by line.
    pub lines: Vec<Line>,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The case expects it, and it was not found.
    Expected(String),
    /// It was found, and the case does not expect it.
    Found(String),
    /// What explains the difference.
    Note(String),
}

impl Difference {
    pub(crate) fn new(place: impl Into<String>, lines: Vec<Line>) -> Self {
        Self { place: place.into(), lines }
    }

    pub(crate) fn note(place: impl Into<String>, note: impl Into<String>) -> Self {
        Self::new(place, vec![Line::Note(note.into())])
    }
}
