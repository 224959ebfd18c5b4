//! Entries of the pipeline file that name a connector, for any set of connectors.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use wasmill_connect::registry::Usage;

use crate::document::{Node, ReadError, read};

/// An entry of a section of the pipeline file.
pub trait SpecEntry: Sized {
    /// The name of its definition in the JSON Schema.
    const NAME: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// A value does not fit.
    fn read(node: &Node) -> Result<Self, ReadError>;
}

/// Entries that are types of serde.
macro_rules! plain_entries {
    ($($entry:ident),*) => {$(
        impl SpecEntry for super::$entry {
            const NAME: &'static str = stringify!($entry);

            fn read(node: &Node) -> Result<Self, ReadError> {
                read(node)
            }
        }
    )*};
}

plain_entries!(StageSpec, EpochSpec);

/// A connector that an entry may name.
pub struct Choice {
    /// Its key.
    pub name: &'static str,
    /// Its documentation.
    pub usage: Usage,
    /// The schema of its configuration.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The schema of an entry: the keys of connectors, and the keys that all have, of which those that are required come first.
pub fn with_connectors(mut common: Schema, choices: impl Iterator<Item = Choice>, generator: &mut SchemaGenerator) -> Schema {
    let required: Vec<Value> = common.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = common.ensure_object().remove("properties");
    let fields = fields.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|other| other.as_str() == Some(name));
    let (mut properties, rest): (Map<String, Value>, Map<String, Value>) = fields.into_iter().partition(|(name, _)| is_required(name));
    for Choice { name, usage, schema } in choices {
        let mut property = Map::new();
        property.insert("description".into(), json!(format!("`{}`\n\n{}", usage.example, usage.summary)));
        if let Value::Object(schema) = schema(generator).to_value() {
            property.extend(schema);
        }
        property.insert("x-connector".into(), Value::Bool(true));
        properties.insert(name.to_owned(), Value::Object(property));
    }
    properties.extend(rest);
    common.ensure_object().insert("properties".into(), Value::Object(properties));
    common
}

/// The connector that an entry names, and its configuration.
pub fn connector_of<'a, 'n, E>(
    node: &'n Node,
    choices: impl Iterator<Item = (&'static str, &'a E)>,
) -> Result<(&'static str, &'a E, &'n Node), ReadError> {
    let mut named = choices.filter_map(|(name, entry)| Some((name, entry, node.get(name)?)));
    named.next().ok_or_else(|| ReadError { message: "it names no connector".to_owned(), span: Some(node.span) })
}
