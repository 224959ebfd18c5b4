//! Typed values from a tree: serde's data model over nodes, with the place of whatever does not fit.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Entry, Kind, Node, Scalar, Span, Value};

/// Why a node is not a value of a type.
#[derive(Debug)]
pub struct ReadError {
    /// What is wrong.
    pub message: String,
    /// The innermost node that is.
    pub span: Option<Span>,
}

/// Reads a value. Null entries of a map count as absent.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, ReadError> {
    T::deserialize(node).map_err(|error| error.at(node.span))
}

impl ReadError {
    fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let result = match &self.value {
            Value::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Scalar(scalar) => visit_scalar(scalar, visitor),
        };
        result.map_err(|error| error.at(self.span))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.text() {
            Some(text) => visitor.visit_str(text).map_err(|error: ReadError| error.at(self.span)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self).map_err(|error| error.at(self.span))
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        let result = match &self.value {
            Value::Scalar(scalar) => visitor.visit_enum(StrDeserializer::<ReadError>::new(&scalar.text)),
            _ => visitor.visit_enum(de::value::MapAccessDeserializer::new(Entries {
                rest: self.entries().unwrap_or_default().iter(),
                value: None,
            })),
        };
        result.map_err(|error| error.at(self.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn visit_scalar<'a, V: Visitor<'a>>(scalar: &Scalar, visitor: V) -> Result<V::Value, ReadError> {
    let result = match scalar.kind() {
        Kind::Null => visitor.visit_unit(),
        Kind::Boolean(value) => visitor.visit_bool(value),
        Kind::Integer(value) => match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => visitor.visit_u64(value),
            (_, Ok(value)) => visitor.visit_i64(value),
            _ => visitor.visit_i128(value),
        },
        Kind::Float(value) => visitor.visit_f64(value),
        Kind::Text => visitor.visit_str(&scalar.text),
    };
    // serde's own messages quote the value.
    result.map_err(
        |error: ReadError| {
            if scalar.secret { ReadError { message: "the interpolated value does not fit here".into(), ..error } } else { error }
        },
    )
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        self.0.next().map(|node| seed.deserialize(node).map_err(|error| error.at(node.span))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.rest.find(|entry| !entry.node.is_null()) else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.value.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(&entry.node).map_err(|error| error.at(entry.node.span))
    }
}
