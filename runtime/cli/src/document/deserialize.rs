//! Typed values from a tree: serde's data model over nodes, with the place of every mismatch.

use std::cell::Cell;
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
///
/// # Errors
/// It is not one of this type.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, ReadError> {
    let innermost = Cell::new(None);
    T::deserialize(Reader { node, innermost: &innermost }).map_err(|error| error.at(innermost.get().unwrap_or(node.span)))
}

/// Reads a value of a type that only the caller's function has.
///
/// # Errors
/// It is not one of that type.
pub fn read_erased<T>(
    node: &Node,
    read: impl FnOnce(&mut dyn erased_serde::Deserializer<'_>) -> Result<T, erased_serde::Error>,
) -> Result<T, ReadError> {
    let innermost = Cell::new(None);
    let mut reader = <dyn erased_serde::Deserializer<'_>>::erase(Reader { node, innermost: &innermost });
    read(&mut reader).map_err(|error| ReadError { message: error.to_string(), span: Some(innermost.get().unwrap_or(node.span)) })
}

/// The node being read, and the innermost node so far that did not fit: errors of erased types lose
/// their places.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    innermost: &'a Cell<Option<Span>>,
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn failed(self, error: ReadError, span: Span) -> ReadError {
        if self.innermost.get().is_none() {
            self.innermost.set(Some(error.span.unwrap_or(span)));
        }
        error.at(span)
    }
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

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let result = match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries { reader: self, rest: entries.iter(), value: None }),
            Value::List(items) => visitor.visit_seq(Items { reader: self, rest: items.iter() }),
            Value::Scalar(scalar) => visit_scalar(scalar, visitor),
        };
        result.map_err(|error| self.failed(error, self.node.span))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.text() {
            Some(text) => visitor.visit_str(text).map_err(|error: ReadError| self.failed(error, self.node.span)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self).map_err(|error| self.failed(error, self.node.span))
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        let result = match &self.node.value {
            Value::Scalar(scalar) => visitor.visit_enum(StrDeserializer::<ReadError>::new(&scalar.text)),
            _ => visitor.visit_enum(de::value::MapAccessDeserializer::new(Entries {
                reader: self,
                rest: self.node.entries().unwrap_or_default().iter(),
                value: None,
            })),
        };
        result.map_err(|error| self.failed(error, self.node.span))
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
            if scalar.secret { ReadError { message: "the secret value does not fit here".into(), ..error } } else { error }
        },
    )
}

struct Items<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, Node>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        seed.deserialize(self.reader.of(node)).map(Some).map_err(|error| self.reader.failed(error, node.span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.rest.find(|entry| !entry.node.is_null()) else { return Ok(None) };
        self.value = Some(entry);
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| self.reader.failed(error, entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.value.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(self.reader.of(&entry.node)).map_err(|error| self.reader.failed(error, entry.node.span))
    }
}
