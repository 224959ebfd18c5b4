//! The rules of `clean-pin` linked natively: Arrow in, Arrow out, nothing crosses anything.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use clean_pin::{Column, Config};
use wasmill_plugin::text::TextRules;

use crate::Result;
use crate::posts::Width;

/// The cleaning, ready for batches of one schema.
pub struct Native {
    columns: Vec<(Column, TextRules)>,
    prefix: String,
    schema: SchemaRef,
}

impl Native {
    pub fn new(width: Width) -> Self {
        let config = Config::default();
        let columns: Vec<_> = width.columns().into_iter().map(|column| (column, column.rules(&config))).collect();
        let field = |(column, _): &(Column, TextRules)| {
            let kind = if *column == Column::FollowerCount { DataType::Int64 } else { DataType::Utf8 };
            Field::new(column.name(), kind, true)
        };
        let fields: Vec<_> = std::iter::once(Field::new("ind", DataType::Int64, true)).chain(columns.iter().map(field)).collect();
        Self { columns, prefix: config.save_location_prefix, schema: Arc::new(Schema::new(fields)) }
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub fn clean(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let missing = |name: &str| format!("there is no column {name}");
        let mut cleaned = vec![Arc::clone(records.column_by_name("index").ok_or_else(|| missing("index"))?)];
        for (column, rules) in &self.columns {
            let name = column.name();
            let texts = records.column_by_name(name).and_then(|column| column.as_any().downcast_ref()).ok_or_else(|| missing(name))?;
            cleaned.push(self.column(*column, rules, texts)?);
        }
        Ok(RecordBatch::try_new(self.schema(), cleaned)?)
    }

    fn column<'a>(&self, column: Column, rules: &TextRules, texts: &'a StringArray) -> Result<ArrayRef> {
        Ok(match column {
            Column::FollowerCount => {
                let count = |row| rules.text(texts, row).map(|text| followers(&text)).transpose();
                Arc::new((0..texts.len()).map(count).collect::<Result<Int64Array>>()?)
            }
            Column::SaveLocation => {
                let cut = |text: Cow<'a, str>| match text {
                    Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(&self.prefix).unwrap_or(text)),
                    Cow::Owned(text) => Cow::Owned(text.strip_prefix(&self.prefix).map(str::to_owned).unwrap_or(text)),
                };
                Arc::new((0..texts.len()).map(|row| rules.text(texts, row).map(cut)).collect::<StringArray>())
            }
            _ => Arc::new(masked(rules, texts)),
        })
    }
}

/// The texts with null where they mean null; the texts themselves are not touched.
fn masked(rules: &TextRules, texts: &StringArray) -> StringArray {
    let keep = NullBuffer::new(rules.keep_mask(texts));
    let nulls = NullBuffer::union(texts.nulls(), Some(&keep)).filter(|nulls| nulls.null_count() > 0);
    StringArray::new(texts.offsets().clone(), texts.values().clone(), nulls)
}

fn followers(text: &str) -> Result<i64> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    Ok(digits.parse::<i64>().map_err(|error| format!("{text}: {error}"))? * factor)
}
