//! Digests in temporary files by their first byte, and what a comparison of them finds.

use std::io::{BufReader, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;
use wasmill_connect::codes::TEMPORARY_FILE;
use wasmill_engine::{Error, Result};

use super::digest::Pair;

/// A file up to this size stays in memory.
const IN_MEMORY_BYTES: usize = 64 << 10;
const PAIR_BYTES: usize = 32;

/// The digests of one table.
pub(super) struct Buckets {
    files: Vec<Option<BufWriter<SpooledTempFile>>>,
}

impl Buckets {
    pub(super) const COUNT: usize = 256;

    pub(super) fn new() -> Self {
        let file = || Some(BufWriter::with_capacity(PAIR_BYTES * 128, SpooledTempFile::new(IN_MEMORY_BYTES)));
        Self { files: std::iter::repeat_with(file).take(Self::COUNT).collect() }
    }

    pub(super) fn put(&mut self, (key, row): Pair) -> Result<()> {
        let Some(Some(file)) = self.files.get_mut((key >> 120) as usize) else { return Err(Error::bug("a bucket is gone")) };
        file.write_all(&key.to_be_bytes()).and_then(|()| file.write_all(&row.to_be_bytes())).map_err(failed)
    }

    /// The digests of one bucket, sorted; its file is removed.
    pub(super) fn take(&mut self, index: usize) -> Result<Vec<Pair>> {
        let Some(file) = self.files.get_mut(index).and_then(Option::take) else { return Ok(Vec::new()) };
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        let bytes = file.stream_position().map_err(failed)?;
        file.rewind().map_err(failed)?;
        let mut pairs = Vec::with_capacity(bytes as usize / PAIR_BYTES);
        let mut reader = BufReader::new(file);
        let mut pair = [0; PAIR_BYTES];
        for _ in 0..bytes as usize / PAIR_BYTES {
            reader.read_exact(&mut pair).map_err(failed)?;
            pairs.push((number(&pair[..16]), number(&pair[16..])));
        }
        pairs.sort_unstable();
        Ok(pairs)
    }
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, &byte| (number << 8) | u128::from(byte))
}

fn failed(error: std::io::Error) -> Error {
    Error::io(format_args!("keep digests of rows in {}", std::env::temp_dir().display()), error)
        .or_code(TEMPORARY_FILE)
        .hint("32 bytes a row are needed there; TMPDIR names another folder")
}

/// What a comparison has found so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) limit: usize,
    pub(super) rows: [u64; 2],
    pub(super) equal: u64,
    pub(super) only: [u64; 2],
    pub(super) changed: u64,
    pub(super) repeated: u64,
    /// The first rows that only one table has.
    pub(super) only_samples: [Vec<Pair>; 2],
    /// The first rows that changed: the key, the row on the left and on the right.
    pub(super) changed_samples: Vec<(u128, u128, u128)>,
}

impl Tally {
    /// Compares the sorted digests of the same bucket.
    pub(super) fn add(&mut self, left: &[Pair], right: &[Pair]) {
        self.rows[0] += left.len() as u64;
        self.rows[1] += right.len() as u64;
        let (mut left, mut right) = (left, right);
        while let Some(key) = left.first().into_iter().chain(right.first()).map(|(key, _)| *key).min() {
            let ours = left.partition_point(|(other, _)| *other <= key);
            let theirs = right.partition_point(|(other, _)| *other <= key);
            self.add_key(key, &left[..ours], &right[..theirs]);
            (left, right) = (&left[ours..], &right[theirs..]);
        }
    }

    /// Compares the rows of one key: equal ones cancel each other, then the rest is paired.
    fn add_key(&mut self, key: u128, mut left: &[Pair], mut right: &[Pair]) {
        self.repeated += u64::from(left.len() > 1 || right.len() > 1);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        while let (Some((_, a)), Some((_, b))) = (left.first(), right.first()) {
            if a <= b {
                if a == b {
                    self.equal += 1;
                    right = &right[1..];
                } else {
                    ours.push(*a);
                }
                left = &left[1..];
            } else {
                theirs.push(*b);
                right = &right[1..];
            }
        }
        ours.extend(left.iter().map(|(_, row)| *row));
        theirs.extend(right.iter().map(|(_, row)| *row));
        // Whole rows are their own keys: there is never a pair then.
        let pairs = ours.len().min(theirs.len());
        self.changed += pairs as u64;
        let room = self.limit.saturating_sub(self.changed_samples.len());
        self.changed_samples.extend(ours.iter().zip(&theirs).take(room).map(|(a, b)| (key, *a, *b)));
        for (side, rows) in [&ours[pairs..], &theirs[pairs..]].into_iter().enumerate() {
            self.only[side] += rows.len() as u64;
            let room = self.limit.saturating_sub(self.only_samples[side].len());
            self.only_samples[side].extend(rows.iter().take(room).map(|row| (key, *row)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digests_come_back_sorted_whether_they_were_spilled_or_not() {
        let mut buckets = Buckets::new();
        let many = 3 * IN_MEMORY_BYTES / PAIR_BYTES;
        for number in (0..many as u128).rev() {
            buckets.put((7 << 120 | number, number)).unwrap();
        }
        buckets.put((9 << 120, 1)).unwrap();
        let pairs = buckets.take(7).unwrap();
        assert!(pairs.iter().enumerate().all(|(index, pair)| *pair == (7 << 120 | index as u128, index as u128)) && pairs.len() == many);
        assert_eq!((buckets.take(9).unwrap(), buckets.take(8).unwrap()), (vec![(9 << 120, 1)], Vec::new()));
    }

    proptest! {
        #[test]
        fn whole_rows_are_compared_as_multisets(left in prop::collection::vec(0_u128..6, 0..12), right in prop::collection::vec(0_u128..6, 0..12)) {
            let sorted = |mut rows: Vec<u128>| { rows.sort_unstable(); rows.into_iter().map(|row| (row, row)).collect::<Vec<_>>() };
            let mut tally = Tally { limit: 100, ..Tally::default() };
            tally.add(&sorted(left.clone()), &sorted(right.clone()));
            let (mut only, mut equal) = ([0, 0], 0);
            for row in 0..6 {
                let count = |rows: &[u128]| rows.iter().filter(|other| **other == row).count() as u64;
                let (a, b) = (count(&left), count(&right));
                equal += a.min(b);
                only[0] += a - a.min(b);
                only[1] += b - a.min(b);
            }
            prop_assert_eq!((tally.equal, tally.only, tally.changed), (equal, only, 0));
            prop_assert_eq!(tally.only_samples[0].len() as u64, only[0]);
        }

        #[test]
        fn with_a_key_every_row_is_counted_once(
            left in prop::collection::vec((0_u128..4, 0_u128..3), 0..12),
            right in prop::collection::vec((0_u128..4, 0_u128..3), 0..12),
        ) {
            let sorted = |mut rows: Vec<Pair>| { rows.sort_unstable(); rows };
            let mut tally = Tally { limit: 100, ..Tally::default() };
            tally.add(&sorted(left.clone()), &sorted(right.clone()));
            prop_assert_eq!(tally.equal + tally.changed + tally.only[0], left.len() as u64);
            prop_assert_eq!(tally.equal + tally.changed + tally.only[1], right.len() as u64);
            prop_assert!(tally.changed_samples.iter().all(|(_, a, b)| a != b));
        }
    }
}
