//! The one error type that crosses the engine's traits. It holds a class, which decides the exit
//! status, and what the reader needs to act.

use std::any::Any;
use std::fmt;

/// Who has to act. Each class has its own exit status in the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The pipeline file or the command line is wrong.
    Configuration,
    /// A plugin works and refuses its configuration or its input.
    PluginRefusal,
    /// A plugin crashed, exceeded a limit or returned invalid output.
    PluginFault,
    /// The environment failed: a file, a disk, a server or a permission.
    Environment,
    /// A source or a stage rejected a larger share of its rows than the pipeline allows.
    TooManyRejects,
    /// Wasmill itself is wrong.
    Bug,
}

/// A named kind of error, and what `wasmill explain` prints about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name, stable across versions: `kafka/no-topics`. Codes of a connector begin with its
    /// name, the others with their subject: `state/in-use`.
    pub name: &'static str,
    /// How it comes about.
    pub cause: &'static str,
    /// What to do about it.
    pub cure: &'static str,
}

/// Declares kinds of errors: a constant each, and `CODES`, which lists them. They are listed by name.
///
/// ```
/// wasmill_error::codes! {
///     NO_TOPICS = "kafka/no-topics", "Nothing says which topics to read.", "Add `topics` or `pattern`.";
/// }
/// assert_eq!(CODES, [NO_TOPICS]);
/// ```
#[macro_export]
macro_rules! codes {
    ($($constant:ident = $name:literal, $cause:literal, $cure:literal;)*) => {
        $(
            #[doc = $cause]
            pub const $constant: &$crate::Code = &$crate::Code { name: $name, cause: $cause, cure: $cure };
        )*
        /// All of them.
        pub const CODES: &[&$crate::Code] = &[$($constant),*];
    };
}

/// What went wrong, where, and what to do about it.
///
/// `Display` writes one line, without the details and the hint. Messages must not hold secrets.
#[derive(Debug)]
pub struct Error {
    class: Class,
    code: Option<&'static Code>,
    message: String,
    /// The path of the key in the pipeline file that is to blame, below the configuration of its connector.
    key: Vec<String>,
    /// From the innermost place outwards.
    places: Vec<String>,
    details: Vec<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result whose error is the engine's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
            key: Vec::new(),
            places: Vec::new(),
            details: Vec::new(),
            hint: None,
            source: None,
        }
    }

    /// The pipeline file or the command line is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Class::Configuration, message)
    }

    /// The environment failed: a file, a disk, a server.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Class::Environment, message)
    }

    /// An input or output operation failed; `what` names it and its object (`"open data/pin.jsonl"`). An error of this type that passed through
    /// a trait of `std::io` comes out as it was.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(passed_through) => passed_through,
            Err(error) => Self::environment(format!("cannot {what}: {error}")).caused_by(error),
        }
    }

    /// Wasmill itself is wrong.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Class::Bug, message)
    }

    /// Names the kind of error.
    #[must_use]
    pub fn code(mut self, code: &'static Code) -> Self {
        self.code = Some(code);
        self
    }

    /// Names the kind of error where it has no name yet, as that of an error which [passed through](Self::io) `std::io` has.
    #[must_use]
    pub fn or_code(mut self, code: &'static Code) -> Self {
        self.code.get_or_insert(code);
        self
    }

    /// Blames a key of the pipeline file, by its path below the configuration of the connector: `["client", "auto.offset.reset"]`.
    #[must_use]
    pub fn key<K: Into<String>>(mut self, path: impl IntoIterator<Item = K>) -> Self {
        self.key = path.into_iter().map(Into::into).collect();
        self
    }

    /// Puts the blamed key below another one, or blames that one where none is blamed yet.
    #[must_use]
    pub fn below(mut self, key: impl Into<String>) -> Self {
        self.key.insert(0, key.into());
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a line of evidence: a record, a difference, a figure. A detail may have several lines.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Adds the next place outwards: `"stage clean_pins"`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.places.push(place.into());
        self
    }

    /// Keeps the error underneath for logs.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Who has to act.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The kind of error, where it has a name.
    pub fn kind(&self) -> Option<&'static Code> {
        self.code
    }

    /// The path of the key that is to blame; empty where none is.
    pub fn key_path(&self) -> &[String] {
        &self.key
    }

    /// What is wrong, without where.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where that is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The evidence, in the order in which it was added.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Where it happened, from the outermost place inwards.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.places.iter().rev().map(String::as_str)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.places() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_places_from_the_outside_in() {
        let error = Error::environment("disk full").at("sink pin_table").at("epoch 7");
        assert_eq!(error.to_string(), "epoch 7: sink pin_table: disk full");
    }

    #[test]
    fn an_error_that_passed_through_keeps_its_code() {
        codes! {
            INNER = "test/inner", "It is inside.", "Look inside.";
            OUTER = "test/outer", "It is outside.", "Look outside.";
        }
        let inner = std::io::Error::other(Error::environment("damaged").code(INNER));
        assert_eq!(Error::io("read it", inner).or_code(OUTER).kind(), Some(INNER));
        assert_eq!(Error::io("read it", std::io::Error::other("disk")).or_code(OUTER).kind(), Some(OUTER));
        assert_eq!(CODES, [INNER, OUTER]);
    }
}
