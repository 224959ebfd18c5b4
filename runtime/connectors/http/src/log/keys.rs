//! The keys of requests, remembered for some time.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use bytes::Buf;
use twox_hash::XxHash3_64;
use wasmill_engine::Result;

use super::files;
use super::recover::damaged;

/// This many keys are remembered at most: some 100 MB.
const MOST: usize = 1 << 20;
/// The bytes of a key in a file: the key, the digest of its request, its first record, how many, and when.
const KEY_BYTES: usize = 16 + 16 + 8 + 4 + 8;

/// A request that has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub request: [u8; 16],
    pub first: u64,
    pub count: u32,
    /// When it was accepted, milliseconds since 1970.
    pub at: i64,
}

/// The requests that have keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_key: HashMap<[u8; 16], Known>,
    /// In the order in which they were accepted.
    in_order: VecDeque<[u8; 16]>,
}

impl Keys {
    pub(super) fn find(&self, key: &[u8; 16]) -> Option<&Known> {
        self.by_key.get(key)
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_key.len() >= MOST
    }

    pub(super) fn add(&mut self, key: [u8; 16], known: Known) {
        if self.by_key.insert(key, known).is_none() {
            self.in_order.push_back(key);
        }
    }

    /// Forgets those that were accepted before a time.
    pub(super) fn forget(&mut self, before: i64) {
        while let Some(key) = self.in_order.front()
            && self.by_key.get(key).is_none_or(|known| known.at < before)
        {
            self.by_key.remove(key);
            self.in_order.pop_front();
        }
    }

    /// Forgets those of records that were never written.
    pub(super) fn forget_from(&mut self, record: u64) {
        self.by_key.retain(|_, known| known.first < record);
        let by_key = &self.by_key;
        self.in_order.retain(|key| by_key.contains_key(key));
    }

    /// Writes those of some records into a file, durably. None: no file.
    pub(super) fn save(&self, path: &Path, records: std::ops::Range<u64>) -> Result<()> {
        let mut bytes = Vec::new();
        for key in &self.in_order {
            let Some(known) = self.by_key.get(key).filter(|known| records.contains(&known.first)) else { continue };
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(&known.request);
            bytes.extend_from_slice(&known.first.to_le_bytes());
            bytes.extend_from_slice(&known.count.to_le_bytes());
            bytes.extend_from_slice(&known.at.to_le_bytes());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        bytes.extend_from_slice(&XxHash3_64::oneshot(&bytes).to_le_bytes());
        files::replace(path, &bytes)
    }

    /// Adds those of a file that were accepted at or after a time. Returns false if there was none of them: the file can go.
    pub(super) fn load(&mut self, path: &Path, after: i64) -> Result<bool> {
        let Some(bytes) = files::read(path)? else { return Ok(false) };
        let Some((mut keys, mut checksum)) = bytes.split_at_checked(bytes.len().saturating_sub(8)) else {
            return Err(damaged(path, "it is cut off"));
        };
        if !keys.len().is_multiple_of(KEY_BYTES) || checksum.len() != 8 || XxHash3_64::oneshot(keys) != checksum.get_u64_le() {
            return Err(damaged(path, "it does not match its checksum"));
        }
        let mut any = false;
        while keys.len() >= KEY_BYTES {
            let (mut key, mut request) = ([0; 16], [0; 16]);
            keys.copy_to_slice(&mut key);
            keys.copy_to_slice(&mut request);
            let known = Known { request, first: keys.get_u64_le(), count: keys.get_u32_le(), at: keys.get_i64_le() };
            if known.at >= after {
                any = true;
                self.add(key, known);
            }
        }
        Ok(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(first: u64, at: i64) -> Known {
        Known { request: [9; 16], first, count: 2, at }
    }

    #[test]
    fn keys_are_saved_loaded_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let mut keys = Keys::default();
        (0..10u8).for_each(|number| keys.add([number; 16], known(u64::from(number) * 2, i64::from(number))));
        keys.save(&path, 4..10).unwrap();
        let mut loaded = Keys::default();
        assert!(loaded.load(&path, 3).unwrap());
        assert_eq!((loaded.find(&[2; 16]), loaded.find(&[4; 16])), (None, Some(&known(8, 4))));
        assert!(!Keys::default().load(&path, 100).unwrap());
        keys.forget(5);
        assert_eq!((keys.find(&[4; 16]), keys.find(&[5; 16])), (None, Some(&known(10, 5))));
        keys.forget_from(12);
        assert_eq!((keys.find(&[5; 16]).is_some(), keys.find(&[6; 16])), (true, None));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(Keys::default().load(&path, 0).is_err());
        std::fs::write(&path, &bytes[..3]).unwrap();
        assert!(Keys::default().load(&path, 0).is_err());
    }
}
