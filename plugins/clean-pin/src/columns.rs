//! The columns that are computed and are no longer texts.

use wasmill_plugin::arrow::array::ListArray;
use wasmill_plugin::arrow::array::builder::{ListBuilder, StringBuilder};
use wasmill_plugin::arrow::buffer::NullBuffer;
use wasmill_plugin::arrow::schema::Field;
use wasmill_plugin::prelude::*;
use wasmill_plugin::text::{TextRules, shortened};

use crate::config::Column;
use crate::follower_count;

/// The type of a computed column.
pub(crate) fn output_type(column: Column, split_tag_list: bool) -> DataType {
    match column {
        Column::FollowerCount => DataType::Int64,
        Column::TagList if split_tag_list => DataType::new_list(DataType::Utf8, true),
        _ => DataType::Utf8,
    }
}

/// Texts as follower counts; rows whose text is not one are rejected.
pub(crate) fn follower_counts(rules: &TextRules, texts: &StringArray, out: &mut Output<'_>) -> Int64Array {
    let name = Column::FollowerCount.name();
    let mut counts = Vec::with_capacity(texts.len());
    let valid = mask(texts.len(), |row| {
        let text = rules.text(texts, row);
        let count = match text.as_deref().map(|text| (text, follower_count::parse(text))) {
            Some((_, Ok(count))) => Some(count),
            Some((text, Err(error))) => {
                let message = format!("{name} {} {}", shortened(text), error.reason());
                out.reject(row, Reject::new("bad-number", message).at_column(name));
                None
            }
            None => None,
        };
        counts.push(count.unwrap_or_default());
        count.is_some()
    });
    Int64Array::new(counts.into(), Some(NullBuffer::new(valid)))
}

/// Texts as lists: split at commas, items trimmed, empty items left out.
pub(crate) fn tag_lists(rules: &TextRules, texts: &StringArray) -> ListArray {
    let items = StringBuilder::with_capacity(texts.len() * 8, texts.value_data().len());
    let mut lists = ListBuilder::with_capacity(items, texts.len()).with_field(Field::new_list_field(DataType::Utf8, true));
    for row in 0..texts.len() {
        let text = rules.text(texts, row);
        for item in text.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty()) {
            lists.values().append_value(item);
        }
        lists.append(text.is_some());
    }
    lists.finish()
}
