//! Reads a column from a JSON array. It grows while the text is parsed, and every value is charged before it is appended. Nothing is
//! converted: a value has the form that the contract's table gives its type, or the answer is refused.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json_values::{Scalars, scalars};
use crate::DecodeError;
use crate::budget::Budget;
use crate::text::shown;

/// What a list or a map takes besides its items: an offset, and its share of the null mask.
const LIST_BYTES: u64 = 5;

/// The column of a field: so many values.
pub(super) fn array(text: &str, field: &Field, rows: usize, budget: &Budget) -> Result<ArrayRef, DecodeError> {
    let mut column = Column::new(field)?;
    let reading = Reading { budget, failure: RefCell::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_seq(Rows { column: &mut column, rows, reading: &reading });
    if let Err(error) = read.and_then(|()| deserializer.end()) {
        let broken = || format!("it is no JSON array: {}", reason(&error));
        return Err(DecodeError(reading.failure.into_inner().unwrap_or_else(broken)));
    }
    column.finish()
}

/// Reads the values of a column, and nothing behind the last that is due.
struct Rows<'c, 'b> {
    column: &'c mut Column,
    rows: usize,
    reading: &'c Reading<'b>,
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Self { column, rows, reading } = self;
        let fail = |message: String| reading.fail::<A::Error>(DecodeError(message));
        for row in 0..rows {
            let value = sequence.next_element_seed(Value { column, reading });
            match value.map_err(|error| reading.at(row, error))? {
                Some(()) => {}
                None => return Err(fail(format!("it has {row} values where {rows} are due"))),
            }
        }
        match sequence.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(fail(format!("it has more than the {rows} values that are due"))),
        }
    }
}

/// serde's message without its position, which counts lines within a line.
fn reason(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    shown(text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason))
}

fn of_arrow(error: ArrowError) -> DecodeError {
    DecodeError(shown(&error.to_string()))
}

/// What the parts of an array share. serde carries texts for errors; the exact one waits here.
struct Reading<'b> {
    budget: &'b Budget,
    failure: RefCell<Option<String>>,
}

impl Reading<'_> {
    /// Keeps the error, and returns the one that ends parsing.
    fn fail<E: serde::de::Error>(&self, DecodeError(message): DecodeError) -> E {
        *self.failure.borrow_mut() = Some(message);
        E::custom("not a value of its column")
    }

    /// Adds the value in which the error came up.
    fn at<E: serde::de::Error>(&self, row: usize, error: E) -> E {
        let mut failure = self.failure.borrow_mut();
        let message = failure.take().unwrap_or_else(|| reason(&error));
        *failure = Some(format!("value {row}: {message}"));
        error
    }

    /// Adds the member in which the error came up.
    fn within<E: serde::de::Error>(&self, name: &str, error: E) -> E {
        let mut failure = self.failure.borrow_mut();
        let message = failure.take().unwrap_or_else(|| reason(&error));
        *failure = Some(format!("`{}`: {message}", shown(name)));
        error
    }
}

/// A column under construction.
struct Column {
    nullable: bool,
    values: Values,
}

enum Values {
    Scalars(Box<dyn Scalars>),
    List { item: FieldRef, items: Box<Column>, offsets: Vec<i32>, valid: NullBufferBuilder },
    Struct { fields: Fields, members: Members, valid: NullBufferBuilder },
    Map { entries: FieldRef, sorted: bool, keys: StringBuilder, values: Box<Column>, offsets: Vec<i32>, valid: NullBufferBuilder },
}

impl Column {
    fn new(field: &Field) -> Result<Self, DecodeError> {
        let valid = NullBufferBuilder::new(0);
        let values = match field.data_type() {
            DataType::List(item) => Values::List { item: Arc::clone(item), items: Box::new(Self::new(item)?), offsets: vec![0], valid },
            DataType::Struct(fields) => Values::Struct { fields: fields.clone(), members: Members::new(fields)?, valid },
            DataType::Map(entries, sorted) => {
                let DataType::Struct(fields) = entries.data_type() else { return Err(DecodeError::new("a map holds no entries")) };
                let [_, value] = fields.as_ref() else { return Err(DecodeError::new("a map has to have keys and values")) };
                Values::Map {
                    entries: Arc::clone(entries),
                    sorted: *sorted,
                    keys: StringBuilder::with_capacity(0, 0),
                    values: Box::new(Self::new(value)?),
                    offsets: vec![0],
                    valid,
                }
            }
            other => Values::Scalars(scalars(other)?),
        };
        Ok(Self { nullable: field.is_nullable(), values })
    }

    /// Appends a null that the plugin sent, or left out.
    fn null(&mut self, budget: &Budget) -> Result<(), DecodeError> {
        if !self.nullable {
            return Err(DecodeError::new("it has nulls where its field allows none"));
        }
        self.masked(budget)
    }

