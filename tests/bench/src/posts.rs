//! Posts as the measured code takes them: which columns, and decoded batches of a chosen size.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use clean_pin::Column;
use serde_json::{Value, json};
use wasmill_formats::RecordDecoder;
use wasmill_formats::json::JsonDecoder;

use crate::Result;

/// Which columns of a post are cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// All.
    Wide,
    /// The row's number and the number of followers.
    Narrow,
}

impl Width {
    pub fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }

    /// The columns besides the row's number.
    pub fn columns(self) -> Vec<Column> {
        Column::ALL.into_iter().filter(|column| self == Self::Wide || *column == Column::FollowerCount).collect()
    }

    /// The plugin's configuration that gives just these columns.
    pub fn config(self) -> Value {
        let kept = self.columns();
        let dropped: Vec<_> = Column::ALL.into_iter().filter(|column| !kept.contains(column)).map(Column::name).collect();
        json!({ "drop": dropped })
    }

    /// The columns as they come in.
    pub fn schema(self) -> SchemaRef {
        let texts = self.columns().into_iter().map(|column| Field::new(column.name(), DataType::Utf8, true));
        Arc::new(Schema::new(std::iter::once(Field::new("index", DataType::Int64, true)).chain(texts).collect::<Vec<_>>()))
    }
}

/// Decodes the first `batches` batches of `rows` posts of a file, each in memory of its own.
pub fn read(path: &Path, schema: SchemaRef, rows: usize, batches: usize) -> Result<Vec<RecordBatch>> {
    let mut decoder = JsonDecoder::new(schema)?;
    let mut read = Vec::with_capacity(batches);
    for line in BufReader::new(File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?).lines() {
        decoder.push(&line?).map_err(|bad| format!("a post can't be decoded: {}", bad.message))?;
        if decoder.rows() == rows {
            read.push(decoder.finish()?);
            if read.len() == batches {
                return Ok(read);
            }
        }
    }
    Err(format!("{} has fewer than {} posts", path.display(), rows * batches).into())
}
