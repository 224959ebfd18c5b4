//! Matching a column against a few known texts at the speed of comparing lengths.

use arrow_array::{Array, StringArray};
use arrow_buffer::BooleanBuffer;

use crate::mask;

/// A few texts to compare with, exactly.
///
/// A look-up compares lengths first, and bytes only where one of the texts has that length, which
/// is rare in real data.
#[derive(Debug, Clone, Default)]
pub struct TextSet {
    by_length: Vec<Vec<Box<[u8]>>>,
}

impl<S: AsRef<str>> FromIterator<S> for TextSet {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut by_length: Vec<Vec<Box<[u8]>>> = Vec::new();
        for text in texts {
            let bytes = text.as_ref().as_bytes();
            if by_length.len() <= bytes.len() {
                by_length.resize(bytes.len() + 1, Vec::new());
            }
            by_length[bytes.len()].push(bytes.into());
        }
        Self { by_length }
    }
}

impl TextSet {
    /// The texts, shorter ones first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // They were texts when they were put in.
        self.by_length.iter().flatten().map(|text| std::str::from_utf8(text).unwrap_or_default())
    }

    /// Whether there is nothing to compare with.
    pub fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }

    /// Whether `text` is one of the texts.
    #[inline]
    pub fn contains(&self, text: &[u8]) -> bool {
        self.by_length.get(text.len()).is_some_and(|same| !same.is_empty() && same.iter().any(|known| **known == *text))
    }

    /// A mask that holds the rows of a column that are none of the texts; for null rows it is
    /// unspecified.
    pub fn keep_mask(&self, column: &StringArray) -> BooleanBuffer {
        let (offsets, values) = (column.value_offsets(), column.value_data());
        if self.is_empty() {
            return BooleanBuffer::new_set(column.len());
        }
        let bounds = &offsets[..=column.len()];
        mask(column.len(), |row| {
            let (start, end) = (bounds[row] as usize, bounds[row + 1] as usize);
            let same = self.by_length.get(end - start);
            same.is_none_or(|same| same.is_empty() || !same.iter().any(|known| **known == values[start..end]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_texts_only() {
        let set: TextSet = ["", "None", "Nine", "héllo"].into_iter().collect();
        for text in ["", "None", "Nine", "héllo"] {
            assert!(set.contains(text.as_bytes()), "{text:?}");
        }
        for text in ["none", "None ", "Non", "hello!", "a much longer text than any of them"] {
            assert!(!set.contains(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn texts_come_out_as_they_were_put_in() {
        let set: TextSet = ["None", "", "héllo"].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), ["", "None", "héllo"]);
    }

    #[test]
    fn masks_a_sliced_column() {
        let set: TextSet = ["x"].into_iter().collect();
        let column = StringArray::from(vec![Some("x"), Some("x"), None, Some("y"), Some("x")]).slice(1, 4);
        let kept = set.keep_mask(&column);
        assert_eq!((kept.value(0), kept.value(2), kept.value(3)), (false, true, false));
    }
}