    /// Appends a null. Under a null struct one is allowed even if the field is not nullable.
    fn masked(&mut self, budget: &Budget) -> Result<(), DecodeError> {
        match &mut self.values {
            Values::Scalars(scalars) => scalars.append(None, budget),
            Values::Struct { members, valid, .. } => {
                budget.charge(1)?;
                valid.append_null();
                members.columns.iter_mut().try_for_each(|column| column.masked(budget))
            }
            Values::List { offsets, valid, .. } | Values::Map { offsets, valid, .. } => {
                budget.charge(LIST_BYTES)?;
                offsets.push(offsets.last().copied().unwrap_or_default());
                valid.append_null();
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, DecodeError> {
        Ok(match &mut self.values {
            Values::Scalars(scalars) => scalars.finish(),
            Values::List { item, items, offsets, valid } => {
                let list = ListArray::try_new(Arc::clone(item), finished(offsets), items.finish()?, valid.finish());
                Arc::new(list.map_err(of_arrow)?)
            }
            Values::Struct { fields, members, valid } => {
                let rows = valid.len();
                let children = members.columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), children, valid.finish(), rows).map_err(of_arrow)?)
            }
            Values::Map { entries, sorted, keys, values, offsets, valid } => {
                let DataType::Struct(fields) = entries.data_type() else { return Err(DecodeError::new("a map holds no entries")) };
                let children = vec![Arc::new(keys.finish()) as ArrayRef, values.finish()?];
                let pairs = StructArray::try_new(fields.clone(), children, None).map_err(of_arrow)?;
                let map = MapArray::try_new(Arc::clone(entries), finished(offsets), pairs, valid.finish(), *sorted);
                Arc::new(map.map_err(of_arrow)?)
            }
        })
    }
}

fn finished(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::take(offsets)))
}

/// The columns of an object, and which of them the present one has had.
struct Members {
    fields: Fields,
    columns: Vec<Column>,
    /// The number of the last object that had the member.
    seen: Vec<u64>,
    objects: u64,
}

impl Members {
    fn new(fields: &Fields) -> Result<Self, DecodeError> {
        let columns = fields.iter().map(|field| Column::new(field)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { fields: fields.clone(), seen: vec![0; columns.len()], columns, objects: 0 })
    }

    /// The member of this name; it must not have come before. Keys come in the order of the schema, so it is seldom searched for.
    fn take(&mut self, name: &str, guess: usize) -> Result<usize, DecodeError> {
        let found = if self.fields.get(guess).is_some_and(|field| field.name() == name) {
            Some(guess)
        } else {
            self.fields.find(name).map(|found| found.0)
        };
        let index = found.ok_or_else(|| DecodeError(format!("the type has no field `{}`", shown(name))))?;
        if std::mem::replace(&mut self.seen[index], self.objects) == self.objects {
            return Err(DecodeError(format!("`{}` occurs twice", shown(name))));
        }
        Ok(index)
    }
}

/// Reads an object into its columns; what is absent is null.
struct MembersVisitor<'c, 'b> {
    members: &'c mut Members,
    reading: &'c Reading<'b>,
}

impl<'de> Visitor<'de> for MembersVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { members, reading } = self;
        members.objects += 1;
        let mut guess = 0;
        while let Some(Key(name)) = map.next_key()? {
            let index = members.take(&name, guess).map_err(|error| reading.fail::<A::Error>(error))?;
            guess = index + 1;
            let column = &mut members.columns[index];
            map.next_value_seed(Value { column, reading }).map_err(|error| reading.within(&name, error))?;
        }
        for index in (0..members.columns.len()).filter(|&index| members.seen[index] != members.objects) {
            if let Err(error) = members.columns[index].null(reading.budget) {
                let error = reading.fail(error);
                return Err(reading.within(members.fields[index].name(), error));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads one value to the end of a column.
struct Value<'c, 'b> {
    column: &'c mut Column,
    reading: &'c Reading<'b>,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !matches!(self.column.values, Values::Scalars(_)) {
            return deserializer.deserialize_any(self);
        }
        // `Option` makes null of `null`, which a bare raw value would keep as text.
        let token = Option::<&'de RawValue>::deserialize(deserializer)?.map(RawValue::get);
        let budget = self.reading.budget;
        let appended = match (&mut self.column.values, token) {
            (Values::Scalars(scalars), Some(_)) => scalars.append(token, budget),
            _ => self.column.null(budget),
        };
        appended.map_err(|error| self.reading.fail(error))
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.column.values, Values::List { .. }) { "an array" } else { "an object" })
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.column.null(self.reading.budget).map_err(|error| self.reading.fail(error))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Self { column, reading } = self;
        let Values::List { items, offsets, valid, .. } = &mut column.values else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &"an object"));
        };
        reading.budget.charge(LIST_BYTES).map_err(|error| reading.fail::<A::Error>(error.into()))?;
        let mut end = offsets.last().copied().unwrap_or_default();
        while sequence.next_element_seed(Value { column: items, reading })?.is_some() {
            end = end.checked_add(1).ok_or_else(|| reading.fail::<A::Error>(too_many()))?;
        }
        offsets.push(end);
        valid.append_non_null();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { column, reading } = self;
        let charge = |bytes: u64| -> Result<(), A::Error> { reading.budget.charge(bytes).map_err(|error| reading.fail(error.into())) };
        match &mut column.values {
            Values::Struct { members, valid, .. } => {
                charge(1)?;
                valid.append_non_null();
                MembersVisitor { members, reading }.visit_map(map)
            }
            Values::Map { keys, values, offsets, valid, .. } => {
                charge(LIST_BYTES)?;
                let mut end = offsets.last().copied().unwrap_or_default();
                while let Some(Key(key)) = map.next_key()? {
                    charge(LIST_BYTES + key.len() as u64)?;
                    keys.append_value(&key);
                    map.next_value_seed(Value { column: values, reading }).map_err(|error| reading.within(&key, error))?;
                    end = end.checked_add(1).ok_or_else(|| reading.fail::<A::Error>(too_many()))?;
                }
                offsets.push(end);
                valid.append_non_null();
                Ok(())
            }
            _ => Err(A::Error::invalid_type(serde::de::Unexpected::Map, &"an array")),
        }
    }
}

fn too_many() -> DecodeError {
    DecodeError::new("it has more items than 32 bits can count")
}
