//! Whether the columns of a pipeline fit a table, and what the table's schema becomes where it may grow.

use serde_json::Value;
use wasmill_engine::{Error, Result};

use super::config::{SchemaEvolution, WriteMode};
use super::prepared::Prepared;
use super::schema::{SchemaDifference, TableSchema};
use super::state::TableState;
use crate::codes::DAMAGED;

/// How a pipeline's columns and a table's go together.
#[derive(Debug, PartialEq)]
pub(crate) enum Fit {
    /// The table takes the rows as it is.
    AsItIs,
    /// It takes them once it has this schema, in the form of its log.
    Grown(String),
    /// It does not take them.
    Not(Vec<SchemaDifference>),
}

impl Fit {
    /// How a prepared commit and a table go together.
    ///
    /// # Errors
    /// Environment: a schema can't be read.
    pub(crate) fn of(state: &TableState, prepared: &Prepared) -> Result<Self> {
        let same = state.metadata.schema_string == prepared.schema && state.metadata.partition_columns == prepared.partition_by;
        if prepared.write == WriteMode::Overwrite || same {
            return Ok(Self::AsItIs);
        }
        let pipeline = TableSchema::read(&prepared.schema, &prepared.partition_by)?;
        Self::of_columns(state, &pipeline, prepared.schema_evolution)
    }

    /// How columns and a table go together.
    pub(crate) fn of_columns(state: &TableState, pipeline: &TableSchema, evolution: SchemaEvolution) -> Result<Self> {
        let mut found = state.differences(pipeline)?;
        if evolution == SchemaEvolution::AddColumns {
            let table = state.metadata.schema()?;
            let mut new = Vec::new();
            found.retain(|difference| match difference {
                // Readers do not distinguish columns by the case of their names.
                SchemaDifference::MissingInTable { column, .. }
                    if pipeline.delta.field(column).is_some()
                        && !table.fields().any(|field| field.name().to_lowercase() == column.to_lowercase()) =>
                {
                    new.push(column.clone());
                    false
                }
                // A data file that lacks a column has nulls in it.
                SchemaDifference::MissingInPipeline { column, .. } => !table.field(column).is_some_and(|field| field.is_nullable()),
                _ => true,
            });
            if found.is_empty() && !new.is_empty() {
                return grown(&state.metadata.schema_string, &pipeline.json, &new).map(Self::Grown);
            }
        }
        Ok(if found.is_empty() { Self::AsItIs } else { Self::Not(found) })
    }
}

/// The table's schema with these columns of the pipeline behind its own. What others keep in it stays as it is.
fn grown(table: &str, pipeline: &str, new: &[String]) -> Result<String> {
    let unreadable = |error: serde_json::Error| Error::environment(format!("the table's schema can't be read: {error}")).code(DAMAGED);
    let mut table: Value = serde_json::from_str(table).map_err(unreadable)?;
    let pipeline: Value = serde_json::from_str(pipeline).map_err(unreadable)?;
    let Some(fields) = table.get_mut("fields").and_then(Value::as_array_mut) else {
        return Err(Error::environment("the table's schema can't be read: it has no fields").code(DAMAGED));
    };
    for field in pipeline.get("fields").and_then(Value::as_array).into_iter().flatten() {
        if new.iter().any(|name| field.get("name").and_then(Value::as_str) == Some(name)) {
            let mut field = field.clone();
            // Rows that are there have no value.
            field["nullable"] = true.into();
            fields.push(field);
        }
    }
    Ok(table.to_string())
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, Schema};
    use serde_json::json;
    use uuid::Uuid;

    use super::super::state::{Marks, Metadata};
    use super::*;

    fn schema(fields: &[(&str, DataType, bool)], partition_by: &[&str]) -> TableSchema {
        let fields: Vec<Field> = fields.iter().map(|(name, kind, nullable)| Field::new(*name, kind.clone(), *nullable)).collect();
        let partition_by: Vec<String> = partition_by.iter().map(|name| (*name).to_owned()).collect();
        TableSchema::new(&Schema::new(fields), &partition_by).unwrap()
    }

    fn fit(table: &TableSchema, pipeline: &TableSchema, evolution: SchemaEvolution) -> Fit {
        let metadata = Metadata::created(Uuid::nil(), 7, &table.json, &table.partition_by);
        let state = TableState { version: 4, protocol: json!({}), metadata, marks: Marks::default() };
        Fit::of_columns(&state, pipeline, evolution).unwrap()
    }

    const INT: DataType = DataType::Int64;
    const TEXT: DataType = DataType::Utf8;

    #[test]
    fn new_columns_are_added_nullable_and_missing_ones_may_be_null() {
        let table = schema(&[("a", INT, false), ("b", TEXT, true), ("p", TEXT, true)], &["p"]);
        let pipeline = schema(&[("new", INT, false), ("p", TEXT, true), ("a", INT, false)], &["p"]);
        let Fit::Grown(grown) = fit(&table, &pipeline, SchemaEvolution::AddColumns) else { panic!("it does not grow") };
        let names: Vec<(Value, Value)> = serde_json::from_str::<Value>(&grown).unwrap()["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| (field["name"].clone(), field["nullable"].clone()))
            .collect();
        assert_eq!(json!(names), json!([["a", false], ["b", true], ["p", true], ["new", true]]));
        let Fit::Not(reported) = fit(&table, &pipeline, SchemaEvolution::Refuse) else { panic!("it fits") };
        assert_eq!(reported.len(), 2);
        let fewer = schema(&[("a", INT, false), ("p", TEXT, true)], &["p"]);
        assert_eq!(fit(&table, &fewer, SchemaEvolution::AddColumns), Fit::AsItIs);
    }

    #[test]
    fn everything_else_is_refused() {
        let inner = |fields: Vec<Field>| DataType::Struct(fields.into());
        let table = schema(&[("a", INT, false), ("s", inner(vec![Field::new("x", INT, true)]), true), ("p", TEXT, true)], &["p"]);
        let whole = inner(vec![Field::new("x", INT, true)]);
        let wider = inner(vec![Field::new("x", INT, true), Field::new("y", INT, true)]);
        for (what, columns, partition_by) in [
            ("a type", vec![("a", TEXT, false), ("s", whole.clone(), true), ("p", TEXT, true)], vec!["p"]),
            ("a null", vec![("a", INT, true), ("s", whole.clone(), true), ("p", TEXT, true)], vec!["p"]),
            ("a column that must not be null", vec![("s", whole.clone(), true), ("p", TEXT, true)], vec!["p"]),
            ("a name in another case", vec![("a", INT, false), ("S", whole.clone(), true), ("p", TEXT, true)], vec!["p"]),
            ("a field of a struct", vec![("a", INT, false), ("s", wider, true), ("p", TEXT, true)], vec!["p"]),
            ("partitions", vec![("a", INT, false), ("s", whole.clone(), true), ("p", TEXT, true), ("q", TEXT, true)], vec!["p", "q"]),
        ] {
            let fit = fit(&table, &schema(&columns, &partition_by), SchemaEvolution::AddColumns);
            assert!(matches!(fit, Fit::Not(_)), "{what}: {fit:?}");
        }
    }
}
