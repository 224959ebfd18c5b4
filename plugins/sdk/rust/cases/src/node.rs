//! A value of a case file with its line, so that a mistake can be located.

use serde_json::{Map, Value};

/// A value as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its line in the file, from 1.
    pub line: usize,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A member of a map.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub line: usize,
    pub node: Node,
}

/// What is wrong with a case file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub line: usize,
    pub message: String,
}

impl Mistake {
    pub fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl Node {
    /// All of `value` as if it were on one line.
    pub fn of_json(line: usize, value: Value) -> Self {
        let content = match value {
            Value::Array(items) => Content::List(items.into_iter().map(|item| Self::of_json(line, item)).collect()),
            Value::Object(members) => {
                Content::Map(members.into_iter().map(|(key, value)| Entry { key, line, node: Self::of_json(line, value) }).collect())
            }
            scalar => Content::Scalar(scalar),
        };
        Self { line, content }
    }

    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Map(entries) => Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()),
        }
    }

    pub fn text(&self, what: &str) -> Result<String, Mistake> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Ok(text.clone()),
            _ => Err(Mistake::new(self.line, format!("{what} has to be a text, and is {}", self.describe()))),
        }
    }

    pub fn list(&self, what: &str) -> Result<&[Self], Mistake> {
        match &self.content {
            Content::List(items) => Ok(items),
            _ => Err(Mistake::new(self.line, format!("{what} has to be a list, and is {}", self.describe()))),
        }
    }

    pub fn map(&self, what: &str) -> Result<&[Entry], Mistake> {
        match &self.content {
            Content::Map(entries) => Ok(entries),
            _ => Err(Mistake::new(self.line, format!("{what} has to be a map, and is {}", self.describe()))),
        }
    }

    /// The rows of a table: a list of maps.
    pub fn rows(&self, what: &str) -> Result<Vec<Map<String, Value>>, Mistake> {
        let row = |node: &Self| {
            let entries = node.map(&format!("a row of {what}"))?;
            Ok(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
        };
        self.list(what)?.iter().map(row).collect()
    }

    fn describe(&self) -> String {
        match &self.content {
            Content::Scalar(Value::Null) => "nothing".to_owned(),
            Content::Scalar(value) => format!("`{value}`"),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }
}
