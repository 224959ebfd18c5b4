//! A column in a configuration.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use wasmill_plugin::prelude::*;

use crate::ColumnType;

/// A column: its name, or its name and its type.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Column {
    /// `title`: the column's name; it has the type that is usual here.
    Name(String),
    /// `{ name: posted, type: date }`: a column of another type.
    Typed(TypedColumn),
}

/// A column with its type.
#[wasmill_plugin::config]
pub struct TypedColumn {
    /// The column's name.
    pub name: String,
    /// `type: int64`: the column's type.
    pub r#type: ColumnType,
}

impl Column {
    /// The column's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Typed(TypedColumn { name, .. }) => name,
        }
    }

    /// The column's type; `usual` where the configuration names none.
    pub fn data_type(&self, usual: DataType) -> DataType {
        match self {
            Self::Name(_) => usual,
            Self::Typed(typed) => typed.r#type.data_type().clone(),
        }
    }
}

/// By hand, since an error of an untagged enum does not say what is wrong.
impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name, or its name and its type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Column, E> {
        Ok(Column::from(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Column, A::Error> {
        TypedColumn::deserialize(MapAccessDeserializer::new(members)).map(Column::Typed)
    }
}

/// One schema for both forms: of several, a validator could not say which one was meant and where it is wrong.
impl JsonSchema for Column {
    fn schema_name() -> Cow<'static, str> {
        "Column".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "description": "A column: its name, or `{ name: posted, type: date }`.",
            "properties": {
                "name": { "type": "string", "description": "The column's name." },
                "type": generator.subschema_for::<ColumnType>(),
            },
            "required": ["name", "type"],
            "additionalProperties": false,
        })
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_a_name_or_has_a_type() {
        let read = |json: &str| serde_json::from_str::<Column>(json);
        let (plain, typed) = (read(r#""title""#).unwrap(), read(r#"{"name": "posted", "type": "date"}"#).unwrap());
        assert_eq!((plain.name(), plain.data_type(DataType::Utf8)), ("title", DataType::Utf8));
        assert_eq!((typed.name(), typed.data_type(DataType::Utf8)), ("posted", DataType::Date32));
        for wrong in [r#"{"name": "posted"}"#, r#"{"name": "posted", "type": "date", "k": 1}"#, r#"{"name": "x", "type": "list<int64>"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let error = read(r#"{"name": "x", "type": "decimal(3, 4)"}"#).unwrap_err().to_string();
        assert!(error.contains("`decimal(3, 4)` is no type of these"), "{error}");
    }
}
