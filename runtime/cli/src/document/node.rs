//! The nodes of the tree.

use super::{Kind, Scalar, Span};

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where: of a map or a list, from its first entry to its last.
    pub span: Span,
    /// What.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name, in the order in which they were written; names are unique.
    Map(Vec<Entry>),
}

/// A value of a map.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name was written.
    pub key_span: Span,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// A map without entries.
    pub fn empty_map(span: Span) -> Self {
        Self { span, value: Value::Map(Vec::new()) }
    }

    /// Its entries, if it is a map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Its values, if it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The scalar that it is, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Its text, if it may be read as text.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| scalar.is_text()).map(|scalar| scalar.text.as_str())
    }

    /// The entry of that name. An entry whose value is null counts as absent.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key).filter(|entry| !entry.node.is_null())
    }

    /// The value of that name, unless it is null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind() == Kind::Null && !scalar.interpolated)
    }

    /// Whether it contains an unknown scalar: then values can't be judged.
    pub fn has_unknown(&self) -> bool {
        self.has_scalar(&|scalar| scalar.unknown)
    }

    /// Whether it contains a scalar that is unknown for another reason than being unset.
    pub fn has_broken(&self) -> bool {
        self.has_scalar(&|scalar| scalar.unknown && !scalar.unset)
    }

    fn has_scalar(&self, is_one: &dyn Fn(&Scalar) -> bool) -> bool {
        match &self.value {
            Value::Map(entries) => entries.iter().any(|entry| entry.node.has_scalar(is_one)),
            Value::List(items) => items.iter().any(|item| item.has_scalar(is_one)),
            Value::Scalar(scalar) => is_one(scalar),
        }
    }

    /// The target of a JSON Pointer (RFC 6901): the key where it leads to an entry of a map,
    /// because readers search for that. A pointer that leads nowhere is followed as far as it goes.
    pub fn locate(&self, pointer: &str) -> Span {
        let mut node = self;
        let mut span = self.span;
        for part in pointer.split('/').skip(1) {
            let key = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
                Value::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
                Value::Scalar(_) => None,
            };
            let Some(next) = next else { break };
            node = next;
            span = next.span;
        }
        span
    }

    /// The same value in JSON. Floats that JSON can't hold become null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Number, Value as Json};
        match &self.value {
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Scalar(scalar) => match scalar.kind() {
                Kind::Null => Json::Null,
                Kind::Boolean(value) => Json::Bool(value),
                Kind::Integer(value) => {
                    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
                    number.map_or_else(|_| Json::String(scalar.text.clone()), Json::Number)
                }
                Kind::Float(value) => Number::from_f64(value).map_or(Json::Null, Json::Number),
                Kind::Text => Json::String(scalar.text.clone()),
            },
        }
    }

    /// How to name it in a message.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Map(_) => "a map".into(),
            Value::List(_) => "a list".into(),
            Value::Scalar(scalar) => scalar.describe(),
        }
    }
}
