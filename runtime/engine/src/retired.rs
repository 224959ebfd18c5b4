//! Splits that need no entry of their own in a checkpoint any more: records of a fixed length by
//! which a source recognises them.

use crate::{Error, Result};

/// The form of a source's records. Its pieces store it, so a source may never change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordForm {
    /// How many bytes at the beginning of a record identify its split.
    pub key_bytes: usize,
    /// How many bytes a record has in all, at least those of the key. Of two records of one split the greater one is the later one.
    pub record_bytes: usize,
}

/// The records of retired splits: in increasing order, one per split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    form: RecordForm,
    bytes: Vec<u8>,
}

impl Retired {
    /// Sorts records, and keeps the greatest of each split.
    ///
    /// # Errors
    /// A bug, or damage: the bytes are not a whole number of records.
    pub fn new(form: RecordForm, records: &[u8]) -> Result<Self> {
        if form.key_bytes == 0 || form.key_bytes > form.record_bytes || !records.len().is_multiple_of(form.record_bytes) {
            return Err(Error::bug(format!("{} bytes are not a whole number of records of {form:?}", records.len())));
        }
        let mut sorted: Vec<&[u8]> = records.chunks_exact(form.record_bytes).collect();
        sorted.sort();
        let mut bytes = Vec::with_capacity(records.len());
        for (index, record) in sorted.iter().enumerate() {
            let is_last = sorted.get(index + 1).is_none_or(|next| next[..form.key_bytes] != record[..form.key_bytes]);
            if is_last {
                bytes.extend_from_slice(record);
            }
        }
        Ok(Self { form, bytes })
    }

    /// What a split's record holds behind its key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let RecordForm { key_bytes, record_bytes } = self.form;
        let record = |index: usize| &self.bytes[index * record_bytes..(index + 1) * record_bytes];
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match record(middle)[..key_bytes].cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(&record(middle)[key_bytes..]),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// How many splits there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.form.record_bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The key of each split and what its record holds behind it.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.bytes.chunks_exact(self.form.record_bytes).map(|record| record.split_at(self.form.key_bytes))
    }

    /// The records, one behind the other.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const FORM: RecordForm = RecordForm { key_bytes: 1, record_bytes: 2 };

    proptest! {
        #[test]
        fn of_each_split_the_latest_record_is_found(records in prop::collection::vec((0u8..20, any::<u8>()), 0..100)) {
            let bytes: Vec<u8> = records.iter().flat_map(|(key, value)| [*key, *value]).collect();
            let retired = Retired::new(FORM, &bytes).unwrap();
            let mut expected: BTreeMap<u8, u8> = BTreeMap::new();
            for (key, value) in records {
                let known = expected.entry(key).or_default();
                *known = value.max(*known);
            }
            prop_assert_eq!(retired.len(), expected.len());
            prop_assert!(retired.iter().map(|(key, value)| (key[0], value[0])).eq(expected.clone()));
            for key in 0..=255u8 {
                prop_assert_eq!(retired.get(&[key]), expected.get(&key).map(std::slice::from_ref));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_records_are_refused() {
        assert!(Retired::new(FORM, &[1, 2, 3]).is_err());
        assert!(Retired::new(RecordForm { key_bytes: 3, record_bytes: 2 }, &[]).is_err());
        assert!(Retired::new(FORM, &[]).unwrap().is_empty());
    }
}
