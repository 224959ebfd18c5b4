//! The cells of one text column: which of them mean null, which are wrapped, and what is made of the others.

use std::sync::Arc;

use wasmill_plugin::arrow::array::ListArray;
use wasmill_plugin::arrow::array::builder::{Int64Builder, ListBuilder, StringBuilder};
use wasmill_plugin::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use wasmill_plugin::arrow::schema::Field;
use wasmill_plugin::prelude::*;
use wasmill_plugin::text::{TextSet, unwrap_single};

use crate::config::{Column, Config, WrappedValues};
use crate::follower_count;

/// How the cells of one column are read.
pub(crate) struct Cells {
    nulls: TextSet,
    wrapped: WrappedValues,
    pub(crate) split: Split,
}

/// Whether a text becomes a list.
pub(crate) enum Split {
    No,
    AtCommas,
}

/// The type of a list of texts.
pub(crate) fn list_of_texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

impl Cells {
    pub(crate) fn of(column: Column, config: &Config) -> Self {
        let split = if column == Column::TagList && config.split_tag_list { Split::AtCommas } else { Split::No };
        Self { nulls: column.nulls(config), wrapped: config.wrapped_values, split }
    }

    /// Whether no cell would be different, nor any row rejected.
    pub(crate) fn change_nothing(&self) -> bool {
        self.nulls.is_empty() && self.wrapped == WrappedValues::Keep
    }

    /// The rows that keep their text.
    pub(crate) fn keep_mask(&self, texts: &StringArray) -> BooleanBuffer {
        self.nulls.keep_mask(texts)
    }

    /// Rejects rows with a wrapped text, where the configuration says so.
    pub(crate) fn reject_wrapped(&self, texts: &StringArray, name: &str, out: &mut Output<'_>) {
        if self.wrapped != WrappedValues::Reject {
            return;
        }
        let (offsets, values) = (texts.value_offsets(), texts.value_data());
        for (row, bounds) in offsets.windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            // Two bytes tell apart almost every text from a wrapped one.
            if end - start < 4 || values[start] != b'[' || values[end - 1] != b']' || texts.is_null(row) {
                continue;
            }
            if unwrap_single(texts.value(row)).is_some() {
                let message =
                    format!("{name} is wrapped as a list: {}; `wrapped_values: unwrap` takes the text inside", shortened(texts.value(row)));
                out.reject(row, Reject::new("wrapped-value", message).at_column(name));
            }
        }
    }

    /// The text of a cell, unless it is null or means null.
    #[inline]
    fn text<'a>(&self, texts: &'a StringArray, row: usize) -> Option<&'a str> {
        if texts.is_null(row) {
            return None;
        }
        let text = texts.value(row);
        let text = if self.wrapped == WrappedValues::Unwrap { unwrap_single(text).unwrap_or(text) } else { text };
        (!self.nulls.contains(text.as_bytes())).then_some(text)
    }

    /// The column as follower counts; rows whose cell is none are rejected.
    pub(crate) fn follower_counts(&self, texts: &StringArray, out: &mut Output<'_>) -> Int64Array {
        let name = Column::FollowerCount.name();
        let mut counts = Int64Builder::with_capacity(texts.len());
        for row in 0..texts.len() {
            let count = match self.text(texts, row).map(|text| (text, follower_count::parse(text))) {
                Some((_, Ok(count))) => Some(count),
                Some((text, Err(error))) => {
                    let message = format!("{name} {} {}", shortened(text), error.reason());
                    out.reject(row, Reject::new("bad-number", message).at_column(name));
                    None
                }
                None => None,
            };
            counts.append_option(count);
        }
        counts.finish()
    }

    /// The column as texts, without the prefix; one that is left with nothing, or with a text that means null, becomes null.
    pub(crate) fn texts(&self, texts: &StringArray, prefix: &str) -> Result<StringArray, Refusal> {
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        let mut values = Vec::with_capacity(texts.value_data().len());
        offsets.push(0_i32);
        let kept = mask(texts.len(), |row| {
            let text = self.text(texts, row).map(|text| text.strip_prefix(prefix).unwrap_or(text));
            let text = text.filter(|text| !self.nulls.contains(text.as_bytes()));
            values.extend_from_slice(text.unwrap_or_default().as_bytes());
            offsets.push(values.len() as i32);
            text.is_some()
        });
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(values), Some(NullBuffer::new(kept)))
            .map_err(|error| Refusal::new(format!("cannot make a column of texts: {error}")))
    }

    /// The column as lists: split at commas, items trimmed, empty items left out.
    pub(crate) fn lists(&self, texts: &StringArray) -> Result<ListArray, Refusal> {
        let mut lists = ListBuilder::new(StringBuilder::with_capacity(texts.len() * 8, texts.value_data().len()));
        for row in 0..texts.len() {
            let text = self.text(texts, row);
            for item in text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()) {
                lists.values().append_value(item);
            }
            lists.append(text.is_some());
        }
        Ok(lists.finish())
    }
}

/// A value for a message: quoted, and cut where it is long.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
