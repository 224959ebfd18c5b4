//! The two ways to refuse: a refusal of the whole, and the reject of one row.

use std::fmt;

/// A refusal: the plugin works but can't continue with its configuration or its input.
///
/// From `plan` it is a configuration error of the pipeline, reported to its author. From `process`
/// it counts as a fault of the plugin: a bad row is a [`Reject`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    message: String,
    config_path: Option<String>,
    column: Option<String>,
}

impl Refusal {
    /// A refusal; `message` has what is wrong and what to do about it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), config_path: None, column: None }
    }

    /// Blames a part of the configuration, as a JSON Pointer (RFC 6901): `/null_descriptions/0`.
    #[must_use]
    pub fn at_config(mut self, pointer: impl Into<String>) -> Self {
        self.config_path = Some(pointer.into());
        self
    }

    /// Blames a column of the input.
    #[must_use]
    pub fn at_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The part of the configuration to blame.
    pub fn config_path(&self) -> Option<&str> {
        self.config_path.as_deref()
    }

    /// The column of the input to blame.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Why one row is rejected. It goes to the pipeline's dead letters with the bytes that it had in
/// its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub(crate) code: String,
    pub(crate) column: Option<String>,
    pub(crate) message: String,
}

impl Reject {
    /// A reject: `code` for programs, in kebab case (`bad-number`), `message` for readers.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), column: None, message: message.into() }
    }

    /// Blames a column of the input.
    #[must_use]
    pub fn at_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// The reason for programs.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The column to blame.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The reason, for readers.
    pub fn message(&self) -> &str {
        &self.message
    }
}
