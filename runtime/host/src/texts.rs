//! What the host compares texts for: those that mean null, and those that a plugin wants to see.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use arrow_select::nullif::nullif;

/// Texts that mean null.
///
/// Lengths are compared first, and bytes only where one of the texts has that length, which hardly any value of real data has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Except {
    by_length: Vec<Vec<Box<[u8]>>>,
}

impl Except {
    pub fn new<S: AsRef<str>>(texts: &[S]) -> Self {
        let longest = texts.iter().map(|text| text.as_ref().len()).max();
        let mut by_length = vec![Vec::new(); longest.map_or(0, |longest| longest + 1)];
        for text in texts {
            let bytes = text.as_ref().as_bytes();
            by_length[bytes.len()].push(Box::from(bytes));
        }
        Self { by_length }
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.by_length.get(text.len()).is_some_and(|same| !same.is_empty() && same.iter().any(|except| **except == *text))
    }

    /// The column, null where its text is one of these. Its values are shared.
    pub fn null(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let texts = column.as_string_opt::<i32>().ok_or_else(|| ArrowError::CastError("the column is not of texts".to_owned()))?;
        let (values, offsets) = (texts.value_data(), texts.value_offsets());
        let held = BooleanBuffer::collect_bool(texts.len(), |row| self.holds(&values[offsets[row] as usize..offsets[row + 1] as usize]));
        if held.count_set_bits() == 0 {
            return Ok(Arc::clone(column));
        }
        nullif(column.as_ref(), &BooleanArray::new(held, None))
    }
}

/// The beginnings of the texts that a plugin wants to see.
#[derive(Debug, Clone)]
pub(crate) struct Beginnings {
    texts: Vec<Box<[u8]>>,
    /// The first bytes that any of them has.
    first: [bool; 256],
    /// One of them is the empty text, with which every text begins.
    all: bool,
}

impl Beginnings {
    pub fn new(texts: &[String]) -> Self {
        let mut first = [false; 256];
        for byte in texts.iter().filter_map(|text| text.as_bytes().first()) {
            first[usize::from(*byte)] = true;
        }
        let all = texts.iter().any(String::is_empty);
        Self { texts: texts.iter().map(|text| Box::from(text.as_bytes())).collect(), first, all }
    }

    fn begin(&self, text: &[u8]) -> bool {
        text.first().is_some_and(|first| self.first[usize::from(*first)]) && self.texts.iter().any(|beginning| text.starts_with(beginning))
    }

    /// The column with its nulls and these texts; the other texts are empty.
    pub fn abridge(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if self.all {
            return Ok(Arc::clone(column));
        }
        let texts = column.as_string_opt::<i32>().ok_or_else(|| ArrowError::CastError("the column is not of texts".to_owned()))?;
        let (values, offsets) = (texts.value_data(), texts.value_offsets());
        let (mut kept, mut ends) = (Vec::new(), Vec::with_capacity(offsets.len()));
        ends.push(0_i32);
        for bounds in offsets.windows(2) {
            let text = &values[bounds[0] as usize..bounds[1] as usize];
            if self.begin(text) {
                kept.extend_from_slice(text);
            }
            // No longer than the column that it is a part of, whose offsets have 32 bits.
            ends.push(kept.len() as i32);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(kept), texts.nulls().cloned())?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Short texts over few letters, so that many are equal or begin alike.
    fn text() -> impl Strategy<Value = String> {
        "[ab\\[é]{0,3}"
    }

    /// A column, cut out of a longer one.
    fn column() -> impl Strategy<Value = (Vec<Option<String>>, usize)> {
        prop::collection::vec(prop::option::weighted(0.8, text()), 1..40).prop_flat_map(|texts| (Just(texts.clone()), 0..texts.len()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_nulled_is_what_is_equal((texts, cut) in column(), except in prop::collection::vec(text(), 0..4)) {
            let array = (Arc::new(StringArray::from(texts.clone())) as ArrayRef).slice(cut, texts.len() - cut);
            let nulled = Except::new(&except).null(&array).unwrap();
            let expected: StringArray = texts[cut..].iter().map(|text| text.clone().filter(|text| !except.contains(text))).collect();
            prop_assert_eq!(nulled.as_string::<i32>(), &expected);
            prop_assert!(nulled.to_data().validate_full().is_ok());
        }

        #[test]
        fn what_is_kept_is_what_begins_so((texts, cut) in column(), beginnings in prop::collection::vec(text(), 0..3)) {
            let array = (Arc::new(StringArray::from(texts.clone())) as ArrayRef).slice(cut, texts.len() - cut);
            let abridged = Beginnings::new(&beginnings).abridge(&array).unwrap();
            let begins = |text: &String| beginnings.iter().any(|beginning| text.starts_with(beginning.as_str()));
            let expected = texts[cut..].iter().map(|text| text.clone().map(|text| if begins(&text) { text } else { String::new() }));
            prop_assert_eq!(abridged.as_string::<i32>(), &expected.collect::<StringArray>());
            prop_assert!(abridged.to_data().validate_full().is_ok());
        }
    }
}
