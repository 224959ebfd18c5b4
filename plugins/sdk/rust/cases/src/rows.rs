//! Rows between their JSON form, as the contract's table has it, and Arrow.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Fields, Schema, SchemaRef};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use wasmill_boundary::DEFAULT_ANSWER_BYTES;
use wasmill_boundary::budget::Budget;
use wasmill_boundary::columns::{self, MadeCells, MadeColumn, MadeTable};

use crate::conform::object;

/// A row in a case: column to value.
pub type Row = Map<String, Value>;

/// The values of a row as JSON text, in the order of the columns: all digits of every number are there.
pub type TextRow = Vec<String>;

/// Reads rows with the types of a schema; a column that a row does not have is null.
///
/// # Errors
/// A value does not fit, or a row has a column that the schema does not have. The message names the row.
pub fn to_batch(rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch, String> {
    decode(rows, schema).map_err(|error| {
        // Each row alone shows which one is to blame; it is then the first value.
        let guilty = rows.iter().enumerate().find_map(|(index, row)| Some((index, decode(std::slice::from_ref(row), schema).err()?)));
        guilty.map_or(error, |(index, error)| format!("row {index}: {}", error.replacen(": value 0: ", ": ", 1)))
    })
}

fn decode(rows: &[Row], schema: &SchemaRef) -> Result<RecordBatch, String> {
    let mut values: Vec<Vec<Value>> = vec![Vec::with_capacity(rows.len()); schema.fields().len()];
    for row in rows {
        let mut object = object(row, schema.fields())?;
        for (values, field) in values.iter_mut().zip(schema.fields()) {
            values.push(object.remove(field.name()).unwrap_or_default());
        }
    }
    let column = |values: Vec<Value>| MadeColumn { cells: MadeCells::Json(Value::from(values).to_string()), valid: String::new() };
    let table = MadeTable { separator: String::new(), columns: values.into_iter().map(column).collect() };
    columns::decode(&table, schema, rows.len(), None, &Budget::new(DEFAULT_ANSWER_BYTES)).map_err(|error| error.to_string())
}

/// Writes rows.
///
/// # Errors
/// A column can't be written as JSON.
pub fn to_text(batch: &RecordBatch) -> Result<Vec<TextRow>, String> {
    let mut rows = vec![TextRow::with_capacity(batch.num_columns()); batch.num_rows()];
    for column in batch.columns() {
        let values: Vec<Box<RawValue>> = serde_json::from_str(&columns::json_array(column.as_ref())?).map_err(|error| error.to_string())?;
        for (row, value) in rows.iter_mut().zip(values) {
            row.push(value.get().to_owned());
        }
    }
    Ok(rows)
}

/// The same columns, all of which may hold nulls.
pub fn nullable(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Fields>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(columns: &[(&str, &str)]) -> SchemaRef {
        let field = |(name, text): &(&str, &str)| arrow_schema::Field::new(*name, text.parse().unwrap(), true);
        Arc::new(Schema::new(columns.iter().map(field).collect::<Fields>()))
    }

    fn round_trip(columns: &[(&str, &str)], row: Value) -> Result<String, String> {
        let Value::Object(row) = row else { panic!("not a row") };
        Ok(to_text(&to_batch(&[row], &schema(columns))?)?[0].join(" "))
    }

    #[test]
    fn values_come_back_exactly() {
        let columns = [
            ("int", "Int64"),
            ("unsigned", "UInt64"),
            ("decimal", "Decimal128(38, 9)"),
            ("nan", "Float64"),
            ("bytes", "Binary"),
            ("date", "Date32"),
            ("local", "Timestamp(ns)"),
            ("zoned", "Timestamp(µs, \"UTC\")"),
            ("list", "List(Int64)"),
        ];
        let row = json!({
            "int": i64::MIN, "unsigned": u64::MAX, "decimal": "12345678901234567890123456789.000000001", "nan": "NaN", "bytes": "AP8=",
            "date": "2022-07-07", "local": "2022-07-07 00:18:41.000000001", "zoned": "2022-07-07T02:18:41+02:00", "list": [1, null],
        });
        let expected = r#"-9223372036854775808 18446744073709551615 "12345678901234567890123456789.000000001" "NaN" "AP8=" "2022-07-07" "2022-07-07T00:18:41.000000001" "2022-07-07T00:18:41Z" [1,null]"#;
        assert_eq!(round_trip(&columns, row).unwrap(), expected);
    }

    #[test]
    fn numbers_and_texts_become_each_other_where_nothing_is_lost() {
        let columns = [("a", "Utf8"), ("b", "Int64"), ("c", "Int64"), ("d", "Float64"), ("e", "Boolean"), ("f", "Decimal128(9, 2)")];
        let row = json!({ "a": 12, "b": "9007199254740993", "c": 5.0, "d": "1.5", "e": "true", "f": 1.25 });
        assert_eq!(round_trip(&columns, row).unwrap(), r#""12" 9007199254740993 5 1.5 true "1.25""#);
        for (value, column) in [(json!("5k"), columns[1]), (json!(1.5), columns[1]), (json!(1), columns[4]), (json!(1.255), columns[5])] {
            let name = column.0;
            let error = round_trip(&[column], json!({ name: value })).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_is_named() {
        let error = round_trip(&[("ind", "Int64"), ("age", "Int64")], json!({ "int": 1 })).unwrap_err();
        assert_eq!(error, "row 0: there is no column `int`; there are ind, age");
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let batch = to_batch(&[Row::new(), Row::new()], &schema(&[])).unwrap();
        assert_eq!((batch.num_rows(), to_text(&batch).unwrap().len()), (2, 2));
    }
}
