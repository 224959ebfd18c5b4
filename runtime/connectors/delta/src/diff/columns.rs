//! Which columns two tables have in common.

use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef};
use serde::Serialize;
use wasmill_engine::{Error, Result};
use wasmill_formats::TypeName;

use super::DiffOptions;
use crate::codes::COMPARISON;

/// A column that is not the same in both tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnDifference {
    /// Its name.
    pub column: String,
    /// Its type in the first table. `None` if it is missing.
    pub left: Option<String>,
    /// Its type in the second table.
    pub right: Option<String>,
}

/// The columns of a comparison.
pub(super) struct Columns {
    /// Those by which rows are compared, in the order of the first table.
    pub(super) compared: Vec<String>,
    /// Those of the key, in the given order.
    pub(super) key: Vec<String>,
    /// What differs.
    pub(super) differences: Vec<ColumnDifference>,
}

impl Columns {
    /// # Errors
    /// Configuration: a named column is missing, or there is none to compare.
    pub(super) fn new([left, right]: &[SchemaRef; 2], options: &DiffOptions) -> Result<Self> {
        for name in &options.ignore {
            if left.field_with_name(name).is_err() && right.field_with_name(name).is_err() {
                return Err(no_column(&format!("--ignore names `{name}`, which neither table has"), left));
            }
        }
        let type_name = |field: &Field| Some(TypeName(field.data_type()).to_string());
        let (mut compared, mut differences) = (Vec::new(), Vec::new());
        let looked_at = |field: &&Arc<Field>| !options.ignore.contains(field.name());
        for ours in left.fields().iter().filter(looked_at) {
            let column = ours.name().clone();
            match right.field_with_name(ours.name()) {
                Ok(theirs) if same(ours.data_type(), theirs.data_type()) => compared.push(column),
                Ok(theirs) => differences.push(ColumnDifference { column, left: type_name(ours), right: type_name(theirs) }),
                Err(_) => differences.push(ColumnDifference { column, left: type_name(ours), right: None }),
            }
        }
        for theirs in right.fields().iter().filter(looked_at).filter(|field| left.field_with_name(field.name()).is_err()) {
            differences.push(ColumnDifference { column: theirs.name().clone(), left: None, right: type_name(theirs) });
        }
        if compared.is_empty() {
            return Err(no_column("the tables have no column in common that could be compared", left));
        }
        if let Some(name) = options.key.iter().find(|name| !compared.contains(name)) {
            return Err(no_column(&format!("--key names `{name}`, which the tables do not have in common with the same type"), left));
        }
        Ok(Self { compared, key: options.key.clone(), differences })
    }
}

fn no_column(message: &str, left: &SchemaRef) -> Error {
    let names: Vec<&str> = left.fields().iter().map(|field| field.name().as_str()).collect();
    Error::configuration(message).code(COMPARISON).hint(format!("the first table has {}", names.join(", ")))
}

/// Whether values of two types can be compared: they are the same but for what may be null.
fn same(left: &DataType, right: &DataType) -> bool {
    bare(left) == bare(right)
}

fn bare(data_type: &DataType) -> DataType {
    let bare_field = |field: &Field| Arc::new(Field::new(field.name(), bare(field.data_type()), true));
    match data_type {
        DataType::List(item) => DataType::List(bare_field(item)),
        DataType::Map(entries, sorted) => DataType::Map(bare_field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| bare_field(field)).collect()),
        other => other.clone(),
    }
}
