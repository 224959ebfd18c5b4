//! A set of a file's rows, small enough for a checkpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roaring::RoaringBitmap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Rows by their number in a file, from 0. As text it is base64 of Roaring's portable format
/// (<https://github.com/RoaringBitmap/RoaringFormatSpec>).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RowSet(RoaringBitmap);

impl RowSet {
    /// Adds a row.
    pub(crate) fn insert(&mut self, row: u32) {
        self.0.insert(row);
    }

    /// Whether a row is in it.
    pub(crate) fn contains(&self, row: u32) -> bool {
        self.0.contains(row)
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<I: IntoIterator<Item = u32>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl Serialize for RowSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        self.0.serialize_into(&mut bytes).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for RowSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        RoaringBitmap::deserialize_from(bytes.as_slice()).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_a_checkpoint() {
        for rows in [vec![], vec![0], (0..100_000).step_by(2).collect::<Vec<u32>>(), vec![u32::MAX, 7]] {
            let set = RowSet::from_iter(rows.iter().copied());
            let text = serde_json::to_string(&set).unwrap();
            assert!(text.len() < 25_000, "{} bytes", text.len());
            let read: RowSet = serde_json::from_str(&text).unwrap();
            assert_eq!((&read, read.len()), (&set, rows.len() as u64));
            assert!(rows.iter().all(|row| read.contains(*row)) && !read.contains(1));
        }
        for damaged in ["\"\"", "\"AAAA\"", "\"not base64!\"", "7"] {
            assert!(serde_json::from_str::<RowSet>(damaged).is_err(), "{damaged}");
        }
    }
}
