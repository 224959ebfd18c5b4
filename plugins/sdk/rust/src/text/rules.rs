//! The rules for the cells of one text column, and their results: a mask, rejects, or the column
//! computed again.

use std::borrow::Cow;

use arrow_array::builder::TimestampMicrosecondBuilder;
use arrow_array::{Array, StringArray, TimestampMicrosecondArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use super::{TextSet, WrappedValues, unwrap_single};
use crate::{Output, Refusal, Reject, mask, time};

/// Texts that mean null in any column: the empty text, and Python's notation of null.
pub const STANDARD_NULLS: [&str; 2] = ["", "None"];

/// How the cells of one text column are read.
#[derive(Debug, Clone)]
pub struct TextRules {
    nulls: TextSet,
    wrapped: WrappedValues,
}

impl TextRules {
    /// Rules: the texts that mean null, and what becomes of wrapped ones.
    pub fn new(nulls: TextSet, wrapped: WrappedValues) -> Self {
        Self { nulls, wrapped }
    }

    /// Whether the rules leave every text as it is and reject none: the column then need not cross.
    pub fn change_nothing(&self) -> bool {
        self.nulls.is_empty() && self.wrapped == WrappedValues::Keep
    }

    /// The column that these rules read: where wrapped values are unwrapped, arrays come as their JSON text.
    pub fn need(&self, column: impl Into<String>) -> Field {
        let field = Field::new(column, DataType::Utf8, true);
        match self.wrapped {
            WrappedValues::Unwrap => field.with_metadata([("wasmill.json".to_owned(), "nested".to_owned())].into()),
            WrappedValues::Reject | WrappedValues::Keep => field,
        }
    }

    /// Whether the rules change nothing but to null: the column's values then need neither cross nor travel back. The host nulls them
    /// ([`Port::pass_except`](crate::Port::pass_except)), and the plugin [peeks](crate::Plan::peek) at those that it may reject.
    pub fn only_null(&self) -> bool {
        self.wrapped != WrappedValues::Unwrap
    }

    /// The texts that mean null.
    pub fn nulls(&self) -> impl Iterator<Item = &str> {
        self.nulls.iter()
    }

    /// The beginnings of all texts that [`reject_wrapped`](Self::reject_wrapped) may reject.
    pub fn suspects(&self) -> &'static [&'static str] {
        match self.wrapped {
            WrappedValues::Reject => &["["],
            WrappedValues::Unwrap | WrappedValues::Keep => &[],
        }
    }

    /// The rows that keep their text.
    pub fn keep_mask(&self, texts: &StringArray) -> BooleanBuffer {
        self.nulls.keep_mask(texts)
    }

    /// Rejects the rows whose text is wrapped, where the rules demand it, as `wrapped-value`.
    pub fn reject_wrapped(&self, texts: &StringArray, column: &str, out: &mut Output<'_>) {
        if self.wrapped != WrappedValues::Reject {
            return;
        }
        let values = texts.value_data();
        for (row, bounds) in texts.value_offsets().windows(2).enumerate() {
            let (start, end) = (bounds[0] as usize, bounds[1] as usize);
            // Two bytes distinguish almost every text from a wrapped one.
            if end - start < 4 || values[start] != b'[' || values[end - 1] != b']' || texts.is_null(row) {
                continue;
            }
            let text = texts.value(row);
            if unwrap_single(text).is_some() {
                let message = format!("{column} is wrapped as a list: {}; `wrapped_values: unwrap` takes the text inside", shortened(text));
                out.reject(row, Reject::new("wrapped-value", message).at_column(column));
            }
        }
    }

    /// The text of a cell, unwrapped where the rules demand it; none if it is null or means null.
    #[inline]
    pub fn text<'a>(&self, texts: &'a StringArray, row: usize) -> Option<Cow<'a, str>> {
        if texts.is_null(row) {
            return None;
        }
        let text = texts.value(row);
        let unwrapped = if self.wrapped == WrappedValues::Unwrap { unwrap_single(text) } else { None };
        let text = unwrapped.unwrap_or(Cow::Borrowed(text));
        (!self.nulls.contains(text.as_bytes())).then_some(text)
    }

    /// The column computed again: what `cut` leaves of each text. A resulting text that means null
    /// becomes null.
    ///
    /// # Errors
    /// Refuses a batch whose texts would come to more than 2 GiB.
    pub fn rewritten(&self, texts: &StringArray, cut: impl Fn(&str) -> &str) -> Result<StringArray, Refusal> {
        let mut offsets = Vec::with_capacity(texts.len() + 1);
        let mut values = Vec::with_capacity(texts.value_data().len());
        offsets.push(0_i32);
        let kept = mask(texts.len(), |row| {
            let text = self.text(texts, row);
            let text = text.as_deref().map(&cut).filter(|text| !self.nulls.contains(text.as_bytes()));
            values.extend_from_slice(text.unwrap_or_default().as_bytes());
            offsets.push(values.len() as i32);
            text.is_some()
        });
        if i32::try_from(values.len()).is_err() {
            return Err(Refusal::new("the texts of a batch come to more than 2 GiB; use smaller batches"));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(values), Some(NullBuffer::new(kept)))
            .map_err(|error| Refusal::new(format!("cannot build a column of texts: {error}")))
    }

    /// The column as times in UTC. Rows whose text is not one are rejected as `bad-timestamp`,
    /// wrapped ones as `wrapped-value`.
    pub fn timestamps(&self, texts: &StringArray, column: &str, out: &mut Output<'_>) -> TimestampMicrosecondArray {
        self.reject_wrapped(texts, column, out);
        let mut times = TimestampMicrosecondBuilder::with_capacity(texts.len()).with_data_type(time::timestamp_type());
        for row in 0..texts.len() {
            let text = self.text(texts, row);
            let time = text.as_deref().and_then(time::parse_micros);
            if let (Some(text), None) = (&text, time) {
                let message = format!("{column} {} is no time such as 2022-07-07T00:18:41 or 2022-07-07 00:18:41", shortened(text));
                out.reject(row, Reject::new("bad-timestamp", message).at_column(column));
            }
            times.append_option(time);
        }
        times.finish()
    }
}

/// A value for a message: quoted, control characters escaped, and cut where it is long.
pub fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
