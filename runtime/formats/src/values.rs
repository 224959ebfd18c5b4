//! The values of a stream's records (Kafka's, Kinesis's) as columns: JSON objects, or bytes as they are.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_schema::{DataType, Field, Schema};
use wasmill_error::{Error, Result};

use super::json::JsonDecoder;
use super::{RecordDecoder, Step, Utf8Records};
use crate::TypeName;
use crate::codes::RAW;

/// The column that holds the value with `format: raw`: binary or text, may be null.
pub const VALUE_COLUMN: &str = "value";

/// Decodes values one by one.
pub struct Values(Kind);

enum Kind {
    Json(JsonDecoder),
    Raw { column: Option<RawColumn>, rows: usize },
}

enum RawColumn {
    Binary(BinaryBuilder),
    Text(StringBuilder),
}

impl Values {
    /// Values that are JSON objects with these columns.
    pub fn json(fields: Vec<Arc<Field>>) -> Result<Self> {
        Ok(Self(Kind::Json(JsonDecoder::new(Arc::new(Schema::new(fields)))?)))
    }

    /// Values as they are, in the one column [`VALUE_COLUMN`], if the schema has it.
    pub fn raw(fields: &[Arc<Field>]) -> Result<Self> {
        Ok(Self(Kind::Raw { column: raw_column(fields)?, rows: 0 }))
    }

    /// The values that the columns hold so far.
    pub fn cells(&self) -> usize {
        match &self.0 {
            Kind::Json(decoder) => decoder.cells(),
            Kind::Raw { rows, .. } => *rows,
        }
    }

    /// Decodes a value as the next row.
    #[inline]
    pub fn push(&mut self, value: &[u8]) -> Step {
        match &mut self.0 {
            Kind::Json(decoder) => decoder.push(Utf8Records::new(value).record(0..value.len())?),
            Kind::Raw { column, rows } => {
                match column {
                    Some(RawColumn::Binary(column)) => column.append_value(value),
                    Some(RawColumn::Text(column)) => column.append_value(Utf8Records::new(value).record(0..value.len())?),
                    None => {}
                }
                *rows += 1;
                Ok(())
            }
        }
    }

    /// A row without any value.
    pub fn push_nothing(&mut self) -> Step {
        match &mut self.0 {
            Kind::Json(decoder) => decoder.push("{}"),
            Kind::Raw { column, rows } => {
                match column {
                    Some(RawColumn::Binary(column)) => column.append_null(),
                    Some(RawColumn::Text(column)) => column.append_null(),
                    None => {}
                }
                *rows += 1;
                Ok(())
            }
        }
    }

    /// The columns of the rows so far, and how many rows there are.
    pub fn finish(&mut self) -> Result<(Vec<ArrayRef>, usize)> {
        match &mut self.0 {
            Kind::Json(decoder) => {
                let batch = decoder.finish()?;
                Ok((batch.columns().to_vec(), batch.num_rows()))
            }
            Kind::Raw { column, rows } => {
                let rows = std::mem::take(rows);
                let column = column.as_mut().map(|column| -> ArrayRef {
                    match column {
                        RawColumn::Binary(column) => Arc::new(column.finish()),
                        RawColumn::Text(column) => Arc::new(column.finish()),
                    }
                });
                Ok((column.into_iter().collect(), rows))
            }
        }
    }
}

fn raw_column(fields: &[Arc<Field>]) -> Result<Option<RawColumn>> {
    let wrong = |what: String| {
        Error::configuration(what).code(RAW).hint(format!("`format: raw` gives one column, `{VALUE_COLUMN}`: binary or text"))
    };
    match fields {
        [] => Ok(None),
        [field] if field.name() == VALUE_COLUMN && field.is_nullable() => match field.data_type() {
            DataType::Binary => Ok(Some(RawColumn::Binary(BinaryBuilder::new()))),
            DataType::Utf8 => Ok(Some(RawColumn::Text(StringBuilder::new()))),
            other => Err(wrong(format!("the column {VALUE_COLUMN} can't be {}", TypeName(other)))),
        },
        [field] if field.name() == VALUE_COLUMN => Err(wrong(format!("the column {VALUE_COLUMN} must allow nulls"))),
        fields => {
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).filter(|name| *name != VALUE_COLUMN).collect();
            Err(wrong(format!("raw values have no columns {}", names.join(", "))))
        }
    }
}
