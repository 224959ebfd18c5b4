//! The rows of a case as groups: which rows share a key, and what their results look like.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use serde_json::Value;

use crate::answer::PortRows;
use crate::case::Case;
use crate::rows::{self, Row, TextRow};

/// The one port by which the results of an aggregate leave.
const PORT: &str = "out";

/// The rows of a case by group. Groups are numbered in the order in which their keys first come.
#[derive(Debug, Clone)]
pub struct CaseGroups {
    /// For each input row its group.
    pub of_rows: Vec<u32>,
    columns: Vec<FieldRef>,
    keys: Vec<TextRow>,
}

impl CaseGroups {
    /// The groups of a case with an input of these columns. Without key columns all rows are one group, which is there without rows too.
    ///
    /// # Errors
    /// A key does not fit its column.
    pub fn of(case: &Case, input: &Schema) -> Result<Self, String> {
        let columns: Vec<FieldRef> = case.key.iter().filter_map(|name| Some(Arc::clone(input.fields().find(name)?.1))).collect();
        let schema = rows::nullable(&Schema::new(columns.iter().cloned().collect::<Fields>()));
        let only_key = |row: &Row| -> Row {
            let members = case.key.iter().filter_map(|name| Some((name.clone(), row.get(name)?.clone())));
            members.collect()
        };
        let rows: Vec<Row> = case.input.iter().map(only_key).collect();
        let mut keys: Vec<TextRow> = if case.key.is_empty() { vec![TextRow::new()] } else { Vec::new() };
        let mut of_rows = Vec::with_capacity(rows.len());
        for key in rows::to_text(&rows::to_batch(&rows, &schema)?)? {
            let number = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
            of_rows.push(number as u32);
        }
        Ok(Self { of_rows, columns, keys })
    }

    /// How many groups there are.
    pub fn count(&self) -> u32 {
        self.keys.len() as u32
    }

    /// Results with the keys of their groups before them. A group that had rows and lost all of them to rejects has no result.
    ///
    /// # Errors
    /// A column of the results has the name of a key column, or can't be written as JSON.
    pub fn results(&self, records: &RecordBatch, groups: &[u32], rejected: &[usize]) -> Result<PortRows, String> {
        let schema = records.schema();
        if let Some(twice) = self.columns.iter().find(|column| schema.fields().find(column.name()).is_some()) {
            return Err(format!("the plugin returns a column `{}`, which is the key too", twice.name()));
        }
        let fields: Fields = self.columns.iter().chain(schema.fields()).cloned().collect();
        let mut port = PortRows::none(PORT, &SchemaRef::new(Schema::new(fields)));
        let is_left = |group: u32| {
            let mut rows = self.of_rows.iter().enumerate().filter(|(_, of)| **of == group).map(|(row, _)| row).peekable();
            rows.peek().is_none() || rows.any(|row| !rejected.contains(&row))
        };
        for (group, result) in groups.iter().zip(rows::to_text(records)?) {
            let key = self.keys.get(*group as usize).ok_or_else(|| format!("there is no group {group}"))?;
            if is_left(*group) {
                port.rows.push(key.iter().cloned().chain(result).collect());
            }
        }
        Ok(port)
    }
}

/// The type of a key column that neither the plugin nor the case gives one: that of its first value.
pub(crate) fn key_field(name: &str, rows: &[Row]) -> FieldRef {
    let first = rows.iter().filter_map(|row| row.get(name)).find(|value| !value.is_null());
    let data_type = match first {
        Some(Value::Bool(_)) => DataType::Boolean,
        Some(Value::Number(number)) if number.is_i64() => DataType::Int64,
        _ => DataType::Utf8,
    };
    Arc::new(Field::new(name, data_type, true))
}
