//! How a column is read where its type alone does not decide it. The choices are kept in the
//! metadata of the field and are removed from what a source returns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

/// The metadata key of [`Reading::epoch`]: `s`, `ms`, `us` or `ns`.
pub const EPOCH: &str = "wasmill.epoch";
/// The metadata key of [`Reading::cut`]: `cut`.
pub const FRACTION: &str = "wasmill.fraction";
/// The metadata key of [`Reading::json`]: `nested` or `value`. Plugins set it on text columns that they need.
pub const JSON: &str = "wasmill.json";

/// The metadata key of [`Reading::exact_form`]: `exact`.
pub const FORM: &str = "wasmill.form";

/// All keys.
const KEYS: [&str; 4] = [EPOCH, FRACTION, JSON, FORM];

/// Choices for one column or field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Of a timestamp: the unit of numbers, which count since 1970. Without one, numbers are not
    /// accepted.
    pub epoch: Option<TimeUnit>,
    /// Of a timestamp: digits of a second that the type can't hold are cut, not rejected.
    pub cut: bool,
    /// Of a timestamp: texts have a time of day, and a time zone exactly where the type has one.
    pub exact_form: bool,
    /// Of a text: how values of other types are read.
    pub json: AsJson,
}

/// What a text column takes besides texts, numbers and booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsJson {
    /// Nothing.
    #[default]
    No,
    /// Arrays and objects, as their JSON text.
    Nested,
    /// Any value as its JSON text: a text then has quotes.
    Value,
}

impl AsJson {
    /// This choice, or `other` where this one is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::No { other } else { self }
    }
}

impl Reading {
    /// The choices that a field carries. Unknown ones count as none.
    pub fn of(field: &Field) -> Self {
        let value = |key: &str| field.metadata().get(key).map(String::as_str);
        let json = match value(JSON) {
            Some("nested") => AsJson::Nested,
            Some("value") => AsJson::Value,
            _ => AsJson::No,
        };
        Self {
            epoch: value(EPOCH).and_then(parse_unit),
            cut: value(FRACTION) == Some("cut"),
            exact_form: value(FORM) == Some("exact"),
            json,
        }
    }

    /// The field with these choices.
    pub fn on(self, field: Field) -> Field {
        let mut metadata = field.metadata().clone();
        let entries = [
            (EPOCH, self.epoch.map(unit_name)),
            (FRACTION, self.cut.then_some("cut")),
            (FORM, self.exact_form.then_some("exact")),
            (
                JSON,
                match self.json {
                    AsJson::No => None,
                    AsJson::Nested => Some("nested"),
                    AsJson::Value => Some("value"),
                },
            ),
        ];
        for (key, value) in entries {
            match value {
                Some(value) => drop(metadata.insert(key.to_owned(), value.to_owned())),
                None => drop(metadata.remove(key)),
            }
        }
        field.with_metadata(metadata)
    }
}

/// `s`, `ms`, `us`, `ns`.
pub fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// The unit that [`unit_name`] names.
pub fn parse_unit(name: &str) -> Option<TimeUnit> {
    [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond].into_iter().find(|unit| unit_name(*unit) == name)
}

/// The schema of what a source returns, without the choices: they only matter for reading.
pub fn without_reading(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(bare_field).collect();
    match fields.iter().zip(schema.fields()).all(|(bare, field)| Arc::ptr_eq(bare, field)) {
        true => Arc::clone(schema),
        false => Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())),
    }
}

/// The same of a field and all fields inside of it.
pub fn bare_field(field: &FieldRef) -> FieldRef {
    let data_type = bare_type(field.data_type());
    if data_type.is_none() && !KEYS.iter().any(|key| field.metadata().contains_key(*key)) {
        return Arc::clone(field);
    }
    let data_type = data_type.unwrap_or_else(|| field.data_type().clone());
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.retain(|key, _| !KEYS.contains(&key.as_str()));
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata))
}

/// The type without choices inside; `None` if it has none.
fn bare_type(data_type: &DataType) -> Option<DataType> {
    let changed = |field: &FieldRef| {
        let bare = bare_field(field);
        (!Arc::ptr_eq(&bare, field)).then_some(bare)
    };
    Some(match data_type {
        DataType::List(item) => DataType::List(changed(item)?),
        DataType::Map(entries, sorted) => DataType::Map(changed(entries)?, *sorted),
        DataType::Struct(fields) => {
            let bare: Vec<FieldRef> = fields.iter().map(bare_field).collect();
            if bare.iter().zip(fields).all(|(bare, field)| Arc::ptr_eq(bare, field)) {
                return None;
            }
            DataType::Struct(bare.into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_survive_in_a_field_and_leave_no_trace_in_what_a_source_gives() {
        let reading = Reading { epoch: Some(TimeUnit::Millisecond), cut: true, exact_form: true, json: AsJson::Nested };
        let time = reading.on(Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true));
        assert_eq!(Reading::of(&time), reading);
        let plain = Field::new("at", time.data_type().clone(), true);
        let inside = |field: &Field| Field::new("s", DataType::Struct(vec![field.clone()].into()), true);
        let schema: SchemaRef = Arc::new(Schema::new(vec![inside(&time), time]));
        assert_eq!(without_reading(&schema), Arc::new(Schema::new(vec![inside(&plain), plain])));
        let bare = without_reading(&schema);
        assert!(Arc::ptr_eq(&without_reading(&bare), &bare));
    }
}
