//! A column in a configuration.

use wasmill_plugin::prelude::*;

use crate::ColumnType;

/// A column: its name, or its name and its type.
#[wasmill_plugin::config]
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
    }
}
